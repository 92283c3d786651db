"""The sentence that says what a calibration guarantees."""

from __future__ import annotations

MARGINAL = (
    "marginal: a new non-member, exchangeable with the calibration set, is flagged with probability at most fpr, "
    "on average over calibration sets like this one"
)
"""The guarantee of `fpr_threshold`, as `calibration.json` states it."""

OTHER = "other"
"""The category that small ones are pooled into."""


def guarantee(
    confidence: float | None, *, categories: bool = False, pooled: bool = False, by_size: bool = False
) -> str:
    """The sentence that the artefact carries.

    >>> guarantee(0.95)[:90]
    'with confidence: with probability at least 0.95 over the draw of the calibration set, a ne'
    """
    holds = MARGINAL
    if confidence is not None:
        holds = (
            f"with confidence: with probability at least {confidence:g} over the draw of the calibration set, a new "
            "non-member, drawn independently from where it came from, is flagged with probability at most fpr"
        )
    if categories:
        holds += "; in each category by itself"
    if pooled:
        holds += f", of the pooled ones in {OTHER!r} as a whole"
    if by_size:
        holds += " and only roughly, as their sizes in this set decided which"
    return holds
