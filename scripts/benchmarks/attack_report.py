"""Settings as figures with what they were to reach, and as a table of attacks each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llm_mia.records import Interval

from .attack_costs import Cost
from .attack_rates import over_trials
from .attack_settings import PLAIN, STACK, Setting
from .figures import Figure

BY_CHANCE = 0.0455
"""Share of normal deviations beyond two standard errors."""
SHOWN = {"auroc": "AUROC", "tpr_at_0.05": "TPR at 5 % FPR", "tpr_at_0.01": "TPR at 1 % FPR"}
ABOUT = (
    "Figures are means over trials; a trial is a corpus, a seed, and passages that no other trial has. Intervals are "
    "95 %, by a bootstrap of trials and of the passages in each: they cover what they say where trials differ no more "
    "than their passages make them differ (94 to 99 % in a simulation of 3 to 6 trials), and less, down to 79 % of 3 "
    "trials, where trials differ four times as much. Of an AUROC over labels that say nothing the standard error is "
    "exact. The stack and what stands beside it are measured on the half of each known set that it was not fitted on. "
    "Seconds of passes are the wall clock, beside whatever else the machine did, and none where signals of another run "
    "served; the two rows of the cost section come from passes that take turns."
)


def placebo_figures(placebo: Setting) -> list[Figure]:
    """A model of the same kind that was trained on none of the passages: nothing may separate them."""
    off = placebo.deviations()
    worst = max(off, key=lambda name: abs(off[name]))
    beyond = [name for name, deviation in off.items() if abs(deviation) > 2]
    return [
        Figure(f"{placebo.name}: farthest AUROC from one half, in standard errors", abs(off[worst]), at_most=2,
               note=f"{worst} {placebo.mean(worst).value:.3f}, of {len(off)} scores"),
        Figure(f"{placebo.name}: scores beyond 2 standard errors", len(beyond),
               note=f"{BY_CHANCE * len(off):.1f} expected by chance alone; {', '.join(beyond) or 'none'}"),
    ]  # fmt: skip


def smollm_figures(settings: Mapping[str, Setting]) -> list[Figure]:
    """What one and two epochs of fine-tuning leave to be seen, and what it costs to see it."""
    found = []
    for one in settings.values():
        if one.name.endswith("placebo"):
            found += placebo_figures(one)
            continue
        first = one.name.endswith("1 epoch")
        plain = one.mean(PLAIN)
        found.append(
            Figure(
                f"{one.name}: AUROC of the plain difference",
                plain.value,
                at_least=0.93 if first else None,
                note=f"{_ends(plain)}; loss {_shown(one.mean('loss'))}",
            )
        )
        found += stack_figures(one)
    return found


def scratch_figures(settings: Mapping[str, Setting]) -> list[Figure]:
    """The hard regime and two easier ones: the stack beside single attacks."""
    found = []
    for one in settings.values():
        if one.name.endswith("placebo"):
            found += placebo_figures(one)
            continue
        plain = one.mean(PLAIN)
        found.append(
            Figure(
                f"{one.name}: AUROC of the plain difference",
                plain.value,
                note=f"{_ends(plain)}; loss {_shown(one.mean('loss'))}",
            )
        )
        found += stack_figures(one, hard=one.name.endswith("3 epochs"))
        found += low_rate_figures(one)
    return found


def stack_figures(one: Setting, *, hard: bool = False) -> list[Figure]:
    """The stack less the best single attack and less the plain difference, on the same passages."""
    if not one.held_out:
        return [Figure(f"{one.name}: the stack", None, note=one.note)]
    rows = []
    best = one.best_single()
    for attack, what in ((best, f"the best single attack, {best}"), (PLAIN, "the plain difference")):
        less = one.stack_less(attack)
        both = [over_trials(one.held_out[name], "auroc").value for name in (STACK, attack)]
        rows.append(
            Figure(f"{one.name}: AUROC of the stack less that of {what}", less.value, at_least=0 if hard else None,
                   note=f"{_ends(less)}; {both[0]:.3f} less {both[1]:.3f}")
        )  # fmt: skip
    lost = one.lost(best)
    note = "DeLong, 95 %; the best single attack was chosen on the same passages"
    rows.append(Figure(f"{one.name}: trials in which the stack is significantly worse", lost, at_most=0, note=note))
    return rows


def low_rate_figures(one: Setting) -> list[Figure]:
    """TPR at 1 % FPR: whether anything has more than the plain difference."""
    figure, rows = "tpr_at_0.01", []
    if one.held_out:
        less = one.stack_less(PLAIN, figure)
        both = [over_trials(one.held_out[name], figure).value for name in (STACK, PLAIN)]
        rows.append(Figure(f"{one.name}: TPR at 1 % FPR of the stack less that of the plain difference", less.value,
                           at_least=0, note=f"{_ends(less)}; {both[0]:.3f} less {both[1]:.3f}"))  # fmt: skip
    everywhere = [name for name, found in one.by_attack.items() if len(found) == len(one.trials)]
    best = max(everywhere, key=lambda name: one.mean(name, figure).value)
    more = over_trials(one.by_attack[best], figure, less=one.by_attack[PLAIN])
    plain = one.mean(PLAIN, figure)
    rows.append(
        Figure(
            f"{one.name}: TPR at 1 % FPR of the best single attack less that of the plain difference",
            more.value,
            note=f"{_ends(more)}; {best}, with hindsight; the difference has {_shown(plain)}",
        )
    )
    return rows


def blind_figures(section: str, found: Sequence[Mapping[str, Interval]]) -> list[Figure]:
    """What classifiers make of the passages that never see a model: labels were drawn, so nothing."""
    rows = []
    for name in ("words", "counts"):
        values = [one[name].value for one in found if name in one]
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
        note = f"{len(values)} known sets, deviation {spread:.3f}, from {min(values):.3f} to {max(values):.3f}"
        rows.append(Figure(f"{section}: AUROC of the blind baseline by {name}", _mean(values), note=note))
    return rows


def table(name: str, one: Mapping[str, Any]) -> str:
    """A setting as `Setting.as_json` gives it, in Markdown."""
    trials = ", ".join(f"{corpus} × {count}" for corpus, count in one["trials"].items())
    lines = [f"## {name}", "", f"{one['members']} members and {one['heldout']} held out a trial; {trials}.", ""]
    lines += [f"| attack | trials | {' | '.join(SHOWN.values())} | passes | s | of it its own |", f"|---{'|--:' * 7}|"]
    by_auroc = sorted(one["attacks"].items(), key=lambda item: -item[1]["auroc"]["value"])
    for attack, row in by_auroc:
        cells = [_cell(row[figure]) for figure in SHOWN]
        seconds = ["–", "–", "–"]
        if row["passes"] is not None:
            seconds = [
                str(row["passes"]),
                "–" if row["pass_seconds"] is None else f"{row['pass_seconds'] + row['own_seconds']:.1f}",
                f"{row['own_seconds']:.3f}",
            ]
        unscored = f" ({row['unscored']} unscored)" if row["unscored"] else ""
        lines.append(f"| {attack}{unscored} | {row['trials']} | {' | '.join(cells)} | {' | '.join(seconds)} |")
    lines += ["", *_held_out(one)]
    return "\n".join(lines) + "\n"


def _held_out(one: Mapping[str, Any]) -> list[str]:
    if not one["held_out"]:
        return [f"No stack: {one['note']}."]
    lines = ["On what the stack was not fitted on; the paired columns are the stack less this:", ""]
    lines += [
        f"| attack | {' | '.join(SHOWN.values())} | AUROC, paired | TPR at 1 % FPR, paired |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    by_auroc = sorted(one["held_out"].items(), key=lambda item: -item[1]["auroc"]["value"])
    for attack, row in by_auroc:
        less = row.get("stack_less_this")
        paired = [_cell(less["auroc"]), _cell(less["tpr_at_0.01"])] if less else ["", ""]
        lines.append(f"| {attack} | {' | '.join([*(_cell(row[figure]) for figure in SHOWN), *paired])} |")
    return lines


def _cell(interval: Mapping[str, float]) -> str:
    return f"{interval['value']:.3f} ({interval['low']:.3f} … {interval['high']:.3f})"


def _shown(interval: Interval) -> str:
    return f"{interval.value:.3f} ({interval.low:.3f} … {interval.high:.3f})"


def _ends(interval: Interval) -> str:
    return f"{interval.low:.3f} … {interval.high:.3f}"


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def costs_by_attack(found: Sequence[Mapping[str, Cost]]) -> dict[str, list[Cost]]:
    """The cost of each attack in every run that made it."""
    by_attack: dict[str, list[Cost]] = {}
    for one in found:
        for name, cost in one.items():
            by_attack.setdefault(name, []).append(cost)
    return by_attack
