"""What defences buy and what they cost, for a terminal and for machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from ..defenses import Defenses
from ..records import Interval
from ._cells import escape, percent, share
from ._first_screen import first_screen, places_of
from ._layout import Bullet, Column, Listing, Prose
from ._plain import plain
from .words import TOO_SMALL, blinded_attacks, defense_notes, defenses_answer, epsilon_words

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["defenses_screen", "defenses_summary", "defenses_table"]

FILES = ("defences.csv", "attacks.csv", "defences.png", "defences.json")
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
    return first_screen(defenses_answer(defenses), _places(defenses), spell, rows="defence")


def _places(defenses: Defenses) -> Sequence[tuple[str, str]]:
    return places_of(defenses.path, FILES)


def defenses_table(defenses: Defenses, spell: Callable[[str], str] = str) -> RenderableType:
    """The answer, what leaks and what it costs of each defence, and which attacks each blinds."""
    from rich.console import Group

    answer = replace(defenses_answer(defenses), facts=())  # the tables have all of them
    parts: list[RenderableType] = [
        first_screen(answer, (), spell),
        "",
        _leaks(defenses),
        *_models(defenses),
        *_outputs(defenses),
        *_attacks(defenses),
        "[dim]Notes[/]",
        *(Bullet(f"[dim]{escape(spell(note))}[/]") for note in defense_notes(defenses)),
    ]
    return Group(*parts)


def _leaks(defenses: Defenses) -> Listing:
    undefended = defenses.baseline.leakage
    rates = [rate for rate, tpr in (undefended.tpr_at_fpr if undefended else {}).items() if tpr is not None]
    listing = Listing(
        [
            Column("defence", "names"),
            Column("AUROC"),
            Column("difference\nto none"),
            *(Column(f"TPR, %\nat FPR\n{100 * rate:g} %") for rate in rates),
            Column("confidence\ngap"),
        ],
        "What leaks to the strongest attack on each (95 % intervals)",
    )
    for row in defenses.ranked:
        leakage = row.leakage
        if leakage is None:
            listing.add(escape(row.name), *[NOT_COMPUTABLE] * (3 + len(rates)))
            continue
        figures = [share(leakage.auroc), _share(leakage.change), *(_rate(leakage.tpr_at_fpr[rate]) for rate in rates)]
        listing.add(escape(row.name), *figures, _share(row.gap))
    return listing


def _models(defenses: Defenses) -> Iterator[Listing]:
    """What each trained model costs, and what else it shows: a row for each, whatever its outputs."""
    costs = Listing(
        [Column("training", "names"), Column("perplexity"), Column("change, %"), Column("time, s")],
        "What each training costs",
    )
    titles = (f"{defenses.stretch} tokens written,\n% of members", "ε shown,\nat least", "ε guaranteed,\nat most")
    shows = Listing([Column("training", "names"), *map(Column, titles)], "What else each model shows")
    of_role = {row.role: row for row in reversed(defenses.rows)}
    for role in dict.fromkeys(row.role for row in defenses.ranked):
        row = of_role[role]
        name, perplexity, ratio = escape(row.model), row.utility.perplexity, row.utility.ratio
        figure = f"{perplexity.value:.1f} [dim]{perplexity.low:.1f}–{perplexity.high:.1f}[/]"
        value, low, high = (_signed(100 * (each - 1)) for each in (ratio.value, ratio.low, ratio.high))
        costs.add(name, figure, f"{value} [dim]{low} to {high}[/]" if row.trained else "", f"{row.seconds:,.1f}")
        extractable = NOT_COMPUTABLE if row.extractable is None else percent(row.extractable)
        shows.add(name, extractable, *epsilon_words(row))
    yield from (costs, shows)


def _outputs(defenses: Defenses) -> Iterator[Listing]:
    """What a benign client loses by each defence of the outputs."""
    listing = Listing(
        [
            Column("defence of the outputs", "names"),
            Column("tokens without\nlog-probability, %"),
            Column("error of the\nperplexity, %"),
        ],
        "What a benign client loses",
    )
    for row in defenses.ranked:
        if row.client is not None:
            error = NOT_COMPUTABLE if row.client.perplexity_error is None else percent(row.client.perplexity_error)
            listing.add(escape(row.name), percent(row.client.hidden), error)
    if listing.rows:
        yield listing


def _signed(number: float) -> str:
    return f"{number:+.0f}".replace("-", "−")


def _rate(tpr: Interval | None) -> str:
    return TOO_SMALL.replace("too ", "too\n") if tpr is None else percent(tpr)


def _attacks(defenses: Defenses) -> Iterator[RenderableType]:
    """Which attack is strongest on each defence, and which attacks it blinds."""
    columns = [Column("defence", "names"), Column("strongest attack", "names"), Column("AUROC of\nreference")]
    listing = Listing([*columns, Column("attacks not\ncomputable")], "Attacks")
    count = len(defenses.baseline.attacks)
    for row in defenses.ranked:
        strongest = NOT_COMPUTABLE if row.leakage is None else escape(row.leakage.attack).replace(":", ":\n")
        reference = NOT_COMPUTABLE if row.fixed is None else share(row.fixed.auroc)
        blind = sum(each.auroc is None for each in row.attacks)
        listing.add(escape(row.name), strongest, reference, f"{blind} of {count}")
    yield listing
    for names, attacks in blinded_attacks(defenses):
        yield Prose(f"[dim]Not computable on {escape(', '.join(names))}: {escape(attacks)}.[/]")
    yield Prose(f"[dim]The AUROC of all {count} attacks on every defence is in attacks.csv.[/]")
    yield ""


def _share(figure: Interval | None) -> str:
    return NOT_COMPUTABLE if figure is None else share(figure).replace("-", "−")
