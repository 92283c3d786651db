"""From scores to decisions: p-values, thresholds and false discovery rates that known non-members pay for.

Everything here is pure numpy on arrays of scores, needs no model, and rests on one assumption: a candidate that is
*not* a member is exchangeable with the calibration set (same source, same time, same length, other luck). Where that
fails no function below holds but `weighted_p_values`, which takes what differs as weights; `llm_mia.validity` is the
room that asks.

Higher scores mean more member-like, and a score is flagged when it is strictly above the threshold.

    wanted                                               function
    P(a non-member is flagged) ≤ fpr                     `fpr_threshold`: on average over calibration sets
                                                         `confident_threshold`: of this one, with confidence
    E(non-members among the flagged) ≤ fdr               `benjamini_hochberg`, `benjamini_yekutieli`
    how many members at least, in any choice             `member_count_bound`, `member_share`
"""

from ._checks import Floats, finite, sorted_finite
from ._counts import CountBound, member_count_bound, member_share
from ._fdr import benjamini_hochberg, benjamini_yekutieli, fdr_floor
from ._p_values import conformal_p_values, weighted_p_values
from ._split import Split, split_by_document
from ._thresholds import cannot, confident_threshold, fpr_bound, fpr_threshold, nonmembers_needed
from ._weights import Weights, likelihood_ratio_weights

__all__ = [
    "CountBound",
    "Floats",
    "Split",
    "Weights",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "cannot",
    "confident_threshold",
    "conformal_p_values",
    "fdr_floor",
    "finite",
    "fpr_bound",
    "fpr_threshold",
    "likelihood_ratio_weights",
    "member_count_bound",
    "member_share",
    "nonmembers_needed",
    "sorted_finite",
    "split_by_document",
    "weighted_p_values",
]
