"""How much defences helped and what they cost: the contents of ``defences.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from ..errors import RunDirectoryError
from ..records import SCHEMA_VERSION, Interval, Note
from ..store import read_record, to_json, write_text
from ..training import Recipe, TrainingRecord
from ._canaries import EmpiricalEpsilon
from ._results import OutputUtility

__all__ = [
    "BASELINE",
    "FILE",
    "Defended",
    "DefenseNote",
    "Defenses",
    "Leakage",
    "MeasuredAttack",
    "Plan",
    "Utility",
    "read_defenses",
    "write_defenses",
]

FILE = "defences.json"
BASELINE = "none"
"""The name of the model without defence."""


class DefenseNote(StrEnum):
    """What a reader of the table ought to know; the figures of the `Note` are named here."""

    SHARED_TEXTS = "documents share texts"
    """``joined`` of ``documents`` documents share a text with another document, and were drawn together."""
    FEW_NONMEMBERS = "few non-members"
    """The ``nonmembers`` non-members that measure are too few for a false positive rate of ``rate``: ``needed``."""
    SHORT_MEMBERS = "short members"
    """No member has ``stretch`` tokens, so it is not measured what the model writes word for word."""
    EPOCHS_RUN = "stopped after"
    """With ``defence``, the weights of epoch ``epoch`` of ``epochs`` were kept."""
    CANARIES = "canaries"
    """``canaries`` canaries can show an ε of ``highest`` at most, if every guess is right."""
    MORE_QUERIES = "more queries"
    """With ``defence``, more queries about a text than were measured show more."""
    PASSAGE_PRIVACY = "unit of privacy"
    """DP-SGD protects a text; documents have ``passages`` texts each on average, and are not protected as a whole."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What all defences of a folder share: a folder of another plan is refused."""

    base: str
    """The base model, as the user named it."""
    base_sha256: str | None
    """Digest of its files; None where they are not on this machine."""
    pool_sha256: str
    """Digest of ids, documents and texts of the pool, in order."""
    seed: int
    """Draws the members, the half that chooses the attack, and the canaries."""
    recipe: Recipe
    """Of the training without defence."""
    canaries: int
    """How many random texts were added to measure ε; about half of them are trained on."""
    window_tokens: int | None
    """Longest input fed to a model; None: the model's context, at most 2,048."""
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True, slots=True)
class Leakage:
    """What an attack achieves on the half of the documents that did not choose it."""

    attack: str
    auroc: Interval
    tpr_at_fpr: Mapping[float, Interval | None]
    """By rate of false positives; None where the non-members are too few for the rate."""
    change: Interval | None
    """The AUROC less that of the strongest attack on the model without defence, on the same passages; None where no
    passage has both scores."""
    members: int
    nonmembers: int
    p_value: float | None = None
    """Two-sided, of the hypothesis that the AUROC is that without defence; None where `change` is."""
    p_lower: float | None = None
    """One-sided, of the hypothesis that the defence does not lower the AUROC. It does where `attack` is weaker than the
    strongest attack without defence, and where the latter is weaker with the defence, too. None where `change` is."""
    lower: bool = False
    """Whether the AUROC is lower than without defence, tested together with the other defences: `mark_lower`."""
    above_lowest: Interval | None = None
    """The AUROC less the lowest of all defences that lower it, on the same passages. None for that defence itself, for
    a defence that does not lower it, and where no passage has both scores."""


@dataclass(frozen=True, slots=True)
class MeasuredAttack:
    """An attack on a defence: a cell of the matrix of defences and attacks."""

    attack: str
    auroc: Interval | None
    """On the half that measures; None: not computable."""
    variant: str = ""
    """How the attacker takes what is hidden: `OutputDefense.variants`; empty where there is a single way."""


@dataclass(frozen=True, slots=True)
class Utility:
    """How well a model predicts the held-out texts."""

    perplexity: Interval
    ratio: Interval
    """To the perplexity of the model without defence: 1 is equal, 1.1 is 10 % worse."""


