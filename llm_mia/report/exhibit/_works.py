"""The works: what an audit shows about each document of the candidates, a row each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

from ...decision import NOT_VALIDATED, Flag, RankedDocument, rank_documents
from ...extraction import DocumentExtraction
from .._results import Results
from ._tables import csv_table

__all__ = ["Work", "works_of", "works_table"]

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
    """The same, adjusted for all documents of the candidates that have a p-value."""
    why_no_p: str
    """A value of `NoPValue`; empty where there is a p-value."""
    spans: int | None
    """Spans that the model writes word for word; None where none were searched, as in the three below."""
    spans_counted: int | None
    """Those that the reference model does not write too."""
    extractable_share: float | None
    """Of the bytes, by all spans."""
    extractable_share_counted: float | None
    """By the spans that count, without what the reference model writes too."""
    known_set: str
    """The standing of the known set, so that a row that is copied still has it."""


def works_of(results: Results) -> list[Work]:
    """What the audit shows about each document of the candidates, the strongest evidence first.

    The p-value compares the mean score of its passages with those of the documents of known non-members
    (`llm_mia.decision.rank_documents`). It describes the document: no decision is taken by it.
    """
    audit, table = results.audit, results.scores
    grouped: dict[str, list[Flag]] = {}
    for row in audit.flags.rows:
        grouped.setdefault(row.document, []).append(row)
    ranked = {each.name: each for each in rank_documents(table, audit.calibration).documents}
    # The table tells a passage from a known passage of the same name; the flags do not.
    groups = {table.ids[row]: table.groups()[row] for row in table.rows(None).tolist()}
    extracted = {} if results.extraction is None else {each.document: each for each in results.extraction.documents}
    standing = str(audit.standing or NOT_VALIDATED)
    works = [
        _work(document, rows, ranked.get(groups.get(rows[0].id, document)), extracted.get(document), standing)
        for document, rows in grouped.items()
    ]
    return sorted(works, key=_strength)


def _work(
    document: str,
    rows: Sequence[Flag],
    ranked: RankedDocument | None,
    extraction: DocumentExtraction | None,
    standing: str,
) -> Work:
    scores = [row.score for row in rows if row.score is not None and math.isfinite(row.score)]
    sources = {str(row.columns[SOURCE]) for row in rows if row.columns.get(SOURCE) is not None}
    return Work(
        document=document,
        source=sources.pop() if len(sources) == 1 else "",
        passages=len(rows),
        scored=len(scores),
        flagged=sum(row.flagged for row in rows),
        largest_score=max(scores, default=None),
        p=None if ranked is None else ranked.p_value,
        q=None if ranked is None else ranked.q_value,
        why_no_p="" if ranked is None or ranked.reason is None else str(ranked.reason),
        spans=None if extraction is None else extraction.spans,
        spans_counted=None if extraction is None else extraction.spans_counted,
        extractable_share=None if extraction is None else extraction.bytes_covered / max(1, extraction.bytes),
        extractable_share_counted=None if extraction is None else extraction.share,
        known_set=standing,
    )


def works_table(works: Sequence[Work]) -> bytes:
    """The bytes of ``works.csv``."""
    names = [each.name for each in fields(Work)]
    return csv_table(names, ([getattr(work, name) for name in names] for work in works))


def _strength(work: Work) -> tuple[float, int, float, str]:
    """Sorts the strongest evidence first."""
    score = -math.inf if work.largest_score is None else work.largest_score
    return (math.inf if work.p is None else work.p, -work.flagged, -score, work.document)
