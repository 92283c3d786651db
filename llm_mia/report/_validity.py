"""Whether the known set may carry a verdict, for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..records import Interval, Standing
from ..validity import Check, Validity, Verdict
from ._cells import escape, share
from ._first_screen import AGAIN, first_screen
from ._layout import Bullet, Column, Listing, Prose
from .words import standing_words, validity_answer, validity_meaning, weakest_words

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["blind_aurocs", "validity_lines", "validity_screen", "validity_table"]

COLOURS = {
    Verdict.SOUND: "green",
    Verdict.DOUBTFUL: "yellow",
    Verdict.UNTESTABLE: "red",
    Verdict.VOID: "red",
    Verdict.SKIPPED: "dim",
}
STANDING_COLOURS = {
    Standing.SOUND: "green",
    Standing.NOT_CHECKED: "yellow",
    Standing.DOUBTFUL: "yellow",
    Standing.UNTESTABLE: "red",
    Standing.VOID: "red",
    Standing.ACCEPTED: "red",
    None: "dim",
}
BLIND = {"blind_words_auroc": "words", "blind_counts_auroc": "counts"}


def validity_screen(validity: Validity) -> RenderableType:
    """Whether the known set can carry a finding, on a single screen."""
    return first_screen(validity_answer(validity), [AGAIN])


def validity_table(validity: Validity) -> RenderableType:
    """A row for each check: figure with its interval, verdict, why it matters, and what would remove a fault."""
    from rich.console import Group

    columns = [Column("check", "names"), Column("figure"), Column("verdict", "names"), Column("why", "sentences")]
    table = Listing(columns)
    for check in validity.checks:
        text = escape(check.why)
        if check.verdict is not Verdict.SOUND or check.detectable is not None:
            text += f" [dim]{escape(check.details)}[/]" if check.details else ""
        if check.is_fault:
            text += f"\nRemedy: {escape(check.remedy)}"
        table.add(check.name, _figure(check), _coloured(check.verdict), text)
    standing = validity.standing
    verdict = f"[bold]The known set is {_coloured_standing(standing)}[/]: {validity_meaning(standing)}."
    return Group(table, verdict, *_weakest(validity))


def validity_lines(validity: Validity, standing: Standing | None) -> RenderableType:
    """The standing of the known set, what its checks may have missed, and a line for each check with a fault."""
    from rich.console import Group

    missed = weakest_words(validity)
    meaning = f"Known set: [bold]{_coloured_standing(standing)}[/]: {validity_meaning(standing)}."
    lines: list[RenderableType] = [Prose(f"{meaning} {escape(missed)}." if missed else meaning)]
    for check in validity.checks:
        if check.is_fault:
            seen = f" [dim]{escape(check.details.rstrip('.'))}.[/]" if check.details else ""
            line = f"{check.name} {_figure(check)} {_coloured(check.verdict)}: {escape(check.why)}{seen}"
            lines.append(Bullet(f"{line} Remedy: {escape(check.remedy)}"))
    return Group(*lines)


def blind_aurocs(validity: Validity | None) -> Iterator[tuple[str, Interval]]:
    """The AUROC of each classifier that never saw the model."""
    for check in validity.checks if validity else ():
        if check.name in BLIND and isinstance(check.figure, Interval):
            yield BLIND[check.name], check.figure


def _weakest(validity: Validity) -> list[str]:
    weakest = weakest_words(validity)
    return [] if weakest is None else [f"[dim]{escape(weakest)}[/]"]


def _figure(check: Check) -> str:
    if check.figure is None:
        return "–"
    return share(check.figure) if isinstance(check.figure, Interval) else f"{check.figure:.4g}"


def _coloured(verdict: Verdict) -> str:
    return f"[{COLOURS[verdict]}]{verdict}[/]"


def _coloured_standing(standing: Standing | None) -> str:
    return f"[{STANDING_COLOURS[standing]}]{standing_words(standing)}[/]"
