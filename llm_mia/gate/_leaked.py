"""What leaked most: the members that the strongest attack recognises, and documents that are written word for word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from ..extraction import Extraction
from ..records import Passage, text_sha256
from ..scores import ScoreTable
from ._measuring import Measured
from ._record import LeakedDocument, LeakedPassage

__all__ = ["Leaked", "leaked_most"]

MOST = 20
"""Passages, and documents, that a result names at most."""


class Leaked(NamedTuple):
    """The members, and their documents, that are recognised best."""

    passages: tuple[LeakedPassage, ...]
    documents: tuple[LeakedDocument, ...]


def leaked_most(
    table: ScoreTable, measured: Measured, extraction: Extraction | None, members: Iterable[Passage]
) -> Leaked:
    """The members that score above 95 % of the known non-members, and documents that are also written word for word.

    All members are ranked, also those that selected the attack. A document is named if it has several passages or is
    written word for word. The *members* are read once, for the places of those that the input gives no id.
    """
    rows, groups = table.rows(1), table.groups()
    scores = table.column(measured.calibration.attack)[rows]
    finite = np.where(np.isinf(scores), np.nan, scores)
    flagged, p_values = measured.calibration.flagged(finite), measured.calibration.p_values(finite)
    documents = [groups[row] for row in rows]
    ranked = [at for at in np.argsort(-np.nan_to_num(finite, nan=-np.inf), kind="stable") if flagged[at]]
    most = ranked[:MOST]
    sizes, recognised, spans = Counter(documents), Counter(documents[at] for at in ranked), Counter[str]()
    for document in () if extraction is None else extraction.documents:
        if document.label == 1 and document.spans_counted:
            spans[document.document] = document.spans_counted
    several = {name for name in recognised if sizes[name] > 1} | set(spans)
    by_leak = sorted(several, key=lambda name: (-spans[name], -recognised[name] / max(1, sizes[name]), name))[:MOST]
    ids = [table.ids[rows[at]] for at in most]
    places = _places(members, {*ids, *by_leak})
    passages = tuple(
        LeakedPassage(name, places.get(name, name), documents[at], float(scores[at]), float(p_values[at]))
        for name, at in zip(ids, most, strict=True)
    )
    return Leaked(
        passages,
        tuple(
            LeakedDocument(name, places.get(name, name), sizes[name], recognised[name], spans[name]) for name in by_leak
        ),
    )


def _places(members: Iterable[Passage], wanted: Collection[str]) -> Mapping[str, str]:
    """Where the input holds the passages of *wanted* whose ids were derived from their texts, by id."""
    places = dict[str, str]()
    if wanted:
        for passage in members:
            if passage.id in wanted and passage.id.startswith(text_sha256(passage.text)[:16]):
                places[passage.id] = passage.where
    return places
