"""Whether a known set may carry a verdict: differences between the classes that show without the model.

A score that separates members from non-members shows membership only if nothing else separates them. On WikiMIA, a text
classifier that never sees the model reaches an AUROC of 0.99, and the latest year in a passage 0.96. Each check here
looks for a property that separates the classes without the model, and gives a verdict:

    void      no finding may be stated with this known set
    doubtful  a finding may be stated; it must be read together with the check
    sound     no fault was detected; small sets detect little (``blind_detectable_auroc`` shows how much)
    skipped   the check was not possible; its details give the reason

**Significance.** Each of five families of checks may give a false alarm with a small probability: blind baselines 0.02,
single leaks 0.01, placebo 0.005, reference 0.005, candidate shift 0.01, each divided among its tests (Bonferroni). So
the known set of a random split is sound in 95 of 100 cases or more. The tests exchange labels over documents, or over
the passages of a document that has both classes.

**Size.** A significant difference is doubtful, and void where the 95 % interval of its AUROC starts at 0.6 or above:
attacks on pre-trained models seldom reach more than 0.6, and all of that could then be a difference of the texts. A
true positive rate is doubtful where its interval starts at 3 times the false positive rate, void at 10 times or at one
half. Lengths are void where their distributions are 0.3 apart (Kolmogorov–Smirnov), as are two normal distributions
with an AUROC of 0.71. A known set in which an AUROC below 0.8 would not have been significant is doubtful for that
reason alone.

**Repeated text.** Non-members that repeat members do not break the error rate: they raise the threshold. So they are
doubtful where their share is above the requested false positive rate, because they could then set the threshold without
the others, and void from one half, where labels mean little. Candidates that repeat the known set are doubtful from
5 %.

**Numbers.** Fewer non-members than a rate needs are void, fewer documents doubtful.
"""

from ._sets import KnownScores, RequestedRates
from ._validate import KnownSet, validate
from ._verdicts import Check, Validity, Verdict

__all__ = ["Check", "KnownScores", "KnownSet", "RequestedRates", "Validity", "Verdict", "validate"]
