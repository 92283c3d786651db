"""How well scores tell members from non-members: every figure with an interval, every rate from the step ROC.

Labels are 1 for members and 0 for non-members; higher scores mean more member-like; a threshold t flags score > t.

Passages of one document are not independent. Each figure therefore takes *documents*, the document of each passage,
and where one has several passages the interval comes from a bootstrap over documents instead. `delong` is the
exception, being the formula for independent passages that others report; `auroc` is the one to use with documents.
"""

from ._delong import PairedComparison, compare_attacks, delong
from ._figures import ConfidenceGap, Roc, auroc, confidence_gap, fpr_at_tpr, roc, tpr_at_fpr
from ._intervals import clopper_pearson, welch
from ._rates import Rates, epsilon_lower_bound, rates_at_threshold
from ._samples import positions

__all__ = [
    "ConfidenceGap",
    "PairedComparison",
    "Rates",
    "Roc",
    "auroc",
    "clopper_pearson",
    "compare_attacks",
    "confidence_gap",
    "delong",
    "epsilon_lower_bound",
    "fpr_at_tpr",
    "positions",
    "rates_at_threshold",
    "roc",
    "tpr_at_fpr",
    "welch",
]
