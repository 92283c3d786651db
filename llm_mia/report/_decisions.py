"""Decisions for a terminal, in a few lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..decision import Calibration, CollectionResult, Flags, Unit
from ..history import Entry
from ._cells import escape, share
from ._first_screen import AGAIN, first_screen
from ._layout import Column, Facts, Listing, Prose
from .words import (
    ASSUMPTION,
    SHADOW_ASSUMPTION,
    by_shadows,
    category_lines,
    collection_answer,
    collection_finding,
    collection_lines,
    collection_size,
    columns_used,
    counted,
    entry_words,
    finding,
    finding_facts,
    finding_parts,
    flags_answer,
    held_words,
    members_words,
    notes_words,
    p_words,
    power_title,
    q_values_words,
    selection_words,
    threshold_words,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = [
    "calibration_lines",
    "collection_screen",
    "collection_table",
    "decisions_table",
    "flags_screen",
    "flags_table",
]


def flags_screen(flags: Flags, path: Path, spell: Callable[[str], str] = str) -> RenderableType:
    """The answer of a decision on a table, on a single screen, with the file of the flags."""
    return first_screen(flags_answer(flags), [("flags", str(path)), AGAIN], spell)


def collection_screen(result: CollectionResult, spell: Callable[[str], str] = str) -> RenderableType:
    """The answer on all candidates together, on a single screen."""
    return first_screen(collection_answer(result), [AGAIN], spell)


def flags_table(flags: Flags, more: Sequence[tuple[str, str]] = ()) -> RenderableType:
    """The decision in a sentence, and what it rests on: a line or two for each fact.

    *more* are further facts, in markup.
    """
    from rich.console import Group

    if flags.withheld:
        rows = Facts([*more, ("rows", f"{len(flags.rows):,} in the file")])
        return Group(Prose(f"[bold red]{escape(finding(flags))}[/]"), rows)
    head, meaning = finding_parts(flags)
    sentence = f"[bold]{escape(head)}[/] {escape(meaning)}"
    facts = [*finding_facts(flags)]
    if flags.by_chance is not None:
        facts.append(("error rate", held_words(flags)))
    if members := members_words(flags):
        facts.append(("bound", members))
    facts.append(_basis(flags))
    table = Facts(
        [
            *((name, escape(text)) for name, text in facts),
            *more,
            ("assumption", escape(f"this holds if {SHADOW_ASSUMPTION if by_shadows(flags) else ASSUMPTION}")),
        ]
    )
    return Group(Prose(sentence), table, *(Prose(escape(line)) for line in category_lines(flags)))


def _basis(flags: Flags) -> tuple[str, str]:
    """What the flags rest on, and what a candidate without a flag shows."""
    passages = counted(flags.n, "known non-member")
    if by_shadows(flags):
        passages = f"{counted(flags.n, 'score')} of shadow models in the target's place"
    if flags.calibration.documents:
        passages += f" of {counted(flags.calibration.n_documents, 'document')}"
    unflagged = f"a {flags.unit[:-1]} that is not flagged may still have been trained on"
    if flags.by_chance is not None and flags.unit is Unit.PASSAGES:
        threshold = threshold_words(flags.calibration).removeprefix("threshold ")
        return "threshold", f"{threshold}, set by {passages}; {unflagged}"
    known = passages if flags.unit is Unit.PASSAGES else f"{counted(flags.n, 'document')} of known non-members"
    q_values = "" if flags.by_chance is not None else f", q-values by {q_values_words(flags.q_values)}"
    return "p-values", f"from {known}{q_values}; {unflagged}"


def calibration_lines(calibration: Calibration, path: Path) -> RenderableType:
    """The threshold, the attack and the known set that it belongs to, and the file that it was written to."""
    from rich.console import Group

    held = "" if calibration.confidence is None else f" with {100 * calibration.confidence:.12g} % confidence"
    basis = f"{counted(calibration.n, 'non-member')}, FPR ≤ {100 * calibration.fpr:g} %{held}"
    lines = [escape(f"{threshold_words(calibration)} on {calibration.attack} ({basis}): {path}")]
    for name, category in calibration.categories.items():
        pooled = f" [dim]pooled: {escape(', '.join(category.pooled))}[/]" if category.pooled else ""
        lines.append(
            f"  {escape(name)}: threshold {category.threshold:.6g} ({counted(category.n, 'non-member')}){pooled}"
        )
    selected = selection_words(calibration)
    if selected:
        lines.append(f"[{'dim' if calibration.split else 'yellow'}]{escape(selected)}[/]")
    used = columns_used(calibration)
    if used:
        lines.append(f"[dim]columns used: {escape(', '.join(used))}[/]")
    return Group(*lines)


def collection_table(result: CollectionResult, spell: Callable[[str], str] = str) -> RenderableType:
    """Whether the candidates as a whole score above the known non-members, with the placebo.

    *spell* rewrites the parameters that notes name between backticks.
    """
    from rich.console import Group

    attacks, size = escape(", ".join(result.attacks)), collection_size(result)
    if result.withheld:
        return Group(f"[bold red]{collection_finding(result)}[/]", f"[dim]{size}, {attacks}[/]")
    lines = [
        f"[bold]{p_words(result.p_value)}[/] by {attacks}, {size}: {escape(collection_finding(result))} "
        f"[dim](level {result.allowed:.3g})[/]",
        f"a candidate passage scores higher than a known non-member with probability {share(result.test.effect)}",
        *(escape(line) for line in collection_lines(result)),
        *(f"[dim]{escape(spell(note))}[/]" for note in notes_words(result.notes)),
    ]
    return Group(*map(Prose, lines), *([] if result.power is None else [_power(result)]))


def _power(result: CollectionResult) -> RenderableType:
    assert result.power is not None
    titles = (
        "passages\nper document",
        "documents",
        "documents, if the effect is\nat the low end of its interval",
    )
    table = Listing([Column(title) for title in titles], power_title(result.power))
    for row in result.power.rows:
        cautious = "–" if row.documents_cautious is None else f"{row.documents_cautious:,}"
        table.add(f"{row.passages:,}", f"{row.documents:,}", cautious)
    return table


def decisions_table(entries: Sequence[Entry]) -> RenderableType:
    """A line for each decision of a record, the first decision first."""
    from rich.console import Group

    if not entries:
        return "no decision is on record"
    return Group(*(escape(entry_words(entry)) for entry in entries))
