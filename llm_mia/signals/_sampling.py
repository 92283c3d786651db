"""Continues the beginnings of passages, and writes part after part."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from ..attacks import SampleSettings, split_passage
from ..backends import Backend, Sampler
from ..errors import ModelError
from ..records import Passage, text_sha256
from ..store import SignalsFolder, samples_table
from ._inputs import Inputs
from ._limits import Limits
from ._progress import PassProgress

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["continue_passages", "sample_positions"]

MOST_AT_ONCE = 32
"""Most passages that the model gets at once; a run that is killed loses these, and what was not yet written."""
Texts = tuple[str, ...]


def continue_passages(backend: Backend, settings: SampleSettings, passages: Sequence[Passage]) -> list[Texts]:
    """The continuations of each passage; none where a passage is too short to be divided.

    Raises:
        ModelError: the model fails, or gives another number of texts.
    """
    assert isinstance(backend, Sampler), "a model without continuations was refused before"
    parts = [split_passage(passage.text, settings.prefix_share) for passage in passages]
    prompts = [part[0] for part in parts if part is not None]
    continued = iter(_continue(backend, settings, prompts) if prompts else [])
    return [() if part is None else next(continued) for part in parts]


def _continue(backend: Sampler, settings: SampleSettings, prompts: Sequence[str]) -> list[Texts]:
    several = backend.sample(
        prompts,
        number=settings.number,
        max_tokens=settings.tokens,
        temperature=settings.temperature,
        seed=settings.seed,
    )
    if [len(texts) for texts in several] != [settings.number] * len(prompts):
        raise ModelError(
            f"the model gave {sum(map(len, several))} continuations of {len(prompts)} prompts, and "
            f"{settings.number} of each were wanted: correct the backend"
        )
    return [tuple(texts) for texts in several]


def sample_positions(
    folder: SignalsFolder,
    backend: Backend,
    settings: SampleSettings,
    inputs: Inputs,
    positions: range,
    report: PassProgress,
    limits: Limits,
) -> None:
    """Continue the passages at *positions*, and write part after part to *folder*; a text is continued once."""
    repeated = {*inputs.check.repeated.tolist()}
    known = _stored(folder, inputs, positions.start)
    passages = enumerate(islice(inputs, positions.start, positions.stop), positions.start)
    writer = _PartWriter(folder, positions.start, limits.part_seconds, report)
    at_once = min(max(1, backend.tokens_per_batch // (settings.number * settings.tokens)), MOST_AT_ONCE)
    try:
        while some := list(islice(passages, at_once)):
            digests = [text_sha256(passage.text) for _, passage in some]
            new = {digest: passage for digest, (_, passage) in zip(digests, some, strict=True) if digest not in known}
            drawn = dict(zip(new, continue_passages(backend, settings, [*new.values()]), strict=True))
            of_each = [known[digest] if digest in known else drawn[digest] for digest in digests]
            known |= {
                digest: texts for digest, texts, (at, _) in zip(digests, of_each, some, strict=True) if at in repeated
            }
            writer.add([passage for _, passage in some], digests, of_each)
            tokens = sum(map(len, drawn.values())) * settings.tokens
            report.add(len(some), tokens, sum(passage.n_bytes for _, passage in some))
    finally:
        writer.write()
        report.add(0, 0, 0)  # reports what is kept now


def _stored(folder: SignalsFolder, inputs: Inputs, stop: int) -> dict[str, Texts]:
    """By digest: the stored continuations of texts before the position *stop* that occur more than once."""
    repeated, known = inputs.check.repeated, dict[str, Texts]()
    if stop and len(repeated) and folder.reads:
        for chunk in folder.chunks(stop=stop):
            first, last = np.searchsorted(repeated, [chunk.first, chunk.first + len(chunk)])
            for row in (repeated[first:last] - chunk.first).tolist():
                known[chunk.text_sha256[row]] = chunk.texts(row)
    return known


class _PartWriter:
    """Collects passages with their continuations, and writes a part when it is time."""

    def __init__(self, folder: SignalsFolder, first: int, seconds: float, report: PassProgress) -> None:
        self._folder, self._first, self._seconds, self._report = folder, first, seconds, report
        self._tables: list[pa.Table] = []
        self._since = time.monotonic()

    def add(self, passages: Sequence[Passage], digests: Sequence[str], texts: Sequence[Texts]) -> None:
        """Add the passages that follow the last, with the digests of their texts and their continuations."""
        self._tables.append(samples_table([passage.id for passage in passages], digests, texts))
        if time.monotonic() - self._since >= self._seconds:
            self.write()

    def write(self) -> None:
        """Write what was collected."""
        if self._tables:
            self._folder.append(self._first, self._tables)
            passages = sum(map(len, self._tables))
            self._first += passages
            self._report.kept += passages
        self._tables, self._since = [], time.monotonic()
