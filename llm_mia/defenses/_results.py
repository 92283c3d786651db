"""What a defence of the outputs does to attacks, and what it takes from a benign client: the records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..records import Interval
from ..settings import Value

__all__ = ["OutputReplay", "OutputResult", "OutputUtility"]


@dataclass(frozen=True, slots=True)
class OutputResult:
    """An attack on what a defence of the outputs leaves: a cell of the matrix of defences and attacks."""

    defense: str
    """As the user named it, settings included: ``top_k:k=5``."""
    attack: str
    """As the user named it, settings included: ``min_k:k=0.1``."""
    auroc: Interval | None
    """None: not computable, see `reason`."""
    tpr_at_fpr: Mapping[float, Interval | None] = field(default_factory=dict)
    """By rate of false positives; None where the non-members are too few for this rate. Empty: not computable."""
    variant: str = ""
    """What the attacker does with what is missing: the way with the larger AUROC, see `OutputDefense.variants`. Empty
    where there is a single way."""
    by_variant: Mapping[str, Interval] = field(default_factory=dict)
    """The AUROC of every way; empty where there is a single way."""
    reason: str = ""
    """Why there is no figure; empty where there is."""
    members: int = 0
    """How many members have a score."""
    nonmembers: int = 0
    """How many non-members have a score."""

    @property
    def computable(self) -> bool:
        """Whether the attack has a score on what the defence leaves."""
        return self.auroc is not None

    def blinded(self, undefended: OutputResult) -> bool:
        """Whether the attack separates members in *undefended* outputs, and not here, by the intervals of the AUROC."""
        separated = undefended.auroc is not None and undefended.auroc.low > 0.5
        return separated and (self.auroc is None or self.auroc.low <= 0.5)


@dataclass(frozen=True, slots=True)
class OutputUtility:
    """What a benign client loses, who computes the perplexity of a text from what the defence leaves.

    The texts are the known non-members: the model was not trained on them, as it was not trained on a benign
    client's texts.
    """

    passages: int
    tokens: int
    hidden: Interval
    """Share of the tokens of a text that have no log-probability, 0 to 1; the mean over the texts."""
    logprob_error: Interval | None
    """Mean absolute error of the log-probabilities that are shown, nats per token; the mean over the texts. None where
    none is shown."""
    perplexity_error: Interval | None
    """Mean absolute error of the perplexity of a text, as a share of it, computed from the tokens that are shown; None
    where no token of any text is shown."""


@dataclass(frozen=True, slots=True)
class OutputReplay:
    """A defence of the outputs, replayed from signals: what attacks see, what they achieve, what a client loses."""

    defense: str
    """As the user named it, settings included."""
    settings: Mapping[str, Value | None]
    """All settings with their values; of a combination by names such as ``rounding.d``."""
    offers: tuple[str, ...]
    """The fields of the signals that remain, see `llm_mia.records.FIELDS`."""
    second_pass: bool
    """Whether signals of a second pass of the model were needed."""
    results: tuple[OutputResult, ...]
    """A result for each attack, in the order of the call."""
    utility: OutputUtility
