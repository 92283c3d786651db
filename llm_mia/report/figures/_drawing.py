"""The figures by name: on Axes, as SVG for the page, and as files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ...auditing import Audit
from ...scores import ScoreTable
from .._results import Results
from ._audited import Audited
from ._baselines import baselines_display
from ._display import Display, Figure, drawn_on
from ._documents import documents_display
from ._false_positives import false_positives_display
from ._p_values import p_values_display
from ._power import power_display
from ._roc import roc_display
from ._scores import scores_display
from ._svg import figure_of, png_of, svg_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "baselines",
    "documents",
    "false_positives",
    "figures_of",
    "p_values",
    "page_figures",
    "power",
    "roc",
    "scores",
    "write_figures",
]

DISPLAYS: Mapping[str, Callable[[Audited], Display]] = {
    "scores": scores_display,
    "roc": roc_display,
    "baselines": baselines_display,
    "p_values": p_values_display,
    "documents": documents_display,
    "power": power_display,
    "false_positives": false_positives_display,
}
"""In the order of the page."""


def scores(audit: Audit, ax: Axes | None = None) -> Axes:
    """The scores of candidates, known non-members and known members; flagged ones in full colour, and the threshold."""
    return _drawn(scores_display, audit, ax)


def roc(audit: Audit, ax: Axes | None = None) -> Axes:
    """The ROC of the attack that decides with its 95 % band, and those of the blind baselines, on logarithmic axes.

    The band holds at each false positive rate by itself: exactly where each passage is a document by itself, else
    approximately, by resampling documents (`llm_mia.metrics.tpr_at_fprs`).
    """
    return _drawn(roc_display, audit, ax)


def false_positives(audit: Audit, ax: Axes | None = None) -> Axes:
    """Realised against promised false positive rates; see `llm_mia.decision.realised_rates`."""
    return _drawn(false_positives_display, audit, ax)


def p_values(audit: Audit, ax: Axes | None = None) -> Axes:
    """The p-values of the candidates, with what chance gives; see `llm_mia.decision.p_value_counts`."""
    return _drawn(p_values_display, audit, ax)


def documents(audit: Audit, ax: Axes | None = None) -> Axes:
    """The documents of the candidates with the highest mean scores; best on axes that are taller than wide."""
    return _drawn(documents_display, audit, ax)


def power(audit: Audit, ax: Axes | None = None) -> Axes:
    """The flags to expect, by the share of the candidates that was trained on: `llm_mia.decision.flags_by_share`."""
    return _drawn(power_display, audit, ax)


def baselines(audit: Audit, ax: Axes | None = None) -> Axes:
    """The AUROC of each attack with its interval, and those of classifiers that never saw the model."""
    return _drawn(baselines_display, audit, ax)


def page_figures(results: Results) -> list[Figure]:
    """All figures for the report page; the same results give the same bytes.

    A figure that cannot be drawn has no SVG, and its description says why.
    """
    return figures_of(results.audit, results.scores)


def figures_of(audit: Audit, table: ScoreTable, *, names: Collection[str] = tuple(DISPLAYS)) -> list[Figure]:
    """`page_figures` of an audit whose scores are in memory, or those called *names*.

    *table* has the column that decides.
    """
    audited = Audited(audit, table)
    return [figure_of(display(audited)) for name, display in DISPLAYS.items() if name in names]


def write_figures(results: Results, folder: str | Path) -> list[Path]:
    """Write every figure that can be drawn into *folder*, as SVG and as PNG of 300 dots per inch; returns the files."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    audited, written = Audited(results.audit, results.scores), list[Path]()
    for of_audit in DISPLAYS.values():
        display = of_audit(audited)
        if display.height:
            for kind, content in (
                ("svg", (svg_of(display, variables=False) + "\n").encode()),
                ("png", png_of(display)),
            ):
                written.append(target / f"{display.name}.{kind}")
                written[-1].write_bytes(content)
    return written


def _drawn(of_audit: Callable[[Audited], Display], audit: Audit, ax: Axes | None) -> Axes:
    display = of_audit(Audited.of(audit))
    return drawn_on(ax, display.draw, display.height)
