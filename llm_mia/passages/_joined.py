"""Documents that have a text in common: whoever draws documents has to draw them together."""

from __future__ import annotations

from collections.abc import Sequence

from ..records import Passage

__all__ = ["joined_documents"]


def joined_documents(passages: Sequence[Passage]) -> list[str]:
    """The document of each passage; of documents that share a text, directly or through others, the first one's name.

    >>> texts = [("a", "x"), ("b", "y"), ("c", "x"), ("c", "z")]
    >>> joined_documents([Passage(f"{at}", text, document) for at, (document, text) in enumerate(texts)])
    ['a', 'b', 'a', 'a']
    """
    leader: dict[str, str] = {}

    def first(document: str) -> str:
        while (parent := leader.setdefault(document, document)) != document:
            leader[document] = document = leader[parent]
        return document

    place = {document: at for at, document in enumerate(dict.fromkeys(passage.document for passage in passages))}
    of_text: dict[str, str] = {}
    for passage in passages:
        other = of_text.setdefault(passage.text, passage.document)
        earlier, later = sorted((first(passage.document), first(other)), key=place.__getitem__)
        leader[later] = earlier
    return [first(passage.document) for passage in passages]
