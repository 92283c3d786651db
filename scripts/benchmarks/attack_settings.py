"""The trials of one setting as numbers: every attack, the stack beside single attacks, and what never saw a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from llm_mia.attacks import parse_attack
from llm_mia.decision import add_decider_column, calibrate, calibration_part
from llm_mia.errors import CalibrationError
from llm_mia.metrics import compare_attacks
from llm_mia.records import Interval, Passage
from llm_mia.scores import ScoreTable
from llm_mia.validity import validate

from .attack_costs import Cost
from .attack_rates import FIGURES, Resampled, over_trials, placebo_error, resampled, weights_of
from .attack_trials import MANY, Draw, Trial

STACK, PLAIN = "stack", "reference"
FPR = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """Trials of one kind."""

    name: str
    trials: Sequence[Trial]
    by_attack: Mapping[str, Sequence[Resampled]]
    """On all passages."""
    held_out: Mapping[str, Sequence[Resampled]]
    """On those that the stack of each trial was not fitted on, the stack among them; empty where none could be."""
    pairs: Mapping[str, Sequence[Interval]]
    """The stack's AUROC less that of a single attack, trial by trial, by DeLong."""
    note: str = ""
    """Why there is no stack."""
    costs: Mapping[str, Sequence[Cost]] = field(default_factory=dict)

    def mean(self, attack: str, figure: str = "auroc") -> Interval:
        """Over the trials that have it."""
        return over_trials(self.by_attack[attack], figure)

    def stack_less(self, attack: str, figure: str = "auroc") -> Interval:
        """What the stack has more than *attack*, on the same passages."""
        return over_trials(self.held_out[STACK], figure, less=self.held_out[attack])

    def best_single(self, figure: str = "auroc") -> str:
        """The attack with the largest mean on the very passages that the stack is measured on: with hindsight."""
        singles = [name for name in self.held_out if name != STACK]
        return max(singles, key=lambda name: over_trials(self.held_out[name], figure).value)

    def lost(self, attack: str) -> int:
        """Trials in which the stack is significantly worse."""
        return sum(interval.high < 0 for interval in self.pairs[attack])

    def deviations(self) -> dict[str, float]:
        """How far each attack's mean AUROC lies off one half, in standard errors under labels that say nothing."""
        found = {}
        for attack, trials in self.by_attack.items():
            tables = [one.table for one in self.trials if attack in one.table.columns]
            value = over_trials(trials, "auroc").value
            found[attack] = (value - 0.5) / placebo_error(tables)
        return found

    def as_json(self) -> dict[str, Any]:
        """Everything as numbers."""
        counts = Counter(trial.corpus for trial in self.trials)
        table = self.trials[0].table
        return {
            "trials": dict(counts),
            "members": len(table.rows(1)),
            "heldout": len(table.rows(0)),
            "attacks": {
                name: {
                    "trials": len(found),
                    **{figure: asdict(over_trials(found, figure)) for figure in FIGURES},
                    **_mean_cost(self.costs.get(name, ())),
                    "unscored": sum(int(np.isnan(t.table.columns[name]).sum()) for t in self.trials
                                    if name in t.table.columns),
                }
                for name, found in self.by_attack.items()
            },
            "held_out": {
                name: {
                    **{figure: asdict(over_trials(found, figure)) for figure in FIGURES},
                    **({} if name == STACK else {
                        "stack_less_this": {figure: asdict(self.stack_less(name, figure)) for figure in FIGURES},
                    }),
                }
                for name, found in self.held_out.items()
            },
            "note": self.note,
        }  # fmt: skip


def setting(name: str, trials: Sequence[Trial], costs: Mapping[str, Sequence[Cost]] | None = None) -> Setting:
    """All figures of *trials*."""
    by_attack: dict[str, list[Resampled]] = {}
    for trial in trials:
        weights = weights_of(trial.table)
        for attack in trial.table.columns:
            by_attack.setdefault(attack, []).append(resampled(trial.table, attack, weights))
    left, note = [], ""
    try:
        left = [_left(trial) for trial in trials]
    except CalibrationError as error:
        note = str(error).partition(": ")[2]
    held: dict[str, list[Resampled]] = {}
    pairs: dict[str, list[Interval]] = {}
    for table in left:
        weights = weights_of(table)
        for attack in table.columns:
            held.setdefault(attack, []).append(resampled(table, attack, weights))
            if attack != STACK:
                pairs.setdefault(attack, []).append(_paired(table, attack))
    return Setting(name, trials, by_attack, held, pairs, note, costs or {})


def _left(trial: Trial) -> ScoreTable:
    """The passages that the stack wasn't fitted on, with its scores; attacks that few trials have are no part of it."""
    usual = {
        name: column for name, column in trial.table.columns.items() if not MANY & set(parse_attack(name).evidence)
    }
    table = replace(trial.table, columns=usual)
    calibration = calibrate(table, STACK, fpr=FPR, seed=trial.seed)
    return calibration_part(add_decider_column(table, calibration), calibration)


def _paired(table: ScoreTable, attack: str) -> Interval:
    known = np.flatnonzero(table.labels >= 0)
    ours, theirs = (np.nan_to_num(table.column(name)[known], nan=-1e300, neginf=-1e300) for name in (STACK, attack))
    return compare_attacks(ours, theirs, table.labels[known]).difference


def _mean_cost(found: Sequence[Cost]) -> dict[str, Any]:
    if not found:
        return {"passes": None, "pass_seconds": None, "own_seconds": None}
    seconds = [one.pass_seconds for one in found if one.pass_seconds is not None]
    return {
        "passes": found[0].passes,
        "pass_seconds": float(np.mean(seconds)) if len(seconds) == len(found) else None,
        "own_seconds": float(np.mean([one.own_seconds for one in found])),
    }


def blind(draw: Draw) -> dict[str, Interval]:
    """AUROC of classifiers that never see a model, told what most of the passages are, on the rest."""
    sides = [
        [Passage(f"{label}-{number}", text, f"{label}-{number}") for number, text in enumerate(texts)]
        for label, texts in ((1, draw.members), (0, draw.heldout))
    ]
    found = validate(*sides)
    figures = {name: found[f"blind_{name}_auroc"].figure for name in ("words", "counts")}
    return {name: figure for name, figure in figures.items() if isinstance(figure, Interval)}
