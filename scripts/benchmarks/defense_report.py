"""Figures of defences over several seeds: a table for each setting, and the goals."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scipy.special import stdtrit

from llm_mia.defenses import BASELINE, Defended, Defenses, Leakage
from llm_mia.records import Interval

from .figures import Figure

__all__ = ["ABOUT", "figures", "rows", "table"]

ABOUT = (
    "A defence is attacked by the attack that is strongest on half of the documents, and measured on the other half. "
    "Each figure is the mean over the seeds; the interval is Student's t over the seeds, at 95 %."
)
PRIVATE, TEMPERATURE, SMOOTHED = "dp:epsilon=8", "temperature:t=2", "label_smoothing:a=0.1"
LOW, HIGH = 0.45, 0.55
"""Where the AUROC of a private training is to be."""
Value = Callable[[Defended], float | None]
SHOWN: Mapping[str, Value] = {
    "AUROC": lambda row: _of(row.leakage, lambda each: each.auroc),
    "difference to none": lambda row: _of(row.leakage, lambda each: each.change),
    "TPR at 1 % FPR": lambda row: _of(row.leakage, lambda each: each.tpr_at_fpr.get(0.01)),
    "TPR at 0.1 % FPR": lambda row: _of(row.leakage, lambda each: each.tpr_at_fpr.get(0.001)),
    "AUROC of reference": lambda row: _of(row.fixed, lambda each: each.auroc),
    "confidence gap": lambda row: _value(row.gap),
    "extractable": lambda row: _value(row.extractable),
    "ε shown": lambda row: None if row.shown is None else row.shown.lower,
    "ε guaranteed": lambda row: row.epsilon,
    "perplexity": lambda row: row.utility.perplexity.value,
    "perplexity ratio": lambda row: row.utility.ratio.value,
    "training, s": lambda row: row.seconds if row.trained or not row.outputs else None,
}
"""By title of a column: the figure of a row of one trial; None where there is none."""


def _value(figure: Interval | None) -> float | None:
    return None if figure is None else figure.value


def _of(leakage: Leakage | None, figure: Callable[[Leakage], Interval | None]) -> float | None:
    return None if leakage is None else _value(figure(leakage))


def rows(trials: Sequence[Defenses]) -> dict[str, Any]:
    """By defence and figure: the mean over the trials with its interval; and the matrix of defences and attacks."""
    by_name = {row.name: [_row(trial, row.name) for trial in trials] for row in trials[0].rows}
    return {
        "trials": len(trials),
        "members": trials[0].members,
        "nonmembers": trials[0].nonmembers,
        "defences": {
            name: {title: _over_seeds([value(row) for row in of_name]) for title, value in SHOWN.items()}
            for name, of_name in by_name.items()
        },
        "attacks": {
            name: {
                cell.attack: _over_seeds([_value(row.attacks[at].auroc) for row in of_name])
                for at, cell in enumerate(of_name[0].attacks)
            }
            for name, of_name in by_name.items()
        },
        "strongest": {
            name: [row.leakage and row.leakage.attack for row in of_name] for name, of_name in by_name.items()
        },
    }


def _row(trial: Defenses, name: str) -> Defended:
    return next(row for row in trial.rows if row.name == name)


def _over_seeds(values: Sequence[float | None]) -> list[float] | None:
    """Mean, and ends of Student's t; the ends are the mean of a single trial. None where a trial has no figure."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    mean, n = statistics.fmean(known), len(known)
    half = float(stdtrit(n - 1, 0.975)) * statistics.stdev(known) / math.sqrt(n) if n > 1 else 0.0
    return [mean, mean - half, mean + half]


def figures(setting: str, of_setting: Mapping[str, Any]) -> list[Figure]:
    """The goals, on the models of *setting*."""
    defences, attacks = of_setting["defences"], of_setting["attacks"]
    private, undefended = defences[PRIVATE], defences[BASELINE]
    note = (
        f"{of_setting['trials']} seeds; without defence {undefended['AUROC'][0]:.3f}; "
        f"perplexity × {private['perplexity ratio'][0]:.3g}"
    )
    shown = [Figure(f"{setting}: AUROC with {PRIVATE}", private["AUROC"][0], at_least=LOW, at_most=HIGH, note=note)]
    for name in (TEMPERATURE, SMOOTHED):
        cell, before = attacks[name]["reference"], attacks[BASELINE]["reference"]
        about = f"on the whole distribution; without defence {before[0]:.3f}"
        shown.append(Figure(f"{setting}: AUROC of reference with {name}", cell and cell[0], note=about))
    if private["ε shown"] is not None:
        guaranteed = private["ε guaranteed"][0]
        of_private = private["ε shown"][0]
        shown.append(Figure(f"{setting}: ε shown with {PRIVATE}", of_private, at_most=guaranteed, note="by canaries"))
        shown.append(Figure(f"{setting}: ε shown without defence", undefended["ε shown"][0], note="by canaries"))
    return shown


def table(setting: str, of_setting: Mapping[str, Any]) -> str:
    """Both tables in Markdown: defences and figures, attacks and defences."""
    lines = [f"## {setting}", ""]
    lines += [
        f"{of_setting['trials']} seeds; {of_setting['members']:,} members, {of_setting['nonmembers']:,} held out.",
        "",
    ]
    lines += [f"| defence | {' | '.join(SHOWN)} | strongest attack |", f"|---{'|--:' * len(SHOWN)}|---|"]
    for name, of_name in of_setting["defences"].items():
        strongest = ", ".join(dict.fromkeys(each or "–" for each in of_setting["strongest"][name]))
        lines.append(f"| {name} | {' | '.join(_cell(of_name[title]) for title in SHOWN)} | {strongest} |")
    attacks = of_setting["attacks"]
    lines += ["", f"### AUROC of every attack: {setting}", "", f"| attack | {' | '.join(attacks)} |"]
    lines += [f"|---{'|--:' * len(attacks)}|"]
    for attack in attacks[BASELINE]:
        lines.append(f"| {attack} | {' | '.join(_cell(attacks[name].get(attack)) for name in attacks)} |")
    return "\n".join(lines) + "\n"


def _cell(figure: Sequence[float] | None) -> str:
    """A mean with its interval; a dash where there is none.

    >>> _cell([0.5234, 0.4, 0.6]), _cell(None), _cell([123.4, 120, 127])
    ('0.523 (0.40–0.60)', '–', '123 (120–127)')
    """
    if figure is None:
        return "–"
    mean, low, high = figure
    if abs(mean) >= 10:
        return f"{mean:,.0f} ({low:,.0f}–{high:,.0f})"
    return f"{mean:.3f} ({low:.2f}–{high:.2f})"
