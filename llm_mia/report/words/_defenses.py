"""What defences buy and what they cost, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from ...defenses import Defended, DefenseNote, Defenses, Leakage
from ...durations import duration
from ...records import Interval, Note
from ._answer import Answer, Outcome
from ._answering import short_name
from ._counting import counted, with_interval

__all__ = [
    "DEFENSES_TITLE",
    "TOO_SMALL",
    "blinded_attacks",
    "defense_notes",
    "defenses_answer",
    "defenses_figure_words",
    "epsilon_words",
    "perplexity_change",
]

DEFENSES_TITLE = "What leaks, and how well the model predicts held-out texts"
MOST_NAMED = 2
"""The most defences without effect that the first screen names; where there are more, it gives their number."""
TOO_SMALL = "n too small"
"""In the place of the share of members detected at a rate that the non-members are too few for."""
SENTENCES = {
    DefenseNote.SHARED_TEXTS: "{joined:,} of {documents:,} documents share a text with another document, so they were "
    "put on the same side: trained on, or held out.",
    DefenseNote.FEW_NONMEMBERS: "Attacks are measured on {nonmembers:,} non-members, too few for a false positive "
    "rate of {percent:g} %, which needs at least {needed:,}.",
    DefenseNote.SHORT_MEMBERS: "No member has {stretch} tokens, so it was not measured what the model writes word for "
    "word: lower `stretch`, or give longer passages.",
    DefenseNote.EPOCHS_RUN: "{defence}: the weights after epoch {epoch} of at most {epochs} are measured.",
    DefenseNote.CANARIES: "{canaries:,} canaries can show an ε of {highest:.1f} at most: with more `canaries` a larger "
    "ε can be shown.",
    DefenseNote.MORE_QUERIES: "{defence}: the figures are for an attacker who sends a query for each token of a text. "
    "An attacker who sends variants of the text, or asks for many samples, averages over them and learns more.",
    DefenseNote.PASSAGE_PRIVACY: "DP-SGD protects each text by itself. A document has {passages:g} texts on average, "
    "and is not protected as a whole.",
}
ALWAYS = (
    "Members and non-members were drawn at random from the same pool, so a difference between them is due to training.",
    "A defence of the outputs is measured against an attacker who knows it; extraction and perplexity are those of the "
    "model behind it.",
    "All defences are tested together for a lower AUROC (Holm's procedure): the chance that the answer calls any "
    "AUROC lower that is not lower is at most 2.5 %. A defence counts where the strongest attack on it is weaker than "
    "the strongest attack without defence, and where the latter attack is weaker with the defence, too.",
    "Each interval holds by itself: among many defences, the lowest AUROC is likely to be too low, and the lowest "
    "perplexity too.",
    "Where the AUROC of a defence is not measurably above the lowest (the 95 % interval of the paired difference holds "
    "0), the answer names the defence that costs least: with the lowest perplexity, and where that is equal, with the "
    "shortest training. That both AUROCs are equal is not shown; more documents may show a difference.",
    "Each model was trained once: how much another seed would change the figures is in no interval.",
)


def defenses_answer(defenses: Defenses) -> Answer:
    """Which defence lowers the AUROC as far as any at the least cost, what that cost is, and which do not help."""
    baseline, best, useless = defenses.baseline, _best(defenses), _unhelpful(defenses)
    return Answer(
        question=f"How much does each defence of {short_name(defenses.plan.base)} help, and what does it cost?",
        outcome=_outcome(baseline, best),
        headline=_headline(defenses, best),
        error_rate="" if best is None else f"{_cost(defenses, best)}{_dearer(defenses, best)}",
        facts=tuple((row.name, _row(row, defenses)) for row in defenses.ranked),
        trust=(useless,) if useless else (),
        caveats=len(defense_notes(defenses)),
    )


def _best(defenses: Defenses) -> Defended | None:
    """The cheapest of the defences of which none has a measurably lower AUROC than another (`Defenses.lowest`)."""
    return min(defenses.lowest, key=lambda row: row.cost, default=None) if _leaks(defenses.baseline.leakage) else None


def _leaks(leakage: Leakage | None) -> bool:
    return leakage is not None and leakage.auroc.low > 0.5


def _outcome(baseline: Defended, best: Defended | None) -> Outcome:
    if not _leaks(baseline.leakage):
        return Outcome.NO_FINDING
    return Outcome.DOUBTFUL if best is None else Outcome.FINDING


def _headline(defenses: Defenses, best: Defended | None) -> str:
    undefended = defenses.baseline.leakage
    if undefended is None:
        return "No attack can be computed, even without defence."
    without = with_interval(undefended.auroc)
    if not _leaks(undefended):
        return f"No leak shows without defence: AUROC {without}. So no defence can show that it helps."
    if not defenses.defended:
        return f"Without defence the model leaks: AUROC {without} by {undefended.attack}."
    if best is None:
        return f"No defence measurably lowers the AUROC: {without} without defence."
    if best.leakage is None:
        return f"{best.name} leaves nothing to attack; without defence: AUROC {without}."
    if best is not defenses.lowest[0]:
        return f"{best.name} lowers the AUROC to {with_interval(best.leakage.auroc)}; without defence {without}."
    return f"{best.name} has the lowest AUROC: {with_interval(best.leakage.auroc)}; without defence {without}."


def _dearer(defenses: Defenses, best: Defended) -> str:
    """The defence with the lowest AUROC where *best*, which is cheaper, is named in its place; else empty."""
    lowest = defenses.lowest[0]
    if best is lowest or lowest.leakage is None:
        return ""
    figure = with_interval(lowest.leakage.auroc)
    return f" {lowest.name} has the lowest AUROC, {figure}, but not measurably lower, and costs more."


def _cost(defenses: Defenses, best: Defended) -> str:
    baseline = defenses.baseline
    if not best.trained:
        return "It costs no perplexity: the model is the same, and shows less."
    before, after = baseline.utility.perplexity.value, best.utility.perplexity.value
    return (
        f"Its perplexity on held-out texts is {after:.1f} in place of {before:.1f} "
        f"({perplexity_change(best.utility.ratio)}), and its training takes "
        f"{duration(best.seconds)} in place of {duration(baseline.seconds)}."
    )


def perplexity_change(ratio: Interval) -> str:
    """How much higher a perplexity is, in percent, with its interval.

    >>> perplexity_change(Interval(1.342, 1.301, 1.384)), perplexity_change(Interval(0.9, 0.8, 0.999))
    ('+34 %, interval +30 to +38', '−10 %, interval −20 to −0')
    """
    value, low, high = (f"{100 * (each - 1):+,.0f}".replace("-", "−") for each in (ratio.value, ratio.low, ratio.high))
    return f"{value} %, interval {low} to {high}"


def _row(row: Defended, defenses: Defenses) -> str:
    leakage = row.leakage
    leak = "nothing to attack" if leakage is None else f"AUROC {with_interval(leakage.auroc)}"
    if row is not defenses.baseline and _leaks(defenses.baseline.leakage) and not row.lowers:
        leak += ", not lower"
    change = ""
    if row.trained and row is not defenses.baseline:
        percent = f"{100 * (row.utility.ratio.value - 1):+.0f}".replace("-", "−")
        change = f" ({percent} %)"
    guarantee = "" if row.epsilon is None else f"; {_guarantee(row)}"
    return f"{leak}; perplexity {row.utility.perplexity.value:.1f}{change}{guarantee}"


def _unhelpful(defenses: Defenses) -> str:
    """The defences that do not lower what leaks, in a sentence; empty where there are none."""
    if not _leaks(defenses.baseline.leakage):
        return ""
    useless = [row.name for row in defenses.defended if not row.lowers]
    if not useless or len(useless) == len(defenses.defended):
        return ""
    if len(useless) > MOST_NAMED:
        return f"'not lower': {len(useless)} of {len(defenses.defended)} defences do not measurably lower the AUROC."
    verb = "does" if len(useless) == 1 else "do"
    return f"{' and '.join(useless)} {verb} not measurably lower the AUROC."


def _measured(defenses: Defenses) -> str:
    """How many documents chose the attacks, and how many members and non-members measured them."""
    leakage = defenses.baseline.leakage
    if leakage is None:
        return ""
    return (
        f"Each attack was chosen on {counted(defenses.choosing, 'document')}, and measured on the others: "
        f"{counted(leakage.members, 'member')} and {counted(leakage.nonmembers, 'non-member')}."
    )


def epsilon_words(row: Defended) -> tuple[str, str]:
    """The ε that canaries show, and the ε with its δ that DP-SGD guarantees; empty where there is none."""
    return "" if row.shown is None else f"{row.shown.lower:.2f}", "" if row.epsilon is None else _guarantee(row)


def _guarantee(row: Defended) -> str:
    assert row.delta is not None, "an ε holds at a δ"
    return f"ε={row.epsilon:.3g}, δ={row.delta:.0e}"


def blinded_attacks(defenses: Defenses) -> list[tuple[list[str], str]]:
    """Which attacks cannot be computed on what a defence shows: the defences that hide the same, and the attacks."""
    names = [each.attack for each in defenses.baseline.attacks if each.auroc is not None]
    of_blind = dict[tuple[str, ...], list[str]]()
    for row in defenses.defended:
        there = {each.attack for each in row.attacks if each.auroc is not None}
        of_blind.setdefault(tuple(name for name in names if name not in there), []).append(row.name)
    return [(rows, _of_attacks(blind, names)) for blind, rows in of_blind.items() if blind]


def _of_attacks(blind: Sequence[str], names: Sequence[str]) -> str:
    left = [name for name in names if name not in blind]
    if len(left) < len(blind):
        return f"all but {', '.join(left)}" if left else "all"
    return ", ".join(blind)


def defense_notes(defenses: Defenses) -> list[str]:
    """What a reader ought to know, a sentence each."""
    measured = _measured(defenses)
    return [*([measured] if measured else []), *map(_note, defenses.notes), *ALWAYS]


def _note(note: Note) -> str:
    figures = dict(note.figures)
    if "rate" in figures:
        figures["percent"] = 100 * figures["rate"]
    return SENTENCES[DefenseNote(note.kind)].format(**figures)


def defenses_figure_words(defenses: Defenses, names: Sequence[str]) -> str:
    """What the figure of the defences *names* shows."""
    undefended = defenses.baseline.utility.perplexity.value
    compared = f" and with {counted(len(names) - 1, 'defence')}" if len(names) > 1 else ""
    return (
        f"AUROC of the strongest attack, without defence{compared}, against the perplexity of held-out texts "
        f"({undefended:.1f} without defence). Lower is better on both axes; lines are 95 % intervals. "
        "Defences of the outputs alone leave the perplexity unchanged, and are drawn at the left."
    )
