"""Decisions that are counted: each meets its share of the level, and is on record when it is returned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ..decision import (
    FINDING_LEVEL,
    SMALLEST_FINDING_LEVEL,
    Calibration,
    CollectionResult,
    Flags,
    NoteKind,
    Rule,
    Wanted as ChosenBy,
    check_finding_level,
    collection_attacks,
    flag,
    flag_documents,
    joint_standing,
    judge_collection,
    origin_of,
)
from ..errors import UsageError
from ..records import Note, Standing
from ..scores import ScoreTable
from ._entries import Entry, Kind, Wanted, models_of, origin_digest, others_digest, rule_of, settings_of
from ._fingerprints import Subject
from ._levels import Place, place_among
from ._protocol import Protocol
from ._record import History

__all__ = ["flag_on_record", "judge_on_record"]


@dataclass(frozen=True, slots=True)
class _Result:
    """What the record holds of a result."""

    decided: int
    flagged: int | None
    p_value: float | None
    significant: bool
    withheld: bool


def flag_on_record(
    table: ScoreTable,
    calibration: Calibration,
    history: History,
    *,
    documents: bool = False,
    fdr: float | None = None,
    accept_void: bool = False,
    finding_level: float | None = None,
    protocol: Protocol | None = None,
) -> Flags:
    """What `llm_mia.decision.flag` gives, or with *documents* `flag_documents`, as a decision that is counted.

    The k-th different decision of a kind (`Kind`) on the same candidates is a finding only where its p-value is at most
    its share of *finding_level* (`level_share`); the same decision repeated keeps its number. The decision is on record
    when this returns. Where no candidate was trained on, the probability of a finding is at most *finding_level* over
    all decisions of the kind that are on record, under the assumptions of `llm_mia.decision.Finding`.

    Args:
        table: the candidates; and the known non-members, where documents are shared or are the unit.
        calibration: what sets the threshold.
        history: the record.
        documents: decide on documents.
        fdr: the largest false discovery rate, in place of the false positive rate.
        accept_void: state findings although the known set is void or untestable.
        finding_level: the largest probability of a finding over all decisions of the same kind on these candidates;
            None: that of the protocol, else 0.05.
        protocol: what was to be decided, if that was fixed before the scores were known.

    Raises:
        LlmMiaError: as `flag` and `flag_documents` do; or the record cannot be written.
    """
    finding_level = _level(finding_level, protocol)
    check_finding_level(finding_level)
    wanted = _wanted_flags(table, calibration, history, rule_of(calibration, fdr), finding_level, documents)
    standing = joint_standing(calibration.standing, table.standing, accept_void=accept_void)
    wanted = replace(wanted, accepted=standing is Standing.ACCEPTED)
    wanted = wanted if protocol is None else protocol.planned(wanted)
    with history.held():
        place = place_among(history.entries(), wanted)
        wanted = wanted.deviating(place.deviation)
        allowed = max(finding_level * place.share, SMALLEST_FINDING_LEVEL)
        decide = flag_documents if documents else flag
        flags = decide(table, calibration, fdr=fdr, accept_void=accept_void, finding_level=allowed)
        finding = flags.finding
        if finding is not None:
            share = allowed / finding_level
            finding = replace(finding, level=finding_level, level_share=share, number=place.number)
            flags = replace(flags, finding=finding)
        p_value = None if finding is None else finding.p_value
        result = _Result(len(flags.rows), flags.flagged, p_value, flags.significant, flags.withheld)
        _add(history, wanted, place, result)
    return replace(flags, notes=[*flags.notes, *_notes(history, wanted, place, result)])


def judge_on_record(
    table: ScoreTable,
    attacks: Sequence[str],
    history: History,
    *,
    finding_level: float | None = None,
    seed: int = 0,
    accept_void: bool = False,
    protocol: Protocol | None = None,
) -> CollectionResult:
    """What `llm_mia.decision.judge_collection` gives, as a decision that is counted; see `flag_on_record`.

    Another *seed* is another decision.

    Raises:
        LlmMiaError: as `judge_collection` does; or the record cannot be written.
    """
    finding_level = _level(finding_level, protocol)
    if not 0 < finding_level < 1:
        raise UsageError(f"`finding_level` must lie between 0 and 1, both excluded: got {finding_level:g}")
    wanted = _wanted_collection(table, collection_attacks(table, attacks), history, finding_level, seed)
    standing = joint_standing(table.standing, accept_void=accept_void)
    wanted = replace(wanted, accepted=standing is Standing.ACCEPTED)
    wanted = wanted if protocol is None else protocol.planned(wanted)
    with history.held():
        place = place_among(history.entries(), wanted)
        wanted = wanted.deviating(place.deviation)
        allowed = finding_level * place.share
        result = judge_collection(table, attacks, level=allowed, seed=seed, accept_void=accept_void)
        result = replace(result, level=finding_level, level_share=place.share, number=place.number)
        p_value = result.p_value
        judged = _Result(result.test.n_documents[0], None, p_value, result.significant, result.withheld)
        _add(history, wanted, place, judged)
    return replace(result, notes=(*result.notes, *_notes(history, wanted, place, judged)))


def _level(given: float | None, protocol: Protocol | None) -> float:
    """The level of a finding: as given, else that of the protocol, else 0.05."""
    if given is not None:
        return given
    return FINDING_LEVEL if protocol is None else protocol.finding_level


def _wanted_flags(
    table: ScoreTable, calibration: Calibration, history: History, rule: Rule, finding_level: float, documents: bool
) -> Wanted:
    scores = origin_digest(calibration.origin, [] if calibration.origin else _columns(table, calibration))
    return Wanted(
        kind=Kind.DOCUMENTS if documents else Kind.PASSAGES,
        attack=calibration.attack,
        rate=rule.rate.value,
        level=rule.level,
        confidence=rule.confidence,
        seed=None if calibration.split is None else calibration.split.seed,
        models=models_of(calibration.origin, table),
        subject=Subject.of(table, history.run),
        settings=settings_of(calibration, scores, others_digest(table)),
        finding_level=finding_level,
        chosen_by="" if calibration.selection.wanted is ChosenBy.GIVEN else calibration.selection.wanted.value,
    )


def _columns(table: ScoreTable, calibration: Calibration) -> list[bytes]:
    """The bytes of the scores that decide, which no record of models describes."""
    names = [column.name for column in calibration.stack.columns] if calibration.stack else [calibration.attack]
    return [np.ascontiguousarray(table.column(name)[table.rows(None)]).tobytes() for name in names if table.has(name)]


def _wanted_collection(table: ScoreTable, names: tuple[str, ...], history: History, level: float, seed: int) -> Wanted:
    origin = origin_of(table, names)
    columns = [] if origin else [np.ascontiguousarray(table.column(name)).tobytes() for name in names]
    return Wanted(
        kind=Kind.COLLECTION,
        attack=",".join(names),
        rate="level",
        level=None,
        confidence=None,
        seed=seed,
        models=models_of(origin, table),
        subject=Subject.of(table, history.run),
        settings=origin_digest(origin, columns) + others_digest(table),
        finding_level=level,
    )


def _add(history: History, wanted: Wanted, place: Place, result: _Result) -> None:
    plan = wanted.plan
    history.add(
        Entry(
            when=datetime.now(UTC).isoformat(timespec="microseconds"),
            kind=wanted.kind,
            attack=wanted.attack,
            rate=wanted.rate,
            level=wanted.level,
            confidence=wanted.confidence,
            seed=wanted.seed,
            models=wanted.models,
            subject=wanted.subject,
            identity=wanted.identity,
            finding_level=wanted.finding_level,
            number=place.number,
            level_share=place.share,
            could_find=result.p_value is not None and not result.withheld,
            decided=result.decided,
            flagged=result.flagged,
            p_value=result.p_value,
            finding=result.significant and not result.withheld,
            protocol="" if plan is None else plan.sha256,
            planned=0 if plan is None else plan.decision,
            deviations=() if plan is None else plan.deviations,
        )
    )


def _notes(history: History, wanted: Wanted, place: Place, result: _Result) -> list[Note]:
    """Which decision this is, which were the others, whether a protocol names it, and what the record lacks."""
    notes = []
    if result.p_value is not None and not result.withheld and (place.number > 1 or place.others):
        figures: dict[str, Any] = {
            "number": place.number,
            "allowed": max(wanted.finding_level * place.share, SMALLEST_FINDING_LEVEL),
            "level": wanted.finding_level,
            "others": [_other(entry) for entry in place.others],
        }
        notes.append(Note(NoteKind.OTHER_DECISIONS, figures))
    if wanted.plan is not None:
        plan = {"sha256": wanted.plan.sha256, "decisions": wanted.plan.decisions, "before": place.before_plan}
        notes.append(Note(NoteKind.PROTOCOL, {**plan, "deviations": list(wanted.plan.deviations)}))
    notes += [Note(NoteKind.RECORD_INCOMPLETE, {"problem": problem}) for problem in history.problems]
    return notes


def _other(entry: Entry) -> dict[str, Any]:
    return {
        "attack": entry.attack,
        "rate": entry.rate,
        "level": entry.level,
        "confidence": entry.confidence,
        "seed": entry.seed if entry.kind is Kind.COLLECTION else None,
        "decided": entry.decided,
        "flagged": entry.flagged,
        "p_value": entry.p_value,
        "finding": entry.finding,
    }
