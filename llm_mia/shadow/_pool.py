"""The pool of a set of shadow models: its passages, and which documents go together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import PassageError, RunDirectoryError
from ..passages import Passages, joined_documents, passages_sha256, read_passages
from ..records import Passage
from ..store import replacing

__all__ = ["FEWEST_DOCUMENTS", "REPAIR", "Pool", "read_pool", "stored_pool", "write_pool"]

FILE = "pool.jsonl"
REPAIR = "run the command that trained the shadow models again"
FEWEST_DOCUMENTS = 4
"""Each shadow then has two documents inside and two outside, the least with which a spread can be measured."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Passages of documents, from which each shadow model gets half."""

    name: str
    """The sources, as the user gave them."""
    passages: tuple[Passage, ...]
    groups: tuple[str, ...]
    """Of each passage: its document; of documents that share a text, the first."""

    @property
    def documents(self) -> tuple[str, ...]:
        """The documents, in the order in which they occur."""
        return tuple(dict.fromkeys(passage.document for passage in self.passages))

    @property
    def group_of(self) -> dict[str, str]:
        """By document: the group that it belongs to."""
        return {passage.document: group for passage, group in zip(self.passages, self.groups, strict=True)}

    def sha256(self) -> str:
        """Digest of ids, documents and texts, in order."""
        return passages_sha256(self.passages)


def read_pool(sources: Sequence[Passages]) -> Pool:
    """The passages of *sources* as a pool; labels and further columns are not kept.

    Raises:
        PassageError: two passages have the same id, or the documents cannot be halved.
    """
    name = ", ".join(source.name for source in sources)
    passages = tuple(_distinct(sources))
    groups = tuple(joined_documents(passages))
    documents, count = len({passage.document for passage in passages}), len(set(groups))
    if count < FEWEST_DOCUMENTS:
        why = "" if documents == count else f", which are {count} when those that share a text count once"
        raise PassageError(
            name,
            f"holds {documents} document{'' if documents == 1 else 's'}{why}: shadow models need at least "
            f"{FEWEST_DOCUMENTS}, because each is trained on half of them; give more documents, or name the column of "
            "the documents with `document_column`",
        )
    return Pool(name, passages, groups)


def _distinct(sources: Sequence[Passages]) -> Iterator[Passage]:
    places: dict[str, str] = {}
    for source in sources:
        for passage in source:
            where = passage.where or source.name
            if passage.id in places:  # within a source, it was refused before
                raise PassageError(
                    where, f"the id {passage.id!r} occurs twice, first at {places[passage.id]}: ids must differ"
                )
            places[passage.id] = where
            yield Passage(passage.id, passage.text, passage.document, where=where)


def write_pool(path: Path, pool: Pool) -> None:
    """Write the passages to the folder *path*, completely or not at all.

    Raises:
        RunDirectoryError: it cannot be written.
    """
    with replacing(path / FILE) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for passage in pool.passages:
            row = {"id": passage.id, "document": passage.document, "text": passage.text}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def stored_pool(path: Path, sha256: str) -> Passages:
    """The passages that `write_pool` has written to the folder *path*.

    Raises:
        RunDirectoryError: they cannot be read, or their digest is not *sha256*: they are other passages.
    """
    file = path / FILE
    try:
        pool = read_passages(file, text_column="text", id_column="id", label_column="", document_column="document")
        what = "" if passages_sha256(pool) == sha256 else "has changed since the shadow models were trained"
    except PassageError:
        what = "cannot be read" if file.exists() else "is missing"
    if what:
        raise RunDirectoryError(f"{file}: {what}; {REPAIR}, which writes the file again")
    return pool
