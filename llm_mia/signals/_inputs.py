"""The input beside what a run directory holds of it: the two must be of one mind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from ..errors import RunDirectoryError
from ..passages import InputCheck, Passages
from ..records import Passage
from ..store import RunDirectory, StoredChunk, text_sha256

__all__ = ["Inputs", "in_step"]

CHUNK = 512


@dataclass(frozen=True, slots=True)
class Inputs:
    """All passages, source after source, and what one reading of them has found."""

    sources: Sequence[Passages]
    check: InputCheck

    def __iter__(self) -> Iterator[Passage]:
        for source in self.sources:
            yield from source

    @property
    def passages(self) -> int:
        """How many there are."""
        return sum(one.passages for one in self.check.sources)

    @property
    def bytes(self) -> int:
        """UTF-8 bytes of all of them."""
        return sum(one.bytes for one in self.check.sources)


def in_step(
    run: RunDirectory, inputs: Inputs, names: Sequence[str], *, keys_only: bool = False
) -> Iterator[tuple[list[Passage], dict[str, StoredChunk]]]:
    """Passages, a few hundred at a time, with what each of the passes *names* holds of them: all, some, or nothing.

    Raises:
        RunDirectoryError: a pass holds other passages than the input has.
    """
    stored = {name: run.signals(name).chunks(CHUNK, keys_only=keys_only) for name in names}
    passages = iter(inputs)
    while True:
        block = list(islice(passages, CHUNK))
        chunks = {name: chunk for name, left in stored.items() if (chunk := next(left, None)) is not None}
        _refuse_others(run, block, chunks)
        if not block:
            return
        yield block, chunks


def _refuse_others(run: RunDirectory, block: Sequence[Passage], chunks: Mapping[str, StoredChunk]) -> None:
    ids = [passage.id for passage in block] if chunks else []
    digests = [text_sha256(passage) for passage in block] if chunks else []
    for chunk in chunks.values():
        n = len(chunk)
        # Lists of strings are compared at once; only where they differ is it looked where.
        if chunk.ids == ids[:n] and chunk.text_sha256 == digests[:n]:
            continue
        there = zip(chunk.ids, chunk.text_sha256, strict=True)
        for (name, stored), passage, digest in zip(there, block, digests, strict=False):
            if (name, stored) != (passage.id, digest):
                raise RunDirectoryError(
                    f"{run.path}: holds signals of {name!r} where the input has {passage.id!r} ({passage.where}) "
                    "or another text; name another folder"
                )
        raise RunDirectoryError(
            f"{run.path}: holds signals of {chunk.ids[len(block)]!r} and later passages that the input lacks; "
            "name another folder"
        )
