"""The fourth section: candidate documents, and sources, ranked by the evidence on them."""

from __future__ import annotations

import heapq
import math
import operator
from collections import Counter
from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from ...decision import DocumentRanking, NoPValue, RankedDocument
from ...records import count_each, number_names
from ...scores import UNKNOWN
from .._results import Results
from ..extractable import PROBABILITY, STRETCH
from ..words import passages as words
from ._templates import render

__all__ = ["MOST_ROWS", "SOURCE", "document_index", "documents_section"]

MOST_ROWS = 200
"""Rows of a table that a browser without JavaScript shows."""
MOST_DOCUMENTS = 10_000
"""Documents that the page lists, and those of the passages that it lists besides."""
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
    ranking, listed = results.ranking, _documents(results)
    sources = _sources(results)
    return render(
        "documents.html",
        named=_named(results),
        documents=listed[:MOST_ROWS],
        count=len(listed),
        sources=sources[:MOST_ROWS],
        source_count=len(sources),
        has_sources=bool(sources),
        words=words.documents_words(ranking, len(listed)),
        reasons=sorted(filter(None, _whys(ranking).values())),
        extractable=_extractable_words(results),
        by_source=words.sources_words(results.audit.flags),
        claimed=CLAIMED,
        shown=_shown,
        percent=_percent,
    )


def document_index(results: Results, named: Collection[str]) -> dict[str, Any]:
    """The tables of documents and of sources by column, as ``page.js`` lists them; in the order of the section.

    The documents that are *named* are among them.
    """
    documents, sources = _documents(results, named), _sources(results)
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
    return any(map(operator.ne, results.flags.documents, results.flags.ids))


def _whys(ranking: DocumentRanking) -> dict[NoPValue | None, str]:
    """Why documents have no p-value, in words; empty where they have one."""
    there = {document.reason for document in ranking.documents}
    return {reason: "" if reason is None else words.no_p_value_words(reason, ranking.needed) for reason in there}


def _documents(results: Results, named: Collection[str] = ()) -> list[_Document]:
    """The documents, the smallest p-value first; those without a p-value are last, by the share that is flagged.

    These are the first `MOST_DOCUMENTS`, and after them the others that are *named*.
    """
    names, numbers = number_names(results.scores.groups().take(results.scores.labels == UNKNOWN))
    flagged = count_each(numbers[results.flags.flagged], len(names)).tolist()
    place, of_document = {name: at for at, name in enumerate(names)}, _source_of_documents(results, numbers)
    shares, whys = results.extractable.shares, _whys(results.ranking)

    def row_of(document: RankedDocument) -> _Document:
        name, at = document.name, place[document.name]
        figures = _rounded(document.p_value), _rounded(document.q_value), _rounded(shares.get(name))
        return _Document(name, of_document[at], document.passages, flagged[at], *figures, whys[document.reason])

    def order(row: _Document) -> tuple[float, float, str]:
        return (math.inf if row.p is None else row.p, -row.flagged / row.passages, row.name)

    first = heapq.nsmallest(MOST_DOCUMENTS, map(row_of, results.ranking.documents), key=order)
    rest = {*named} - {row.name for row in first}
    return first + sorted((row_of(each) for each in results.ranking.documents if each.name in rest), key=order)


def _source_of_documents(results: Results, numbers: NDArray[np.int32]) -> list[str]:
    """The source of each document, whose candidates have these *numbers*."""
    sources: list[str | None] = [None] * (int(numbers.max(initial=-1)) + 1)
    for number, value in zip(map(int, numbers), results.flags.columns.get(SOURCE, ()), strict=False):
        source = "" if value is None else str(value)
        sources[number] = source if sources[number] in (None, source) else SEVERAL
    return [source or "" for source in sources]


def _sources(results: Results) -> list[_Source]:
    """The sources, that with the smallest q-value of a document first; none where the input names none."""
    values = results.flags.columns.get(SOURCE, ())
    if all(value is None for value in values):
        return []
    passages, flagged = Counter[str](), Counter[str]()
    for value, is_flagged in zip(values, map(bool, results.flags.flagged), strict=True):
        source = "" if value is None else str(value)
        passages[source] += 1
        flagged[source] += is_flagged
    names, numbers = number_names(results.scores.groups().take(results.scores.labels == UNKNOWN))
    of_document = dict(zip(names, _source_of_documents(results, numbers), strict=True))
    documents, likely, smallest = Counter[str](), Counter[str](), dict[str, float]()
    for document in results.ranking.documents:
        source, q_value = of_document[document.name], _rounded(document.q_value)
        documents[source] += 1
        if q_value is not None:
            likely[source] += q_value <= CLAIMED
            smallest[source] = min(smallest.get(source, 1.0), q_value)
    rows = [
        _Source(source, documents[source], n, flagged[source], likely[source], smallest.get(source))
        for source, n in passages.items()
    ]
    return sorted(rows, key=lambda row: (math.inf if row.q is None else row.q, -row.flagged / row.passages, row.source))


def _extractable_words(results: Results) -> str:
    extracted = results.extractable.extracted
    return words.extractable_words(
        extracted=extracted,
        stretch=STRETCH,
        probability=PROBABILITY,
        kept=len(results.texts),
        candidates=len(results.flags),
        signals=results.keeps_signals,
    )


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
