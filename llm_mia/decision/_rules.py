"""What a decision holds and what it rests on, as data. `llm_mia.report.words` phrases it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["ErrorRate", "Guarantee", "GuaranteeKind", "QValueMethod", "Rule", "Unit"]


class Unit(StrEnum):
    """What is decided on."""

    PASSAGES = "passages"
    DOCUMENTS = "documents"


class ErrorRate(StrEnum):
    """The error that a decision limits."""

    FALSE_POSITIVES = "fpr"
    """Share of the candidates not trained on that are flagged."""
    FALSE_DISCOVERIES = "fdr"
    """Expected share, among the flagged, of candidates that were not trained on."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Which error rate a decision holds, and at which level."""

    rate: ErrorRate
    level: float
    confidence: float | None = None
    """The rate holds with this confidence for this calibration set; None: on average over calibration sets."""


class QValueMethod(StrEnum):
    """How q-values are computed from p-values."""

    BENJAMINI_HOCHBERG = "benjamini_hochberg"
    """For p-values that are positively dependent."""
    BENJAMINI_YEKUTIELI = "benjamini_yekutieli"
    """For p-values with any dependence."""


class GuaranteeKind(StrEnum):
    """Over what the false positive rate of a threshold holds."""

    MARGINAL = "marginal"
    """On average over calibration sets like this one."""
    WITH_CONFIDENCE = "with_confidence"
    """For this calibration set, with a probability over the draw of it."""


@dataclass(frozen=True, slots=True)
class Guarantee:
    """What a calibration guarantees about a new non-member that is exchangeable with its calibration set."""

    kind: GuaranteeKind
    confidence: float | None = None
    """Probability over the draw of the calibration set; None where the guarantee is marginal."""
    by_document: bool = False
    """Whether each document counts once, because passages share documents: the new passage is of a new document."""
    by_category: bool = False
    """Whether the rate holds in each category by itself."""
    pooled: bool = False
    """Whether categories are pooled; the rate then holds for the pool as a whole."""
    pooled_by_size: bool = False
    """Whether the sizes in this calibration set decided which categories are pooled; the rate then holds roughly."""
