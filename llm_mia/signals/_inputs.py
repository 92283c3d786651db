"""The passages of a run, read in step with the signals of them that the run directory holds."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from ..errors import RunDirectoryError
from ..passages import InputCheck, Passages, check_inputs
from ..records import OF_TARGET, Passage, RunRecord, text_sha256
from ..store import ALL_FIELDS, RunDirectory, StoredChunk

__all__ = ["Inputs", "passages_with_signals", "scores_are_of", "stored_chunks"]

CHUNK = 512


@dataclass(frozen=True, slots=True)
class Inputs:
    """All passages, source after source, and what `check_inputs` noted when it read them."""

    sources: Sequence[Passages]
    check: InputCheck

    @classmethod
    def of(cls, sources: Sequence[Passages]) -> Inputs:
        """The passages of *sources*, which are read where no whole iteration of them has come before.

        Raises:
            PassageError: see `check_inputs`.
        """
        return cls(sources, check_inputs(sources))

    def __iter__(self) -> Iterator[Passage]:
        for source in self.sources:
            yield from source

    @property
    def passages(self) -> int:
        """Number of passages."""
        return sum(counts.passages for counts in self.check.sources)

    @property
    def bytes(self) -> int:
        """UTF-8 bytes of all passages."""
        return sum(counts.bytes for counts in self.check.sources)

    @property
    def sizes(self) -> NDArray[np.uint32]:
        """UTF-8 bytes of each passage, shape (passages,)."""
        return np.concatenate([np.empty(0, np.uint32), *(source.contents().sizes for source in self.sources)])

    @property
    def repeated_digests(self) -> NDArray[np.uint64]:
        """Shape (n, 2): the digests of the texts at the positions `InputCheck.repeated`."""
        if not len(self.check.repeated):
            return np.empty((0, 2), np.uint64)
        return np.concatenate([source.contents().digests for source in self.sources])[self.check.repeated]

    @property
    def copies(self) -> int:
        """Number of passages whose text occurs at an earlier position, too."""
        digests = self.repeated_digests
        return len(digests) - len(np.unique(digests, axis=0))


def scores_are_of(record: RunRecord, inputs: Inputs, names: Collection[str]) -> bool:
    """Whether the scores of a run are of these passages, so that columns can be copied.

    They are where the files are the same. Where the pass of the target keeps no signals from which scores could be
    computed again, it is enough that there are as many passages, because the pass, one of *names*, is compared with
    them text by text before it is used.
    """
    if [source.sha256 for source in record.inputs] == [source.sha256() for source in inputs.sources]:
        return True
    emptied = any(
        record.passes[name].kept_fields == () for name in OF_TARGET if name in record.passes and name in names
    )
    return emptied and sum(source.passages for source in record.inputs) == inputs.passages


def passages_with_signals(
    run: RunDirectory, inputs: Inputs, names: Sequence[str], reads: Mapping[str, Collection[str]] | None = None
) -> Iterator[tuple[list[Passage], dict[str, StoredChunk]]]:
    """All passages, a few hundred at a time, each time with their signals by the name of the pass.

    *reads* names, by pass, the arrays of `TokenSignals` that will be read; None: all.

    Raises:
        RunDirectoryError: a pass lacks a passage, holds one that the input does not have, or does not keep what is to
            be read.
    """
    for passages, chunks in stored_chunks(run, inputs, names, reads):
        whole = {name: of_pass[0] for name, of_pass in chunks.items() if len(of_pass) == 1}
        if any(name not in whole or len(whole[name]) < len(passages) for name in names):
            raise RunDirectoryError(
                f"{run.path}: lacks the signals of some passages, because the input grew while it was scored; run the "
                "same command again"
            )
        yield passages, whole


def stored_chunks(
    run: RunDirectory, inputs: Inputs, names: Sequence[str], reads: Mapping[str, Collection[str]] | None = None
) -> Iterator[tuple[list[Passage], dict[str, list[StoredChunk]]]]:
    """All passages, a few hundred at a time, each time with the stored chunks of the passes *names*, maybe none.

    Raises:
        RunDirectoryError: a pass holds a passage that the input does not have at this place.
    """
    wanted = dict.fromkeys(names, ALL_FIELDS) if reads is None else reads
    stored = {name: run.signals(name, wanted[name]).chunks(CHUNK) for name in names}
    following = {name: next(chunks, None) for name, chunks in stored.items()}
    passages, first = iter(inputs), 0
    while True:
        block = list(islice(passages, CHUNK))
        end = first + CHUNK if len(block) == CHUNK else math.inf
        here: dict[str, list[StoredChunk]] = {name: [] for name in names}
        for name, chunks in stored.items():
            while (chunk := following[name]) is not None and chunk.first < end:
                here[name].append(chunk)
                following[name] = next(chunks, None)
        _check_same(run, first, block, [chunk for chunks in here.values() for chunk in chunks])
        if not block:
            return
        yield block, here
        first += len(block)


def _check_same(run: RunDirectory, first: int, block: Sequence[Passage], chunks: Sequence[StoredChunk]) -> None:
    """Raises `RunDirectoryError` where *chunks* hold other passages than *block*, which begins at position *first*."""
    ids = [passage.id for passage in block] if chunks else []
    digests = [text_sha256(passage.text) for passage in block] if chunks else []
    for chunk in chunks:
        start = chunk.first - first
        end = start + len(chunk)
        # Whole lists compare fast; the place where they differ matters only when they do.
        if chunk.ids != ids[start:end] or chunk.text_sha256 != digests[start:end]:
            _refuse_other_passages(run, block[start:end], digests[start:end], chunk)


def _refuse_other_passages(
    run: RunDirectory, passages: Sequence[Passage], digests: Sequence[str], chunk: StoredChunk
) -> NoReturn:
    there = zip(chunk.ids, chunk.text_sha256, strict=True)
    for (name, stored), passage, digest in zip(there, passages, digests, strict=False):
        if (name, stored) != (passage.id, digest):
            raise RunDirectoryError(
                f"{run.path}: holds signals of {name!r} where the input has {passage.id!r} ({passage.where}), or their "
                "texts differ; name another folder"
            )
    raise RunDirectoryError(
        f"{run.path}: holds signals of {chunk.ids[len(passages)]!r} and later passages that the input lacks; "
        "name another folder"
    )
