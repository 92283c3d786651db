"""Colours by their role, and how text and lines look; the same for light, dark, print and PNG."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["DARK", "LIGHT", "STYLE", "WIDTH", "drawable"]

UNDRAWABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML, and so an SVG, cannot hold: control characters, and bytes of a file name that are no text."""

LIGHT: Mapping[str, str] = {
    "member": "#d55e00",
    "nonmember": "#0072b2",
    "candidate": "#009e73",
    "reference": "#b5588c",
    "baseline": "#6e7781",
    "threshold": "#1b1f23",
    "ink": "#24292f",
    "grid": "#d0d7de",
    "paper": "#ffffff",
}
"""Okabe and Ito's colours, which colour-blind readers tell apart; line styles, markers and hatches differ too.

In an SVG each becomes the CSS variable of its name, so no two are equal."""
DARK: Mapping[str, str] = {
    "member": "#ff9d5c",
    "nonmember": "#6bb5ff",
    "candidate": "#3fd3a6",
    "reference": "#e6a3cb",
    "baseline": "#a0a7b0",
    "threshold": "#f0f3f6",
    "ink": "#e6edf3",
    "grid": "#3d444d",
    "paper": "#0d1117",
}
"""The same roles on a dark page."""

WIDTH = 4.8
"""Inches. A viewBox of 346 points: at a width of 360 pixels a letter of 9 points is 9 pixels high."""
STYLE: Mapping[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": LIGHT["ink"],
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": LIGHT["ink"],
    "axes.labelsize": 9.0,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": LIGHT["ink"],
    "axes.titlesize": 9.0,
    "figure.facecolor": LIGHT["paper"],
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "grid.color": LIGHT["grid"],
    "grid.linewidth": 0.6,
    "hatch.color": LIGHT["paper"],
    "hatch.linewidth": 0.6,
    "legend.edgecolor": LIGHT["grid"],
    "legend.facecolor": LIGHT["paper"],
    "legend.fontsize": 8.0,
    "legend.framealpha": 0.9,
    "lines.linewidth": 1.4,
    "path.simplify": False,
    "savefig.facecolor": LIGHT["paper"],
    "svg.fonttype": "none",
    "svg.hashsalt": "llm-mia",
    "text.color": LIGHT["ink"],
    "text.parse_math": False,
    "xtick.color": LIGHT["ink"],
    "xtick.labelsize": 8.0,
    "ytick.color": LIGHT["ink"],
    "ytick.labelsize": 8.0,
}
"""matplotlib's settings while a figure is drawn, and no longer."""


def drawable(text: str) -> str:
    r"""*text* with the replacement character (U+FFFD) for each character that an SVG cannot hold.

    >>> drawable("a\x1bb")
    'a�b'
    """
    return UNDRAWABLE.sub("\N{REPLACEMENT CHARACTER}", text)
