"""The finding on candidate passages: chance, every reference model, and every other model."""

from __future__ import annotations

from dataclasses import replace

from ..records import Note, Standing
from ..scores import ScoreTable
from ._calibration import Calibration
from ._finding import Tested, find, known_rows
from ._finding_record import Finding
from ._other_models import other_models, other_references
from ._rules import Rule
from ._shadow_rates import shadow_spread

__all__ = ["conclude", "doubt", "settle"]


def conclude(
    table: ScoreTable, calibration: Calibration, tested: Tested, rule: Rule, level: float
) -> tuple[Finding | None, list[Note]]:
    """The finding with all its comparisons, or a note that says why there is none."""
    finding, notes = find(table, calibration, tested, rule, level)
    if finding is None:
        return None, notes
    references, by_reference = other_references(table, calibration, rule, level)
    others = other_models(table, calibration, tested, known_rows(table, calibration), rule, level)
    shadows = shadow_spread(table, calibration)
    return settle(replace(finding, references=references, others=others, shadows=shadows), by_reference), notes


def settle(finding: Finding, by_reference: list[Finding]) -> Finding:
    """The finding with the least of the sensitivities, or with none where it is not significant."""
    if not finding.significant:
        return replace(finding, sensitivity=None)
    sensitivities = [each.sensitivity for each in (finding, *by_reference) if each.sensitivity is not None]
    return replace(finding, sensitivity=min(sensitivities, key=lambda each: each.share))


def doubt(standing: Standing | None, finding: Finding | None) -> Standing | None:
    """At best doubtful where a difference that the other models may see could explain the flags."""
    if finding is None or finding.resists is not False:
        return standing
    return Standing.DOUBTFUL if standing in (Standing.SOUND, Standing.NOT_CHECKED) else standing
