"""The works: what an audit shows about each document of the candidates, a row each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

from ...decision import NOT_VALIDATED, ErrorRate, Flag, flag_documents
from ...errors import LlmMiaError
from .._results import Results
from ._tables import csv_table

__all__ = ["Work", "Works", "works_of", "works_table"]

SOURCE = "source"
"""The carried column that says where a document comes from."""


@dataclass(frozen=True, slots=True)
class Work:
    """A document of the candidates."""

    document: str
    source: str
    """Empty where the input names none, or where its passages name different sources."""
    passages: int
    scored: int
    """Passages with a score."""
    flagged: int
    largest_score: float | None
    p: float | None
    """Of the document among the documents of known non-members; None where it cannot be computed."""
    q: float | None
    """The same, adjusted for all documents of the candidates."""
    spans: int | None
    """None where nothing was extracted from it, as in `extractable_share`."""
    extractable_share: float | None
    known_set: str
    """The standing of the known set, so that a row that is copied still has it."""


@dataclass(frozen=True, slots=True)
class Works:
    """The works, the strongest evidence first, and why they have no p-values, if so."""

    rows: Sequence[Work]
    problem: str


def works_of(results: Results) -> Works:
    """What the audit shows about each document of the candidates.

    The p-value of a document compares the mean score of its passages with those of the documents of known non-members
    (`llm_mia.decision.flag_documents`). It describes the document: no decision is taken by it here.
    """
    audit = results.audit
    grouped: dict[str, list[Flag]] = {}
    for row in audit.flags.rows:
        grouped.setdefault(row.document, []).append(row)
    judged, problem = _judged(results)
    extracted = {} if results.extraction is None else {each.document: each for each in results.extraction.documents}
    standing = str(audit.standing or NOT_VALIDATED)
    works = []
    for document, rows in grouped.items():
        scores = [row.score for row in rows if row.score is not None and math.isfinite(row.score)]
        sources = {str(row.columns[SOURCE]) for row in rows if row.columns.get(SOURCE) is not None}
        of_document, extraction = judged.get(document), extracted.get(document)
        works.append(
            Work(
                document,
                sources.pop() if len(sources) == 1 else "",
                len(rows),
                len(scores),
                sum(row.flagged for row in rows),
                max(scores, default=None),
                None if of_document is None else of_document.p_value,
                None if of_document is None else of_document.q_value,
                None if extraction is None else extraction.spans,
                None if extraction is None else extraction.share,
                standing,
            )
        )
    return Works(sorted(works, key=_strength), problem)


def works_table(works: Works) -> bytes:
    """The bytes of ``works.csv``."""
    names = [each.name for each in fields(Work)]
    return csv_table(names, ([getattr(work, name) for name in names] for work in works.rows))


def _judged(results: Results) -> tuple[dict[str, Flag], str]:
    """The decision on each document, of which only the p-values are shown; or why there is none."""
    flags = results.audit.flags
    fdr = flags.rule.level if flags.rule.rate is ErrorRate.FALSE_DISCOVERIES else None
    try:
        judged = flag_documents(results.scores, flags.calibration, fdr=fdr, accept_void=True)
    except LlmMiaError as error:
        return {}, str(error)
    return {row.document: row for row in judged.rows}, ""


def _strength(work: Work) -> tuple[float, int, float, str]:
    """Sorts the strongest evidence first."""
    score = -math.inf if work.largest_score is None else work.largest_score
    return (math.inf if work.p is None else work.p, -work.flagged, -score, work.document)
