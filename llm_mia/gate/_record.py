"""What a gate gives, and ``gate.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ..auditing import standing_of
from ..decision import NoteKind
from ..errors import RunDirectoryError
from ..passages import SourceCounts, note_without_ids
from ..records import Interval, Note, PassRecord, Standing
from ..signals import unname_written_tokens
from ..store import RunDirectory, read_record
from ..validity import Validity

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = [
    "GateResult",
    "GateRow",
    "LeakedDocument",
    "LeakedPassage",
    "Obstacle",
    "Quantity",
    "RowVerdict",
    "read_gate",
    "write_gate",
]

FILE = "gate.json"


class Quantity(StrEnum):
    """What a limit bounds."""

    GAP = "confidence_gap"
    """Mean token probability of members less that of non-members."""
    AUROC = "auroc"
    """Of the strongest attack."""
    TPR = "tpr"
    """True positive rate of the strongest attack at a false positive rate."""
    EPSILON_DOCUMENTED = "epsilon_documented"
    """ε that the accountant of the training reports in ``training.json``."""
    EPSILON_SHOWN = "epsilon_shown"
    """ε below which the training cannot be private, because the strongest attack separates this well."""
    EXTRACTABLE = "extractable"
    """Share of the members' documents of which the model writes a stretch word for word."""


class RowVerdict(StrEnum):
    """What a limit decides."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not_applicable"


class Obstacle(StrEnum):
    """Why a limit is not applicable; the figures of the `Note` are named here."""

    TOO_FEW = "too few documents"
    """``members`` and ``nonmembers``: documents that are needed; ``has_members`` and ``has_nonmembers``: that are
    there."""
    NOT_DOCUMENTED = "no documented epsilon"
    """``training`` is whether the model's folder holds a ``training.json``."""
    DOCUMENTS_SHARED = "passages share documents"
    """A bound on ε from a single training run needs independent passages."""
    NO_UPPER_END = "no upper end"
    """No attack bounds ε from above."""
    NO_CONFIDENCE = "no confidence"
    """The model gives no token probabilities."""
    NOT_SEARCHED = "not searched"
    """``why``: spans cannot be searched for."""
    AS_NONMEMBERS = "as non-members"
    """``with_spans`` of ``nonmembers`` documents of non-members have spans, too: about as often."""


@dataclass(frozen=True, slots=True)
class GateRow:
    """A limit, what was measured, and the verdict."""

    quantity: Quantity
    limit: float
    given: bool
    """Whether the user gave the limit; else it is the default."""
    verdict: RowVerdict
    value: float | None = None
    """None where nothing was measured."""
    interval: Interval | None = None
    """None where nothing was measured, and for a documented value. An ε that an attack shows has no upper end."""
    fpr: float | None = None
    """The false positive rate of a true positive rate."""
    attack: str = ""
    """The attack that was measured; empty where the figure is of none."""
    members: int = 0
    """Passages of members that the figure counts; of an extractable share, documents."""
    nonmembers: int = 0
    obstacle: Note | None = None
    """Why the limit is not applicable, of the kinds of `Obstacle`."""
    delta: float | None = None
    """The δ at which an ε holds; None for other quantities, and where no ε is known."""


@dataclass(frozen=True, slots=True)
class LeakedPassage:
    """A member that the strongest attack recognises."""

    id: str
    name: str
    """What a reader finds it by: its id, or where the input has no ids its place, as in ``members.jsonl line 17``."""
    document: str
    score: float
    p_value: float
    """Share of the known non-members that score at least as high, this passage counted among them."""


@dataclass(frozen=True, slots=True)
class LeakedDocument:
    """A document of members whose passages the strongest attack recognises."""

    document: str
    name: str
    """As of a `LeakedPassage`; the place is that of its first passage."""
    passages: int
    flagged: int
    """Passages that score above 95 % of known non-members."""
    spans: int
    """Spans that the model writes word for word."""


