"""Whether so many flags are improbable where no candidate was trained on: the part of a finding that chance decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..calibration import chance_of_flags, flag_rank, hierarchical_rank, largest_excess, nonmembers_needed
from ..errors import CalibrationError, UsageError
from ..records import Note, count_distinct
from ..scores import ScoreTable
from ._calibrating import calibration_rows
from ._calibration import Calibration
from ._exchange import Exchangeable, exchange_test
from ._finding_record import Finding, FindingTest, Obstacle
from ._notes import NoteKind
from ._origin import categories_of
from ._rules import ErrorRate, Rule
from ._sensitivity import excess_of_discoveries, excess_of_flags, least_flags, sensitivity

__all__ = [
    "SMALLEST_FINDING_LEVEL",
    "Ints",
    "Tested",
    "check_finding_level",
    "find",
    "find_single",
    "independent",
    "known_rows",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
SMALLEST_FINDING_LEVEL = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Tested:
    """The candidates that have a score, shapes (m,)."""

    rows: Ints
    """In the table."""
    scores: Floats
    q_values: Floats
    """None of them where a false positive rate is held."""
    chosen: NDArray[np.bool_]
    """Whether each is flagged."""


def check_finding_level(level: float) -> None:
    """Raise `UsageError` unless *level* is below 1, and so far above 0 that 1 minus it is below 1."""
    if not SMALLEST_FINDING_LEVEL <= level < 1:
        raise UsageError(f"`finding_level` must be at least {SMALLEST_FINDING_LEVEL:g} and below 1: got {level:g}")


def find(
    table: ScoreTable, calibration: Calibration, tested: Tested, rule: Rule, level: float
) -> tuple[Finding | None, list[Note]]:
    """The finding on candidate passages, or a note that says why there is none.

    Where each passage is a document by itself, the p-value is exact: of the count of flags (`chance_of_flags`), or with
    an FDR the smallest q-value, which is the p-value of Simes' test. Where passages share documents, labels of
    documents are exchanged (`llm_mia.decision._exchange.exchange_test`). A single candidate that is flagged has its own
    p-value (`find_single`): the count is the same however far it lies above the threshold.
    """
    if not len(tested.rows):
        return _none(Obstacle.UNSCORED)
    known = known_rows(table, calibration)
    if not independent(table, calibration, tested.rows, known):
        return _by_documents(table, calibration, tested, rule, level, known)
    if len(tested.rows) == 1 and rule.rate is ErrorRate.FALSE_POSITIVES:
        p_value = float(calibration.p_values(tested.scores, categories_of(table, calibration, tested.rows))[0])
        return find_single(p_value, bool(tested.chosen[0]), calibration.n, rule, level), []
    flagged, m = int(tested.chosen.sum()), len(tested.rows)
    if rule.rate is ErrorRate.FALSE_DISCOVERIES:
        p_values = calibration.p_values(tested.scores, categories_of(table, calibration, tested.rows))
        chance, test, least = float(tested.q_values.min()), FindingTest.SMALLEST_Q, None
        excess = excess_of_discoveries(p_values, chance, level)
    else:
        counts = _counts(table, calibration, tested)
        chance, test = chance_of_flags(counts), FindingTest.COUNT
        excess = excess_of_flags(counts, chance, level)
        least = least_flags(counts, level)
    finding = Finding(chance, level, test, flagged, m, calibration.n, least=least)
    return replace(finding, sensitivity=sensitivity(excess, m, rule, level)), []


def find_single(p_value: float, flagged: bool, n: int, rule: Rule, level: float) -> Finding:
    """The finding on a single candidate with this *p_value*, which is compared with *n* non-members.

    If it is not flagged, the p-value of the finding is 1. The number of flags alone would give the rate of the
    threshold, which no score above it lowers: a finding at 4.5 % would be impossible at an FPR of 5 %.
    """
    chance, excess = p_value if flagged else 1.0, None
    if chance <= level:
        excess = largest_excess([1 - chance, chance], 1, 1, level)
    return Finding(
        chance, level, FindingTest.COUNT, int(flagged), 1, n, sensitivity=sensitivity(excess, 1, rule, level)
    )


def _none(why: Obstacle) -> tuple[None, list[Note]]:
    return None, [Note(NoteKind.FINDING_IMPOSSIBLE, {"why": why.value})]


def known_rows(table: ScoreTable, calibration: Calibration) -> Ints | None:
    """The rows that set the threshold; None where the table does not hold them."""
    try:
        rows = calibration_rows(table, calibration)
    except CalibrationError:
        return None
    return rows[~np.isnan(table.column(calibration.attack)[rows])]


def independent(table: ScoreTable, calibration: Calibration, rows: Ints, known: Ints | None) -> bool:
    """Whether each candidate, and each passage that set the threshold, is a document by itself."""
    groups = table.groups()
    compared = rows if known is None else np.concatenate([rows, known])
    alone = count_distinct(groups.take(compared)) == len(compared)
    return alone and calibration.n_documents == calibration.n


def _counts(table: ScoreTable, calibration: Calibration, tested: Tested) -> list[tuple[int, int, int, int]]:
    """Flags, candidates, rank of the threshold and calibration scores of each category."""
    categories = categories_of(table, calibration, tested.rows)
    counts: dict[int, tuple[int, int, int, int]] = {}
    for category, positions in calibration.rows_by_category(len(tested.rows), categories):
        chosen = tested.chosen[positions]
        k = flag_rank(category.n, calibration.fpr, calibration.confidence)
        flags, candidates, *_ = counts.get(id(category), (0, 0, 0, 0))  # names may be pooled into one category
        counts[id(category)] = flags + int(chosen.sum()), candidates + len(chosen), k, category.n
    return list(counts.values())


def _by_documents(
    table: ScoreTable, calibration: Calibration, tested: Tested, rule: Rule, level: float, known: Ints | None
) -> tuple[Finding | None, list[Note]]:
    if known is None:
        return _none(Obstacle.OTHER_NONMEMBERS)
    rows = np.concatenate([tested.rows, known])
    groups = table.groups()
    documents = groups.take(rows)
    codes = _category_codes(calibration, categories_of(table, calibration, rows), len(rows))
    smallest = rule.rate is ErrorRate.FALSE_DISCOVERIES
    if codes.any() and len(set(zip(documents.codes.tolist(), codes.tolist(), strict=True))) > count_distinct(documents):
        return _none(Obstacle.CATEGORIES)
    if smallest and codes.any():
        return _none(Obstacle.CATEGORIES_FDR)
    scores = table.column(calibration.attack)[rows]
    candidate = np.repeat([True, False], [len(tested.rows), len(known)])
    passages = [Exchangeable(scores, candidate, documents, codes)]
    del rows, scores, candidate, documents, codes
    exchanged = exchange_test(
        passages.pop(),  # nobody else holds what the test leaves behind
        lambda n, documents: _rank_of_any(n, documents, calibration),
        smallest=smallest,
        level=level,
    )
    if exchanged is None:
        return _none(Obstacle.NOTHING_TO_EXCHANGE)
    flagged = int(tested.chosen.sum()) if smallest else int(exchanged.statistic)
    excess = None if exchanged.p_value > level else exchanged.excess
    finding = Finding(
        exchanged.p_value,
        level,
        FindingTest.EXCHANGE,
        flagged,
        exchanged.candidates,
        exchanged.nonmembers,
        exchanged.documents,
        exchanged.arrangements,
        least=exchanged.least,
        sensitivity=sensitivity(excess, exchanged.candidates, rule, level),
    )
    return finding, []


def _rank_of_any(n: int, documents: int, calibration: Calibration) -> int:
    """The rank of the threshold among *n* scores of equally large *documents*.

    It is 1, the highest, where documents that are cut to a common size leave too few for the rate. With a confidence it
    is a rank of documents, which a rank of passages cannot be below.
    """
    if documents < nonmembers_needed(calibration.fpr, calibration.confidence):
        return 1
    if calibration.confidence is not None:
        return flag_rank(documents, calibration.fpr, calibration.confidence)
    return hierarchical_rank(n, documents, calibration.fpr)


def _category_codes(calibration: Calibration, categories: Sequence[str] | None, n: int) -> Ints:
    """The number of the category of each passage; 0 where there are none."""
    codes, numbers = np.zeros(n, dtype=np.intp), dict[int, int]()
    if categories is not None:
        for category, positions in calibration.rows_by_category(n, categories):
            codes[positions] = numbers.setdefault(id(category), len(numbers))
    return codes
