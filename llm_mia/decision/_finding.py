"""The finding: whether so many flags are improbable where no candidate was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ..calibration import chance_of_flags, flag_rank, hierarchical_rank, nonmembers_needed
from ..errors import CalibrationError, UsageError
from ..records import Note
from ..scores import ScoreTable
from ._calibrating import calibration_rows
from ._calibration import Calibration
from ._exchange import Exchangeable, exchange_test
from ._notes import NoteKind
from ._origin import categories_of
from ._rules import ErrorRate, Rule

__all__ = [
    "FINDING_LEVEL",
    "Finding",
    "FindingTest",
    "Ints",
    "Obstacle",
    "Tested",
    "check_finding_level",
    "find",
    "independent",
    "known_rows",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
FINDING_LEVEL = 0.05
"""Probability of a finding where no candidate was trained on, unless the user sets another."""

SMALLEST_LEVEL = 1e-9


class FindingTest(StrEnum):
    """What the p-value of a finding is computed from."""

    COUNT = "count"
    """The number of flags; each candidate and each non-member is a document by itself, or a document is the unit."""
    SMALLEST_Q = "smallest_q"
    """The smallest q-value (Simes' test), where a false discovery rate is held."""
    EXCHANGE = "exchange"
    """The number of flags, or the smallest q-value, after exchanging labels of documents: passages share documents."""


class Obstacle(StrEnum):
    """Why no finding can be computed; the figure ``why`` of its note."""

    UNSCORED = "unscored"
    """No candidate has a score."""
    LABELLED = "labelled"
    """Labelled rows are among the flags."""
    OTHER_NONMEMBERS = "other_nonmembers"
    """Passages share documents, and the table does not hold the non-members that set the threshold."""
    CATEGORIES = "categories"
    """Passages share documents, and a document lies in several categories."""
    CATEGORIES_FDR = "categories_fdr"
    """Passages share documents, and a false discovery rate is held over several categories."""
    FEW_DOCUMENTS = "few_documents"
    """Documents of non-members with as many passages are too few for the rate."""
    NOTHING_TO_EXCHANGE = "nothing_to_exchange"
    """No document of candidates has a counterpart among the non-members."""


@dataclass(frozen=True, slots=True)
class Finding:
    """How probable so many flags are where no candidate was trained on, and the level that decides on it.

    Where no candidate was trained on, and candidates could as well have been drawn as non-members, `significant` is
    true with probability at most `level`, over all decisions on these candidates of which this is number `number`.
    """

    p_value: float
    level: float
    test: FindingTest
    flagged: int
    """Flags that the test counts."""
    candidates: int
    """Candidates that the test counts, of `Flags.unit`: those that have a score."""
    nonmembers: int
    """Known non-members that they are compared with."""
    documents: int = 0
    """Documents whose labels are exchanged; 0 where none are."""
    arrangements: int = 0
    """Arrangements of labels that the p-value is computed from; 0 where no labels are exchanged."""
    number: int = 1
    """Which of the decisions on the same candidates this is; `llm_mia.history` counts them."""
    level_share: float = 1.0
    """The share of `level` that this decision has; all decisions on the same candidates have at most 1 together."""

    @property
    def allowed(self) -> float:
        """The largest p-value with which this decision is a finding: its share of the level."""
        return self.level * self.level_share

    @property
    def significant(self) -> bool:
        """Whether the p-value is at most what this decision is allowed."""
        return self.p_value <= self.allowed


@dataclass(frozen=True, slots=True, eq=False)
class Tested:
    """The candidates that have a score, shapes (m,)."""

    rows: Ints
    """In the table."""
    scores: Floats
    q_values: Floats
    chosen: NDArray[np.bool_]
    """Whether each is flagged."""


def check_finding_level(level: float) -> None:
    """Raise `UsageError` unless *level* is at least `SMALLEST_LEVEL`, so that 1 minus it is below 1, and below 1."""
    if not SMALLEST_LEVEL <= level < 1:
        raise UsageError(f"`finding_level` must be at least {SMALLEST_LEVEL:g} and below 1: got {level:g}")


def find(
    table: ScoreTable, calibration: Calibration, tested: Tested, rule: Rule, level: float
) -> tuple[Finding | None, list[Note]]:
    """The finding on candidate passages, or a note that says why there is none.

    Where each passage is a document by itself, the p-value is exact: of the count of flags (`chance_of_flags`), or with
    an FDR the smallest q-value, which is the p-value of Simes' test. Where passages share documents, labels of
    documents are exchanged (`llm_mia.decision._exchange.exchange_test`).
    """
    if not len(tested.rows):
        return _none(Obstacle.UNSCORED)
    known = known_rows(table, calibration)
    if not independent(table, calibration, tested.rows, known):
        return _by_documents(table, calibration, tested, rule, level, known)
    flagged = int(tested.chosen.sum())
    if rule.rate is ErrorRate.FALSE_DISCOVERIES:
        p_value, test = float(tested.q_values.min()), FindingTest.SMALLEST_Q
    else:
        p_value, test = chance_of_flags(_counts(table, calibration, tested)), FindingTest.COUNT
    return Finding(p_value, level, test, flagged, len(tested.rows), calibration.n), []


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
    compared = rows.tolist() if known is None else [*rows.tolist(), *known.tolist()]
    alone = len({groups[row] for row in compared}) == len(compared)
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
    documents = [groups[row] for row in rows.tolist()]
    codes = _category_codes(calibration, categories_of(table, calibration, rows), len(rows))
    smallest = rule.rate is ErrorRate.FALSE_DISCOVERIES
    if len(set(zip(documents, codes.tolist(), strict=True))) > len(set(documents)):
        return _none(Obstacle.CATEGORIES)
    if smallest and codes.any():
        return _none(Obstacle.CATEGORIES_FDR)
    passages = Exchangeable(
        scores=table.column(calibration.attack)[rows],
        candidate=np.arange(len(rows)) < len(tested.rows),
        documents=documents,
        categories=codes,
    )
    exchanged = exchange_test(
        passages,
        lambda n, documents: _rank_of_any(n, documents, calibration),
        smallest=smallest,
        level=level,
    )
    if exchanged is None:
        return _none(Obstacle.NOTHING_TO_EXCHANGE)
    flagged = int(tested.chosen.sum()) if smallest else int(exchanged.statistic)
    finding = Finding(
        exchanged.p_value,
        level,
        FindingTest.EXCHANGE,
        flagged,
        exchanged.candidates,
        exchanged.nonmembers,
        exchanged.documents,
        exchanged.arrangements,
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
