"""A run: its inputs, its passes and the columns of its scores."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ._models import ModelRecord
from ._texts import TOKEN_ARRAYS, WindowRule

__all__ = [
    "MAY_BE_MISSING",
    "OF_TARGET",
    "SCHEMA_VERSION",
    "STAND_IN",
    "AttackRecord",
    "BlockSize",
    "FilesRecord",
    "InputRecord",
    "KeptSignals",
    "LeftOut",
    "PassRecord",
    "RunRecord",
    "WrittenTokens",
    "target_pass",
]

SCHEMA_VERSION = 5
"""Version of the run directory and of every JSON artefact in it."""
MAY_BE_MISSING = "may_be_missing"
"""Metadata of a field that records of this version were written without, at first: there it has its default."""

STAND_IN = "stand-in"
"""The role of a model that takes the place of a reference model where none is given."""


class KeptSignals(StrEnum):
    """What a run keeps of the signals of its passes on disk, the most first."""

    FULL = "full"
    """All fields of every token."""
    SCORES = "scores"
    """The fields that the attacks of the run read."""
    NONE = "none"
    """As `SCORES` while it runs; when the scores are written, the digests of the texts alone."""


@dataclass(frozen=True, slots=True)
class FilesRecord:
    """What identifies a model without loading it."""

    sha256: str | None
    """Digest over its files; None where they are not on this machine."""
    dtype: str
    """The precision that the user asked for; ``auto`` where the choice was left to llm_mia."""
    pre_tokenizer: str | None = None
    """The parameter of that name with which the model was loaded."""


@dataclass(frozen=True, slots=True)
class BlockSize:
    """Where a block ends. It depends on the input alone, so a run that continues has the same batches."""

    passages: int
    bytes: int
    batch_tokens: int = 1024
    """Tokens of the windows of a block that the model gets at once. A run that is interrupted loses no more than these;
    a run that is killed loses what was computed since a file was last written, too."""


@dataclass(frozen=True, slots=True)
class WrittenTokens:
    """The passages in which special tokens of a model are written."""

    passages: int
    """How many there are."""
    token: str
    """The first of these tokens; empty where it is redacted."""
    first: str
    """The passage that holds it: its place in the input, or its id."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A passage without signals, because the process that computes it ends each time."""

    position: int
    """In the input, from 0."""
    id: str
    where: str
    """Its place in the input, such as ``known.jsonl line 3``."""


@dataclass(frozen=True, slots=True)
class PassRecord:
    """What the signals of a pass depend on."""

    model: ModelRecord
    window: WindowRule
    block: BlockSize
    files: FilesRecord | None = None
    """None for a backend in memory."""
    depends: Mapping[str, Any] = field(default_factory=dict)
    """JSON values: what the signals depend on in addition (digests of shots, how texts are rewritten)."""
    written_tokens: WrittenTokens | None = None
    """Special tokens that are written in the passages; None where there are none. Not compared between runs."""
    left_out: tuple[LeftOut, ...] = ()
    """Passages that are stored without signals, ascending. Not compared between runs."""
    kept_fields: tuple[str, ...] | None = field(default=None, metadata={MAY_BE_MISSING: True})
    """The arrays of `TokenSignals` that are kept on disk; None: all; empty: none, because they were removed when the
    scores were written. Not compared between runs."""

    @property
    def stored_fields(self) -> tuple[str, ...]:
        """The arrays of `TokenSignals` that are kept on disk."""
        return tuple(TOKEN_ARRAYS) if self.kept_fields is None else self.kept_fields

    def lacks(self, fields: Collection[str]) -> tuple[str, ...]:
        """Those of *fields* that are not kept on disk."""
        kept = self.kept_fields
        return () if kept is None else tuple(name for name in fields if name not in kept)


OF_TARGET = ("target", "samples")
"""The passes of the target over the unchanged passages: of signals, and of continuations. A run has at least one."""


def target_pass(passes: Mapping[str, PassRecord]) -> PassRecord:
    """The record of the pass of the target, of signals where there is such a pass, else of continuations."""
    return next(passes[name] for name in OF_TARGET if name in passes)


@dataclass(frozen=True, slots=True)
class AttackRecord:
    """Which formula, with which settings, gives a column of scores."""

    name: str
    """As the user named it, settings included: ``min_k:k=0.1``. Also the name of the column."""
    revision: int
    """Of the formula."""
    settings: Mapping[str, int | float | str] = field(default_factory=dict)
    """The values that the scores are computed with."""
    evidence: tuple[str, ...] = ()
    """The kinds of evidence that it takes."""


@dataclass(frozen=True, slots=True)
class InputRecord:
    """A source of passages."""

    name: str
    sha256: str
    passages: int
    notes: tuple[str, ...] = ()
    """How it was read: which files of a folder, and which were left out and why; what was skipped."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a run directory holds: the contents of ``run.json``."""

    passes: Mapping[str, PassRecord] = field(default_factory=dict)
    """By the name of the pass, which is its folder under ``signals/``; begun or finished."""
    attacks: tuple[AttackRecord, ...] = ()
    """The columns of ``scores.parquet``, in order."""
    shared: Mapping[str, Any] = field(default_factory=dict)
    """JSON values, by kind of evidence: what scores depend on in addition to the passes."""
    inputs: tuple[InputRecord, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of Python and of the packages that compute."""
    wall_seconds: Mapping[str, float] = field(default_factory=dict)
    """By pass."""
    others: tuple[AttackRecord, ...] = ()
    """The columns of scores by other models than the target, in order: ``min_k@stand-in`` is ``min_k`` of the stand-in.
    The role is also the name of the pass, and of the model in ``run.json``."""
    schema_version: int = SCHEMA_VERSION

    @property
    def kept_signals(self) -> KeptSignals:
        """What is kept of the signals: the least that any of the passes keeps.

        >>> RunRecord().kept_signals
        <KeptSignals.FULL: 'full'>
        """
        kept = [made_by.kept_fields for made_by in self.passes.values()]
        if () in kept:
            return KeptSignals.NONE
        return KeptSignals.FULL if all(fields is None for fields in kept) else KeptSignals.SCORES
