"""Passages in, decisions with a stated error rate out: the stages, composed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .calibration import Calibration, fdr_floor, nonmembers_needed
from .decision import Evaluation, Flags, calibrate, evaluate, exposure, flag
from .errors import CalibrationError, PassageError
from .metrics import ConfidenceGap, clopper_pearson
from .passages import InputCheck, Passages, check_inputs, read_passages
from .records import Interval
from .scores import ScoreTable
from .scoring import ModelSource, Progress, attacks_for, score
from .store import RunDirectory

__all__ = ["Audit", "audit"]

DEFAULT_FPR = 0.05
ASSUMPTION = (
    "The error rate holds if a candidate that was not trained on could as well have stood among the known non-members "
    "(same source, period, style, length). Whether it could is for whoever chose them to show."
)


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found; all of it lies in the run directory too."""

    path: Path
    """The run directory."""
    decider: str
    """The attack whose score decides, named before scoring."""
    scores: ScoreTable
    calibration: Calibration
    flags: Flags
    evaluations: Sequence[Evaluation]
    """Each attack on the known set; empty where no members are known."""
    confidence_gap: ConfidenceGap | None
    power: Interval | None
    """Share of the known members above the threshold, which they had no part in; None without members or by FDR."""
    inputs: InputCheck
    notes: Sequence[str]
    """What a reader ought to know, one sentence each."""


def audit(
    candidates: Passages | str | Path,
    *,
    nonmembers: Passages | str | Path,
    members: Passages | str | Path | None = None,
    target: ModelSource,
    reference: ModelSource | None = None,
    attacks: Sequence[str] = (),
    fpr: float | None = None,
    fdr: float | None = None,
    out: str | Path,
    window_tokens: int | None = None,
    progress: Progress | None = None,
) -> Audit:
    """A candidate that was not trained on is flagged with probability at most *fpr* (see `ASSUMPTION`).

    Everything that can be refused without a model is refused before one is loaded. The same call continues an audit
    that was stopped.

    Args:
        candidates: the unlabelled passages; a file's labels, if any, are not read.
        nonmembers: passages known not to be in the training data; they set the threshold.
        members: passages known to be; they show how well the attacks separate, and touch no threshold.
        target: the model under suspicion: a name, a `ModelSpec`, or a backend.
        reference: a model not trained on the passages.
        attacks: as typed; the first decides. None: all that the models allow, decided by ``reference`` where there is
            a reference model, else by ``min_k``.
        fpr: the false positive rate to hold (default 0.05; with *fdr*, its level).
        fdr: hold this false discovery rate over the candidates instead (Benjamini–Hochberg).
        out: the run directory.
        window_tokens: longest input fed to a model.
        progress: called after every block of passages.

    Raises:
        PassageError, AttackError, ModelError, CalibrationError, RunDirectoryError: see `llm_mia.errors`.
    """
    fpr = fpr if fpr is not None else fdr if fdr is not None else DEFAULT_FPR
    decider = (attacks or ["reference" if reference is not None else "min_k"])[0]
    attacks_for(attacks, reference=reference is not None)
    known = [] if members is None else [_read(members, 1)]
    sources = [*known, _read(nonmembers, 0), _read(candidates, None)]
    check = check_inputs(sources)
    _check_known(check, [1] * len(known) + [0, None], fpr, fdr)
    table = score(
        sources,
        target,
        reference,
        attacks=attacks,
        out=out,
        window_tokens=window_tokens,
        check=check,
        progress=progress,
    )
    calibration = calibrate(table, decider, fpr=fpr)
    flags = flag(table, calibration, fdr=fdr)
    finished = Audit(
        path=Path(out),
        decider=decider,
        scores=table,
        calibration=calibration,
        flags=flags,
        evaluations=evaluate(table) if known else [],
        confidence_gap=exposure(table) if known else None,
        power=_power(table, calibration) if known and fdr is None else None,
        inputs=check,
        notes=[*check.notes, *_notes(table, calibration), *flags.notes, ASSUMPTION],
    )
    with RunDirectory(out) as run:
        run.write_text("calibration.json", calibration.to_json())
        run.write_text("flags.csv", flags.to_csv())
    return finished


def _read(source: Passages | str | Path, label: int | None) -> Passages:
    if isinstance(source, Passages):
        return source
    return read_passages(source, label=label, label_column="" if label is None else None)


def _check_known(check: InputCheck, roles: Sequence[int | None], fpr: float, fdr: float | None) -> None:
    """Refuse labels that belie a source's role, and non-members too few for what is asked."""
    for source, role in zip(check.sources, roles, strict=True):
        found = (source.passages - source.members - source.nonmembers, source.nonmembers, source.members)
        expected = {None: 0, 0: 1, 1: 2}[role]
        if found[expected] != source.passages:
            name = ("candidates, without labels", "non-members (label 0)", "members (label 1)")[expected]
            raise PassageError(source.name, f"all of its passages must be {name}: read it with that label")
    n, m = check.sources[-2].passages, check.sources[-1].passages
    needed = nonmembers_needed(fpr)
    if n < needed:
        raise CalibrationError(
            f"{check.sources[-2].name}: {n} non-members cannot certify FPR ≤ {fpr:g}: at least {needed} are needed"
        )
    if fdr is not None:
        fdr_floor(n, m, fdr)


def _power(table: ScoreTable, calibration: Calibration) -> Interval:
    """The members that are flagged, exact for independent passages; one without a score counts as missed."""
    scores = table.column(calibration.attack)[table.rows(1)]
    return clopper_pearson(int((scores > calibration.threshold).sum()), len(scores))


def _notes(table: ScoreTable, calibration: Calibration) -> list[str]:
    notes = []
    unscored = int(np.isnan(table.column(calibration.attack)[table.rows(0)]).sum())
    if unscored:
        notes.append(f"{unscored} non-members have no score (too short to have a scored token); none was calibrated on")
    if calibration.n_documents < calibration.n:
        notes.append(
            f"the {calibration.n} non-members come from {calibration.n_documents} documents; passages of one document "
            "are not independent, so the realised rate can lie further from the one asked for"
        )
    if calibration.n_documents < nonmembers_needed(calibration.fpr):
        notes.append(
            f"{calibration.n_documents} documents are fewer than the {nonmembers_needed(calibration.fpr)} independent "
            f"ones that FPR ≤ {100 * calibration.fpr:g} % takes: candidates from other documents are not covered"
        )
    return notes
