"""The draw of the members: half of the documents of a pool is trained on, the other half is not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..calibration import split_by_document
from ..errors import PassageError
from ..passages import joined_documents
from ..records import Passage

__all__ = ["FEWEST_DOCUMENTS", "PoolSplit", "split_pool"]

FEWEST_DOCUMENTS = 40
"""Of a pool: 10 of the members and 10 of the non-members choose the attack, and as many measure it."""


@dataclass(frozen=True, slots=True, eq=False)
class PoolSplit:
    """A pool in halves: what is trained on, and what chooses the attack; every array has shape (passages,)."""

    passages: tuple[Passage, ...]
    """Label 1: trained on. Label 0: held out."""
    documents: tuple[str, ...]
    """Of each passage; documents that share a text have the same name here."""
    choosing: NDArray[np.bool_]
    """Whether the passage chooses the strongest attack; the others measure it."""

    @property
    def members(self) -> list[str]:
        """The texts that are trained on."""
        return [passage.text for passage in self.passages if passage.label == 1]

    @property
    def labels(self) -> NDArray[np.int8]:
        """1 trained on, 0 held out."""
        return np.array([passage.label for passage in self.passages], dtype=np.int8)

    @property
    def document_count(self) -> int:
        """How many documents there are; those that share a text count as a single document."""
        return len(set(self.documents))


def split_pool(name: str, pool: Iterable[Passage], seed: int) -> PoolSplit:
    """The *pool* in members and non-members, half of the documents each, drawn by *seed* from the documents' names.

    Documents that have a text in common are drawn together, because otherwise a non-member would be trained on.

    Args:
        name: of the pool, for messages.
        pool: the passages; their labels are not read.
        seed: of the draw.

    Raises:
        PassageError: there are fewer than `FEWEST_DOCUMENTS` documents.
    """
    passages = list(pool)
    documents = joined_documents(passages)
    count = len(set(documents))
    if count < FEWEST_DOCUMENTS:
        raise PassageError(
            name,
            f"holds {count} document{'' if count == 1 else 's'}: at least {FEWEST_DOCUMENTS} are needed, half of them "
            "to be trained on; documents that share a text count as a single document",
        )
    inside = split_by_document(documents, seed=seed)
    labelled = tuple(
        replace(passage, label=int(is_in)) for passage, is_in in zip(passages, inside.tolist(), strict=True)
    )
    choosing = split_by_document(documents, seed=seed, labels=[passage.label for passage in labelled])
    return PoolSplit(labelled, tuple(documents), choosing)
