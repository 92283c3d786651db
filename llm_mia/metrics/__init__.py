"""How well scores separate members from non-members: every figure with an interval, every rate from the step ROC.

Labels are 1 for members and 0 for non-members. Higher scores mean more member-like. A threshold t flags score > t.

Passages of the same document are not independent. Each figure therefore takes *documents*, the document of each
passage; where a document has several passages, the interval comes from a bootstrap over documents. The exception is
`delong`, the formula for independent passages that papers often report; with documents, use `auroc`.
"""

from ._band import tpr_at_fprs
from ._delong import LEAST_P, DelongEstimate, PairedComparison, compare_attacks, delong, delong_estimate
from ._figures import ConfidenceGap, Roc, auroc, confidence_gap, fpr_at_tpr, roc, tpr_at_fpr
from ._guesses import epsilon_of_guesses
from ._intervals import clopper_pearson, welch
from ._paired import PairedFlags, compare_flags, compare_means, compare_tpr
from ._percentiles import percentiles
from ._rates import Rates, epsilon_lower_bound, epsilon_of_one_run, flagged_share, rates_at_threshold
from ._samples import bootstrap_weights, describe_positions
from ._several_tests import holm
from ._thinning import RocPoints, roc_points

__all__ = [
    "LEAST_P",
    "ConfidenceGap",
    "DelongEstimate",
    "PairedComparison",
    "PairedFlags",
    "Rates",
    "Roc",
    "RocPoints",
    "auroc",
    "bootstrap_weights",
    "clopper_pearson",
    "compare_attacks",
    "compare_flags",
    "compare_means",
    "compare_tpr",
    "confidence_gap",
    "delong",
    "delong_estimate",
    "describe_positions",
    "epsilon_lower_bound",
    "epsilon_of_guesses",
    "epsilon_of_one_run",
    "flagged_share",
    "fpr_at_tpr",
    "holm",
    "percentiles",
    "rates_at_threshold",
    "roc",
    "roc_points",
    "tpr_at_fpr",
    "tpr_at_fprs",
    "welch",
]
