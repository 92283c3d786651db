"""Training tiny models: they learn what they are shown, the same way at the same seed; refusals give the reason."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from llm_mia.backends import load_model
from llm_mia.errors import LlmMiaError, MissingExtraError, ModelError, RunDirectoryError, UsageError
from llm_mia.records import WindowRule
from llm_mia.signals import Step, cut
from llm_mia.store import from_json, to_json
from llm_mia.training import (
    EarlyStopping,
    Method,
    Recipe,
    TrainingRecord,
    next_token_loss,
    read_training,
    train,
)
from tests.conftest import build_tokenizer, save, sentences
from tests.families import build_family

FULL = Recipe(Method.FULL, epochs=2, batch_size=4, learning_rate=3e-3)


def recipe(**changes: Any) -> Recipe:
    settings = {"method": Method.FULL, "epochs": 2, "batch_size": 4, "learning_rate": 3e-3}
    return Recipe(**{**settings, **changes})


def mean_loss(backend: Any, texts: list[str]) -> float:
    windows = [w for ids in backend.encode(texts) for w in cut(ids, WindowRule(64, 16), opening=backend.opening)]
    return -float(np.mean(np.concatenate([signals.logprob for signals in backend.score(windows)])))


def loaded(folder: str | Path) -> Any:
    return load_model(folder, dtype="float32", compiled=False)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for file in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(file).items()}


def differing(first: Path, second: Path) -> list[str]:
    """Names of the weights that are not equal bit for bit."""
    before, after = weights_of(first), weights_of(second)
    assert before.keys() == after.keys()
    return [name for name in before if not torch.equal(before[name], after[name])]


@pytest.mark.parametrize(("name", "method"), [("tiny", method) for method in Method] + [("tiny_bos", Method.LORA)])
def test_training_lowers_the_loss_of_the_members_and_the_folder_is_a_model(
    name: str, method: Method, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    base = request.getfixturevalue(name)
    texts, others = sentences(12, seed=20), sentences(12, seed=21)
    record = train(base, texts, tmp_path / "model", recipe(method=method, epochs=10, learning_rate=2e-2))
    trained, before = loaded(tmp_path / "model"), loaded(base)
    assert mean_loss(trained, texts) < mean_loss(before, texts) - 1
    assert mean_loss(trained, texts) < mean_loss(trained, others) - 0.3
    assert trained.info.tokenizer == before.info.tokenizer
    assert mean_loss(load_model(tmp_path / "model", dtype="auto"), texts) < mean_loss(before, texts) - 1
    assert list(tmp_path.iterdir()) == [tmp_path / "model"], "what was needed on the way is gone"
    assert record == read_training(tmp_path / "model") == from_json(TrainingRecord, to_json(record))


def test_the_record_is_true(tiny: str, tmp_path: Path) -> None:
    texts = [*sentences(9, seed=22), " ".join(sentences(20, seed=23))]
    backend = loaded(tiny)
    lengths = [len(ids) for ids in backend.encode(texts)]
    record = train(tiny, texts, tmp_path / "model", recipe(batch_size=10, epochs=1), validation=texts)
    assert (record.texts, record.steps, record.cut) == (10, 1, 1)
    assert record.tokens == sum(min(64, n) for n in lengths)
    assert record.base == tiny
    cut_texts = [ids[:64] for ids in backend.encode(texts)]
    batch = [torch.from_numpy(ids).long() for ids in cut_texts]
    # All texts are in the first step, so its loss is that of the base; 1e-5 is its rounding, as in the test of padding.
    assert record.losses == pytest.approx([next_token_loss(backend.model, batch, backend.device).item()], abs=1e-5)
    after = next_token_loss(loaded(tmp_path / "model").model, batch, backend.device).item()
    assert record.validation_losses == pytest.approx([after], abs=1e-5)
    before, now = weights_of(Path(tiny)), weights_of(tmp_path / "model")
    moved = math.sqrt(sum(float((now[name] - before[name]).double().square().sum()) for name in before))
    norm = math.sqrt(sum(float(before[name].double().square().sum()) for name in before))
    assert record.change == pytest.approx(moved / norm, rel=1e-9)
    assert record.versions[0].startswith("torch ")


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tiny: str, tmp_path: Path) -> None:
    texts = sentences(10, seed=21)
    for method in (Method.SCRATCH, Method.LORA):  # in both the seed draws the weights that the training begins with
        for name, seed in (("a", 0), ("b", 0), ("c", 1)):
            torch.manual_seed(ord(name))  # what the caller draws changes nothing
            expected = torch.random.get_rng_state()
            train(tiny, texts, tmp_path / method / name, recipe(method=method, epochs=1, seed=seed, dropout=0.1))
            assert torch.equal(torch.random.get_rng_state(), expected), "nor the other way round"
        assert differing(tmp_path / method / "a", tmp_path / method / "b") == []
        assert differing(tmp_path / method / "a", tmp_path / method / "c") != []
        assert (
            loaded(tmp_path / method / "a").info.weights_sha256 == loaded(tmp_path / method / "b").info.weights_sha256
        )


def test_padding_is_in_no_loss(tiny: str) -> None:
    """A batch of a short and a long text moves the weights as the two texts do, not as their padding would."""
    backend = loaded(tiny)
    both = [torch.from_numpy(ids).long() for ids in backend.encode([" ".join(["the river bends"] * 3), "Anna counts"])]
    together = next_token_loss(backend.model, both, backend.device).item()
    alone = [next_token_loss(backend.model, [ids], backend.device).item() for ids in both]
    weights = [len(ids) - 1 for ids in both]
    assert together == pytest.approx(np.average(alone, weights=weights), abs=1e-5)


def test_progress_counts_every_token_of_every_epoch(tiny_bos: str, tmp_path: Path) -> None:
    """BOS comes before all tokens of a text, and a text is cut only where it exceeds the context."""
    seen: list[Step] = []
    texts = [*sentences(9, seed=22), " ".join(sentences(20, seed=23))]
    backend = loaded(tiny_bos)
    tokens = sum(min(64, len(ids) + len(backend.opening)) for ids in backend.encode(texts))
    train(tiny_bos, texts, tmp_path / "model", FULL, name="training shadow-03", progress=seen.append)
    counted = [step for step in seen if step.name == "training shadow-03"]
    assert (counted[-1].tokens, counted[-1].total_bytes, counted[-1].passages) == (2 * tokens, 2 * tokens, 10)
    assert [step.tokens for step in counted] == sorted(step.tokens for step in counted)
    train(tiny_bos, texts, tmp_path / "model", FULL, name="again", progress=seen.append)
    assert (seen[-1].name, seen[-1].passages, seen[-1].kept) == ("again", 10, 10)


# What a recipe can ask for


def test_deduplication_is_training_on_each_text_once(tiny: str, tmp_path: Path) -> None:
    texts = sentences(8, seed=1)
    record = train(tiny, [*texts, *texts[:5]], tmp_path / "a", recipe(deduplicate=True))
    train(tiny, texts, tmp_path / "b", FULL)
    assert record.texts == 8
    assert differing(tmp_path / "a", tmp_path / "b") == []


def test_early_stopping_keeps_the_epoch_of_the_lowest_validation_loss(tiny: str, tmp_path: Path) -> None:
    texts = sentences(20, seed=1)
    stopping = recipe(epochs=40, learning_rate=2e-2, early_stopping=EarlyStopping(0.25, 2))
    record = train(tiny, [*texts, texts[0]], tmp_path / "stopped", stopping)
    losses = record.validation_losses
    assert len(losses) < 40
    assert record.best_epoch == len(losses) - 2 == int(np.argmin(losses)) + 1
    aside = [texts[i % 20] for i in record.set_aside]
    assert len(set(aside)) == 5
    assert (texts[0] in aside) == (20 in record.set_aside), "both copies, or none"
    assert record.texts == 21 - len(aside)
    trained_on = [text for i, text in enumerate([*texts, texts[0]]) if i not in record.set_aside]
    shorter = recipe(epochs=record.best_epoch, learning_rate=2e-2)
    plain = train(tiny, trained_on, tmp_path / "plain", shorter, validation=aside)
    assert differing(tmp_path / "stopped", tmp_path / "plain") == []
    assert plain.validation_losses == pytest.approx(losses[: record.best_epoch])
    assert plain.best_epoch is None


def test_kept_epochs_are_trainings_of_so_many_epochs(tiny: str, tmp_path: Path) -> None:
    texts = sentences(8, seed=1)
    for method in (Method.FULL, Method.LORA):
        train(tiny, texts, tmp_path / method / "three", recipe(method=method, epochs=3), keep_epochs=(1, 2, 3))
        for epochs in (1, 2):
            plain = tmp_path / method / str(epochs)
            train(tiny, texts, plain, recipe(method=method, epochs=epochs))
            assert differing(tmp_path / method / "three" / f"epoch-{epochs}", plain) == []
        assert {path.name for path in (tmp_path / method / "three").iterdir() if path.is_dir()} == {
            "epoch-1",
            "epoch-2",
        }
    with pytest.raises(RunDirectoryError, match="holds no model of epoch 1; name another folder"):
        train(tiny, texts, tmp_path / "full" / "2", recipe(epochs=2), keep_epochs=(1,))


def test_label_smoothing_flattens_the_predictions(tiny: str, tmp_path: Path) -> None:
    """Its likeliest token is less likely on the members; the recorded loss is that of the tokens that are there."""
    texts = sentences(10, seed=1)
    tops = []
    for smoothing in (0.0, 0.3):
        folder = tmp_path / str(smoothing)
        record = train(tiny, texts, folder, recipe(epochs=12, learning_rate=1e-2, label_smoothing=smoothing))
        backend = loaded(folder)
        windows = [w for ids in backend.encode(texts) for w in cut(ids, WindowRule(64, 16), opening=())]
        tops.append(float(np.mean(np.concatenate([signals.top for signals in backend.score(windows)]))))
        # The loss falls during its epoch, so that of the model after it is lower, by less than one epoch's progress.
        assert record.losses[-1] <= record.losses[-2] + 0.1
        assert mean_loss(backend, texts) < record.losses[-2]
    assert tops[1] < tops[0] - 0.05


@pytest.mark.parametrize(
    ("family", "method"),
    [*((family, Method.FULL) for family in ("GPT2", "OPT", "Llama")), ("Llama", Method.LORA)],
)
def test_dropout_drops_and_leaves_the_configuration(family: str, method: Method, tmp_path: Path) -> None:
    tokenizer = build_tokenizer(300, bos=False, seed=1)
    base = save(tmp_path / "base", build_family(family, "float32", vocab_size=320), tokenizer)
    texts = sentences(6, seed=1)
    for name, dropout in (("none", 0.0), ("half", 0.5)):
        train(base, texts, tmp_path / name, recipe(method=method, epochs=1, dropout=dropout))
    # B of an adapter is zero before the first step, so its dropout shows from the second step on.
    assert differing(tmp_path / "none", tmp_path / "half") != []
    if method is Method.FULL:
        expected = Path(base, "config.json").read_text("utf-8")
        assert loaded(tmp_path / "half").info.config_sha256 == loaded(base).info.config_sha256, expected


def test_where_nothing_can_drop(tmp_path: Path) -> None:
    tokenizer = build_tokenizer(300, bos=False, seed=1)
    base = save(tmp_path / "base", build_family("Mamba", "float32", vocab_size=320), tokenizer)
    with pytest.raises(ModelError, match=r"base' has no layer that can drop activations: leave out `dropout`, or use"):
        train(base, sentences(4, seed=1), tmp_path / "model", recipe(dropout=0.1))
    assert not (tmp_path / "model").exists()


# Refusals


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            torch.OutOfMemoryError("out of memory"),
            "is out of memory in a step of 2 texts, .* one text at a time: give sh",
        ),
        (KeyError("no layer"), r"fails in a step of 2 texts, the longest of \d+ tokens \('no layer'\): give another"),
    ],
)
def test_a_model_that_fails_is_one_line(
    tiny: str, tmp_path: Path, error: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    intercept(monkeypatch, lambda _: error)
    with pytest.raises(ModelError, match=message):
        train(tiny, sentences(2, seed=3), tmp_path / "model", recipe(batch_size=2))


def intercept(monkeypatch: pytest.MonkeyPatch, fault: Any) -> None:
    """Raise what *fault* returns for the number of texts that a model in training mode is fed."""
    from transformers import LlamaForCausalLM

    forward = LlamaForCausalLM.forward

    def forward_or_fail(self: Any, *arguments: Any, **settings: Any) -> Any:
        if self.training:
            error = fault(len(settings["input_ids"]))
            if error is not None:
                raise error
        return forward(self, *arguments, **settings)

    monkeypatch.setattr(LlamaForCausalLM, "forward", forward_or_fail)


def test_out_of_memory_computes_a_step_in_parts_with_the_same_gradients(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five texts at once are too many, and of two after two others the second time: those count once nonetheless."""
    fed = list[int]()
    texts = [text[:40] for text in sentences(9, seed=3, longest=30) if len(text) > 60][:5]
    for failing in ((), (2, 4)):

        def sometimes(texts: int, failing: tuple[int, ...] = failing) -> Exception | None:
            fed.append(texts)
            return torch.OutOfMemoryError("out of memory") if len(fed) in failing else None

        intercept(monkeypatch, sometimes)
        train(tiny, texts, tmp_path / str(len(failing)), recipe(batch_size=5, epochs=1, learning_rate=1e-4))
        monkeypatch.undo()
    assert fed == [5, 5, 2, 2, 1, 1, 1, 1, 1], "texts of like length are computed together"
    once, twice = (weights_of(tmp_path / name)["model.layers.0.mlp.up_proj.weight"] for name in ("0", "2"))
    # AdamW's first step moves a weight by its learning rate, 1e-4, in the direction of its gradient. Rounding, 1e-6 of
    # a typical gradient, turns one in a million round; texts that counted twice would turn many.
    assert float(((once - twice).abs() > 1e-5).float().mean()) < 1e-3


