"""Checks of size: whether the known set has enough non-members for the requested rates."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from ..calibration import nonmembers_needed
from ..records import Note
from ._sets import NON_MEMBER, PassageSets, RequestedRates
from ._verdicts import Check, Verdict

__all__ = ["size_checks"]


def size_checks(sets: PassageSets, rates: RequestedRates) -> list[Check]:
    """The number of non-members and of their documents against what each requested rate needs; exact counts."""
    rows = sets.rows(NON_MEMBER)
    n, documents = len(rows), len(np.unique(sets.documents[rows]))
    fpr, confidence = rates.fpr, rates.confidence
    needs = [(f"size_fpr_{fpr:g}", "fpr_size", {"fpr": fpr}, nonmembers_needed(fpr))]
    if confidence is not None:
        figures = {"fpr": fpr, "confidence": 100 * confidence}
        name = f"size_fpr_{fpr:g}_confidence_{confidence:g}"
        needs.append((name, "confident_fpr_size", figures, nonmembers_needed(fpr, confidence)))
    checks = []
    for name, kind, figures, needed in needs:
        verdict = Verdict.SOUND if n >= needed else Verdict.VOID
        note = Note(kind, {**figures, "needed": needed, "unit": "non-members"})
        checks.append(Check(name, float(n), verdict, None, (note,)))
        verdict = Verdict.SOUND if documents >= needed else Verdict.UNTESTABLE
        note = Note(kind, {**figures, "needed": needed, "unit": "documents of non-members"})
        checks.append(Check(f"{name}_documents", float(documents), verdict, None, (note,)))
    for rate in rates.tpr_at:
        needed = math.ceil(1 / Fraction(rate).limit_denominator(10**9))
        verdict = Verdict.SOUND if n >= needed else Verdict.DOUBTFUL
        note = Note("tpr_size", {"fpr": rate, "needed": needed, "unit": "non-members"})
        checks.append(Check(f"size_tpr_at_fpr_{rate:g}", float(n), verdict, None, (note,)))
    return checks
