"""The decisions of the demonstration compared with the truth, for people and for machines."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..report import Column, Listing, audit_summary, percent
from ._demo import Demo

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["demo_summary", "demo_table"]


NEXT = (
    "With your texts: llm-mia guide formats, then llm-mia validate on the known set,",
    "then llm-mia audit CANDIDATES --nonmembers FILE --members FILE -m MODEL -o RUN.",
)
"""What somebody does next who has seen the demo; each line fits 80 columns."""


def demo_table(demo: Demo) -> RenderableType:
    """How many candidates were flagged, of those trained on and of those not trained on."""
    from rich.console import Group

    flagged = {row.id for row in demo.audit.flags.rows if row.flagged}
    figures = [Column(title) for title in ("flagged", "not flagged", "share flagged")]
    table = Listing([Column("candidates", "names"), *figures], "The truth, which the audit did not know")
    for trained, name, share in (
        (True, "trained on (power)", demo.power),
        (False, "not trained on (false positives)", demo.false_positive_rate),
    ):
        ids = [passage for passage, was in demo.truth.items() if was is trained]
        hits = len(flagged.intersection(ids))
        table.add(name, f"{hits:,}", f"{len(ids) - hits:,}", f"{percent(share)} %")
    level = demo.audit.calibration.fpr
    cost = f"{demo.seconds:.0f} s, at most {demo.peak_bytes / 1e9:.1f} GB of memory"
    line = f"False positive rate requested: {100 * level:g} %, observed: {100 * demo.false_positive_rate.value:.1f} %"
    return Group("", table, line, f"[dim]{cost}[/]", "", *NEXT)


def demo_summary(demo: Demo) -> dict[str, Any]:
    """The audit's summary, and the truth that the audit did not know."""
    return {
        **audit_summary(demo.audit),
        "truth": {
            "candidates_trained_on": sum(demo.truth.values()),
            "false_positive_rate": asdict(demo.false_positive_rate),
            "power": asdict(demo.power),
        },
        "seconds": round(demo.seconds, 1),
        "peak_bytes": demo.peak_bytes,
    }
