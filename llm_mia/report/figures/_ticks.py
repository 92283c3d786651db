"""Axes of rates: logarithmic, with ticks in percent."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

__all__ = ["log_rates", "percent"]


def percent(rate: float) -> str:
    r"""A rate in percent, with a no-break space.

    >>> percent(0.05), percent(0.675), percent(1e-4)
    ('5\xa0%', '67.5\xa0%', '0.01\xa0%')
    """
    return f"{100 * rate:.3g}\u00a0%"


def log_rates(ax: Axes, left: float, low: float) -> None:
    """Make both axes logarithmic, from *left* and *low* to 1."""
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(left, 1)
    ax.set_ylim(low, 1.08)
    for axis, end in ((ax.xaxis, left), (ax.yaxis, low)):
        _rate_ticks(axis, end)


def _rate_ticks(axis: Axis, end: float) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    decades = [10.0**power for power in range(-6, 1)]
    marks = decades if end < 0.004 else sorted({*decades, *(3 * each for each in decades), *(0.5,)} - {0.3})
    axis.set_major_locator(FixedLocator([mark for mark in marks if end <= mark <= 1]))
    axis.set_major_formatter(FuncFormatter(lambda rate, _: percent(rate)))
    axis.set_minor_locator(NullLocator())
