"""Whether a known set may carry a verdict: what can be told of its labels without ever seeing the model.

A membership score that separates members from non-members shows membership only where nothing else tells them apart. On
WikiMIA a text classifier that never sees the model reaches an AUROC of 0.99, and the latest year named 0.96. So each
check here asks for something that tells the classes apart without the model, and gives a verdict:

    void      no verdict may rest on this known set
    doubtful  one may be given, with what was found here beside it
    sound     nothing was found; small sets find little (``blind_detectable_auroc`` says how much)
    skipped   could not be asked, and says why

**Significance.** The checks fall in five families, each of which may find something in a known set without fault with
a small probability: blind baselines 0.02, single leaks 0.01, placebo 0.005, reference 0.005, candidate shift 0.01, each
divided among its tests (Bonferroni). So a random split stays sound in 95 of 100 cases or more. The tests exchange
labels over documents, or over the passages of a document that has both.

**Size.** What is significant is doubtful, and void where the 95 % interval of its AUROC starts at 0.6 or above: attacks
on pre-trained models seldom reach more than 0.6, and all of that could then be a difference of the texts. A true
positive rate is doubtful where its interval starts at 3 times the false positive rate, void at 10 times or at one half.
Lengths are void where their distributions lie 0.3 apart (Kolmogorov–Smirnov), as normal ones with an AUROC of 0.71 do.
A known set in which an AUROC below 0.8 would not have been significant is doubtful for that alone.

**Repeated text.** Non-members that repeat members do not break the error rate: they lift the threshold. So they are
doubtful where they are more than the false positive rate asked for, and could set the threshold on their own; void from
one half, where labels mean little. Candidates that repeat the known set are doubtful from 5 %.

**Numbers.** Fewer non-members than a rate takes are void, fewer documents doubtful.
"""

from ._material import Asked, KnownScores
from ._validate import KnownSet, validate
from ._verdicts import Check, Validity, Verdict

__all__ = ["Asked", "Check", "KnownScores", "KnownSet", "Validity", "Verdict", "validate"]
