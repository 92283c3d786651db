"""Signals at another temperature than 1, against the logits of a model that are divided outside of the backend."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llm_mia.backends import ModelSpec, load_model
from llm_mia.backends.local import LocalBackend, continuations
from llm_mia.backends.moments import Head, Reducer
from llm_mia.errors import RunDirectoryError, UsageError
from llm_mia.records import TokenSignals, WindowRule
from llm_mia.scoring import score
from llm_mia.signals import cut, signals_of
from llm_mia.store import read_run
from tests.conftest import build_model, build_tokenizer, sentences, with_doubled_logits
from tests.families import build_family
from tests.rounding import FIELDS, PRECISIONS, assert_close, rounding_of
from tests.test_loading_gguf import write_gguf
from tests.test_local import assert_plain, plain

TEXTS = sentences(6, seed=2)


def divided(model: Any, temperature: float) -> Any:
    """A copy of *model* whose logits are divided by *temperature*."""

    def divide(_: Any, __: Any, output: Any) -> None:
        output.logits = output.logits / temperature

    changed = copy.deepcopy(model)
    changed.register_forward_hook(divide)
    return changed


def assert_divided(backend: LocalBackend, temperature: float) -> None:
    """The signals of *backend* are those of its model with divided logits, but for rounding."""
    assert backend.info.temperature == temperature
    outside = LocalBackend(divided(backend.model, temperature), backend.tokenizer, compiled=False)
    encoded = enumerate(backend.encode(TEXTS))
    windows = [w for i, ids in encoded for w in cut(ids, WindowRule(64, 16), opening=backend.opening, passage=i)]
    expected = [plain(outside, w.tokens, w.first_scored) for w in windows]
    assert_plain(backend.score(windows), expected, rounding_of(outside))


# In bfloat16 the division outside of the backend is exact only by a power of 2.
@pytest.mark.precision
@pytest.mark.parametrize(("dtype", "temperature"), [("float32", 0.7), ("float32", 2.0), ("bfloat16", 2.0)])
@pytest.mark.parametrize("family", ["GPT2", "Gemma2", "Cohere"])
def test_the_logits_are_divided_after_scale_and_cap(family: str, dtype: str, temperature: float) -> None:
    """With a tied head, a capped and a scaled one; the head is applied to blocks of rows."""
    tokenizer = build_tokenizer(300, bos=False, seed=1)
    backend = LocalBackend(build_family(family, dtype), tokenizer, compiled=False, temperature=temperature)
    assert backend.info.head == "blocked"
    assert_divided(backend, temperature)


@pytest.mark.precision
@pytest.mark.parametrize("dtype", PRECISIONS)
def test_whole_logits_are_divided(dtype: str) -> None:
    tokenizer = build_tokenizer(300, bos=False, seed=1)
    model = with_doubled_logits(build_model(tokenizer, seed=0)).to(getattr(torch, dtype))
    backend = LocalBackend(model, tokenizer, compiled=False, temperature=2.0)
    assert backend.info.head == "whole"
    assert_divided(backend, 2.0)


@pytest.mark.parametrize("temperature", [0.25, 3.0])
def test_moments_at_a_temperature_are_those_of_float64(temperature: float) -> None:
    """1e-5 on log-likelihood, mean and top and 1e-4 on σ, as at temperature 1, of the logits of the same product."""
    torch.manual_seed(0)
    head, states, targets = Head(torch.randn(90, 16)), torch.randn(50, 16), torch.randint(0, 90, (50,))
    reduce = Reducer(head, 90, states, compiled=False, block_bytes=90 * 4 * 14, temperature=temperature)
    logp = torch.log_softmax(head.logits(states).double() / temperature, -1)
    p, expected_rank = logp.exp(), (logp > logp.gather(1, targets[:, None])).sum(-1)
    mean = (p * logp).sum(-1)
    std = (p * (logp - mean[:, None]) ** 2).sum(-1).sqrt()
    for _ in range(2):  # the buffer of the logits is used again, and must not be divided twice
        computed = reduce(states, targets)
        np.testing.assert_allclose(computed.logprob, logp.gather(1, targets[:, None])[:, 0], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(computed.mean, mean, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(computed.std, std, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(computed.top, logp.amax(-1), rtol=1e-5, atol=1e-5)
        assert (computed.rank == expected_rank).all()


def test_a_gguf_file_and_its_folder_at_a_temperature_agree(tiny: str, tmp_path: Path) -> None:
    write_gguf(Path(tiny), tmp_path / "tiny.gguf")
    names = (tmp_path / "tiny.gguf", tiny)
    read, folder = (load_model(name, dtype="float32", temperature=2.0, compiled=False) for name in names)
    assert read.info.temperature == 2.0
    for field in FIELDS:
        left, right = (np.concatenate([getattr(s, field) for s in signals_of(m, TEXTS)]) for m in (read, folder))
        assert_close(left, right, rounding_of(folder), field)


def test_from_all_log_probabilities_the_temperature_is_undone() -> None:
    """log softmax(t · log p_t) is the model's own distribution: an attacker who sees all of p_t sees p."""
    torch.manual_seed(0)
    logits, targets = 3 * torch.randn(40, 200), torch.randint(0, 200, (40,))
    at_two = torch.log_softmax(logits / 2, -1)
    undone = Reducer(None, 200, logits, compiled=False, temperature=0.5)(at_two, targets)
    for field, first in zip(undone, Reducer(None, 200, logits, compiled=False)(logits, targets), strict=True):
        np.testing.assert_allclose(field, first, rtol=1e-4, atol=1e-4)  # σ is a root of a difference: half the digits


