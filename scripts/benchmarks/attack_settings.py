"""The trials of one setting as numbers: every attack, the stack against single attacks, and the blind baseline."""

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
    """The figures of each attack on all passages."""
    held_out: Mapping[str, Sequence[Resampled]]
    """The same and the stack's, on passages that the stack was not fitted on; empty where there is no stack."""
    pairs: Mapping[str, Sequence[Interval]]
    """The stack's AUROC less that of a single attack, trial by trial, by DeLong."""
    note: str = ""
    """Why there is no stack."""
    costs: Mapping[str, Sequence[Cost]] = field(default_factory=dict)

    def mean(self, attack: str, figure: str = "auroc") -> Interval:
        """The mean of *figure* over the trials that have *attack*."""
        return over_trials(self.by_attack[attack], figure)

    def stack_less(self, attack: str, figure: str = "auroc") -> Interval:
        """*figure* of the stack, less that of *attack* on the same passages."""
        return over_trials(self.held_out[STACK], figure, less=self.held_out[attack])

    def best_single(self, figure: str = "auroc") -> str:
        """The attack with the largest mean on the passages that the stack is measured on: chosen with hindsight."""
        singles = [name for name in self.held_out if name != STACK]
        return max(singles, key=lambda name: over_trials(self.held_out[name], figure).value)

    def lost(self, attack: str) -> int:
        """The number of trials in which the stack is significantly worse than *attack*."""
        return sum(interval.high < 0 for interval in self.pairs[attack])

    def deviations(self) -> dict[str, float]:
        """How far each attack's mean AUROC lies from one half, in its standard errors where labels mean nothing."""
        deviations_by_attack = {}
        for attack, trials in self.by_attack.items():
            tables = [trial.table for trial in self.trials if attack in trial.table.columns]
            value = over_trials(trials, "auroc").value
            deviations_by_attack[attack] = (value - 0.5) / placebo_error(tables)
        return deviations_by_attack

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
                    "trials": len(resamples),
                    **{figure: asdict(over_trials(resamples, figure)) for figure in FIGURES},
                    **_mean_cost(self.costs.get(name, ())),
                    "unscored": sum(int(np.isnan(t.table.columns[name]).sum()) for t in self.trials
                                    if name in t.table.columns),
                }
                for name, resamples in self.by_attack.items()
            },
            "held_out": {
                name: {
                    **{figure: asdict(over_trials(resamples, figure)) for figure in FIGURES},
                    **({} if name == STACK else {
                        "stack_less_this": {figure: asdict(self.stack_less(name, figure)) for figure in FIGURES},
                    }),
                }
                for name, resamples in self.held_out.items()
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
        note = str(error)
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
    """The passages that the stack was not fitted on, with its scores; attacks that few trials have are left out."""
    usual = {
        name: column for name, column in trial.table.columns.items() if not MANY & set(parse_attack(name).evidence)
    }
    table = replace(trial.table, name=trial.corpus, columns=usual)
    calibration = calibrate(table, STACK, fpr=FPR, seed=trial.seed)
    return calibration_part(add_decider_column(table, calibration), calibration)


def _paired(table: ScoreTable, attack: str) -> Interval:
    known = np.flatnonzero(table.labels >= 0)
    ours, theirs = (np.nan_to_num(table.column(name)[known], nan=-1e300, neginf=-1e300) for name in (STACK, attack))
    return compare_attacks(ours, theirs, table.labels[known]).difference


def _mean_cost(costs: Sequence[Cost]) -> dict[str, Any]:
    if not costs:
        return {"passes": None, "pass_seconds": None, "score_seconds": None}
    seconds = [cost.pass_seconds for cost in costs if cost.pass_seconds is not None]
    return {
        "passes": costs[0].passes,
        "pass_seconds": float(np.mean(seconds)) if len(seconds) == len(costs) else None,
        "score_seconds": float(np.mean([cost.score_seconds for cost in costs])),
    }


def blind(draw: Draw) -> dict[str, Interval]:
    """AUROC, cross-validated, of classifiers that never see a model."""
    sides = [
        [Passage(f"{label}-{number}", text, f"{label}-{number}") for number, text in enumerate(texts)]
        for label, texts in ((1, draw.members), (0, draw.heldout))
    ]
    validity = validate(*sides)
    figures = {name: validity[f"blind_{name}_auroc"].figure for name in ("words", "counts")}
    return {name: figure for name, figure in figures.items() if isinstance(figure, Interval)}
