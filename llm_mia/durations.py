"""How long something takes, in words."""

from __future__ import annotations

__all__ = ["duration"]


def duration(seconds: float) -> str:
    """*seconds* in the two largest units.

    >>> [duration(seconds) for seconds in (0.2, 59, 200, 7260, 200000)]
    ['1 s', '59 s', '3 min 20 s', '2 h 1 min', '2 d 7 h']
    """
    rest = max(1, round(seconds))
    if rest < 60:
        return f"{rest} s"
    if rest < 3600:
        return f"{rest // 60} min {rest % 60} s"
    if rest < 86400:
        return f"{rest // 3600} h {rest % 3600 // 60} min"
    return f"{rest // 86400} d {rest % 86400 // 3600} h"
