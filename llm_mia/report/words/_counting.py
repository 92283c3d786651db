"""Numbers of things, in the singular or the plural, and shares."""

from __future__ import annotations

import math
import re

from ...records import Interval

__all__ = ["NO_BREAK", "counted", "have", "held_with", "per_hundred", "plainly", "unbroken"]

NO_BREAK = "\N{NO-BREAK SPACE}"
_PAIRS = re.compile(
    r"(?<=\d) (?=%)|(?<=\bp) (?=[=≤<])|(?<=[=≤<>]) (?=[\d.])|(?<=R) (?=≤)|(?<=\d) of (?=\d)|(?<=AUROC) (?=\d)"
)


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


def unbroken(sentence: str) -> str:
    """*sentence* with no-break spaces between a figure and its unit, and around the sign after a ``p``.

    >>> unbroken("p = 0.03, 5 of 100, FPR ≤ 5 %").replace(NO_BREAK, "~")
    'p~=~0.03, 5~of~100, FPR~≤~5~%'
    """
    return _PAIRS.sub(lambda pair: pair[0].replace(" ", NO_BREAK), sentence)


def plainly(number: float) -> str:
    """A number of things, which may be a mean: a decimal only where it matters.

    >>> plainly(7.0), plainly(1234.0), plainly(0.55), plainly(12.4)
    ('7', '1,234', '0.55', '12.4')
    """
    return f"{number:,.0f}" if math.isclose(number, round(number)) else f"{number:,.{1 if number >= 1 else 2}f}"


def per_hundred(share: Interval, things: str = "") -> str:
    """A share as a natural frequency with its interval, which is never narrower than the figures.

    >>> per_hundred(Interval(0.675, 0.511, 0.849))
    '68 of 100 (51–85)'

    With *things* it names these and the confidence of the interval; ‘every’, since there may be fewer than 100 of them.

    >>> per_hundred(Interval(0.675, 0.511, 0.849), "passages")
    '68 of every 100 passages (95 % interval 51–85)'
    >>> per_hundred(Interval(0.004, 0.001, 0.012), "passages")
    '4 of every 1,000 passages (95 % interval 1–12)'
    """
    rounded = round(100 * share.value)
    scale = 1000 if rounded in (0, 100) and share.value not in (0, 1) else 100
    low, high = math.floor(scale * share.low + 1e-9), math.ceil(scale * share.high - 1e-9)
    rate = round(scale * share.value)
    if not things:
        return f"{rate:,} of {scale:,} ({low:,}–{high:,})"
    return f"{rate:,} of every {scale:,} {things} ({100 * share.confidence:.12g} % interval {low:,}–{high:,})"
