"""How well scores tell members from non-members: every figure with an interval, every rate from the step ROC.

Labels are 1 for members and 0 for non-members; higher scores mean more member-like; a threshold t flags score > t.

Passages of one document are not independent. Each figure therefore takes *documents*, the document of each passage,
and where one has several passages the interval comes from a bootstrap over documents instead.
"""

from ._figures import ConfidenceGap, Roc, auroc, confidence_gap, fpr_at_tpr, roc, tpr_at_fpr
from ._intervals import clopper_pearson

__all__ = ["ConfidenceGap", "Roc", "auroc", "clopper_pearson", "confidence_gap", "fpr_at_tpr", "roc", "tpr_at_fpr"]
