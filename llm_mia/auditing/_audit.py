"""Passages in, decisions with a stated error rate out: the stages, composed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ..calibration import fdr_floor, nonmembers_needed
from ..decision import (
    ACCEPTED,
    AUTO,
    BY_DEFAULT,
    STACK,
    VOID,
    Calibration,
    Evaluation,
    Flags,
    calibrate,
    evaluate,
    exposure,
    flag,
    held_out,
    refuse_small,
    with_decider,
)
from ..errors import AttackError, CalibrationError, PassageError
from ..metrics import ConfidenceGap, clopper_pearson
from ..passages import InputCheck, PassageSource, check_inputs
from ..records import Interval, Standing
from ..scores import UNKNOWN, ScoreTable, read_scores
from ..scoring import ALL, ModelSource, score_to_disk, select
from ..signals import Progress, Supplies
from ..store import RunDirectory
from ..validity import RequestedRates, Validity
from ._texts import KnownTexts, read

__all__ = ["Audit", "audit"]

DEFAULT_FPR = 0.05
ASSUMPTION = (
    "The error rate holds if a candidate that was not trained on could as well have stood among the known non-members "
    "(same source, period, style, length). Checks can find that it could not, and never show that it could."
)
Told: TypeAlias = Callable[[Validity], None]


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found; all of it lies in the run directory too."""

    path: Path
    """The run directory."""
    decider: str
    """The attack whose score decides, named before scoring or chosen on a part that nothing else here is told of;
    ``stack`` where that is a score of all attacks, learned there."""
    scores: ScoreTable
    """With the stack's scores, where it decides; of the part that it learned from they say nothing."""
    calibration: Calibration
    flags: Flags
    evaluations: Sequence[Evaluation]
    """Each attack on the known set, less what the decider was chosen on; empty where no members are known."""
    confidence_gap: ConfidenceGap | None
    power: Interval | None
    """Share of the known members above the threshold, which they had no part in; None without members or by FDR."""
    inputs: InputCheck
    validity: Validity
    """Whether the known set may carry a verdict."""
    accepted: bool
    """Whether findings are to be worded even where it may not."""
    notes: Sequence[str]
    """What a reader ought to know, one sentence each."""

    @property
    def verdict(self) -> str:
        """The worst of the checks, with what the user made of it."""
        return ACCEPTED if self.accepted and self.validity.verdict == VOID else self.validity.verdict

    @property
    def withheld(self) -> bool:
        """Whether everything was computed and stored but no finding may be worded: the known set is void."""
        return self.verdict == VOID


def audit(
    candidates: PassageSource,
    *,
    nonmembers: PassageSource,
    members: PassageSource | None = None,
    target: ModelSource,
    reference: ModelSource | None = None,
    attacks: Sequence[str] = (),
    supplies: Supplies | None = None,
    fpr: float | None = None,
    fdr: float | None = None,
    confidence: float | None = None,
    accept_void: bool = False,
    out: str | Path,
    window_tokens: int | None = None,
    progress: Progress | None = None,
    told: Told | None = None,
) -> Audit:
    """A candidate that was not trained on is flagged with probability at most *fpr* (see `ASSUMPTION`).

    Everything that can be refused without a model is refused before one is loaded, and whether the known set may carry
    a verdict is asked of its texts before that, too. The same call continues an audit that was stopped.

    Args:
        candidates: the unlabelled passages: a path, `Passages`, or what `Passages.of` takes; labels in a file or in
            data are not read.
        nonmembers: passages known not to be in the training data; they set the threshold.
        members: passages known to be; they show how well the attacks separate, and touch no threshold.
        target: the model under suspicion: a name, a `ModelSpec`, or a backend.
        reference: a model not trained on the passages.
        attacks: as typed; the first decides. ``auto`` among them: the one that separates one half of the known set
            best decides, calibrated on the other. ``stack`` among them: one score of them all, learned on one half,
            decides, calibrated on the other. None: all that the models allow, decided by the stack from 200 documents
            of members and 200 of non-members on, else by ``reference``, without a reference model by ``min_k``.
        supplies: shots, a population, token frequencies, rewritten texts, for the attacks that need them.
        fpr: the false positive rate to hold (default 0.05; with *fdr*, its level).
        fdr: hold this false discovery rate over the candidates instead (Benjamini–Hochberg).
        confidence: hold *fpr* with this confidence in this known set, and not on average over known sets.
        accept_void: word findings even where the known set is void; every artefact says so.
        out: the run directory.
        window_tokens: longest input fed to a model.
        progress: called after every batch.
        told: called with what the texts say of the known set, before any model is loaded.

    Raises:
        PassageError, AttackError, ModelError, CalibrationError, RunDirectoryError: see `llm_mia.errors`.
    """
    fpr = fpr if fpr is not None else fdr if fdr is not None else DEFAULT_FPR
    asked = RequestedRates(fpr, confidence)
    named, decider = _decider(attacks)
    select(named, target, reference, supplies=supplies)
    known = [] if members is None else [read(members, 1)]
    sources = [*known, read(nonmembers, 0), read(candidates, None)]
    texts = KnownTexts.read(sources)  # the first reading, after which the check needs none
    check = check_inputs(sources)
    _check_known(check, [1] * len(known) + [0, None], asked, fdr)
    if decider == STACK:
        refuse_small(_unscored(texts), fpr=fpr, confidence=confidence)
    known_set = texts.known_set(asked)
    before = known_set.validity()  # refuses what can't be asked at all, before a model is loaded
    if told is not None:
        told(before)
    scored = score_to_disk(
        sources,
        target,
        reference,
        attacks=named,
        supplies=supplies,
        out=out,
        window_tokens=window_tokens,
        check=check,
        progress=progress,
    )
    table = read_scores(scored.path)
    finished = _decide(
        table,
        decider,
        asked,
        fdr,
        inputs=check,
        validity=known_set.validity(texts.scores(table)),
        accepted=accept_void,
        path=Path(out),
    )
    finished = replace(finished, notes=[*texts.notes, *scored.notes, *finished.notes])
    _write(finished)
    return finished


