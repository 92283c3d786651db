"""Decisions for people, in a few lines, and no more claimed than was found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..calibration import fpr_bound
from ..decision import STACK, Calibration, CollectionResult, Flags
from ._cells import escape, share

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["calibration_lines", "collection_table", "finding", "flags_table"]

WITHHELD = "no finding: the known set is void, and what was computed is stored but means nothing"


def finding(flags: Flags) -> str:
    """The decision in one sentence, as people and machines read it."""
    if flags.withheld:
        return WITHHELD
    candidates = "candidates" if flags.unit == "passages" else "candidate documents"
    meaning = "consistent with training on them"
    if flags.by_chance is not None and flags.flagged <= flags.by_chance:
        meaning = "no more than chance alone would flag"
    elif not flags.flagged:
        meaning = "nothing found"
    attack = flags.calibration.attack
    return f"{flags.flagged:,} of {len(flags.rows):,} {candidates} flagged by {attack} at {flags.rule}: {meaning}"


def flags_table(flags: Flags) -> RenderableType:
    """The decision in a few lines."""
    from rich.console import Group

    said = escape(finding(flags))
    if flags.withheld:
        return Group(f"[bold red]{said}[/]", f"[dim]{len(flags.rows):,} rows of flags are kept[/]")
    head, _, rest = said.partition(" by ")
    lines = [f"[bold]{head}[/] by {rest}"]
    known = "known non-members" if flags.unit == "passages" else "documents of known non-members"
    basis = f"p-values from {flags.n:,} {known}, q-values by {flags.q_values}"
    if flags.by_chance is not None:
        lines.append(f"were none of them trained on, {flags.by_chance:,.1f} flags at most would be expected")
        lines.append(f"[dim]{_holds(flags)}[/]")
        if flags.unit == "passages":
            basis = f"{_threshold(flags.calibration)}, set by {flags.n:,} {known}"
    lines += _members(flags)
    lines.append(f"[dim]{basis}; a {flags.unit[:-1]} that is not flagged may still have been trained on[/]")
    return Group(*lines)


def calibration_lines(calibration: Calibration, path: Path) -> RenderableType:
    """What was set, by what, and where it was written to."""
    from rich.console import Group

    held = "" if calibration.confidence is None else f" with {100 * calibration.confidence:g} % confidence"
    basis = f"{calibration.n:,} non-members, FPR ≤ {100 * calibration.fpr:g} %{held}"
    lines = [f"{_threshold(calibration)} on {escape(calibration.attack)} ({basis}): {escape(str(path))}"]
    for name, own in calibration.categories.items():
        pooled = f" [dim]pooled: {escape(', '.join(own.pooled))}[/]" if own.pooled else ""
        lines.append(f"  {escape(name)}: threshold {own.threshold:.6g} ({own.n:,} non-members){pooled}")
    if calibration.split is not None:
        split = calibration.split
        how = f"{len(calibration.chosen['columns'])} columns joined" if calibration.stack else "attack chosen"
        lines.append(
            f"[dim]{how} on {split.fit_passages:,} known passages of {split.fit_documents:,} documents, "
            "calibrated on others[/]"
        )
    elif calibration.chosen:
        what = "no stack could be fitted" if calibration.chosen["wanted"] == STACK else "no attack could be chosen"
        lines.append(f"[yellow]{what}: {escape(str(calibration.chosen['why']))}[/]")
    return Group(*lines)


def collection_table(found: CollectionResult) -> RenderableType:
    """Whether the candidates as a whole score above the known non-members, the placebo beside it."""
    from rich.console import Group

    test, attacks = found.test, escape(", ".join(found.attacks))
    documents = f"{test.n_documents[0]:,} candidate documents against {test.n_documents[1]:,} of known non-members"
    if found.withheld:
        return Group(f"[bold red]{WITHHELD}[/]", f"[dim]{documents}, {attacks}[/]")
    meaning = "consistent with training on the collection" if found.found else "nothing found"
    lines = [
        f"[bold]p = {test.p_value:.4g}[/] by {attacks}, {documents}: {meaning} [dim](level {found.level:g})[/]",
        f"a candidate passage scores above another with probability {share(test.effect)}",
        f"placebo, known non-members against themselves: p = {test.placebo.p_value:.4g} in random halves, "
        f"{test.placebo.in_order_p_value:.4g} in the order given",
    ]
    if len(found.attacks) > 1:
        weights = zip(found.attacks, test.weights, strict=True)
        lines.append("weights " + ", ".join(f"{escape(name)} {weight:+.2f}" for name, weight in weights))
    lines += [f"[dim]{escape(note)}[/]" for note in found.notes]
    if found.power is None:
        return Group(*lines)
    return Group(*lines, _power(found))


def _power(found: CollectionResult) -> RenderableType:
    from rich import box
    from rich.table import Table

    assert found.power is not None
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", title_justify="left", title_style="bold")
    table.title = (
        f"Documents needed on each side for {100 * found.power.power:g} % power, were this effect the true one"
    )
    for column in ("passages a document", "documents", "if the effect is at the low end"):
        table.add_column(column, justify="right")
    for row in found.power.rows:
        cautious = "–" if row.documents_cautious is None else f"{row.documents_cautious:,}"
        table.add_row(f"{row.passages:,}", f"{row.documents:,}", cautious)
    return table


def _threshold(calibration: Calibration) -> str:
    if calibration.categories:
        return f"a threshold for each {escape(calibration.by)}"
    return f"threshold {calibration.threshold:.6g}"


def _holds(flags: Flags) -> str:
    calibration = flags.calibration
    where = ", in each category by itself" if calibration.categories else ""
    if calibration.confidence is not None:
        return (
            f"With {100 * calibration.confidence:g} % confidence this calibration set realises at most "
            f"{100 * calibration.fpr:g} %{where} (independent {flags.unit})."
        )
    if calibration.categories or flags.unit == "documents":
        return f"The rate holds on average over calibration sets{where}."
    bound = fpr_bound(calibration.n, calibration.fpr)
    return (
        f"The rate holds on average over calibration sets; this one realises at most {100 * bound:.1f} % "
        "(95 % confidence, independent passages)."
    )


def _members(flags: Flags) -> list[str]:
    if flags.members is None or flags.share is None:
        return []
    bound, sure = flags.members, f"with {100 * flags.members.confidence:g} % confidence"
    what = "candidates" if flags.unit == "passages" else "candidate documents"
    if not bound.members:
        return [f"[dim]that any of these {bound.candidates:,} {what} are members can't be said {sure}[/]"]
    return [
        f"{sure} at least [bold]{bound.members:,}[/] of these {bound.candidates:,} {what} are members "
        f"[dim](a share of {100 * flags.share.low:.1f} % or more; independent {flags.unit})[/]"
    ]
