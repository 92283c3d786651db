"""The candidates by a model that cannot know them: whether the target scores them higher than this model does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from ..calibration import surplus_test
from ..errors import CalibrationError, ScoresError
from ..records import number_by_name
from ..scores import UNKNOWN, ScoreTable
from ._calibrating import calibrate, calibration_part
from ._calibration import Calibration
from ._collection_others import takes_other_model
from ._finding import Ints, Tested, find, independent, known_rows
from ._finding_record import Finding, OtherFlags, OtherReference
from ._flags import q_values_of
from ._origin import categories_of
from ._rules import ErrorRate, Rule

__all__ = ["Pair", "compare_models", "other_models", "other_references", "scores_by_others"]

Floats = NDArray[np.float64]
LOSS = "loss"


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Units (passages or documents) that the target and another model have scored, as a table of two columns."""

    role: str
    attack: str
    """The column of the other model."""
    table: ScoreTable
    """Non-members (label 0) and candidates (no label), with the columns ``target`` and ``other``."""


def other_models(
    table: ScoreTable, calibration: Calibration, tested: Tested, known: Ints | None, rule: Rule, level: float
) -> tuple[OtherFlags, ...]:
    """The comparison with each other model that has scored candidates and known non-members; by passage.

    Passages that only one of both models has scored are left out for both.
    """
    if known is None:
        return ()
    compared = np.zeros(len(table), dtype=bool)
    compared[known] = compared[tested.rows] = True
    by_target = table.column(calibration.attack)
    results = []
    for role, attack, scores in scores_by_others(table, calibration.attack):
        both = compared & np.isfinite(by_target) & np.isfinite(scores)
        columns = {"target": by_target, "other": scores}
        pair = Pair(role, attack, replace(table, columns=columns, others={}, named=True, foreign=False).only(both))
        results += compare_models(pair, calibration, rule, level)
    return tuple(results)


def scores_by_others(table: ScoreTable, attack: str) -> Iterator[tuple[str, str, Floats]]:
    """Role, column and scores of each other model: by *attack* in the place of the target, else by ``loss``.

    An attack that compares the target with a reference model measures the target in each case, also with a second
    reference model, so the other model is taken by its loss.
    """
    name = attack.removeprefix("-")
    for role, columns in table.others.items():
        if takes_other_model(name) or not {attack, name} & columns.keys():
            if LOSS in columns:
                yield role, LOSS, columns[LOSS]
        else:
            yield role, attack, columns[attack] if attack in columns else -columns[name]


def compare_models(pair: Pair, calibration: Calibration, rule: Rule, level: float) -> list[OtherFlags]:
    """The comparison, or none where candidates or non-members are missing."""
    table = pair.table
    candidate, groups = table.labels == UNKNOWN, table.groups()
    by_target, by_other = table.columns["target"], table.columns["other"]
    try:
        test = surplus_test(
            by_target,
            by_other,
            candidate,
            number_by_name(groups)[1],
            categories=_categories(table, calibration),
            level=level,
        )
    except CalibrationError:  # no candidates or non-members that both have scored
        return []
    by_each = _flags(table, "target", calibration, rule), _flags(table, "other", calibration, rule)
    flags = [None if flagged is None else int(flagged.sum()) for flagged in by_each]
    both, share = None not in flags, None
    if by_each[1] is not None and rule.rate is ErrorRate.FALSE_POSITIVES:
        share = metrics.flagged_share(by_each[1], [groups[row] for row in table.rows(None).tolist()])
    return [
        OtherFlags(
            role=pair.role,
            attack=pair.attack,
            p_value=test.p_value,
            flagged=flags[0] if both else None,
            other_flagged=flags[1] if both else None,
            candidates=int(candidate.sum()),
            nonmembers=int((~candidate).sum()),
            auroc=metrics.auroc(by_other, candidate.astype(np.int8), documents=groups),
            other_share=share,
            exchanges=test.exchanges,
        )
    ]


def _categories(table: ScoreTable, calibration: Calibration) -> NDArray[np.str_] | None:
    """The category of each passage, pooled as in the calibration."""
    if not table.by:
        return None
    pools = {name: kind for kind, category in calibration.categories.items() for name in category.pooled}
    return np.array([pools.get(name, name) for name in table.categories])


def _flags(table: ScoreTable, column: str, calibration: Calibration, rule: Rule) -> NDArray[np.bool_] | None:
    """Which candidates of *table* a column flags, by the rule; None where the non-members are too few for it."""
    try:
        again = _calibrated(table, column, calibration)
    except (CalibrationError, ScoresError):
        return None
    rows = table.rows(None)
    scores, categories = table.column(column)[rows], categories_of(table, again, rows)
    if rule.rate is ErrorRate.FALSE_POSITIVES:
        return again.flagged(scores, categories)
    dependent = categories is not None or not independent(table, again, rows, table.rows(0))
    q_values, _ = q_values_of(again.p_values(scores, categories), any_dependence=dependent)
    return np.asarray(q_values <= rule.level)


def _calibrated(table: ScoreTable, column: str, calibration: Calibration) -> Calibration:
    """The calibration of *table* by a column, with the rate, confidence and pools of another calibration."""
    pooled = [name for category in calibration.categories.values() for name in category.pooled]
    return calibrate(table, column, fpr=calibration.fpr, confidence=calibration.confidence, pool=pooled)


def other_references(
    table: ScoreTable, calibration: Calibration, rule: Rule, level: float
) -> tuple[tuple[OtherReference, ...], list[Finding]]:
    """The same decision with each further reference model in the place of the first, where the attack takes one.

    Also the findings by chance alone, whose sensitivities count.
    """
    results, findings = [], list[Finding]()
    attack = calibration.attack
    name = attack.removeprefix("-")
    if not takes_other_model(name):
        return (), []
    for role, columns in table.others.items():
        if name not in columns:
            continue
        try:
            part = replace(calibration_part(table, calibration), others={})
            scores = calibration_part(table, calibration).others[role][name]
            part = replace(part, columns={name: scores})
            again = _calibrated(part, attack, calibration)
        except CalibrationError:  # other non-members set the threshold, or too few have a score
            continue
        finding = _by_chance(part, again, rule, level)
        if finding is not None:
            results.append(OtherReference(role, finding.chance, finding.flagged))
            findings.append(finding)
    return tuple(results), findings


def _by_chance(table: ScoreTable, calibration: Calibration, rule: Rule, level: float) -> Finding | None:
    """`find` with this calibration, for the candidates that have a score."""
    rows = table.rows(None)
    rows = rows[np.isfinite(table.column(calibration.attack)[rows])]
    scores, categories = table.column(calibration.attack)[rows], categories_of(table, calibration, rows)
    dependent = categories is not None or not independent(table, calibration, rows, known_rows(table, calibration))
    q_values, _ = q_values_of(calibration.p_values(scores, categories), any_dependence=dependent)
    if rule.rate is ErrorRate.FALSE_POSITIVES:
        chosen = calibration.flagged(scores, categories)
    else:
        chosen = np.asarray(q_values <= rule.level)
    finding, _ = find(table, calibration, Tested(rows, scores, q_values, chosen), rule, level)
    return finding
