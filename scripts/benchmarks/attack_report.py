"""Each setting as figures with their goals, and as a table of attacks."""

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
    "95 %, by a bootstrap of trials and of the passages in each. In a simulation of 3 to 6 trials they cover the truth "
    "in 94 to 99 % of cases if trials differ no more than their passages make them differ; with 3 trials that differ "
    "four times as much they cover it in 79 %. For the placebo the standard error of an AUROC is exact. The stack, and "
    "the attacks it is compared with, are measured on the half of each known set that it was not fitted on. Seconds of "
    "passes are wall-clock time on a machine that may have done other things; there are none where the signals of "
    "another run were used. The two rows of the cost section come from passes that take turns."
)


def placebo_figures(placebo: Setting) -> list[Figure]:
    """Figures of a model of the same kind that was trained on none of the passages: no score may separate them."""
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
    """Figures of models fine-tuned for one and for two epochs."""
    figures = []
    for setting in settings.values():
        if setting.name.endswith("placebo"):
            figures += placebo_figures(setting)
            continue
        first = setting.name.endswith("1 epoch")
        plain = setting.mean(PLAIN)
        figures.append(
            Figure(
                f"{setting.name}: AUROC of the plain difference",
                plain.value,
                at_least=0.93 if first else None,
                note=f"{_ends(plain)}; loss {_shown(setting.mean('loss'))}",
            )
        )
        figures += stack_figures(setting)
    return figures


def scratch_figures(settings: Mapping[str, Setting]) -> list[Figure]:
    """Figures of models trained from nothing for three (hard), five and eight epochs: the stack, and single attacks."""
    figures = []
    for setting in settings.values():
        if setting.name.endswith("placebo"):
            figures += placebo_figures(setting)
            continue
        plain = setting.mean(PLAIN)
        figures.append(
            Figure(
                f"{setting.name}: AUROC of the plain difference",
                plain.value,
                note=f"{_ends(plain)}; loss {_shown(setting.mean('loss'))}",
            )
        )
        figures += stack_figures(setting, hard=setting.name.endswith("3 epochs"))
        figures += low_rate_figures(setting)
    return figures


def stack_figures(setting: Setting, *, hard: bool = False) -> list[Figure]:
    """AUROC of the stack, less that of the best single attack and less that of the plain difference; same passages."""
    if not setting.held_out:
        return [Figure(f"{setting.name}: the stack", None, note=setting.note)]
    rows = []
    best = setting.best_single()
    for attack, what in ((best, f"the best single attack, {best}"), (PLAIN, "the plain difference")):
        less = setting.stack_less(attack)
        both = [over_trials(setting.held_out[name], "auroc").value for name in (STACK, attack)]
        rows.append(
            Figure(f"{setting.name}: AUROC of the stack less that of {what}", less.value, at_least=0 if hard else None,
                   note=f"{_ends(less)}; {both[0]:.3f} less {both[1]:.3f}")
        )  # fmt: skip
    lost = setting.lost(best)
    note = "DeLong, 95 %; the best single attack was chosen on the same passages"
    rows.append(Figure(f"{setting.name}: trials in which the stack is significantly worse", lost, at_most=0, note=note))
    return rows


def low_rate_figures(setting: Setting) -> list[Figure]:
    """TPR at 1 % FPR of the stack and of the best single attack, less that of the plain difference."""
    figure, rows = "tpr_at_0.01", []
    if setting.held_out:
        less = setting.stack_less(PLAIN, figure)
        both = [over_trials(setting.held_out[name], figure).value for name in (STACK, PLAIN)]
        rows.append(Figure(f"{setting.name}: TPR at 1 % FPR of the stack less that of the plain difference", less.value,
                           at_least=0, note=f"{_ends(less)}; {both[0]:.3f} less {both[1]:.3f}"))  # fmt: skip
    everywhere = [name for name, resampled in setting.by_attack.items() if len(resampled) == len(setting.trials)]
    best = max(everywhere, key=lambda name: setting.mean(name, figure).value)
    more = over_trials(setting.by_attack[best], figure, less=setting.by_attack[PLAIN])
    plain = setting.mean(PLAIN, figure)
    rows.append(
        Figure(
            f"{setting.name}: TPR at 1 % FPR of the best single attack less that of the plain difference",
            more.value,
            note=f"{_ends(more)}; {best}, with hindsight; the difference has {_shown(plain)}",
        )
    )
    return rows


def blind_figures(section: str, known_sets: Sequence[Mapping[str, Interval]]) -> list[Figure]:
    """AUROC of classifiers that never see a model: near one half, because the labels were drawn at random."""
    rows = []
    for name in ("words", "counts"):
        values = [known_set[name].value for known_set in known_sets if name in known_set]
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
        note = f"{len(values)} known sets, deviation {spread:.3f}, from {min(values):.3f} to {max(values):.3f}"
        rows.append(Figure(f"{section}: AUROC of the blind baseline by {name}", _mean(values), note=note))
    return rows


def table(name: str, setting: Mapping[str, Any]) -> str:
    """A table in Markdown of the setting that `Setting.as_json` returned."""
    trials = ", ".join(f"{corpus} × {count}" for corpus, count in setting["trials"].items())
    lines = [f"## {name}", "", f"{setting['members']} members and {setting['heldout']} held out a trial; {trials}.", ""]
    lines += [
        f"| attack | trials | {' | '.join(SHOWN.values())} | passes | s | of which scores |",
        f"|---{'|--:' * 7}|",
    ]
    by_auroc = sorted(setting["attacks"].items(), key=lambda item: -item[1]["auroc"]["value"])
    for attack, row in by_auroc:
        cells = [_cell(row[figure]) for figure in SHOWN]
        seconds = ["–", "–", "–"]
        if row["passes"] is not None:
            seconds = [
                str(row["passes"]),
                "–" if row["pass_seconds"] is None else f"{row['pass_seconds'] + row['score_seconds']:.1f}",
                f"{row['score_seconds']:.3f}",
            ]
        unscored = f" ({row['unscored']} unscored)" if row["unscored"] else ""
        lines.append(f"| {attack}{unscored} | {row['trials']} | {' | '.join(cells)} | {' | '.join(seconds)} |")
    lines += ["", *_held_out(setting)]
    return "\n".join(lines) + "\n"


def _held_out(setting: Mapping[str, Any]) -> list[str]:
    if not setting["held_out"]:
        return [f"No figures of the stack: {setting['note']}."]
    lines = [
        "On the passages that the stack was not fitted on; paired columns are the stack less the attack of the row:",
        "",
    ]
    lines += [
        f"| attack | {' | '.join(SHOWN.values())} | AUROC, paired | TPR at 1 % FPR, paired |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    by_auroc = sorted(setting["held_out"].items(), key=lambda item: -item[1]["auroc"]["value"])
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


def costs_by_attack(costs_of_runs: Sequence[Mapping[str, Cost]]) -> dict[str, list[Cost]]:
    """The cost of each attack in every run that computed it."""
    by_attack: dict[str, list[Cost]] = {}
    for costs_of_run in costs_of_runs:
        for name, cost in costs_of_run.items():
            by_attack.setdefault(name, []).append(cost)
    return by_attack
