"""Flags by passage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..calibration import CountBound
from ..errors import ScoresError
from ..records import Interval, Note
from ..scores import ScoreTable, taken
from ._by_category import flags_by_category
from ._calibrating import add_decider_column
from ._calibration import Calibration
from ._concluding import conclude, doubt
from ._documents import document_obstacle
from ._equal_scores import join_equal_scores
from ._finding import Tested, check_finding_level, independent, known_rows
from ._finding_record import FINDING_LEVEL, Obstacle
from ._flag_rows import FIGURES, REASONS, FlagRows, Reason
from ._flags import Flags, bounds_of, joint_standing, limit_discoveries, limited, q_values_of
from ._missing_scores import lacks_score_for_unknown_reason
from ._notes import NoteKind, note_of_ids
from ._origin import categories_of, check_origin
from ._other_nonmembers import other_nonmembers
from ._rules import ErrorRate, QValueMethod, Rule, Unit
from ._score_checks import notes_on_candidates, refuse_non_scores
from ._unscored import count_unscored

__all__ = ["flag"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def flag(
    table: ScoreTable,
    calibration: Calibration,
    *,
    fdr: float | None = None,
    labelled: bool = False,
    accept_void: bool = False,
    finding_level: float = FINDING_LEVEL,
) -> Flags:
    """The decision on each candidate of *table*, at the calibration's FPR or at a false discovery rate over all.

    A candidate without a finite score is never flagged. The result holds the `Finding`: how probable so many flags are
    where no candidate was trained on, by chance and compared with every other model that has scored them. Where each
    candidate, and each passage of the calibration set, is a document by itself, the result also has a lower bound of
    how many candidates were trained on, if the assumption of the error rate holds. It is 0 where there is no finding.

    This keeps no record of decisions, so a finding has the whole *finding_level*, however often it is called:
    `llm_mia.history.flag_on_record` counts the decisions on the same candidates, as the commands and `audit` do.

    Args:
        table: its unlabelled rows are the candidates.
        calibration: what `calibrate` gave, for scores of the same models and window rule.
        fdr: limit the expected share of non-members among the flagged candidates instead, by Benjamini and Hochberg;
            with categories, or where passages share documents, by Benjamini and Yekutieli.
        labelled: decide on labelled rows too.
        accept_void: state findings although the known set is void or untestable.
        finding_level: the largest probability of a finding where no candidate was trained on; 1 minus the confidence of
            the bound on the number of members.

    Raises:
        UsageError: *finding_level* is below 1e-9, or is not below 1.
        ScoresError: no candidates, or no column of the calibration's attack.
        CalibrationError: scores of another model or window rule, other categories, or too few non-members for *fdr*.
    """
    check_finding_level(finding_level)
    rows = np.arange(len(table)) if labelled else table.rows(None)
    if not len(rows):
        raise ScoresError(
            f"{table.name}: every row has a label, so there are no candidates: use `labelled` to decide on labelled "
            "rows"
        )
    notes = check_origin(table, calibration)
    table, equal = join_equal_scores(add_decider_column(table, calibration), calibration.attack)
    refuse_non_scores(table, [] if calibration.stack else [calibration.attack], order=False)
    notes += [
        *(note for note in equal if note.figures["role"] == "candidate"),
        *notes_on_candidates(table, calibration),
    ]
    notes += other_nonmembers(table, calibration)
    scores = table.column(calibration.attack)[rows]
    infinite = np.isinf(scores)
    finite = np.where(infinite, np.nan, scores) if infinite.any() else scores
    categories = categories_of(table, calibration, rows)
    alone = independent(table, calibration, rows, known_rows(table, calibration))
    figures = partial(
        _p_and_q_values, calibration, finite, categories, any_dependence=categories is not None or not alone
    )
    if fdr is None:
        rule = Rule(ErrorRate.FALSE_POSITIVES, calibration.fpr, calibration.confidence)
        chosen = calibration.flagged(finite, categories)
        limits = _thresholds(calibration, categories, len(rows))
    else:
        rule = Rule(ErrorRate.FALSE_DISCOVERIES, fdr)
        p_values, q_values, method = figures()
        whole = calibration.n_documents
        n = max((category.n_documents for category in calibration.categories.values()), default=whole)
        unit = Unit.DOCUMENTS if calibration.documents else Unit.PASSAGES
        notes += limit_discoveries(n, p_values, fdr, method, unit)
        notes += [] if alone else [Note(NoteKind.DISCOVERIES_ANY_DEPENDENCE)]
        chosen, limits = np.asarray(q_values <= fdr), np.broadcast_to(fdr, len(rows))
    notes += _notes(table, calibration, rows, labelled=labelled)
    scored = ~np.isnan(finite)
    kept: slice | Bools = slice(None) if scored.all() else scored  # of millions of candidates no copy
    by_q_value = np.empty(0) if fdr is None else q_values[kept]
    tested = Tested(rows[kept], finite[kept], by_q_value, chosen[kept])
    if labelled:
        finding, none = None, [Note(NoteKind.FINDING_IMPOSSIBLE, {"why": Obstacle.LABELLED.value})]
    else:
        finding, none = conclude(table, calibration, tested, rule, finding_level)
    if fdr is None:
        p_values, q_values, method = figures()  # not before, because the finding needs the memory
    unbounded = _why_unbounded(table, calibration, rows, labelled=labelled)
    members, share = (None, None) if unbounded else _bounds(tested, p_values[kept], calibration, rule, finding_level)
    members, share = limited(members, share, finding)
    risk = finding_level if finding is not None and finding.significant else None
    flags = Flags(
        rows=_flags(table, calibration.attack, rows, (scores, p_values, q_values, limits), chosen, rule),
        calibration=calibration,
        rule=rule,
        notes=[*notes, *none, *([unbounded] if unbounded else [])],
        q_values=method,
        n=calibration.n,
        members=members,
        share=share,
        standing=doubt(joint_standing(calibration.standing, table.standing, accept_void=accept_void), finding),
        finding=finding,
        categories=flags_by_category(table, calibration, tested, rule, risk),
    )
    return count_unscored(flags, table, calibration, partial(flag, fdr=fdr, finding_level=finding_level))


def _p_and_q_values(
    calibration: Calibration, scores: Floats, categories: Sequence[str] | None, *, any_dependence: bool
) -> tuple[Floats, Floats, QValueMethod]:
    p_values = calibration.p_values(scores, categories)
    return p_values, *q_values_of(p_values, any_dependence=any_dependence)


def _thresholds(calibration: Calibration, categories: Sequence[str] | None, n: int) -> Floats:
    """The threshold of each candidate."""
    if categories is None:
        return np.broadcast_to(calibration.threshold, n)
    thresholds = calibration.thresholds
    return np.array([thresholds[category] for category in categories])


def _notes(table: ScoreTable, calibration: Calibration, rows: NDArray[np.intp], *, labelled: bool) -> Iterator[Note]:
    """What is particular about these candidates, and about the non-members that they are compared with."""
    if calibration.documents:
        figures = {"passages": calibration.n, "documents": calibration.n_documents, "by_shadows": bool(table.places)}
        yield Note(NoteKind.DOCUMENTS_SHARED, figures)
    if labelled and len(table.rows(0)):
        yield Note(NoteKind.LABELLED_FLAGGED, {"selected": calibration.split is not None})
    scores = table.column(calibration.attack)
    incomplete = rows[calibration.stack.incomplete(table)[rows]] if calibration.stack else rows[:0]
    for kind, which in (
        (NoteKind.STACK_COLUMNS_MISSING, incomplete),
        (NoteKind.SCORES_INFINITE, rows[np.isinf(scores[rows])]),
        (NoteKind.SCORES_MISSING, rows[np.isnan(scores[rows])]),
    ):
        if len(which):
            yield note_of_ids(kind, taken(table.ids, which))


def _why_unbounded(
    table: ScoreTable, calibration: Calibration, rows: NDArray[np.intp], *, labelled: bool
) -> Note | None:
    """Why candidates and calibration set do not count as independent passages of the same kind; None where they do."""
    if labelled:
        return Note(NoteKind.MEMBERS_UNBOUNDED_LABELLED)
    if calibration.categories:
        return Note(NoteKind.MEMBERS_UNBOUNDED_CATEGORIES)
    if not independent(table, calibration, rows, known_rows(table, calibration)):
        return Note(NoteKind.MEMBERS_UNBOUNDED_DOCUMENTS, document_obstacle(table, calibration))
    return None


def _bounds(
    tested: Tested, p_values: Floats, calibration: Calibration, rule: Rule, finding_level: float
) -> tuple[CountBound | None, Interval | None]:
    """Members at least among the candidates that have a score; which have none does not depend on membership."""
    if not len(p_values):
        return None, None
    return bounds_of(tested.scores, calibration.scores, p_values, calibration, rule, finding_level)


def _flags(
    table: ScoreTable,
    attack: str,
    rows: NDArray[np.intp],
    figures: tuple[Floats, Floats, Floats, Floats],
    chosen: Bools,
    rule: Rule,
) -> FlagRows:
    scores = figures[0]
    why = Reason.SCORE if rule.rate is ErrorRate.FALSE_POSITIVES else Reason.Q_VALUE
    reasons = np.where(chosen, REASONS.index(why), 0).astype(np.int8)
    unknown = lacks_score_for_unknown_reason(table, attack)[rows]
    for which, reason in (
        (np.isinf(scores), Reason.INFINITE_SCORE),
        (np.isnan(scores), Reason.TOO_SHORT),
        (unknown, Reason.NO_SCORE if table.record is None else Reason.LEFT_OUT),
    ):
        reasons[which & ~chosen] = REASONS.index(reason)
    return FlagRows(
        attack=attack,
        ids=taken(table.ids, rows),
        documents=taken(table.documents, rows),
        figures=dict(zip(FIGURES, figures, strict=True)),
        flagged=chosen,
        reasons=reasons,
        columns={name: taken(values, rows) for name, values in table.carried.items()},
    )
