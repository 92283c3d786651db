"""Fine-tuning on a tiny model: it learns what it is shown, the same way at the same seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llm_mia.backends import load_model
from llm_mia.errors import ModelError
from llm_mia.records import WindowRule
from llm_mia.signals import cut
from llm_mia.training import fine_tune, next_token_loss
from tests.conftest import sentences


def mean_loss(backend: Any, texts: list[str]) -> float:
    windows = [w for ids in backend.encode(texts) for w in cut(ids, WindowRule(64, 16), opening=backend.opening)]
    return -float(np.mean(np.concatenate([signals.logprob for signals in backend.score(windows)])))


def trained(base: str, texts: list[str], out: Path, **settings: Any) -> Any:
    backend: Any = load_model(base, dtype="float32", compiled=False)
    fine_tune(backend, texts, out, **settings)
    return load_model(out, dtype="float32", compiled=False)


@pytest.mark.parametrize("name", ["tiny", "tiny_bos"])
def test_training_lowers_the_loss_of_the_members_and_saves_the_model(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    base = request.getfixturevalue(name)
    texts = sentences(12, seed=20)
    before = mean_loss(load_model(base, dtype="float32", compiled=False), texts)
    after = trained(base, texts, tmp_path / "tuned", epochs=20, learning_rate=3e-3)
    assert mean_loss(after, texts) < before - 1
    assert after.info.tokenizer == load_model(base, dtype="float32", compiled=False).info.tokenizer


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tiny: str, tmp_path: Path) -> None:
    texts = sentences(10, seed=21)
    digests = [
        trained(tiny, texts, tmp_path / str(i), seed=seed).info.weights_sha256 for i, seed in enumerate((0, 0, 1))
    ]
    assert digests[0] == digests[1] != digests[2]


def test_padding_is_in_no_loss(tiny: str) -> None:
    """A batch of a short and a long text moves the weights as the two texts do, not as their padding would."""
    backend: Any = load_model(tiny, dtype="float32", compiled=False)
    both = [torch.from_numpy(ids).long() for ids in backend.encode([" ".join(["the river bends"] * 3), "Anna counts"])]
    together = next_token_loss(backend.model, both, backend.device).item()
    alone = [next_token_loss(backend.model, [ids], backend.device).item() for ids in both]
    weights = [len(ids) - 1 for ids in both]
    assert together == pytest.approx(np.average(alone, weights=weights), abs=1e-5)


@pytest.mark.parametrize("name", ["tiny", "tiny_bos"])
def test_progress_counts_every_token_of_every_epoch(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """BOS comes before all tokens of a text, and a text is cut only where it exceeds the context."""
    seen: list[tuple[int, int]] = []
    backend: Any = load_model(request.getfixturevalue(name), dtype="float32", compiled=False)
    texts = [*sentences(9, seed=22), " ".join(sentences(20, seed=23))]
    tokens = sum(min(64, len(ids) + len(backend.opening)) for ids in backend.encode(texts))
    fine_tune(backend, texts, tmp_path / "tuned", epochs=2, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (2 * tokens, 2 * tokens)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


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
def test_a_model_that_fails_is_one_line(tiny: str, tmp_path: Path, error: Exception, message: str) -> None:
    backend: Any = load_model(tiny, dtype="float32", compiled=False)

    def fail(*_: Any) -> None:
        raise error

    backend.model.model.layers[1].register_forward_pre_hook(fail)
    with pytest.raises(ModelError, match=message):
        fine_tune(backend, sentences(2, seed=3), tmp_path / "tuned", batch_size=2)


def test_out_of_memory_computes_a_step_in_parts_with_the_same_gradients(tiny: str, tmp_path: Path) -> None:
    """Five texts at once are too many, and of two after two others the second time: those count once nonetheless."""
    weights, texts, fed = list[Any](), sentences(5, seed=3), list[int]()
    for failing in ((), (2, 4)):
        backend: Any = load_model(tiny, dtype="float32", compiled=False)

        def fail_sometimes(_: Any, given: Any, failing: tuple[int, ...] = failing) -> None:
            fed.append(len(given[0]))
            if len(fed) in failing:
                raise torch.OutOfMemoryError("out of memory")

        backend.model.model.layers[1].register_forward_pre_hook(fail_sometimes)
        fine_tune(backend, texts, tmp_path / str(len(weights)), batch_size=5)
        weights.append(backend.model.model.layers[0].mlp.up_proj.weight.detach().clone())
    assert fed == [5, 5, 2, 2, 1, 1, 1, 1, 1]
    # AdamW's first step moves a weight by its learning rate, 1e-4, in the direction of its gradient. Rounding, 1e-6 of
    # a typical gradient, turns one in a million round; texts that counted twice would turn many.
    assert float(((weights[0] - weights[1]).abs() > 1e-5).float().mean()) < 1e-3
