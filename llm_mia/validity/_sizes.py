"""What the known set is too small for."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from ._material import NON_MEMBER, Asked, Material
from ._verdicts import Check, Verdict

__all__ = ["needed_for_confidence", "needed_for_fpr", "size_checks"]

_WHY_PASSAGES = "With fewer non-members no threshold can hold the rate asked for, whatever the scores."
_WHY_DOCUMENTS = (
    "Passages of one document are not independent: a rate for new documents rests on the number of documents."
)
_WHY_TPR = "The ROC has no step at a false positive rate below one over the number of non-members."


def needed_for_fpr(fpr: float) -> int:
    """With fewer non-members no conformal p-value reaches *fpr*: ⌈1/fpr⌉ − 1.

    >>> needed_for_fpr(0.05), needed_for_fpr(0.01)
    (19, 99)
    """
    n = math.ceil(1 / Fraction(fpr)) - 1
    return n - 1 if 1 / n <= fpr else n


def needed_for_confidence(fpr: float, confidence: float) -> int:
    """With fewer non-members even none above the threshold doesn't show FPR ≤ *fpr* with *confidence*.

    The least n with (1 − fpr)ⁿ ≤ 1 − confidence.

    >>> needed_for_confidence(0.01, 0.95)
    299
    """
    n = math.ceil(math.log1p(-confidence) / math.log1p(-fpr))
    return n - 1 if n > 1 and (1 - fpr) ** (n - 1) <= (1 - confidence) * (1 + 1e-12) else n


def size_checks(material: Material, asked: Asked) -> list[Check]:
    """Non-members and their documents against what each figure asked for takes: counting only, exact."""
    rows = material.rows(NON_MEMBER)
    n, documents = len(rows), len(np.unique(material.documents[rows]))
    rates = [(f"size_fpr_{asked.fpr:g}", f"FPR ≤ {asked.fpr:g}", needed_for_fpr(asked.fpr))]
    if asked.confidence is not None:
        needed = needed_for_confidence(asked.fpr, asked.confidence)
        name = f"size_fpr_{asked.fpr:g}_confidence_{asked.confidence:g}"
        rates.append((name, f"FPR ≤ {asked.fpr:g} with {100 * asked.confidence:g} % confidence", needed))
    found = []
    for name, what, needed in rates:
        verdict: Verdict = "sound" if n >= needed else "void"
        found.append(_check(name, n, needed, "non-members", what, verdict, _WHY_PASSAGES))
        verdict = "sound" if documents >= needed else "doubtful"
        found.append(_check(f"{name}_documents", documents, needed, "documents of them", what, verdict, _WHY_DOCUMENTS))
    for rate in asked.tpr_at:
        needed = math.ceil(1 / Fraction(rate).limit_denominator(10**9))
        verdict = "sound" if n >= needed else "doubtful"
        found.append(
            _check(f"size_tpr_at_fpr_{rate:g}", n, needed, "non-members", f"TPR at FPR {rate:g}", verdict, _WHY_TPR)
        )
    return found


def _check(name: str, n: int, needed: int, of: str, what: str, verdict: Verdict, why: str) -> Check:
    seen = f"{what} takes {needed} {of}"
    return Check(name, float(n), verdict, why, f"Add {of}, {needed} in all, or ask for a larger rate.", None, seen)
