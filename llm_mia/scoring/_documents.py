"""The document of each passage in ``scores.parquet``: passages with the same text share a document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..records import Passage, text_sha256

__all__ = ["Documents"]


class Documents:
    """Gives passages their documents, in input order.

    Passages with the same text have the same score, so they are not independent, and decisions that took them for
    independent would state findings too often. Those of the same label for which the input names no document get the
    document of the first passage with this text.
    """

    def __init__(self, repeated: Iterable[int]) -> None:
        """*repeated*: positions of the passages whose text occurs more than once."""
        self._repeated = set(repeated)
        self._first: dict[tuple[int | None, str], str] = {}
        self._position = 0

    def of_next(self, passages: Sequence[Passage]) -> list[str]:
        """The documents of the *passages* that follow those of the last call."""
        first, self._position = self._position, self._position + len(passages)
        return [self._of(passage, first + place) for place, passage in enumerate(passages)]

    def _of(self, passage: Passage, position: int) -> str:
        if position not in self._repeated:
            return passage.document
        document = self._first.setdefault((passage.label, text_sha256(passage.text)), passage.document)
        return document if passage.document == passage.id else passage.document
