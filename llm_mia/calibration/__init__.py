"""From scores to decisions: p-values, thresholds and false discovery rates, calibrated on known non-members.

All functions take numpy arrays of scores and need no model. All make the same assumption: a candidate that is *not* a
member is exchangeable with the calibration set, that is, it could have been drawn in place of any passage of it (same
source, time and length). Where this assumption fails, only `weighted_p_values` holds, which corrects a known
difference by weights. `llm_mia.validity` checks the assumption.

Higher scores mean more member-like. A score is flagged when it is strictly above the threshold.

    goal                                                 function
    P(a non-member is flagged) ≤ fpr                     `fpr_threshold`: on average over calibration sets
                                                         `confident_threshold`: for this set, with confidence
    the same where passages share documents              `hierarchical_threshold`, `confident_document_threshold`
    E(share of non-members among the flagged) ≤ fdr      `benjamini_hochberg`, `benjamini_yekutieli`
    P(so many flags | no candidate is a member)          `chance_of_flags`, `flag_probabilities`
    candidates higher than by another model              `surplus_test`
    differences of the texts that flags withstand        `largest_excess`, `largest_excess_flags`
    least number of members, in any choice               `member_count_bound`, `member_share`
"""

from ._chance import chance_of_flags, fewest_improbable, flag_probabilities, flag_rank
from ._checks import Floats, check_rate, finite, in_blocks, sorted_finite
from ._counts import CountBound, Method, exceedance_probability, member_count_bound, member_share
from ._fdr import benjamini_hochberg, benjamini_yekutieli, fdr_floor
from ._fit import RatioFit, fit_of_ratio
from ._hierarchical import (
    MORE_DOCUMENTS,
    check_enough_documents,
    confident_document_threshold,
    hierarchical_p_values,
    hierarchical_rank,
    hierarchical_threshold,
)
from ._p_values import conformal_p_values, weighted_p_values
from ._sensitivity import largest_excess, largest_excess_flags
from ._split import Split, split_by_document
from ._surplus import SurplusTest, surplus_test
from ._thresholds import (
    check_enough,
    confident_threshold,
    describe_uncertified,
    fpr_bound,
    fpr_threshold,
    nonmembers_needed,
)
from ._weights import Weights, likelihood_ratio_weights

__all__ = [
    "MORE_DOCUMENTS",
    "CountBound",
    "Floats",
    "Method",
    "RatioFit",
    "Split",
    "SurplusTest",
    "Weights",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "chance_of_flags",
    "check_enough",
    "check_enough_documents",
    "check_rate",
    "confident_document_threshold",
    "confident_threshold",
    "conformal_p_values",
    "describe_uncertified",
    "exceedance_probability",
    "fdr_floor",
    "fewest_improbable",
    "finite",
    "fit_of_ratio",
    "flag_probabilities",
    "flag_rank",
    "fpr_bound",
    "fpr_threshold",
    "hierarchical_p_values",
    "hierarchical_rank",
    "hierarchical_threshold",
    "in_blocks",
    "largest_excess",
    "largest_excess_flags",
    "likelihood_ratio_weights",
    "member_count_bound",
    "member_share",
    "nonmembers_needed",
    "sorted_finite",
    "split_by_document",
    "surplus_test",
    "weighted_p_values",
]
