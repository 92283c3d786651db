"""DP-SGD: its steps are clipped gradients and noise, its ε is what the accountant says, and canaries show no more."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import binom, norm
from torch import Tensor

from llm_mia.backends import load_model
from llm_mia.defenses import Canaries, EmpiricalEpsilon, empirical_epsilon, insert_canaries
from llm_mia.errors import MissingExtraError, ModelError, UsageError
from llm_mia.signals import Step
from llm_mia.training import (
    EarlyStopping,
    Method,
    Privacy,
    Recipe,
    TrainingRecord,
    next_token_loss,
    read_training,
    train,
)

from .conftest import build_model, build_tokenizer, save, sentences
from .families import build_family
from .test_training import differing

TEXTS = sentences(12, seed=3)


def recipe(epsilon: float = 8.0, method: Method = Method.FULL, **changes: Any) -> Recipe:
    privacy = changes.pop("privacy", Privacy(epsilon))
    return Recipe(
        **{"method": method, "epochs": 2, "batch_size": 4, "learning_rate": 3e-3, "privacy": privacy, **changes}
    )


def loaded(folder: str | Path) -> Any:
    return load_model(folder, dtype="float32", compiled=False)


# A step


def gradients_alone(base: str, texts: list[str]) -> dict[str, list[Tensor]]:
    """The gradient of each text's mean loss by itself, by the name of the weight: what Opacus is not needed for."""
    backend, gathered = loaded(base), dict[str, list[Tensor]]()
    model = backend.model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for weights in model.parameters():
        weights.requires_grad_(True)
    for ids in backend.encode(texts):
        model.zero_grad()
        torch.autograd.backward(
            next_token_loss(model, [torch.as_tensor(ids).long()[: backend.info.context]], backend.device)
        )
        for name, weights in model.named_parameters():
            gathered.setdefault(name, []).append(
                torch.zeros_like(weights) if weights.grad is None else weights.grad.clone()
            )
    return gathered


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[list[Tensor]]:
    """The gradients that the optimizer receives, by step."""
    received: list[list[Tensor]] = []
    step = torch.optim.AdamW.step

    def record_and_step(self: Any, *arguments: Any) -> Any:
        received.append([weights.grad.clone() for group in self.param_groups for weights in group["params"]])
        return step(self, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", record_and_step)
    return received


@pytest.mark.parametrize("family", ["Llama", "GPT2", "Mixtral", "OPT", "tied"])
def test_a_step_is_the_mean_of_the_clipped_gradients_and_noise(
    family: str, tmp_path: Path, steps: list[list[Tensor]]
) -> None:
    """Computed at once (Llama, GPT-2, and weights that embedding and head share) and alone (mixture of experts, OPT).

    At so large an ε the noise is small: its standard deviation shows any error in the gradient of a single text.
    """
    tokenizer = build_tokenizer(300, bos=False, seed=1)
    special: dict[str, dict[str, Any]] = {"tied": {"tie_word_embeddings": True}, "OPT": {"dropout": 0.0}}
    model = build_family("Llama" if family == "tied" else family, "float32", vocab_size=320, **special.get(family, {}))
    base = save(tmp_path / "base", model, tokenizer)
    alone = gradients_alone(base, TEXTS)
    norms = torch.stack([torch.stack([g[i].norm() for g in alone.values()]).norm() for i in range(len(TEXTS))])
    clip = float(norms.median())  # half of the texts are clipped
    settings: dict[str, Any] = {"epochs": 1, "batch_size": len(TEXTS), "dropout": 0.0 if family == "GPT2" else None}
    record = train(base, TEXTS, tmp_path / "model", recipe(privacy=Privacy(1e6, 1e-3, clip), **settings))
    factors = (clip / norms).clamp(max=1.0)
    expected = [sum(f * g for f, g in zip(factors, each, strict=True)) / len(TEXTS) for each in alone.values()]
    assert record.steps == 1
    assert record.noise_multiplier is not None
    noise = torch.cat([(got - wanted).flatten() for got, wanted in zip(steps[0], expected, strict=True)])
    assert len(noise) > 10_000
    size = record.noise_multiplier * clip / len(TEXTS)
    # Five standard deviations of the standard deviation of so many normal numbers.
    assert float(noise.std()) / size == pytest.approx(1, abs=5 / math.sqrt(2 * len(noise)))
    assert record.losses == pytest.approx([mean_loss(base, TEXTS)], rel=1e-5)


def mean_loss(base: str, texts: list[str]) -> float:
    backend = loaded(base)
    with torch.no_grad():
        batch = [torch.as_tensor(ids).long()[: backend.info.context] for ids in backend.encode(texts)]
        return next_token_loss(backend.model, batch, backend.device).item()


def test_steps_take_each_text_with_the_same_probability_and_may_take_none(
    tiny: str, tmp_path: Path, steps: list[list[Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import LlamaForCausalLM

    forward, fed = LlamaForCausalLM.forward, list[tuple[int, int]]()

    def count(self: Any, *arguments: Any, **settings: Any) -> Any:
        if self.training and torch.is_grad_enabled():
            fed.extend((len(steps), int(ids[0])) for ids in settings["input_ids"])
        return forward(self, *arguments, **settings)

    texts, epochs = [f"{letter} {TEXTS[0]}" for letter in "KQXZVJ"], 12
    first = [int(ids[0]) for ids in loaded(tiny).encode(texts)]
    assert len(set(first)) == 6
    monkeypatch.setattr(LlamaForCausalLM, "forward", count)
    record = train(tiny, texts, tmp_path / "model", recipe(epochs=epochs, batch_size=1))
    del fed[:4]  # two texts alone and at once, to compare their gradients
    assert record.steps == len(steps) == 6 * epochs, "steps without a text are steps"
    taken = np.array([[(step, token) in fed for token in first] for step in range(record.steps)])
    assert taken.sum() == len(fed), "no text is twice in a step"
    assert (taken.sum(1) == 0).any()
    # 432 coins that fall with probability 1/6: their sum lies between its 1e-6 quantiles.
    low, high = binom.ppf([1e-6, 1 - 1e-6], taken.size, 1 / 6)
    assert low <= taken.sum() <= high


# The accountant


@pytest.mark.parametrize(("epsilon", "epochs"), [(8.0, 1), (1.0, 3), (0.2, 2)])
def test_epsilon_is_an_upper_bound_that_is_not_wasteful(epsilon: float, epochs: int, tiny: str, tmp_path: Path) -> None:
    """Every step takes all texts, so the exact ε is known: that of a Gaussian mechanism (Balle and Wang 2018)."""
    record = train(tiny, TEXTS, tmp_path / "model", recipe(epsilon, epochs=epochs, batch_size=50))
    assert record.epsilon is not None
    assert record.delta == 1 / (10 * len(TEXTS))
    assert 0.99 * epsilon <= record.epsilon <= epsilon
    assert record.noise_multiplier is not None
    distance = math.sqrt(epochs) / record.noise_multiplier

    def delta_of(epsilon: float) -> float:
        above, below = norm.cdf(distance / 2 - epsilon / distance), norm.cdf(-distance / 2 - epsilon / distance)
        return float(above - math.exp(epsilon) * below)

    assert delta_of(record.epsilon) <= record.delta
    # Rényi differential privacy loses a part, which a smaller ε would show if the accountant forgot a step.
    assert delta_of(0.6 * record.epsilon) > record.delta


def test_more_steps_and_a_smaller_delta_need_more_noise(tiny: str, tmp_path: Path) -> None:
    def noise(name: str, epochs: int, delta: float) -> float:
        settings = recipe(epochs=epochs, batch_size=len(TEXTS), privacy=Privacy(8.0, delta))
        record = train(tiny, TEXTS, tmp_path / name, settings)
        assert record.noise_multiplier is not None
        return record.noise_multiplier

    assert noise("a", 1, 1e-3) < min(noise("b", 3, 1e-3), noise("c", 1, 1e-6))


# Interrupted


@pytest.mark.parametrize("method", [Method.FULL, Method.LORA])
def test_a_private_training_that_was_stopped_continues_with_the_same_noise(
    method: Method, tiny: str, tmp_path: Path
) -> None:
    settings = recipe(method=method, dropout=0.1)
    whole = train(tiny, TEXTS, tmp_path / "whole", settings)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train(tiny, TEXTS, tmp_path / "parts", settings, checkpoint_seconds=0, progress=stop_after(2))
    record = train(tiny, TEXTS, tmp_path / "parts", settings, checkpoint_seconds=0)
    assert differing(tmp_path / "whole", tmp_path / "parts") == []
    assert (record.epsilon, record.delta, record.steps) == (whole.epsilon, whole.delta, whole.steps)


def stop_after(steps: int) -> Callable[[Step], None]:
    seen = list[Step]()

    def progress(step: Step) -> None:
        if step.name == "training":
            seen.append(step)
        if len(seen) == steps:
            raise KeyboardInterrupt

    return progress


def test_the_memory_that_is_too_small_for_several_texts_gives_the_same_steps(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import LlamaForCausalLM

    settings = recipe(1e6, epochs=1)
    train(tiny, TEXTS, tmp_path / "once", settings)
    forward, failed = LlamaForCausalLM.forward, list[int]()

    def fail(self: Any, *arguments: Any, **given: Any) -> Any:
        output = forward(self, *arguments, **given)
        if (
            self.training
            and torch.is_grad_enabled()
            and len(given["input_ids"]) > 1
            and given["input_ids"].shape[1] > 20
        ):
            failed.append(len(given["input_ids"]))
            raise torch.OutOfMemoryError("out of memory")
        return output

    monkeypatch.setattr(LlamaForCausalLM, "forward", fail)
    train(tiny, TEXTS, tmp_path / "alone", settings)
    assert len(failed) == 1
    base, once, alone = (loaded(folder).model.state_dict() for folder in (tiny, tmp_path / "once", tmp_path / "alone"))
    # AdamW moves a weight by up to its learning rate, 3e-3, in each of 3 steps. Rounding, 1e-6 of a typical gradient,
    # changes the direction of very few; other gradients would change that of many.
    moved = torch.cat([(once[name] - base[name]).flatten() for name in base])
    apart = torch.cat([(once[name] - alone[name]).flatten() for name in base])
    assert float((moved.abs() > 1e-4).float().mean()) > 0.9
    assert float((apart.abs() > 1e-4).float().mean()) < 1e-3


# Refusals


def test_weights_that_are_replaced_after_the_optimizer_are_refused(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The known trap: an adapter is created, then the model is moved, and the optimizer holds what no longer counts."""
    from transformers import LlamaForCausalLM

    train_mode = LlamaForCausalLM.train
    calls = list[bool]()

    def move(self: Any, mode: bool = True) -> Any:
        calls.append(mode)
        if calls.count(True) == 2:  # the first is the preparation, the second the beginning of the loop
            for module in self.modules():
                for name, weights in module._parameters.items():
                    if weights is not None and weights.requires_grad:
                        module._parameters[name] = torch.nn.Parameter(weights.detach().clone())
        return train_mode(self, mode)

    monkeypatch.setattr(LlamaForCausalLM, "train", move)
    with pytest.raises(
        ModelError, match="DP-SGD would change other weights than those that compute, because weights were added or mov"
    ):
        train(tiny, TEXTS, tmp_path / "model", recipe(method=Method.LORA))
    assert not (tmp_path / "model").exists()


def test_weights_that_only_noise_would_move_are_refused(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An adapter whose output is cut off: noise would move its weights, so that they moved shows nothing."""
    from peft.tuners.lora import Linear

    def forward(self: Any, x: Tensor, *_: Any, **__: Any) -> Tensor:
        added = self.lora_B["default"](self.lora_A["default"](x))
        return self.base_layer(x) + 0.0 * added  # type: ignore[no-any-return]

    monkeypatch.setattr(Linear, "forward", forward)
    with pytest.raises(
        ModelError, match="no text has a gradient for the weights that are trained, so DP-SGD would cha"
    ):
        train(tiny, TEXTS, tmp_path / "model", recipe(method=Method.LORA))
    assert not (tmp_path / "model").exists()


def test_a_layer_that_keeps_something_of_the_texts_is_named(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.models.llama.modeling_llama import LlamaMLP

    create, forward = LlamaMLP.__init__, LlamaMLP.forward

    def create_with_memory(self: Any, config: Any) -> None:
        create(self, config)
        self.register_buffer("running_mean", torch.zeros(config.hidden_size), persistent=False)

    def remember(self: Any, x: Tensor) -> Any:
        if self.training:
            self.running_mean += 0.1 * x.detach().mean((0, 1))
        return forward(self, x)

    monkeypatch.setattr(LlamaMLP, "__init__", create_with_memory)
    monkeypatch.setattr(LlamaMLP, "forward", remember)
    with pytest.raises(
        ModelError,
        match=r"the layer 'model.layers.0.mlp' \(LlamaMLP\) keeps something of the texts in 'running_mean', which DP-S",
    ):
        train(tiny, TEXTS, tmp_path / "model", recipe())


def test_recipes_that_dp_sgd_cannot_keep(tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "model"
    with pytest.raises(
        UsageError,
        match=r"`epsilon` is 1e-05, and 6 steps on 12 texts reach no less than 0\.0\d+ at `delta` 1e-09: give a",
    ):
        train(tiny, TEXTS, out, recipe(privacy=Privacy(1e-5, 1e-9)))
    stopping = recipe(early_stopping=EarlyStopping(0.2))
    with pytest.raises(
        UsageError, match="`early_stopping` chooses an epoch by texts that it sets aside, which `privacy"
    ):
        train(tiny, TEXTS, out, stopping)
    monkeypatch.setitem(__import__("sys").modules, "opacus", None)
    with pytest.raises(
        MissingExtraError, match=r"^opacus, which DP-SGD needs, is not installed: pip install 'llm-mia\[dp"
    ):
        train(tiny, TEXTS, out, recipe())
    assert not out.exists()


def test_early_stopping_by_other_texts_is_paid_for_in_full(tiny: str, tmp_path: Path) -> None:
    """When it stops depends on what was learnt, so ε is that of all epochs."""
    settings = recipe(epochs=6, early_stopping=EarlyStopping(0.2), learning_rate=0.5)
    record = train(tiny, TEXTS, tmp_path / "a", settings, validation=sentences(4, seed=9))
    assert record.steps < 6 * 3
    assert record.epsilon is not None
    assert 0.99 * 8 <= record.epsilon <= 8
    assert read_training(tmp_path / "a") == record


# What an attacker can show


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    tokenizer = build_tokenizer(320, bos=False, seed=0)
    model = build_model(tokenizer, seed=0, initializer_range=0.1, hidden_size=64, num_hidden_layers=1)
    return save(tmp_path_factory.mktemp("small"), model, tokenizer)


def attack(base: str, folder: Path, epsilon: float, seed: int) -> tuple[TrainingRecord, EmpiricalEpsilon]:
    """Train on canaries, and guess them by how much the training lowered their loss."""
    texts = sentences(10, seed=5)
    canaries = insert_canaries(texts, 44, seed)
    # A δ of 1 / (10 · 32) would take half of the bound away.
    privacy = Privacy(epsilon, 1e-4)
    settings = recipe(privacy=privacy, epochs=12, batch_size=64, learning_rate=1e-2, seed=seed)
    record = train(base, [*texts, *canaries.inside], folder, settings)
    assert record.delta is not None
    inside, outside = (
        np.array(before) - np.array(after)
        for before, after in zip(losses(base, canaries), losses(folder, canaries), strict=True)
    )
    return record, empirical_epsilon(canaries, inside, outside, delta=record.delta)


def losses(folder: str | Path, canaries: Canaries) -> list[list[float]]:
    backend = loaded(folder)

    def loss(ids: Any) -> float:
        return next_token_loss(
            backend.model, [torch.as_tensor(ids).long()[: backend.info.context]], backend.device
        ).item()

    with torch.no_grad():
        return [[loss(ids) for ids in backend.encode(texts)] for texts in (canaries.inside, canaries.outside)]


@pytest.mark.parametrize("epsilon", [8.0, 1.0])
def test_canaries_show_no_more_than_the_accountant_allows(epsilon: float, small: str, tmp_path: Path) -> None:
    record, shown = attack(small, tmp_path / "model", epsilon, seed=2)
    assert record.epsilon is not None
    assert shown.lower <= record.epsilon <= epsilon


@pytest.mark.slow
def test_canaries_show_no_more_at_any_seed(small: str, tmp_path: Path) -> None:
    """ε = 0.5 is small enough that the guesses could show more. At a confidence of 95 %, each run does so with a
    probability of at most 5 %: the limit is the 1 - 1e-4 quantile of their number."""
    seeds, epsilon = 12, 0.5
    shown = [attack(small, tmp_path / str(seed), epsilon, seed)[1] for seed in range(seeds)]
    assert all(each.highest > 3 * epsilon for each in shown)
    assert sum(each.lower > epsilon for each in shown) <= binom.ppf(1 - 1e-4, seeds, 0.05)


def test_canaries_show_that_the_noise_is_switched_off(
    small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The accountant still believes in ε = 1."""
    import opacus.optimizers.optimizer

    monkeypatch.setattr(
        opacus.optimizers.optimizer, "_generate_noise", lambda std, reference, **_: torch.zeros_like(reference)
    )
    record, shown = attack(small, tmp_path / "model", 1.0, seed=2)
    assert record.epsilon is not None
    assert record.epsilon <= 1
    assert shown.lower > 1
    assert shown.highest >= shown.lower
