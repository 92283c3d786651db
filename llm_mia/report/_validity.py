"""Whether the known set may carry a verdict, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..decision import VOID
from ..records import Interval
from ..validity import Check, Validity
from ._cells import escape, share

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["blind_aurocs", "validity_lines", "validity_table", "why_withheld"]

COLOURS = {"sound": "green", "doubtful": "yellow", "void": "red", "skipped": "dim"}
BLIND = {"blind_words_auroc": "words", "blind_counts_auroc": "counts"}


def validity_table(validity: Validity) -> RenderableType:
    """A row a check: figure with its interval, verdict, why it matters, and what would mend what isn't sound."""
    from rich import box
    from rich.console import Group
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column("check", no_wrap=True)
    table.add_column("figure", justify="right", no_wrap=True)
    table.add_column("verdict")
    table.add_column("why", ratio=1)
    for check in validity.checks:
        said = escape(check.why)
        if check.verdict != "sound":
            said += f" [dim]{escape(check.details)}[/]" if check.details else ""
        if check.verdict in ("doubtful", VOID):
            said += f"\nRemedy: {escape(check.remedy)}"
        table.add_row(check.name, _figure(check), _coloured(check.verdict), said)
    return Group(table, f"[bold]The known set is {_coloured(validity.verdict)}[/]{_meaning(validity.verdict)}")


def validity_lines(validity: Validity, verdict: str) -> RenderableType:
    """The *verdict*, and a line for each check that is behind it."""
    from rich.console import Group
    from rich.padding import Padding

    counts = Counter(check.verdict for check in validity.checks)
    tally = ", ".join(f"{counts[each]} {each}" for each in ("void", "doubtful", "sound", "skipped") if counts[each])
    lines: list[RenderableType] = [f"Known set: [bold]{_coloured(verdict)}[/] [dim]({tally})[/]"]
    for check in validity.checks:
        if check.verdict in ("doubtful", VOID):
            seen = f" [dim]{escape(check.details)}[/]" if check.details else ""
            line = f"• {check.name} {_figure(check)} {_coloured(check.verdict)}: {escape(check.why)}{seen}"
            lines.append(Padding(f"{line} Remedy: {escape(check.remedy)}", (0, 0, 0, 2)))
    return Group(*lines)


def why_withheld(validity: Validity) -> str:
    """One line for an error or a warning: what makes the known set void."""
    names = [check.name for check in validity.checks if check.verdict == VOID]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"the known set is void ({', '.join(names[:3])}{more}), so no finding may rest on it"


def blind_aurocs(validity: Validity | None) -> Iterator[tuple[str, Interval]]:
    """The AUROC of each classifier that never saw the model."""
    for check in validity.checks if validity else ():
        if check.name in BLIND and isinstance(check.figure, Interval):
            yield BLIND[check.name], check.figure


def _figure(check: Check) -> str:
    if check.figure is None:
        return "–"
    return share(check.figure) if isinstance(check.figure, Interval) else f"{check.figure:.4g}"


def _coloured(verdict: str) -> str:
    return f"[{COLOURS[verdict.partition(',')[0]]}]{verdict}[/]"


def _meaning(verdict: str) -> str:
    return {
        "void": ": no verdict may rest on it.",
        "doubtful": ": a verdict may rest on it, read with what was found.",
        "sound": ": nothing was found against it.",
    }.get(verdict, ".")
