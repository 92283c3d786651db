"""Measures how far the precision of a model changes its signals, against float32, on the beginnings of passages."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, zip_longest

import numpy as np
from numpy.typing import NDArray

from ..attacks import ATTACKS, Attack, LoadedSupplies, PassageSignals, parse_attack
from ..backends import Backend, Comparable
from ..errors import LlmMiaError
from ..records import ModelRecord, Passage, RoundingRecord, TokenSignals, Window
from ._inputs import Inputs
from ._plan import PlannedPass
from ._progress import Progress, report_activity

__all__ = ["beginnings", "measure_rounding", "takes_too_long"]

TOKENS, LONGEST = 512, 64
"""Tokens that are compared in all, and at most of each passage: the change of a mean needs several passages."""
MOST_PASSAGES = 64
LEAST_SECONDS, SHARE = 2.5, 0.05
"""The comparison may take this share of the time of the run, or so many seconds where that is more."""
SLOWER = 3.0
"""How many times as long float32 takes, where that was not measured when the model was loaded."""


def measure_rounding(
    backend: Backend, role: str, planned: Sequence[PlannedPass], loading: float, progress: Progress | None
) -> RoundingRecord | None:
    """How far the precision of *backend* changes its signals of the passages of *planned*.

    The beginnings of the first passages of each source are compared, because the effect of rounding depends on the
    text: a token that the model expects changes less than others. The same passages give the same figures.

    Args:
        backend: the model, as it computes the passes.
        role: its role; the target and the reference are measured, since scores depend on both.
        planned: its passes.
        loading: the seconds that it took to load.
        progress: called when the comparison begins.

    Returns:
        None where the model computes in float32, or gives no model in float32 to compare with.
    """
    inputs = [wanted.inputs for wanted in planned if wanted.samples is None]
    if not isinstance(backend, Comparable) or backend.info.dtype == "float32":
        return None
    if not inputs or role not in ("target", "reference"):
        return None
    report_activity(progress, f"comparing {backend.info.dtype} with float32")
    try:
        return _measure(backend, inputs, loading, scores=role == "target")
    except MemoryError:
        return RoundingRecord(skipped="memory")
    except LlmMiaError:  # if the model fails on a passage, the pass names it
        return RoundingRecord(skipped="refused")


def _measure(backend: Comparable, inputs: Sequence[Inputs], loading: float, *, scores: bool) -> RoundingRecord | None:
    """The result of the comparison; None where no passage has a scored token."""
    passages, windows, tokens = beginnings(backend, inputs[0])
    if not windows:
        return None
    tokens_per_byte = tokens / sum(passage.n_bytes for passage in passages)
    times = tokens_per_byte * sum(each.bytes for each in inputs) / sum(len(window.tokens) for window in windows)
    computed = _computed_in_time(backend, windows, times, loading)
    if computed is None:
        return RoundingRecord(skipped="seconds")
    return _compared(passages, computed, _score_in_float32(backend, windows), scores=scores)


def beginnings(backend: Backend, inputs: Inputs) -> tuple[list[Passage], list[Window], int]:
    """The first passages of all sources in turn, the windows of their beginnings, and the tokens of the whole passages.

    The windows have `TOKENS` tokens in all, where there are so many passages.
    """
    opening = backend.opening
    first, longest = max(1, len(opening)), min(LONGEST, backend.info.context - len(opening))
    passages, windows, scored, whole = list[Passage](), list[Window](), 0, 0
    for passage in filter(None, chain.from_iterable(_in_turn(inputs))):
        if scored >= TOKENS or len(passages) == MOST_PASSAGES:
            break
        ids = backend.encode([passage.text])[0]
        fed = np.array([*opening, *ids[:longest]], dtype=np.int32)
        if len(fed) - first < 2:
            continue
        windows.append(Window(fed, first, passage=len(windows)))
        passages.append(passage)
        scored, whole = scored + len(fed) - first, whole + len(ids)
    return passages, windows, whole


def _in_turn(inputs: Inputs) -> Iterator[tuple[Passage | None, ...]]:
    return zip_longest(*(iter(source) for source in inputs.sources))


def _computed_in_time(
    backend: Backend, windows: Sequence[Window], times: float, loading: float
) -> list[TokenSignals] | None:
    """The signals of *windows*; None where the comparison takes too long for a run that is *times* as large.

    To load the model in float32 takes about as long as before: the files are the same. The first window is computed
    twice, because the first time includes the generation of code.
    """
    slower = _slower(backend.info)
    backend.score(windows[:1])
    seconds = _seconds(backend, windows[:1])[0] * sum(len(w.tokens) for w in windows) / len(windows[0].tokens)
    if takes_too_long((1 + slower) * seconds + loading, times * seconds):
        return None
    seconds, computed = _seconds(backend, windows)
    return None if takes_too_long(slower * seconds + loading, times * seconds) else computed


def _slower(model: ModelRecord) -> float:
    """How many times as long float32 takes: as it was measured for the choice of the precision, else `SLOWER`."""
    choice = model.dtype_choice
    if choice is None or choice.float32_gflops is None or choice.bfloat16_gflops is None:
        return SLOWER
    return choice.bfloat16_gflops / choice.float32_gflops


def takes_too_long(seconds: float, run: float) -> bool:
    """Whether a comparison of so many *seconds* is too long for a *run* of so many."""
    return seconds > max(LEAST_SECONDS, SHARE * run)


def _seconds(backend: Backend, windows: Sequence[Window]) -> tuple[float, list[TokenSignals]]:
    start = time.monotonic()
    signals = backend.score(windows)
    return time.monotonic() - start, signals


def _score_in_float32(backend: Comparable, windows: Sequence[Window]) -> list[TokenSignals]:
    try:
        return backend.in_float32().score(windows)
    finally:
        gc.collect()  # a model with hooks is part of a cycle


def _compared(
    passages: Sequence[Passage],
    computed: Sequence[TokenSignals],
    expected: Sequence[TokenSignals],
    *,
    scores: bool,
) -> RoundingRecord:
    pairs = list(zip(computed, expected, strict=True))
    tokens = np.concatenate([np.abs(a.logprob - b.logprob) for a, b in pairs]).astype(np.float64)
    means = np.array([abs(a.logprob.mean(dtype=np.float64) - b.logprob.mean(dtype=np.float64)) for a, b in pairs])
    return RoundingRecord(
        passages=len(passages),
        tokens=len(tokens),
        token_median=_rounded(np.median(tokens)),
        token_largest=_rounded(tokens.max()),
        passage_median=_rounded(np.median(means)),
        passage_largest=_rounded(means.max()),
        scores=_changes(passages, computed, expected) if scores else {},
    )


def _changes(
    passages: Sequence[Passage], computed: Sequence[TokenSignals], expected: Sequence[TokenSignals]
) -> Mapping[str, float]:
    """The largest change of a score, by attack."""
    changes = {}
    for name in ATTACKS:
        attack = parse_attack(name)
        if not _reads_target_alone(attack):
            continue
        both = [
            np.array([_score(attack, passage, signals) for passage, signals in zip(passages, side, strict=True)])
            for side in (computed, expected)
        ]
        finite = np.isfinite(both[0]) & np.isfinite(both[1])
        if finite.any():
            changes[name] = _rounded(np.abs(both[0] - both[1])[finite].max())
    return changes


def _reads_target_alone(attack: Attack) -> bool:
    return all(
        kind.value is not None and kind.requirement is None and {each.name for each in kind.passes} <= {"target"}
        for kind in attack.kinds
    )


def _score(attack: Attack, passage: Passage, signals: TokenSignals) -> float:
    row, supplies = PassageSignals(passage, {"target": (signals,)}, {}), LoadedSupplies()
    return attack.score({kind.name: kind.value(row, supplies) for kind in attack.kinds if kind.value is not None})


def _rounded(value: float | NDArray[np.float64] | np.floating) -> float:
    return float(f"{float(value):.3g}")
