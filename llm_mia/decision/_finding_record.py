"""The finding, as data: every comparison that it rests on, and the difference that it withstands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..records import Interval

__all__ = [
    "FINDING_LEVEL",
    "Finding",
    "FindingTest",
    "Obstacle",
    "OtherFlags",
    "OtherReference",
    "Sensitivity",
    "ShadowRate",
    "ShadowSpread",
]

FINDING_LEVEL = 0.05
"""Probability of a finding where no candidate was trained on, unless the user sets another."""

RESPONSE = 3.0
"""How many flags above the requested rate the target may give for each that another model gives, where a finding is to
withstand a difference of the texts. It allows for a model that responds half as strongly: of normal scores, half the
shift gives more than a third of the surplus up to 2 standard deviations, at 5 %."""


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
    """How many flags such a difference may cause on average."""
    share: float
    """The share of the candidates that the difference may flag, besides those that chance flags."""
    fpr: float | None
    """The false positive rate that this means; None where a false discovery rate is held."""
    auroc: float
    """The least AUROC of a difference that causes more flags, if its ROC is concave."""


@dataclass(frozen=True, slots=True)
class OtherFlags:
    """The candidates by a model that cannot know them, compared with the non-members in the same way."""

    role: str
    attack: str
    """The column of its scores: the attack that decides, or ``loss``."""
    p_value: float
    """Of the target's surplus: by how much it scores the candidates higher than this model does (`surplus_test`)."""
    flagged: int | None
    """Flags by the target, among the candidates that both models scored; None where the non-members that both scored
    are too few for the rate."""
    other_flagged: int | None
    """Flags by this model, of the same candidates, by the same rule."""
    candidates: int
    """Passages compared, or documents."""
    nonmembers: int
    auroc: Interval
    """Of its scores, candidates against non-members, with a 95 % interval: it shows a difference of the texts."""
    other_share: Interval | None = None
    """The share of the candidates that this model flags; None where a false discovery rate is held, or without
    flags."""
    exchanges: int = 0
    """Random exchanges that the p-value is computed from: it is never below 1 / (this number + 1); 0 where there was
    nothing to exchange."""

    def largest_rate(self, fpr: float) -> float:
        """The largest realised false positive rate that this model does not exclude, where *fpr* was requested.

        It follows from the share that this model flags, at the upper end of its 95 % interval, if a difference of the
        texts gives the target at most `RESPONSE` times as many flags above the requested rate; or from its AUROC, at
        the upper end of the interval, which allows a rate for a score with a concave ROC: the smaller. Texts that raise
        the scores of the target may lower those of this model; where its AUROC is below 0.5 with confidence, only the
        AUROC counts.

        >>> auroc, share = Interval(0.5, 0.44, 0.56), Interval(0.02, 0.01, 0.06)
        >>> other = OtherFlags("reference", "loss", 0.001, 40, 3, 140, 100, auroc, share)
        >>> round(other.largest_rate(0.05), 3)  # 0.05 + 3 · 0.01, and not 0.05 + 2 · 0.56 − 1
        0.08
        """
        by_auroc = fpr + 2 * self.largest_auroc - 1
        if self.other_share is None or self.auroc.high < 0.5:
            return by_auroc
        return min(by_auroc, fpr + RESPONSE * max(0.0, self.other_share.high - fpr))

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
class ShadowRate:
    """The flags of a shadow in the target's place, by the threshold that the other shadows set."""

    role: str
    nonmembers: int
    """Passages that it was not trained on."""
    flagged_nonmembers: int
    members: int
    flagged_members: int

    @property
    def fpr(self) -> float:
        """The share of its non-members that is flagged."""
        return self.flagged_nonmembers / self.nonmembers

    @property
    def tpr(self) -> float | None:
        """The share of its members that is flagged; None where the rows hold none of them."""
        return self.flagged_members / self.members if self.members else None


@dataclass(frozen=True, slots=True)
class ShadowSpread:
    """The target's flags compared with those of the shadows: a single model may be flagged more often by chance."""

    p_value: float
    """Of so many flags under a further model, where the target is exchangeable with the shadows
    (`llm_mia.decision.spread_of_models`)."""
    flagged: int
    """Candidates above the threshold of the false positive rate."""
    candidates: int
    shadows: tuple[ShadowRate, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """How probable so many flags are where no candidate was trained on, and the level that decides on it.

    A finding needs that so many flags are improbable by chance (`chance`), with each further reference model too
    (`references`), that no other model explains them (`others`), and, where shadow models set the threshold, that they
    are improbable for a single further model (`shadows`). So its p-value is the largest of theirs. Where no
    candidate was trained on, `significant` is true with probability at most `level`, over all decisions of the same
    kind on these candidates, if candidates could as well have been drawn as non-members. It is true with about that
    probability if they differ, but in a way to which another model responds as strongly as the target.
    """

    chance: float
    """The p-value of so many flags, where no candidate was trained on and candidates are like the non-members."""
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
    shadows: ShadowSpread | None = None
    """None where no shadow models set the threshold."""
    others: tuple[OtherFlags, ...] = ()
    """Empty where no other model has scored candidates and non-members: then nothing but chance is excluded."""
    sensitivity: Sensitivity | None = None
    """None where there is no finding."""
    number: int = 1
    """Which of the decisions of its kind on the same candidates this is; `llm_mia.history` counts them."""
    level_share: float = 1.0
    """The share of `level` that this decision has; all decisions of its kind on the same candidates have at most 1."""
    least: int | None = None
    """The fewest flags that chance alone gives with probability `allowed` at most; None where flags are not what the
    test counts, or where no number of flags is so improbable."""

    @property
    def allowed(self) -> float:
        """The largest p-value with which this decision is a finding: its share of the level."""
        return self.level * self.level_share

    @property
    def p_value(self) -> float:
        """The largest p-value of all comparisons, so that a finding needs each of them (intersection–union test)."""
        references, others = ([each.p_value for each in of] for of in (self.references, self.others))
        models = [] if self.shadows is None else [self.shadows.p_value]
        return max([self.chance, *references, *others, *models])

    @property
    def significant(self) -> bool:
        """Whether the p-value is at most what this decision is allowed."""
        return self.p_value <= self.allowed

    @property
    def resists(self) -> bool | None:
        """Whether the other models exclude every difference of the texts that could explain the flags.

        That is, whether the false positive rate at which the finding would vanish is above the largest that any of them
        allows (`OtherFlags.largest_rate`); where a false discovery rate is held, whether the AUROC of the sensitivity
        is above the largest that any of them allows. None where there is no finding, or no other model.
        """
        limit = self.sensitivity
        if limit is None or not self.others or not self.significant:
            return None
        if limit.fpr is None:
            return all(other.largest_auroc < limit.auroc for other in self.others)
        requested = limit.fpr + 1 - 2 * limit.auroc
        return all(other.largest_rate(requested) < limit.fpr for other in self.others)
