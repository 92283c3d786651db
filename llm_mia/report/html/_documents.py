"""The fourth section: candidate documents, and sources, ranked by the evidence on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from ...decision import RankedDocument
from .._results import Results
from ..extractable import PROBABILITY, STRETCH
from ..words import passages as words
from ._templates import render

__all__ = ["MOST_ROWS", "SOURCE", "document_index", "documents_section"]

MOST_ROWS = 200
"""Rows of a table that a browser without JavaScript shows."""
SOURCE = "source"
"""The column of the input that says where documents come from."""
SEVERAL = "several"
CLAIMED = 0.05
"""A document with a q-value of at most this is counted in the table of sources."""


class _Document(NamedTuple):
    """A row of the table of documents."""

    name: str
    source: str
    passages: int
    flagged: int
    p: float | None
    q: float | None
    share: float | None
    """Extractable; None where that is not known."""
    why: str
    """Why there is no p-value; empty where there is one."""


class _Source(NamedTuple):
    """A row of the table of sources."""

    source: str
    documents: int
    passages: int
    flagged: int
    likely: int
    """Documents with a small q-value."""
    q: float | None
    """The smallest."""


def documents_section(results: Results) -> Markup:
    """The section in HTML; a browser without JavaScript shows the first `MOST_ROWS` rows. Every name is escaped."""
    documents, ranking = _documents(results), results.ranking
    sources = _sources(documents, results) if _has_sources(results) else []
    return render(
        "documents.html",
        named=_named(results),
        documents=documents[:MOST_ROWS],
        count=len(documents),
        sources=sources[:MOST_ROWS],
        source_count=len(sources),
        has_sources=bool(sources),
        words=words.documents_words(ranking),
        reasons=sorted({document.why for document in documents if document.why}),
        extractable=_extractable_words(results),
        by_source=words.sources_words(results.audit.flags),
        claimed=CLAIMED,
        shown=_shown,
        percent=_percent,
    )


def document_index(results: Results) -> dict[str, Any]:
    """The tables of documents and of sources by column, as ``page.js`` lists them; in the order of the section."""
    documents = _documents(results)
    sources = _sources(documents, results) if _has_sources(results) else []
    reasons = sorted({document.why for document in documents})
    columns = dict(zip(_Document._fields, map(list, zip(*documents, strict=True)), strict=True))
    columns["why"] = [reasons.index(document.why) for document in documents]
    return {
        **columns,
        "reasons": reasons,
        "sources": dict(zip(_Source._fields, map(list, zip(*sources, strict=True)), strict=True)) if sources else None,
    }


def _named(results: Results) -> bool:
    """Whether the input names documents: else each passage is its document."""
    return any(flag.document != flag.id for flag in results.flags.values())


def _has_sources(results: Results) -> bool:
    return any(flag.columns.get(SOURCE) is not None for flag in results.flags.values())


def _documents(results: Results) -> list[_Document]:
    """The documents, the smallest p-value first; those without a p-value are last, by the share that is flagged."""
    table, flags = results.scores, results.flags
    groups, flagged, sources = table.groups(), dict[str, int](), dict[str, set[str]]()
    for row in table.rows(None).tolist():
        flag = flags[table.ids[row]]
        flagged[groups[row]] = flagged.get(groups[row], 0) + flag.flagged
        source = flag.columns.get(SOURCE)
        sources.setdefault(groups[row], set()).add("" if source is None else str(source))
    shares = results.extractable.shares

    def row_of(document: RankedDocument) -> _Document:
        name, why = document.name, ""
        if document.reason is not None:
            why = words.no_p_value_words(document.reason, results.ranking.needed)
        source = SEVERAL if len(sources[name]) > 1 else next(iter(sources[name]))
        figures = _rounded(document.p_value), _rounded(document.q_value), _rounded(shares.get(name))
        return _Document(name, source, document.passages, flagged[name], *figures, why)

    rows = [row_of(document) for document in results.ranking.documents]
    return sorted(rows, key=lambda row: (math.inf if row.p is None else row.p, -row.flagged / row.passages, row.name))


def _sources(documents: Sequence[_Document], results: Results) -> list[_Source]:
    """The sources, that with the smallest q-value of a document first."""
    counts = dict[str, list[int]]()
    for flag in results.flags.values():
        source = flag.columns.get(SOURCE)
        count = counts.setdefault("" if source is None else str(source), [0, 0])
        count[0] += 1
        count[1] += flag.flagged
    rows = []
    for source, (passages, flagged) in counts.items():
        of_source = [document for document in documents if document.source == source]
        q_values = [document.q for document in of_source if document.q is not None]
        likely = sum(q <= CLAIMED for q in q_values)
        rows.append(_Source(source, len(of_source), passages, flagged, likely, min(q_values, default=None)))
    return sorted(rows, key=lambda row: (math.inf if row.q is None else row.q, -row.flagged / row.passages, row.source))


def _extractable_words(results: Results) -> str:
    extracted = results.extractable.extracted
    counts = {"kept": len(results.texts), "candidates": len(results.flags)}
    return words.extractable_words(extracted=extracted, stretch=STRETCH, probability=PROBABILITY, **counts)


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")


def _shown(value: float | None) -> str:
    """A p-value or q-value in a table.

    >>> _shown(0.03125), _shown(None), _shown(2e-05)
    ('0.031', '–', '2e-05')
    """
    return "–" if value is None else f"{value:.2g}"


def _percent(share: float | None) -> str:
    r"""A share in a table, in percent.

    >>> _percent(0.1234), _percent(0.0), _percent(None)
    ('12.3\xa0%', '0.0\xa0%', '–')
    """
    return "–" if share is None else f"{100 * share:.1f}\u00a0%"
