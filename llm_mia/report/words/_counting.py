"""Numbers of things, in the singular or the plural, and shares."""

from __future__ import annotations

from decimal import ROUND_UP, Decimal

__all__ = ["confidence_words", "counted", "have"]


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


def confidence_words(confidence: float) -> str:
    """The confidence, rounded down: what it lacks to 1 has two digits.

    >>> confidence_words(0.95), confidence_words(0.955), confidence_words(1 - 0.05 / 60), confidence_words(1 - 1e-9)
    ('95 % confidence', '95.5 % confidence', '99.916 % confidence', '99.9999999 % confidence')
    """
    lacking = Decimal(f"{1 - confidence:.9g}")
    digits = Decimal(1).scaleb(lacking.adjusted() - 1)
    percent = 100 * (1 - lacking.quantize(digits, rounding=ROUND_UP))
    return f"{percent.normalize():f} % confidence"