def test_signals_at_another_temperature_never_mix(tiny: str, tmp_path: Path) -> None:
    out, spec = tmp_path / "run", ModelSpec(tiny, dtype="float32", temperature=2.0)
    score(TEXTS, spec, attacks=["loss"], out=out)
    assert read_run(out).passes["target"].model.temperature == 2.0
    score(TEXTS, spec, attacks=["min_k"], out=out)
    for other in (ModelSpec(tiny, dtype="float32"), load_model(tiny, dtype="float32", temperature=1.5, compiled=False)):
        with pytest.raises(RunDirectoryError, match=r"temperature 2\.0 there, 1\.[05] here"):
            score(TEXTS, other, attacks=["loss"], out=out)
    digests = {load_model(tiny, temperature=t, compiled=False).info.config_sha256 for t in (1.0, 1.5, 2.0)}
    assert len(digests) == 3


def test_what_is_generated_has_the_temperature(tiny: str) -> None:
    """The probability of the expected tokens is that of the signals, and a low temperature draws the greedy text."""
    cold: Any = load_model(tiny, dtype="float32", temperature=0.01, compiled=False)
    hot: Any = load_model(tiny, dtype="float32", temperature=2.0, compiled=False)
    ids = cold.encode(["the river bends under a stone bridge while Anna counts seven geese"])[0]
    of_text: TokenSignals = signals_of(hot, [hot.tokenizer.decode(ids)])[0]
    drawn = continuations(hot, ids[:8], ids[8:12], samples=4)
    # The signals have an entry for every token but the first.
    expected = float(of_text.logprob[7:11].sum(dtype=np.float64))
    assert drawn.log_probability == pytest.approx(expected, abs=rounding_of(hot).of_sum(4))
    greedy = continuations(cold, ids[:8], ids[8:12]).greedy_tokens
    assert continuations(cold, ids[:8], ids[8:12], samples=4).sample_tokens.tolist() == [greedy] * 4


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_that_divides_nothing_is_refused(temperature: float, tiny: str) -> None:
    for load in (ModelSpec, load_model):
        with pytest.raises(UsageError, match=r"`temperature` is .*: it must be a number above 0"):
            load(tiny, temperature=temperature)