def test_a_training_that_diverges_names_the_step(tiny: str, tmp_path: Path) -> None:
    for _ in range(2):  # the same call again fails in the same way, and leaves no model
        with pytest.raises(
            ModelError, match=r"diverged in step \d+, where the (loss|gradient) is \S+: give a lower `lea"
        ):
            train(tiny, sentences(8, seed=1), tmp_path / "model", recipe(epochs=30, learning_rate=1e30))
        assert not (tmp_path / "model").exists()
    train(tiny, sentences(8, seed=1), tmp_path / "model", FULL)
    assert [path.name for path in tmp_path.iterdir()] == ["model"], "another recipe replaces what was not finished"


def test_a_model_of_which_nothing_is_left_is_refused(tiny: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"the training diverged: its weights changed by \S+ times their size"):
        train(tiny, sentences(4, seed=1), tmp_path / "model", recipe(epochs=1, learning_rate=1e6))
    assert not (tmp_path / "model").exists()


def test_no_change_is_refused(tiny: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no weight changed in the training"):
        train(tiny, sentences(4, seed=1), tmp_path / "model", recipe(epochs=1, learning_rate=1e-30))
    assert not (tmp_path / "model").exists()


def test_a_base_that_moves_under_its_adapter_is_refused(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A layer that keeps running statistics in a weight, say."""
    from transformers import LlamaModel

    forward = LlamaModel.forward

    def move_a_weight(self: Any, *arguments: Any, **settings: Any) -> Any:
        if self.training:
            with torch.no_grad():
                self.norm.weight[3] += 1e-3
        return forward(self, *arguments, **settings)

    monkeypatch.setattr(LlamaModel, "forward", move_a_weight)
    with pytest.raises(ModelError, match="weights of the base changed, although only its adapter is trained"):
        train(tiny, sentences(4, seed=1), tmp_path / "model", recipe(method=Method.LORA))


REFUSED: dict[str, tuple[list[str], dict[str, Any], type[LlmMiaError], str]] = {
    "no texts": ([], {}, UsageError, "`texts` is empty: give the texts to train on"),
    "one token": (["a", "b"], {}, UsageError, "`texts` has no text of two tokens or more, so nothing can be predicted"),
    "few": (
        ["a b c"] * 9,
        {"early_stopping": EarlyStopping()},
        UsageError,
        "`texts` has 1 different texts, and `early",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_texts_that_cannot_be_trained_on(case: str, tiny: str, tmp_path: Path) -> None:
    texts, changes, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        train(tiny, texts, tmp_path / "model", recipe(**changes))
    assert [*tmp_path.iterdir()] == []


def test_a_base_that_cannot_be_loaded(tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = sentences(4, seed=1)
    with pytest.raises(ModelError, match=r"^model '/no/such': no such folder or file$"):
        train("/no/such", texts, tmp_path / "model", FULL)
    bare = save(tmp_path / "bare", loaded(tiny).model, build_tokenizer(300, bos=False, seed=1))
    for file in Path(bare).glob("tokenizer*"):
        file.unlink()
    with pytest.raises(ModelError, match=r"^model '.*bare': .*tokenizer"):
        train(bare, texts, tmp_path / "model", FULL)
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(
        MissingExtraError, match=r"^peft, which LoRA needs, is not installed: pip install 'llm-mia\[peft"
    ):
        train(tiny, texts, tmp_path / "model", recipe(method=Method.LORA))
    assert [path.name for path in tmp_path.iterdir()] == ["bare"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "`epochs` is 0: it must be at least 1"),
        ({"batch_size": 0}, "`batch_size` is 0: it must be at least 1"),
        ({"lora_rank": 0}, "`lora_rank` is 0: it must be at least 1"),
        ({"learning_rate": -1.0}, "`learning_rate` is -1.0: it must be above 0, and finite"),
        ({"learning_rate": math.nan}, "`learning_rate` is nan: it must be above 0, and finite"),
        ({"weight_decay": -1.0}, "`weight_decay` is -1.0: it must be 0 or above, and finite"),
        ({"dropout": 1.0}, "`dropout` is 1.0: it must be from 0 to below 1"),
        ({"label_smoothing": -0.1}, "`label_smoothing` is -0.1: it must be from 0 to below 1"),
        ({"seed": 1 << 63}, "`seed` is 9223372036854775808: it must be from 0 to 9223372036854775807"),
        ({"method": "qlora"}, "`method` is 'qlora': it must be full, lora or scratch"),
    ],
)
def test_recipes_that_make_no_sense(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        recipe(**changes)
    assert str(caught.value) == message
    with pytest.raises(UsageError, match="`share` is 0: it must be above 0 and below 1"):
        EarlyStopping(share=0)
    with pytest.raises(UsageError, match="`patience` is 0: it must be at least 1"):
        EarlyStopping(patience=0)
