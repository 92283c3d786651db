"""The local backend against a plain computation: one passage, whole logits, float64."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llm_mia.backends import ModelSpec, load_model
from llm_mia.backends.local import LocalBackend
from llm_mia.errors import UsageError
from llm_mia.passages import read_passages
from llm_mia.records import TokenSignals, WindowRule
from llm_mia.scoring import score
from llm_mia.signals import cut
from tests.conftest import build_model, build_tokenizer, sentences, with_doubled_logits
from tests.families import build_family
from tests.rounding import FIELDS, PRECISIONS, Rounding, assert_close, assert_same_signals, rounding_of

pytestmark = pytest.mark.precision
SIGNALS = (*FIELDS, "rank")
ATTACKS = ["loss", "perplexity", "confidence", "zlib", "lowercase", "min_k", "min_k++", "reference"]


def plain(backend: Any, fed: np.ndarray[Any, Any], first: int) -> dict[str, np.ndarray[Any, Any]]:
    """The five signals of tokens fed alone, from the model's logits, and all its log-likelihoods."""
    with torch.inference_mode():
        logits = backend.model(input_ids=torch.from_numpy(fed).long()[None]).logits[0].double()
    logp = torch.log_softmax(logits, dim=-1)[first - 1 : -1]
    p, targets = logp.exp(), torch.from_numpy(fed[first:]).long()
    mean = (p * logp).sum(-1)
    logprob = logp.gather(1, targets[:, None])[:, 0]
    return {
        "logprob": logprob.numpy(),
        "mean": mean.numpy(),
        "std": (p * (logp - mean[:, None]) ** 2).sum(-1).sqrt().numpy(),
        "top": logp.amax(-1).numpy(),
        "rank": (logp > logprob[:, None]).sum(-1).numpy(),
        "logp": logp.numpy(),
    }


def assert_plain(computed: Sequence[TokenSignals], expected: Sequence[dict[str, Any]], rounding: Rounding) -> None:
    """Signals that differ from `plain` ones by rounding alone; a rank counts no token that rounding puts lower."""
    for field in FIELDS:
        assert_close(
            np.concatenate([getattr(signals, field) for signals in computed]),
            np.concatenate([signals[field] for signals in expected]),
            rounding,
            field,
        )
    for signals, right in zip(computed, expected, strict=True):
        ahead = right["logp"] - right["logprob"][:, None]
        # The token's logit and the other's may both be off.
        least, most = ((ahead > edge).sum(-1) for edge in (2 * rounding.token, -2 * rounding.token))
        assert ((least <= signals.rank) & (signals.rank <= most)).all()


def all_windows(backend: Any, texts: Sequence[str], rule: WindowRule) -> list[Any]:
    encoded = enumerate(backend.encode(texts))
    return [w for i, ids in encoded for w in cut(ids, rule, opening=backend.opening, passage=i)]


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", ["tiny", "tiny_bos"])
@pytest.mark.parametrize("tokens_per_batch", [1, 100, 4096])
def test_signals_agree_with_a_plain_computation(
    name: str, tokens_per_batch: int, dtype: str, request: pytest.FixtureRequest
) -> None:
    loaded: Any = load_model(request.getfixturevalue(name), dtype=dtype, compiled=False)
    # The largest batches are also reduced by the compiled loop.
    how: Any = {"tokens_per_batch": tokens_per_batch, "compiled": tokens_per_batch == 4096}
    backend = LocalBackend(loaded.model, loaded.tokenizer, **how)
    windows = all_windows(backend, sentences(40, seed=7, longest=60), WindowRule(tokens=48, context=12))
    assert len(windows) > 40, "some passages must be longer than a window"
    computed = backend.score(windows)
    for window, signals in zip(windows, computed, strict=True):
        assert (signals.token_ids == window.tokens[window.first_scored :]).all()
    assert_plain(computed, [plain(backend, w.tokens, w.first_scored) for w in windows], rounding_of(backend))


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_scores_depend_neither_on_order_nor_on_company_nor_on_padding_side(tiny: str, dtype: str) -> None:
    backend: Any = load_model(tiny, dtype=dtype, compiled=False)
    windows = all_windows(backend, sentences(30, seed=5), WindowRule(tokens=64, context=16))
    alone = [backend.score([window])[0] for window in windows]
    order = np.random.default_rng(0).permutation(len(windows))
    backend.tokenizer.padding_side = "left"
    together = backend.score([windows[i] for i in order])
    assert_same_signals(together, [alone[i] for i in order], rounding_of(backend))


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_scores_depend_neither_on_threads_nor_on_batches(tiny: str, dtype: str) -> None:
    """Beyond rounding, for each token and for the mean of them all."""
    computed = []
    threads = torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            loaded: Any = load_model(tiny, dtype=dtype, compiled=False)
            for budget in (1, 64, 1000):
                backend = LocalBackend(loaded.model, loaded.tokenizer, tokens_per_batch=budget, compiled=False)
                windows = all_windows(backend, sentences(12, seed=5), WindowRule(64, 16))
                computed.append(np.concatenate([signals.logprob for signals in backend.score(windows)]))
    finally:
        torch.set_num_threads(threads)
    rounding = rounding_of(loaded)
    for other in computed[1:]:
        assert_close(other, computed[0], rounding)
    assert np.abs(np.mean(computed, axis=1, dtype=np.float64) - np.mean(computed[0], dtype=np.float64)).max() < (
        rounding.of_mean(passages=12)
    )


