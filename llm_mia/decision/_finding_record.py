"""The finding, as data: every comparison that it rests on, and the difference that it withstands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..records import Interval

__all__ = ["FINDING_LEVEL", "Finding", "FindingTest", "Obstacle", "OtherFlags", "OtherReference", "Sensitivity"]

FINDING_LEVEL = 0.05
"""Probability of a finding where no candidate was trained on, unless the user sets another."""


class FindingTest(StrEnum):
    """What the p-value of a finding is computed from."""

    COUNT = "count"
    """The number of flags; each candidate and each non-member is a document by itself, or a document is the unit."""
    SMALLEST_Q = "smallest_q"
    """The smallest q-value (Simes' test), where a false discovery rate is held."""
    EXCHANGE = "exchange"
    """The number of flags, or the smallest q-value, after exchanging labels of documents: passages share documents."""


class Obstacle(StrEnum):
    """Why no finding can be computed; the figure ``why`` of its note."""

    UNSCORED = "unscored"
    """No candidate has a score."""
    LABELLED = "labelled"
    """Labelled rows are among the flags."""
    OTHER_NONMEMBERS = "other_nonmembers"
    """Passages share documents, and the table does not hold the non-members that set the threshold."""
    CATEGORIES = "categories"
    """Passages share documents, and a document lies in several categories."""
    CATEGORIES_FDR = "categories_fdr"
    """Passages share documents, and a false discovery rate is held over several categories."""
    FEW_DOCUMENTS = "few_documents"
    """Documents of non-members with as many passages are too few for the rate."""
    NOTHING_TO_EXCHANGE = "nothing_to_exchange"
    """No document of candidates has a counterpart among the non-members."""


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """The largest difference between candidates and non-members, other than membership, that a finding withstands."""

    flags: float
    """How many flags it may cause on average."""
    share: float
    """The share of the candidates that it may flag, besides those that chance flags."""
    fpr: float | None
    """The false positive rate that this means; None where a false discovery rate is held."""
    auroc: float
    """A difference that causes more flags has at least this AUROC, if its ROC is concave."""


@dataclass(frozen=True, slots=True)
class OtherFlags:
    """The candidates by a model that cannot know them, compared with the non-members in the same way."""

    role: str
    attack: str
    """The column of its scores: the attack that decides, or ``loss``."""
    p_value: float
    """That the target scores the candidates so much higher than this model does (`surplus_p_value`)."""
    flagged: int | None
    """Flags by the target, of the candidates and with the non-members that both models scored; None where these are too
    few for the rate."""
    other_flagged: int | None
    """Flags by this model, of the same candidates, by the same rule."""
    candidates: int
    """Passages compared, or documents."""
    nonmembers: int
    auroc: Interval
    """Of its scores, candidates against non-members: what it sees is a difference of the texts."""

    @property
    def largest_auroc(self) -> float:
        """The largest AUROC that its interval leaves possible, in either direction."""
        return max(self.auroc.high, 1 - self.auroc.low)


@dataclass(frozen=True, slots=True)
class OtherReference:
    """The same decision with another reference model in the place of the first."""

    role: str
    p_value: float
    """Of so many flags by chance."""
    flagged: int


@dataclass(frozen=True, slots=True)
class Finding:
    """How probable so many flags are where no candidate was trained on, and the level that decides on it.

    A finding needs that chance does not give as many flags (`chance`), with no reference model (`references`), and that
    no other model explains them (`others`). So it has the largest of their p-values. Where no candidate was trained on,
    `significant` is true with probability at most `level`, over all decisions on these candidates of which this is
    number `number`: if candidates could as well have been drawn as non-members, or if they differ in a way that another
    model sees as well as the target.
    """

    chance: float
    """The p-value of so many flags where no candidate was trained on and candidates are like the non-members."""
    level: float
    test: FindingTest
    """What `chance` is computed from."""
    flagged: int
    """Flags that the test counts."""
    candidates: int
    """Candidates that the test counts, of `Flags.unit`: those that have a score."""
    nonmembers: int
    """Known non-members that they are compared with."""
    documents: int = 0
    """Documents whose labels are exchanged; 0 where none are."""
    arrangements: int = 0
    """Arrangements of labels that the p-value is computed from; 0 where no labels are exchanged."""
    references: tuple[OtherReference, ...] = ()
    others: tuple[OtherFlags, ...] = ()
    """Empty where no other model has scored candidates and non-members: then nothing but chance is excluded."""
    sensitivity: Sensitivity | None = None
    """None where there is no finding."""
    number: int = 1
    """Which of the decisions on the same candidates this is; `llm_mia.history` counts them."""
    level_share: float = 1.0
    """The share of `level` that this decision has; all decisions on the same candidates have at most 1 together."""

    @property
    def allowed(self) -> float:
        """The largest p-value with which this decision is a finding: its share of the level."""
        return self.level * self.level_share

    @property
    def p_value(self) -> float:
        """The largest p-value of all comparisons, so that a finding needs each of them (intersection–union test)."""
        references, others = ([each.p_value for each in of] for of in (self.references, self.others))
        return max([self.chance, *references, *others])

    @property
    def significant(self) -> bool:
        """Whether the p-value is at most what this decision is allowed."""
        return self.p_value <= self.allowed

    @property
    def resists(self) -> bool | None:
        """Whether every difference that would explain the flags is larger than what the other models may see.

        That is, whether their intervals exclude the AUROC of the sensitivity, in either direction: texts that raise the
        target's scores may lower those of another model. None where there is no finding, or no other model.
        """
        if self.sensitivity is None or not self.others or not self.significant:
            return None
        return all(other.largest_auroc < self.sensitivity.auroc for other in self.others)
