"""What the tests of canaries and of pairs give, and the writing of the files ``canary.json`` and ``paired.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from ..records import MAY_BE_MISSING, Interval, PassRecord
from ..signals import unname_written_tokens
from ..store import RunDirectory
from ._manifest import CanaryKind
from ._sign_flips import FlipTest
from ._split_test import SplitTest
from ._statistic import DrawTest, Histogram

__all__ = [
    "CANARY",
    "PAIRED",
    "CanaryDocument",
    "CanaryResult",
    "ControlTest",
    "PairedDocument",
    "PairedResult",
    "PlaceboTest",
    "UnusedBecause",
    "UnusedText",
    "write_result",
]

CANARY, PAIRED = "canary.json", "paired.json"


class UnusedBecause(StrEnum):
    """Why a document, or a pair, takes no part in a test; it never depends on which text is public."""

    NO_SCORE = "no score"
    """A text has no score, for example because it is too short."""
    SAME_TOKENS = "same tokens"
    """The target's tokenizer makes the same tokens of two texts, so the model cannot tell them apart."""


@dataclass(frozen=True, slots=True)
class UnusedText:
    """A document, or a pair, that takes no part in the test."""

    id: str
    because: UnusedBecause


@dataclass(frozen=True, slots=True)
class CanaryDocument:
    """What the scores of the variants of a document show; a single document is no evidence."""

    id: str
    variants: int
    public: int
    """Which variant is public, from 0."""
    rank: int
    """Of the public variant among the scores of all: 1 is the highest."""
    difference: float
    """The score of the public variant less the mean of the others, in standard deviations of the scores of all."""


@dataclass(frozen=True, slots=True)
class CanaryResult:
    """The result of `run_canary_test`; `read_canary_test` returns an equal record."""

    path: Path = field(compare=False)
    """The run directory."""
    kind: CanaryKind
    root: str
    """Of the manifest."""
    beacon: str
    """The public value that the draw depends on; empty where it depends on the secret alone."""
    beacon_source: str
    """Where that value was to come from, as the manifest stated before the draw; empty where it was known before."""
    attack: str
    """The attack that scored the variants."""
    passes: Mapping[str, PassRecord]
    """Models and window rules, by the name of the pass."""
    test: DrawTest
    """The p-value of all documents together, and the effect."""
    rows: tuple[CanaryDocument, ...]
    unused: tuple[UnusedText, ...]
    null: Histogram
    """The sums of other draws."""
    tests: int
    """Different tests of this manifest so far, this one counted; a repeated test counts once."""
    corrected_p: float
    """The p-value, corrected for all of these tests."""
    correction: str = "Holm"
    """How it is corrected: Holm's procedure, which holds for any dependence between the tests."""
    redacted: bool = False
    """Whether documents are named by numbers."""

    def without_names(self) -> CanaryResult:
        """The result without the names of documents, and without the tokens that are written in them."""
        ids = [*(row.id for row in self.rows), *(each.id for each in self.unused)]
        names = {each: f"document {at}" for at, each in enumerate(ids, start=1)}
        return replace(
            self,
            passes=_unnamed(self.passes),
            rows=tuple(replace(each, id=names[each.id]) for each in self.rows),
            unused=tuple(replace(each, id=names[each.id]) for each in self.unused),
            redacted=True,
        )


@dataclass(frozen=True, slots=True)
class PlaceboTest:
    """The test with a model as the placebo."""

    role: str
    """Its pass in the run directory."""
    model: str
    """As the user named it."""
    test: FlipTest
    prefers: Interval
    """How far the placebo itself prefers the published texts: nats per token, mean over pairs, 95 % interval over
    pairs (Student's t, approximate)."""


@dataclass(frozen=True, slots=True)
class PairedDocument:
    """What the pairs of a document show; a single document is no evidence."""

    id: str
    pairs: int
    difference: float
    """The preference of the target for the published texts, less that of the placebo where there is one: summed over
    the pairs; with a control set, their mean."""


@dataclass(frozen=True, slots=True)
class ControlTest:
    """The test against pairs that were edited in the same way, and of which neither version was published."""

    test: SplitTest
    role: str
    """The pass of the placebo that is taken off in both groups; empty where there is none."""
    model: str
    """That placebo, as the user named it; empty where there is none."""
    pairs: int
    """Control pairs that were tested."""
    prefers: Interval
    """How far the target prefers the edited version of control pairs: nats per token, mean over pairs, 95 % interval
    over pairs (Student's t, approximate)."""
    rows: tuple[PairedDocument, ...]
    """The control documents."""
    unused: tuple[UnusedText, ...]
    """Control pairs that take no part."""


@dataclass(frozen=True, slots=True)
class PairedResult:
    """The result of `run_paired_test`; `read_paired` returns an equal record."""

    path: Path = field(compare=False)
    """The run directory."""
    passes: Mapping[str, PassRecord]
    """Models and window rules, by the name of the pass."""
    pairs: int
    """Those that were tested."""
    prefers: Interval
    """How far the target prefers the published texts: nats per token, mean over pairs, 95 % interval over pairs."""
    placebos: tuple[PlaceboTest, ...]
    """The one with the largest p-value first: that p-value is the result. None with a control set."""
    rows: tuple[PairedDocument, ...]
    """The published documents, with the placebo that counts."""
    unused: tuple[UnusedText, ...]
    per: str
    """``token``; ``byte`` where target and placebo have different tokenizers: the unit of the differences, in nats."""
    redacted: bool = False
    """Whether documents and pairs are named by numbers."""
    control: ControlTest | None = field(default=None, metadata={MAY_BE_MISSING: True})
    """The test with a control set, which then is the result; None where the placebos decide."""

    @property
    def test(self) -> FlipTest | SplitTest:
        """The test that counts: with the control set, else of the placebo that explains most."""
        return self.placebos[0].test if self.control is None else self.control.test

    def without_names(self) -> PairedResult:
        """The result without the names of documents and pairs, and without the tokens that are written in them."""
        return replace(
            self,
            passes=_unnamed(self.passes),
            rows=_numbered(self.rows, "document"),
            unused=_numbered(self.unused, "pair"),
            control=self.control
            and replace(
                self.control,
                rows=_numbered(self.control.rows, "control document"),
                unused=_numbered(self.control.unused, "control pair"),
            ),
            redacted=True,
        )


Named = TypeVar("Named", PairedDocument, UnusedText)


def _numbered(rows: tuple[Named, ...], unit: str) -> tuple[Named, ...]:
    return tuple(replace(each, id=f"{unit} {at}") for at, each in enumerate(rows, start=1))


def _unnamed(passes: Mapping[str, PassRecord]) -> Mapping[str, PassRecord]:
    return {
        name: replace(
            each,
            left_out=(),
            written_tokens=None if each.written_tokens is None else replace(each.written_tokens, first=""),
        )
        for name, each in unname_written_tokens(passes)[0].items()
    }


def write_result(result: CanaryResult | PairedResult) -> None:
    """Write ``canary.json`` or ``paired.json`` into the run directory."""
    with RunDirectory(result.path) as run:
        # A run directory may be moved.
        run.write_record(CANARY if isinstance(result, CanaryResult) else PAIRED, replace(result, path=Path()))