def test_attacks_agree_with_a_plain_computation(
    tiny: str, tiny_reference: str, tmp_path: Path, write_jsonl: Any
) -> None:
    """200 passages of mixed length, some of them longer than the context, to 1e-4 in float32."""
    import zlib

    texts = sentences(200, seed=11, longest=60)
    specs = [ModelSpec(name, dtype="float32") for name in (tiny, tiny_reference)]
    source = read_passages(write_jsonl("p.jsonl", [{"text": t} for t in texts]))
    table = score(source, *specs, attacks=ATTACKS, out=tmp_path / "run")
    target, reference = (spec.load() for spec in specs)
    rule = WindowRule(64, 16)

    def signals(backend: Any, text: str) -> dict[str, np.ndarray[Any, Any]]:
        parts = [plain(backend, w.tokens, w.first_scored) for w in all_windows(backend, [text], rule)]
        return {field: np.concatenate([part[field] for part in parts]) for field in SIGNALS}

    for row, text in enumerate(texts):
        t, r, low = signals(target, text), signals(reference, text), signals(target, text.lower())
        n = max(1, int(0.2 * len(t["logprob"])))
        loss = t["logprob"].mean()
        expected = {
            "loss": loss,
            "perplexity": -np.exp(-loss),
            "confidence": np.exp(t["logprob"]).mean(),
            "zlib": loss / len(zlib.compress(text.encode())),
            "lowercase": low["logprob"].mean() / loss,
            "min_k": np.sort(t["logprob"])[:n].mean(),
            "min_k++": np.sort((t["logprob"] - t["mean"]) / t["std"])[:n].mean(),
            "reference": (t["logprob"] - r["logprob"]).mean(),
        }
        assert [*expected] == ATTACKS
        for name, value in expected.items():
            assert table.column(name)[row] == pytest.approx(value, rel=1e-4, abs=1e-4), (name, text)


def test_other_tokenizers_are_compared_per_byte(tiny: str, tiny_bos: str, tmp_path: Path, write_jsonl: Any) -> None:
    text = "The river bends under naïve bridges."
    specs = [ModelSpec(name, dtype="float32") for name in (tiny, tiny_bos)]
    source = read_passages(write_jsonl("p.jsonl", [{"text": text}]))
    table = score(source, *specs, attacks=["reference"], out=tmp_path / "run")
    sums, off = [], 0.0
    for spec in specs:
        backend = spec.load()
        (window,) = all_windows(backend, [text], WindowRule(64, 16))
        sums.append(plain(backend, window.tokens, window.first_scored)["logprob"].sum())
        off += rounding_of(backend).of_sum(len(window.tokens))
    n = len(text.encode())
    assert table.column("reference")[0] == pytest.approx((sums[0] - sums[1]) / n, abs=off / n)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("family", ["GPT2", "GPTNeoX", "OPT", "Gemma2", "Cohere", "Granite", "Bloom", "Mamba"])