@dataclass(frozen=True, slots=True, repr=False)
class GateResult:
    """What `gate` returns; `read_gate` returns an equal record."""

    path: Path = field(compare=False)
    """The run directory."""
    passes: Mapping[str, PassRecord]
    """Models and window rules, by the name of the pass."""
    inputs: tuple[SourceCounts, ...]
    """Members and non-members."""
    validity: Validity
    """Whether the known set may carry a verdict."""
    accepted: bool
    """Whether a verdict is stated even where the known set is void."""
    strict: bool
    """Whether the upper end of an interval must lie within the limit; else a limit fails by the lower end."""
    rows: tuple[GateRow, ...]
    attack: str
    """The strongest attack on half of the documents, which the other half measures."""
    aurocs: Mapping[str, float]
    """Of each attack on the half that selected it; empty where too few documents are known to select by."""
    fit_documents: int
    """Documents in the half that selected the attack; 0 where none did."""
    confidence: float
    """Of each interval."""
    leaked_passages: tuple[LeakedPassage, ...] = ()
    """The members that are recognised best; empty where the result is redacted."""
    leaked_documents: tuple[LeakedDocument, ...] = ()
    """The documents of members that are recognised best; empty where each passage is a document, or redacted."""
    members_flagged: int = 0
    """Members that were measured and score above 95 % of known non-members."""
    members_measured: int = 0
    notes: Sequence[Note] = ()
    redacted: bool = False
    command: tuple[str, ...] = field(default=(), compare=False)
    """What was typed after ``llm-mia``, without secrets; empty where the gate was called from Python."""

    @property
    def standing(self) -> Standing | None:
        """Of the known set, with what the user accepted; None where nothing could be checked."""
        return standing_of(self.validity, accept_void=self.accepted)

    @property
    def withheld(self) -> bool:
        """Whether the gate fails because the known set is void or untestable."""
        return self.standing is not None and self.standing.withholds

    @property
    def failed(self) -> tuple[GateRow, ...]:
        """The limits that are exceeded."""
        return tuple(row for row in self.rows if row.verdict is RowVerdict.FAILED)

    @property
    def passed(self) -> bool:
        """Whether the known set carries a verdict, and no limit is exceeded."""
        return not self.withheld and not self.failed

    def without_names(self) -> GateResult:
        """The result without the ids of passages and the names of documents, for readers who may not know them.

        It names no token that is written in a passage, either.
        """
        passes, renamed = unname_written_tokens(self.passes)
        notes = [
            replace(note, figures={"text": note_without_ids(renamed.get(note.figures["text"], note.figures["text"]))})
            if note.kind == NoteKind.SENTENCE
            else note
            for note in self.notes
        ]
        return replace(
            self,
            passes=passes,
            validity=self.validity.without_ids(),
            leaked_passages=(),
            leaked_documents=(),
            notes=notes,
            redacted=True,
        )

    def __repr__(self) -> str:
        verdict = "passed" if self.passed else "failed"
        return f"<GateResult {str(self.path)!r}: {verdict}, {len(self.failed)} of {len(self.rows)} limits exceeded>"

    # `llm_mia.report` lies above this package, so it is imported by name, and only when somebody displays the result.

    def __rich__(self) -> RenderableType:
        renderable: RenderableType = import_module("llm_mia.report").gate_screen(self)
        return renderable


def write_gate(result: GateResult) -> None:
    """Write ``gate.json`` into the run directory."""
    with RunDirectory(result.path) as run:
        run.write_record(FILE, replace(result, path=Path()))  # a run directory may be moved


def read_gate(path: str | Path) -> GateResult:
    """The result of the gate in the run directory *path*, equal to what `gate` returned.

    Raises:
        RunDirectoryError: no ``gate.json`` there, or not what `gate` wrote.
    """
    folder = Path(path)
    result: GateResult = read_record(GateResult, folder / FILE, RunDirectoryError, "run the gate again")
    return replace(result, path=folder)