@dataclass(frozen=True, slots=True)
class Defended:
    """A row of the table: a defence, what leaks, and what it costs."""

    name: str
    """As the user named it, settings included; ``none``: without defence."""
    role: str
    """Of its model: the name of its folder under ``models/``, and of its pass."""
    trained: bool
    """Whether the defence changes the training, and so the model."""
    outputs: bool
    """Whether the defence changes what the model shows."""
    leakage: Leakage | None
    """Of the strongest attack; None where no attack can be computed."""
    fixed: Leakage | None
    """Of the attack ``reference``, whatever is strongest; None where it cannot be computed."""
    attacks: tuple[MeasuredAttack, ...]
    """Every attack on the model without defence, and those on text alone."""
    utility: Utility
    """Of the model; what a client of masked outputs loses is in `client`."""
    seconds: float
    """Time that the training took; that of the model without defence where the training is not changed."""
    gap: Interval | None = None
    """Mean token probability of members less that of non-members; None where it is not shown."""
    extractable: Interval | None = None
    """Share of the members of which the model writes a stretch word for word; None where no member is long enough."""
    epsilon: float | None = None
    """ε that the accountant of DP-SGD guarantees; None: without DP-SGD."""
    delta: float | None = None
    """δ of that ε."""
    shown: EmpiricalEpsilon | None = None
    """ε that an attacker shows at least, by the canaries; None without canaries, and for defences of the outputs."""
    client: OutputUtility | None = None
    """What a benign client of masked outputs loses; None where outputs are not masked."""
    training: TrainingRecord | None = None
    """None for a defence of the outputs alone."""
    model: str = BASELINE
    """The defences of its training, as the user first named them; ``none``: that without defence."""

    @property
    def lowers(self) -> bool:
        """Whether the defence lowers the AUROC, or leaves nothing to attack."""
        return self.leakage is None or self.leakage.lower

    @property
    def cost(self) -> tuple[float, float]:
        """What is compared to find the cheapest: the perplexity, and where that is equal the time of the training."""
        return self.utility.ratio.value, self.seconds


@dataclass(frozen=True, slots=True)
class Defenses:
    """How much each defence helped and what it cost, in the order of the calls."""

    path: Path
    """The folder, which may have been moved since."""
    plan: Plan
    passages: int
    documents: int
    members: int
    """Passages that were trained on, without canaries."""
    nonmembers: int
    choosing: int
    """Documents that choose the strongest attack on each defence; the others measure it."""
    stretch: int
    """Tokens that a model must write word for word."""
    probability: float
    """Smallest probability of such a stretch that counts."""
    rows: tuple[Defended, ...]
    """The model without defence first."""
    notes: tuple[Note, ...] = ()

    @property
    def baseline(self) -> Defended:
        """The model without defence."""
        return self.rows[0]

    @property
    def defended(self) -> tuple[Defended, ...]:
        """All rows but that without defence."""
        return self.rows[1:]

    @property
    def lowest(self) -> list[Defended]:
        """The defence with the lowest AUROC, then those whose AUROC is not measurably higher; all of them lower it.

        The 95 % interval of such a difference holds 0, which does not show that it is 0. Each interval holds by itself;
        because the lowest of several AUROCs is likely to be too low, a defence is left out too often rather than too
        seldom. Empty where no defence lowers the AUROC.
        """
        lowering = [row for row in self.ranked[1:] if row.lowers]
        if not lowering or lowering[0].leakage is None:  # nothing is left to attack, so nothing can be compared
            return lowering[:1]
        above = [(row, row.leakage.above_lowest) for row in lowering if row.leakage is not None]
        return [lowering[0], *(row for row, difference in above if difference is not None and difference.low <= 0)]

    @property
    def ranked(self) -> list[Defended]:
        """The model without defence, then the others by AUROC, the lowest first.

        Where no attack can be computed, a defence comes before these.
        """
        return [self.baseline, *sorted(self.defended, key=lambda row: row.leakage.auroc.value if row.leakage else 0.0)]


def read_defenses(path: str | Path) -> Defenses:
    """What `defend` left in the folder *path*.

    Raises:
        RunDirectoryError: there is none, or it is damaged or of another schema.
    """
    folder = Path(path)
    record = read_record(Defenses, folder / FILE, RunDirectoryError, "run the same command again")
    return replace(record, path=folder)


def write_defenses(record: Defenses) -> None:
    """Write ``defences.json``; the path is that of the folder, which may be moved."""
    write_text(record.path / FILE, to_json(replace(record, path=Path())))
