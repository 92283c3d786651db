"""What defences buy and what they cost, for a terminal and for machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..defenses import Defended, Defenses
from ..records import Interval
from ._cells import escape, percent, share
from ._first_screen import first_screen, places_of
from ._layout import Bullet, Column, Listing, Prose
from ._plain import plain
from .words import TOO_SMALL, defense_notes, defenses_answer, epsilon_words

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["defenses_screen", "defenses_summary", "defenses_table"]

FILES = ("defences.json", "defences.csv", "defences.svg", "defences.png")
COLUMNS_AT_ONCE = 4
"""Defences beside each other in the matrix: so many fit 80 columns."""
NOT_COMPUTABLE = "–"


def defenses_summary(defenses: Defenses) -> dict[str, Any]:
    """Every figure for machines, and the answer in words."""
    figures = asdict(defenses)
    return {
        **{name: plain(value) for name, value in figures.items()},
        "schema_version": defenses.plan.schema_version,
        "answer": asdict(defenses_answer(defenses)),
        "note_sentences": defense_notes(defenses),
    }


def defenses_screen(defenses: Defenses, spell: Callable[[str], str] = str) -> RenderableType:
    """The answer on a single screen; *spell* rewrites the parameters that sentences name between backticks."""
    return first_screen(defenses_answer(defenses), _places(defenses), spell)


def _places(defenses: Defenses) -> Sequence[tuple[str, str]]:
    return places_of(defenses.path, FILES)


def defenses_table(defenses: Defenses, spell: Callable[[str], str] = str) -> RenderableType:
    """All figures: what leaks, what it costs, and which attacks each defence blinds."""
    from rich.console import Group

    parts: list[RenderableType] = [
        first_screen(defenses_answer(defenses), (), spell),
        "",
        _leaks(defenses),
        _shows(defenses),
        _costs(defenses),
        *_matrix(defenses),
        "[dim]Notes[/]",
        *(Bullet(f"[dim]{escape(spell(note))}[/]") for note in defense_notes(defenses)),
    ]
    return Group(*parts)


def _leaks(defenses: Defenses) -> Listing:
    undefended = defenses.baseline.leakage
    rates = list(undefended.tpr_at_fpr) if undefended else []
    listing = Listing(
        [
            Column("defence", "names"),
            Column("strongest\nattack", "names"),
            Column("AUROC"),
            Column("difference\nto none"),
            *(Column(f"TPR, %\nat FPR\n{100 * rate:g} %") for rate in rates),
        ],
        "How well members are recognised (95 % intervals)",
    )
    for row in defenses.rows:
        leakage = row.leakage
        if leakage is None:
            listing.add(escape(row.name), *[NOT_COMPUTABLE] * (3 + len(rates)))
            continue
        figures = [share(leakage.auroc), _share(leakage.change), *(_rate(leakage.tpr_at_fpr[rate]) for rate in rates)]
        listing.add(escape(row.name), escape(leakage.attack), *figures)
    return listing


def _shows(defenses: Defenses) -> Listing:
    listing = Listing(
        [
            Column("defence", "names"),
            Column("confidence\ngap"),
            Column(f"{defenses.stretch} tokens written,\n% of members"),
            Column("ε shown,\nat least"),
            Column("ε guaranteed,\nat most"),
        ],
        "What else a model shows (95 % intervals)",
    )
    for row in defenses.rows:
        extractable = NOT_COMPUTABLE if row.extractable is None else percent(row.extractable)
        listing.add(escape(row.name), _share(row.gap), extractable, *epsilon_words(row))
    return listing


def _costs(defenses: Defenses) -> Listing:
    listing = Listing(
        [
            Column("defence", "names"),
            Column("perplexity"),
            Column("change, %"),
            Column("training,\ns", narrow_title="time,\ns"),
            Column("hidden from\na client, %", narrow_title="hidden\ntokens,\n%"),
            Column("error of its\nperplexity, %", narrow_title="per-\nplexity\nerror, %"),
        ],
        "What it costs (95 % intervals)",
    )
    for row in defenses.rows:
        perplexity, ratio = row.utility.perplexity, row.utility.ratio
        figure = f"{perplexity.value:.1f} [dim]{perplexity.low:.1f}–{perplexity.high:.1f}[/]"
        value, low, high = (_signed(100 * (each - 1)) for each in (ratio.value, ratio.low, ratio.high))
        change = f"{value} [dim]{low} to {high}[/]" if row.trained else ""
        hidden = error = ""
        if row.client is not None:
            hidden = percent(row.client.hidden)
            error = NOT_COMPUTABLE if row.client.perplexity_error is None else percent(row.client.perplexity_error)
        listing.add(escape(row.name), figure, change, f"{row.seconds:.1f}" if _was_trained(row) else "", hidden, error)
    return listing


def _signed(number: float) -> str:
    return f"{number:+.0f}".replace("-", "−")


def _rate(tpr: Interval | None) -> str:
    return TOO_SMALL.replace("too ", "too\n") if tpr is None else percent(tpr)


def _was_trained(row: Defended) -> bool:
    return row.trained or not row.outputs


def _matrix(defenses: Defenses) -> Iterator[RenderableType]:
    """The AUROC of every attack on every defence, a few defences at a time."""
    of_row = {row.name: {each.attack: each for each in row.attacks} for row in defenses.rows}
    every = list(of_row)
    for start in range(0, len(every), COLUMNS_AT_ONCE):
        names = every[start : start + COLUMNS_AT_ONCE]
        title = "" if start else "AUROC of every attack; –: not computable on what is shown"
        columns = [Column(_title(name)) for name in names]
        listing = Listing([Column("attack", "names"), *columns], title)
        for attack in of_row[defenses.baseline.name]:
            cells = [_cell(of_row[name][attack].auroc) for name in names]
            listing.add(escape(attack), *cells)
        yield listing
    yield Prose("[dim]Each figure is of the half of the documents that chose no attack.[/]")


def _title(name: str) -> str:
    return escape(name.replace("+", "\n+").replace(":", ":\n").replace(",", ",\n"))


def _cell(auroc: Interval | None) -> str:
    return NOT_COMPUTABLE if auroc is None else share(auroc)


def _share(figure: Interval | None) -> str:
    return NOT_COMPUTABLE if figure is None else share(figure).replace("-", "−")
