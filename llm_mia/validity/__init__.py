"""Whether a known set may carry a verdict: differences between the classes that show without the model.

A score that separates members from non-members shows membership only if nothing else separates them. On WikiMIA, a text
classifier that never sees the model reaches an AUROC of 0.99, and the latest year in a passage 0.96. Each check here
looks for a property that separates the classes without the model, and gives a verdict:

    void        no finding may be stated with this known set
    untestable  no finding may be stated, because there are too few documents to detect any fault
    doubtful    a finding may be stated; it must be read together with the check
    sound       no fault was detected; ``Check.detectable`` is what would have been detected
    skipped     the check was not possible; its details give the reason

The standing of a known set is the worst of its verdicts. It is ``sound`` only where another language model, which
cannot know the texts, was put in the place of the target and separated neither members nor candidates from non-members.
Where no other language model has checked the texts and no check shows a fault, it is ``not_checked``: such a model
notices damage and difficulty that no count shows, and that an n-gram model does not see.

**Significance.** All tests together give a false alarm with a probability of at most 0.04, and 0.05 allows for the test
of fitted classifiers, which is approximate. The comparison of two halves of the non-members takes 0.002, that of
candidates 0.0228, that of members 0.0152; where there are only members, or only candidates, they take 0.038. Within
each, `Levels` divides among the blind classifiers, single properties of a text, and other models. The tests exchange
labels over documents, or over the passages of a document that has both classes. Properties of a text, and the attacks
of a model, are tested together by their largest figure, so that many of them cost no more than a few. What a test would
have detected is given: the AUROC that is significant with probability 0.8.

**Size.** A significant difference is doubtful, and void where the 95 % interval of its AUROC starts at 0.6 or above:
attacks on pre-trained models seldom reach more than 0.6, and all of that could then be a difference of the texts. A
true positive rate is doubtful where its interval starts at 3 times the false positive rate, void at 10 times or at one
half. Lengths are void where their distributions are 0.3 apart (Kolmogorov–Smirnov), as are two normal distributions
with an AUROC of 0.71. Members that no permutation of labels could tell from non-members are untestable. Members, or
candidates, are doubtful where a blind AUROC of 0.8 would not have been significant, and where all candidates come from
a single document.

**Repeated text.** Non-members that repeat members do not break the error rate: they raise the threshold. So they are
doubtful where their share is above the requested false positive rate, because they could then set the threshold without
the others, and void from one half, where labels mean little. Candidates that repeat the known set are doubtful from
5 %.

**Numbers.** Fewer non-members than a rate needs are void, fewer documents untestable.
"""

from ._sets import KnownScores, RequestedRates
from ._validate import KnownSet, validate
from ._verdicts import Check, Validity, Verdict

__all__ = ["Check", "KnownScores", "KnownSet", "RequestedRates", "Validity", "Verdict", "validate"]
