"""The readers of ``canary.json`` and ``paired.json``, which refuse a result that contradicts itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ..errors import RunDirectoryError
from ..records import OF_TARGET
from ..store import read_record, to_json
from ._results import CANARY, PAIRED, CanaryResult, ControlTest, PairedResult
from ._sign_flips import FlipTest
from ._statistic import DrawTest

__all__ = ["read_canary_test", "read_paired"]

T = TypeVar("T", CanaryResult, PairedResult)
ADVICE = "run the test again"
ROUNDING = 1e-6
"""Relative difference of two sums that counts as none."""


def read_canary_test(path: str | Path) -> CanaryResult:
    """The result in the run directory *path*, equal to what `run_canary_test` returned.

    Raises:
        RunDirectoryError: no ``canary.json`` there, or not what `run_canary_test` wrote.
    """
    return _read(CanaryResult, Path(path), CANARY)


def read_paired(path: str | Path) -> PairedResult:
    """The result in the run directory *path*, equal to what `run_paired_test` returned.

    Raises:
        RunDirectoryError: no ``paired.json`` there, or not what `run_paired_test` wrote.
    """
    return _read(PairedResult, Path(path), PAIRED)


def _read(kind: type[T], folder: Path, name: str) -> T:
    result: T = read_record(kind, folder / name, RunDirectoryError, ADVICE)
    if fault := _contradiction_in(result):
        raise RunDirectoryError(f"{folder / name}: was edited, or is damaged: {fault}; {ADVICE}")
    return replace(result, path=folder)


def _contradiction_in(result: CanaryResult | PairedResult) -> str:
    """The first contradiction between entries of *result*, in words; empty where there is none.

    A p-value is not computed again, because that takes the scores. An edit that keeps the entries consistent is not
    noticed here: the digests of an exhibit show it.
    """
    try:
        to_json(result).encode()
    except UnicodeEncodeError:
        return "a name in it is no text"
    faults = _in_canary(result) if isinstance(result, CanaryResult) else _in_paired(result)
    return next(faults, "")


def _in_canary(result: CanaryResult) -> Iterator[str]:
    test, null = result.test, result.null
    if not any(name in result.passes for name in OF_TARGET):
        yield "it lacks the model"
    yield from _in_test(test, test.choices, [row.difference for row in result.rows])
    if not test.p_value <= result.corrected_p <= min(1.0, result.tests * test.p_value) * (1 + ROUNDING):
        yield f"its p-value {test.p_value:g} cannot be {result.corrected_p:g} after the correction for {result.tests}"
    if any(not (0 <= row.public < row.variants and 1 <= row.rank <= row.variants) for row in result.rows):
        yield "a document has a public variant, or a rank, that is none of its variants"
    if not (null.counts and min(null.counts) >= 0 and -math.inf < null.low <= null.high < math.inf):
        yield "its histogram of other draws is none"


def _in_paired(result: PairedResult) -> Iterator[str]:
    control = result.control
    roles = [each.role for each in result.placebos] if control is None else [control.role or "target"]
    if not roles or not {"target", *roles} <= set(result.passes):
        yield "it lacks a model, or a placebo"
        return
    if control is not None:
        yield from _in_split(control, [row.difference for row in result.rows])
    else:
        test, p_values = result.placebos[0].test, [each.test.p_value for each in result.placebos]
        yield from _in_test(test, test.flips, [row.difference for row in result.rows])
        if not all(0 < p_value <= p_values[0] for p_value in p_values):
            yield "the first placebo has not the largest p-value"
    if sum(row.pairs for row in result.rows) != result.pairs or min(row.pairs for row in result.rows) < 1:
        yield f"its documents do not have {result.pairs} pairs together"
    if result.per not in ("token", "byte"):
        yield f"its unit is {result.per!r:.40}"


def _in_test(test: DrawTest | FlipTest, choices: int, differences: list[float]) -> Iterator[str]:
    """Contradictions of a test that compared with so many *choices*, and of the *differences* of its documents."""
    if not differences or not 0 <= test.documents <= len(differences):
        yield f"it has {len(differences)} documents, and tested {test.documents}"
        return
    yield from _in_p_value(test.p_value, choices, exact=test.exact)
    largest = sum(map(abs, differences))
    if not (largest < math.inf and abs(math.fsum(differences) - test.statistic) <= ROUNDING * (1 + largest)):
        yield f"the differences of its documents do not add up to {test.statistic:g}"


def _in_split(control: ControlTest, published: list[float]) -> Iterator[str]:
    """Contradictions of a test with a control set, and of the differences of its *published* documents."""
    test, others = control.test, [row.difference for row in control.rows]
    if (test.published, test.control) != (len(published), len(others)) or not (published and others):
        yield f"it has {len(published)} and {len(others)} documents, and tested {test.published} and {test.control}"
        return
    yield from _in_p_value(test.p_value, test.splits, exact=test.exact)
    difference = math.fsum(published) / len(published) - math.fsum(others) / len(others)
    largest = max(map(abs, [*published, *others]))
    if not (largest < math.inf and abs(difference - test.statistic) <= ROUNDING * (1 + largest)):
        yield f"the means of its documents do not differ by {test.statistic:g}"


def _in_p_value(p_value: float, choices: int, *, exact: bool) -> Iterator[str]:
    """Whether a test that compared with so many *choices* cannot give *p_value*."""
    fewest = 1 / (choices if exact else choices + 1) if choices > 0 else math.inf
    if not fewest * (1 - ROUNDING) <= p_value <= 1:
        yield f"{choices} choices give no p-value of {p_value:g}"
