"""Numbers of things, in the singular or the plural, and shares."""

from __future__ import annotations

import math

__all__ = ["counted", "have", "held_with"]


def counted(number: int, name: str, plural: str = "") -> str:
    """The number with its noun; *plural* where it is not the noun with an s.

    >>> counted(1, "passage"), counted(1234, "passage"), counted(0, "query", "queries")
    ('1 passage', '1,234 passages', '0 queries')
    """
    return f"{number:,} {name if number == 1 else plural or name + 's'}"


def have(number: int, name: str) -> str:
    """The number with its noun and the verb.

    >>> have(1, "candidate"), have(2, "candidate")
    ('1 candidate has', '2 candidates have')
    """
    return f"{counted(number, name)} {'has' if number == 1 else 'have'}"


def held_with(confidence: float) -> str:
    """The confidence in percent, never above the true figure; the rest to 100 % has three significant digits.

    >>> held_with(0.95), held_with(0.955), held_with(1 - 0.05 * 0.1 / 12)
    ('95 % confidence', '95.5 % confidence', '99.9583 % confidence')
    """
    risk = 100 * (1 - confidence)
    scale = 10 ** max(0, 2 - math.floor(math.log10(risk)))
    # 1 - 0.95 is above 0.05 by rounding.
    return f"{100 - math.ceil(risk * scale - 1e-6) / scale:.12g} % confidence"
