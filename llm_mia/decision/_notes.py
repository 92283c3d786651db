"""What a reader of a decision ought to know, as data. `llm_mia.report.words` phrases it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from ..records import Note

__all__ = ["FIRST_IDS", "NoteKind", "first_ids", "note_of_ids", "notes_of_sentences"]

FIRST_IDS = 5
"""Ids that a note or a message names."""


class NoteKind(StrEnum):
    """Every note of a decision or an audit, and the figures that it carries."""

    ASSUMPTION = "assumption"
    """What the error rate assumes."""
    SHADOWS = "shadows"
    """shadows (how many), same_texts (whether the texts of the candidates, under shadow models, set the threshold),
    passages (candidates), same_base (whether the target was trained from the base of the shadow models; None where no
    record shows it), classifier (whether the stack decides, which is then learned from the shadow models alone)"""
    SHADOW_ASSUMPTION = "shadow_assumption"
    """What the error rate assumes where shadow models set the threshold."""
    CHECKS_ON_SAMPLE = "checks_on_sample"
    """source, checked, passages"""
    STAND_IN = "stand_in"
    """model; of an n-gram model: trained_on (how many documents of non-members), documents (of non-members)"""
    STAND_IN_MISSING = "stand_in_missing"
    """documents (of non-members), needed"""
    DECISIONS_POSSIBLE = "decisions_possible"
    """candidates, nonmembers, candidate_documents, nonmember_documents, compared (documents of non-members that set a
    threshold), on_both_sides (documents), first (of these), fpr, needed (documents of non-members), collection
    (whether a test of the collection can be significant), collection_needs (documents on each side)"""
    DECIDER_FITTED = "decider_fitted"
    """attack, stack (whether it is a stack), passages, documents"""
    DECIDER_BY_DEFAULT = "decider_by_default"
    """attack, wanted, shortage (the fields of a `Shortage`)"""
    NONMEMBERS_UNSCORED = "nonmembers_unscored"
    """count, foreign (whether another program wrote the scores)"""
    UNSCORED_HIGHEST = "unscored_highest"
    """nonmembers (without a score), of_nonmembers, candidates (without a score), of_candidates, unit, without (the
    p-value of the finding that leaves these non-members out), with (that where they have the highest scores)"""
    POOL_UNKNOWN = "pool_unknown"
    """names (to be pooled, but of no row), categories (of the table)"""
    DOCUMENTS_SHARED = "documents_shared"
    """passages, documents (of the calibration set), by_shadows (whether shadow models set the threshold)"""
    ORIGIN_UNKNOWN = "origin_unknown"
    OTHER_NONMEMBERS = "other_nonmembers"
    """above (the threshold), nonmembers (of the table; others set the threshold), fpr"""
    LABELLED_FLAGGED = "labelled_flagged"
    """selected: whether the decider was selected or fitted on some of them"""
    STACK_COLUMNS_MISSING = "stack_columns_missing"
    """count, ids"""
    SCORES_INFINITE = "scores_infinite"
    """count, ids"""
    SCORES_MISSING = "scores_missing"
    """count, ids"""
    DISCOVERIES_LIMITED = "discoveries_limited"
    """n, unit (of the non-members compared with), least"""
    DISCOVERIES_ANY_DEPENDENCE = "discoveries_any_dependence"
    """Passages share documents, so their q-values are those of Benjamini and Yekutieli."""
    MEMBERS_UNBOUNDED_LABELLED = "members_unbounded_labelled"
    MEMBERS_UNBOUNDED_CATEGORIES = "members_unbounded_categories"
    MEMBERS_UNBOUNDED_DOCUMENTS = "members_unbounded_documents"
    """obstacle (a `DocumentObstacle`, or None where `flag_documents` bounds their number), and its figures"""
    MEMBERS_UNBOUNDED_FEW = "members_unbounded_few"
    """documents"""
    MEMBERS_BOUNDED_IN_PART = "members_bounded_in_part"
    """documents, passages"""
    FINDING_IMPOSSIBLE = "finding_impossible"
    """why (an `Obstacle`)"""
    FITTED_LEFT_OUT = "fitted_left_out"
    """count"""
    THRESHOLD_SET_HERE = "threshold_set_here"
    EPSILON_UNBOUNDED = "epsilon_unbounded"
    EPSILON_NOT_RANDOMISED = "epsilon_not_randomised"
    POWER_OF_SEVERAL = "power_of_several"
    POWER_UNKNOWN = "power_unknown"
    """problem"""
    OTHER_DECISIONS = "other_decisions"
    """number (of this decision), allowed (largest p-value of a finding), level, others (a list of attack, rate, level,
    confidence, seed, decided, flagged, p_value, finding)"""
    PROTOCOL = "protocol"
    """sha256, decisions (that it names), deviations (phrases)"""
    RECORD_INCOMPLETE = "record_incomplete"
    """problem: what could not be read from the record of decisions, or written to it"""
    CONTROL = "control"
    """passages, flagged, documents, realised (rate), low, high (its 95 % interval), requested, p_value, exceeds
    (whether the rate is significantly above the requested rate)"""
    OTHER_UNSCORED = "other_unscored"
    """role (of the other model, which has not scored passages of both sides)"""
    OTHER_FEW_DOCUMENTS = "other_few_documents"
    """role, candidates, nonmembers (documents that both models scored), smallest_p, level, needed (of each)"""
    NOT_VALIDATED = "not_validated"
    """foreign (whether it is a table and no run directory), others (roles of other models that have scores),
    evaluated (whether attacks were compared, and nothing was decided)"""
    SCORES_EQUAL = "scores_equal"
    """attack, role, rows (with equal scores), documents (that they count as)"""
    SCORE_REVERSED = "score_reversed"
    """attack, auroc, low, high, foreign (whether another program wrote the scores)"""
    SCORE_FOLLOWS_ROWS = "score_follows_rows"
    """attack, correlation, among (which passages), documents"""
    PRECISION = "precision"
    """dtype, what was measured of it (the fields of a `RoundingRecord`, without its scores), attack (that decides),
    change (of its score, at most; None where that is not known), flagged; and where it is known: least and most (flags
    with the scores of all candidates changed by it), finding_depends (whether the finding would be another; None
    where none is stated)"""
    SENTENCE = "sentence"
    """text: what a package below has phrased"""


def note_of_ids(kind: NoteKind, ids: Sequence[str]) -> Note:
    """A note that counts passages and names the first of them."""
    return Note(kind, {"count": len(ids), "ids": list(ids[:FIRST_IDS])})


def notes_of_sentences(sentences: Iterable[Note | str]) -> list[Note]:
    """The notes of a package below: a sentence is kept as it is."""
    return [
        sentence if isinstance(sentence, Note) else Note(NoteKind.SENTENCE, {"text": sentence})
        for sentence in sentences
    ]


def first_ids(ids: Sequence[str]) -> str:
    """The first few of *ids*, for a message of one line.

    >>> first_ids("abcdefg")
    "'a', 'b', 'c', 'd', 'e' and 2 more"
    """
    more = len(ids) - FIRST_IDS
    return ", ".join(map(repr, ids[:FIRST_IDS])) + (f" and {more} more" if more > 0 else "")
