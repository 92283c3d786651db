"""Figures and names as cells of a terminal table."""

from __future__ import annotations

from ..records import Interval

__all__ = ["escape", "percent", "share"]


def share(figure: Interval) -> str:
    """``0.604 0.43–0.75``."""
    return f"{figure.value:.3f} [dim]{figure.low:.2f}–{figure.high:.2f}[/]"


def percent(figure: Interval) -> str:
    """``60.4 43–75``."""
    digits = 1 if figure.high < 0.1 else 0
    return f"{100 * figure.value:.1f} [dim]{100 * figure.low:.{digits}f}–{100 * figure.high:.{digits}f}[/]"


def escape(text: str) -> str:
    """*text* with its markup characters escaped, so that it is shown unchanged."""
    from rich import markup

    return markup.escape(text)