def test_every_family_agrees_with_its_own_logits(family: str, dtype: str) -> None:
    """With tied heads, positions by table, scaled and capped logits the signals follow from the model's logits."""
    backend = LocalBackend(build_family(family, dtype), build_tokenizer(300, bos=False, seed=1), compiled=False)
    windows = all_windows(backend, sentences(6, seed=2), WindowRule(tokens=64, context=16))
    expected = [plain(backend, w.tokens, w.first_scored) for w in windows]
    assert_plain(backend.score(windows), expected, rounding_of(backend))
    assert backend.info.head == "blocked"


def test_a_head_that_is_not_known_falls_back_to_whole_logits() -> None:
    tokenizer = build_tokenizer(300, bos=False, seed=1)
    backend = LocalBackend(with_doubled_logits(build_model(tokenizer, seed=0)), tokenizer, compiled=False)
    assert backend.info.head == "whole"
    windows = all_windows(backend, sentences(4), WindowRule(tokens=64, context=16))
    expected = [plain(backend, w.tokens, w.first_scored) for w in windows]
    assert_plain(backend.score(windows), expected, rounding_of(backend))


def test_the_same_weights_are_known_again_whatever_they_are_called(tiny: str, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(tiny, tmp_path / "copy"))
    first, second = (load_model(name, compiled=False).info for name in (tiny, copy))
    assert (first.weights_sha256, first.tokenizer) == (second.weights_sha256, second.tokenizer)


def test_two_tokenizers_are_told_apart(tiny: str, tiny_reference: str, tiny_bos: str) -> None:
    prints = [load_model(name, compiled=False).info.tokenizer for name in (tiny, tiny_reference, tiny_bos)]
    assert prints[0] == prints[1] != prints[2]


def test_empty_signals_of_a_single_token(tiny: str, tiny_bos: str) -> None:
    for name, windows in ((tiny, 0), (tiny_bos, 1)):
        backend: Any = load_model(name, compiled=False)
        (ids,) = backend.encode(["a"])
        assert len(ids) == 1
        assert len(cut(ids, WindowRule(64, 16), opening=backend.opening)) == windows


def test_signals_are_of_the_documented_types(fake: Any) -> None:
    (signals,) = fake.score(cut(np.arange(10, dtype=np.int32), WindowRule(64, 16)))
    assert isinstance(signals, TokenSignals)
    assert {f: getattr(signals, f).dtype.name for f in SIGNALS} == dict.fromkeys(SIGNALS[:4], "float32") | {
        "rank": "int32"
    }


def test_the_same_weights_under_another_configuration_are_another_model(tiny: str, tmp_path: Path) -> None:
    import json
    import shutil

    copy = Path(shutil.copytree(tiny, tmp_path / "copy"))
    config = json.loads((copy / "config.json").read_text("utf-8"))
    (copy / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 0.1, "transformers_version": "0"}), "utf-8")
    first, second = (load_model(name, compiled=False).info for name in (tiny, copy))
    assert first.weights_sha256 == second.weights_sha256
    assert first.config_sha256 != second.config_sha256
    (copy / "config.json").write_text(json.dumps(config | {"transformers_version": "0", "dtype": "bfloat16"}), "utf-8")
    assert load_model(copy, compiled=False).info.config_sha256 == first.config_sha256


def test_a_revision_of_a_folder_is_refused(tiny: str) -> None:
    with pytest.raises(UsageError, match="no `revision` 'v1'"):
        load_model(tiny, revision="v1")


def test_progress_is_reported_batch_by_batch_and_adds_up(tiny: str, tmp_path: Path, write_jsonl: Any) -> None:
    loaded: Any = load_model(tiny, compiled=False)
    backend = LocalBackend(loaded.model, loaded.tokenizer, tokens_per_batch=100, compiled=False)
    source = read_passages(write_jsonl("p.jsonl", [{"text": t} for t in sentences(30, seed=4)]))
    steps: list[Any] = []
    score(source, backend, attacks=["loss"], out=tmp_path / "run", progress=steps.append)
    of_target = [step for step in steps if step.name == "target"]
    assert len(of_target) > 5, "many batches in a block"
    for before, after in pairwise(of_target):
        assert (before.tokens, before.bytes, before.passages) <= (after.tokens, after.bytes, after.passages)
    last = of_target[-1]
    assert (last.passages, last.bytes) == (last.total_passages, last.total_bytes) == (30, steps[-1].total_bytes)
    assert last.tokens == sum(len(ids) - 1 for ids in backend.encode([p.text for p in source]))