def _decider(attacks: Sequence[str]) -> tuple[list[str], str]:
    """The attacks to score by, and what decides: a choice or a stack wherever it stands among them, else the first."""
    chosen = sorted({attack for attack in attacks if attack in (AUTO, STACK)})
    if len(chosen) > 1:
        raise AttackError(f"{' and '.join(chosen)} would both decide: name one of them")
    named = [attack for attack in attacks if attack not in chosen]
    return named, [*chosen, *(attack for attack in named if attack != ALL), BY_DEFAULT][0]


def _unscored(texts: KnownTexts) -> ScoreTable:
    """The passages as they will stand in the table of scores."""
    passages = texts.passages
    labels = np.array([UNKNOWN if one.label is None else one.label for one in passages], dtype=np.int8)
    return ScoreTable("the known set", [one.id for one in passages], [one.document for one in passages], labels, {})


def _decide(
    table: ScoreTable,
    decider: str,
    asked: RequestedRates,
    fdr: float | None,
    *,
    inputs: InputCheck,
    validity: Validity,
    accepted: bool,
    path: Path,
) -> Audit:
    """Everything that follows from the scores."""
    standing = Standing.ACCEPTED if accepted and validity.verdict == VOID else Standing(validity.verdict)
    table = replace(table, standing=standing)
    calibration = calibrate(table, decider, fpr=asked.fpr, confidence=asked.confidence)
    table = with_decider(table, calibration)
    flags = flag(table, calibration, fdr=fdr)
    members, rest = len(table.rows(1)) > 0, held_out(table, calibration)
    return Audit(
        path=path,
        decider=calibration.attack,
        scores=table,
        calibration=calibration,
        flags=flags,
        evaluations=evaluate(rest) if members else [],
        confidence_gap=exposure(table) if members else None,
        power=_power(rest, calibration) if members and fdr is None else None,
        inputs=inputs,
        validity=validity,
        accepted=accepted,
        notes=[*inputs.notes, *_notes(table, calibration), *flags.notes, ASSUMPTION],
    )


def _write(finished: Audit) -> None:
    validity = {"accepted": ACCEPTED if finished.verdict == ACCEPTED else "", **json.loads(finished.validity.to_json())}
    with RunDirectory(finished.path) as run:
        run.write_text("validity.json", json.dumps(validity, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        run.write_text("calibration.json", finished.calibration.to_json())
        run.write_text("flags.csv", finished.flags.to_csv())


def _check_known(check: InputCheck, roles: Sequence[int | None], asked: RequestedRates, fdr: float | None) -> None:
    """Refuse labels that belie a source's role, and non-members too few for what is asked."""
    for source, role in zip(check.sources, roles, strict=True):
        found = (source.passages - source.members - source.nonmembers, source.nonmembers, source.members)
        expected = {None: 0, 0: 1, 1: 2}[role]
        if found[expected] != source.passages:
            name = ("candidates, without labels", "non-members (label 0)", "members (label 1)")[expected]
            raise PassageError(source.name, f"all of its passages must be {name}: read it with that label")
    n, m = check.sources[-2].passages, check.sources[-1].passages
    needed = nonmembers_needed(asked.fpr, asked.confidence)
    if n < needed:
        held = "" if asked.confidence is None else f" at {100 * asked.confidence:g} % confidence"
        raise CalibrationError(
            f"{check.sources[-2].name}: {n} non-members cannot certify FPR ≤ {asked.fpr:g}{held}: at least {needed} "
            "are needed"
        )
    if fdr is not None:
        fdr_floor(n, m, fdr)


def _power(table: ScoreTable, calibration: Calibration) -> Interval:
    """The members that are flagged, exact for independent passages; one without a score counts as missed."""
    scores = table.column(calibration.attack)[table.rows(1)]
    return clopper_pearson(int(calibration.flagged(np.where(np.isinf(scores), np.nan, scores)).sum()), len(scores))


def _notes(table: ScoreTable, calibration: Calibration) -> list[str]:
    notes = []
    if calibration.split is not None:
        split, how = calibration.split, "fitted" if calibration.stack else "chosen"
        notes.append(
            f"{calibration.attack} was {how} on {split.fit_passages} known passages of {split.fit_documents} "
            "documents, which nothing else here counts"
        )
    elif calibration.chosen:
        why = calibration.chosen["why"]
        what = "no stack could be fitted" if calibration.chosen["wanted"] == STACK else "no attack could be chosen"
        notes.append(f"{what}, so {calibration.attack} decides: {why}")
    unscored = int(np.isnan(table.column(calibration.attack)[table.rows(0)]).sum())
    if unscored:
        notes.append(f"{unscored} non-members have no score (too short to have a scored token); none was calibrated on")
    if calibration.n_documents < calibration.n:
        notes.append(
            f"the {calibration.n} non-members come from {calibration.n_documents} documents; passages of one document "
            "are not independent, so the realised rate can lie further from the one asked for"
        )
    needed = nonmembers_needed(calibration.fpr, calibration.confidence)
    if calibration.n_documents < needed:
        notes.append(
            f"{calibration.n_documents} documents are fewer than the {needed} independent ones that "
            f"FPR ≤ {100 * calibration.fpr:g} % takes: candidates from other documents are not covered"
        )
    return notes
