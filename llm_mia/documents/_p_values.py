"""A p-value for each document, calibrated on the documents of known non-members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike

from ..calibration import conformal_p_values, nonmembers_needed
from ..errors import ScoresError, UsageError
from ..records import Note
from ._scores import (
    Average,
    Floats,
    GroupedScores,
    Ints,
    check_disjoint,
    evidence,
    group_scores,
    matched_size,
    random_ranks,
    require_single_attack,
)

__all__ = ["DocumentPValues", "Sizes", "document_p_values"]

Sizes: TypeAlias = Literal["matched", "unmatched"]

_FPR = 0.05  # a note names the documents that this rate needs


@dataclass(frozen=True, slots=True, eq=False)
class DocumentPValues:
    """The p-values of candidate documents, in order of first appearance."""

    names: tuple[str, ...]
    """Names of the documents, shape (m,)."""
    p_values: Floats
    """Shape (m,); NaN where no passage has a score."""
    values: Floats
    """Shape (m,): the evidence of the passages used."""
    n_passages: Ints
    """Shape (m,): number of passages with a score."""
    n_used: Ints
    """Shape (m,): number of passages used for the p-value; fewer where a document was cut to the size of others."""
    n_calibration: Ints
    """Shape (m,): number n of calibration documents in the comparison; no p-value is under 1/(n + 1)."""
    notes: tuple[Note, ...]
    """What was assumed or left out, and what cannot be reached; see `describe_note`."""


def document_p_values(
    candidate_scores: ArrayLike,
    candidate_documents: Sequence[str],
    calibration_scores: ArrayLike,
    calibration_documents: Sequence[str],
    *,
    average: Average = "mean",
    sizes: Sizes = "matched",
    keep: float = 0.9,
    seed: int = 0,
) -> DocumentPValues:
    """A conformal p-value for each candidate document, from the evidence of documents in place of scores of passages.

    The p-value of a document that was not trained on is super-uniform, provided that candidate and calibration
    documents are exchangeable, whatever the correlation of passages within a document. See
    `llm_mia.calibration.conformal_p_values`; n is the number of calibration documents.

    The mean of many passages varies less than the mean of few, so documents of different sizes are not exchangeable.
    ``sizes="matched"`` cuts both sides to the same number of passages, drawn at random: a candidate with k passages is
    compared with k passages of each calibration document that has as many. k is limited to the number of passages that
    a share *keep* of calibration documents have; a smaller *keep* uses more passages and fewer documents. This assumes
    that the size of a document has no other relation to its scores. ``sizes="unmatched"`` uses every passage. This
    assumes that the sizes of candidates are distributed like those of calibration documents; the p-values then hold
    over candidates of all sizes together, not for short candidates alone.

    Args:
        candidate_scores: of the candidates' passages, shape (passages,).
        candidate_documents: the document of each.
        calibration_scores: of the known non-members' passages, shape (passages,).
        calibration_documents: the document of each.
        average: of the passages of a document, see `document_scores`.
        sizes: how documents of different sizes are compared.
        keep: least share of calibration documents in each comparison.
        seed: of the draw of passages, which depends on the document's name and the order of its passages, and on no
            other document.

    Raises:
        ScoresError: no passages, infinite scores, a document on both sides, or no calibration document with a score.
        UsageError: unequal lengths, unknown *average* or *sizes*, or *keep* outside (0, 1].

    Vovk, Gammerman and Shafer 2005.

    >>> tested = document_p_values([5.0, 6.0, 1.0, 2.0], ["new", "new", "old", "old"],
    ...                            [1.0, 3.0, 2.0, 4.0, 3.0, 2.0], ["a", "a", "b", "b", "c", "c"])
    >>> tested.names, tested.p_values.tolist()  # document means 5.5 and 1.5 among 2, 3 and 2.5
    (('new', 'old'), [0.25, 1.0])
    """
    if sizes not in get_args(Sizes):
        raise UsageError(f"`sizes` must be 'matched' or 'unmatched': got {sizes!r}")
    if not 0 < keep <= 1:
        raise UsageError(f"`keep` must lie between 0 and 1, 0 excluded: got {keep:g}")
    candidates = require_single_attack(group_scores(candidate_scores, candidate_documents, "candidate"))
    known = require_single_attack(group_scores(calibration_scores, calibration_documents, "calibration"))
    check_disjoint(candidates, known, "among the candidates and in the calibration set")
    n_passages, available = candidates.sizes(candidates.scored), known.sizes(known.scored)
    if not available.any():
        raise ScoresError("no calibration passage has a score: known non-members are needed")
    most = matched_size(available, keep) if sizes == "matched" else int(n_passages.max())
    n_used = np.minimum(n_passages, most)
    p_values, values, n_calibration = _compare(candidates, known, n_used, average, sizes, seed)
    notes = _notes(n_passages, available, n_used, n_calibration, sizes)
    return DocumentPValues(tuple(candidates.names), p_values, values, n_passages, n_used, n_calibration, tuple(notes))


def _compare(
    candidates: GroupedScores, known: GroupedScores, n_used: Ints, average: Average, sizes: Sizes, seed: int
) -> tuple[Floats, Floats, Ints]:
    """The p-value, the evidence and the number of calibration documents of each candidate, shapes (m,)."""
    available = known.sizes(known.scored)
    p_values, values = np.full(len(n_used), np.nan), np.full(len(n_used), np.nan)
    n_calibration = np.full(len(n_used), int(np.sum(available > 0)), dtype=np.intp)
    candidate_ranks, known_ranks = random_ranks(candidates, seed), random_ranks(known, seed)
    # Candidates that use the same number of passages are compared with the same calibration documents.
    for used in np.unique(n_used[n_used > 0]).tolist():
        rows = n_used == used
        cut, least = (used, used) if sizes == "matched" else (np.inf, 1)
        values[rows] = evidence(candidates, candidate_ranks < cut, average)[rows]
        others = evidence(known, known_ranks < cut, average)[available >= least]
        p_values[rows], n_calibration[rows] = conformal_p_values(values[rows], others), len(others)
    return p_values, values, n_calibration


def _notes(n_passages: Ints, available: Ints, n_used: Ints, n_calibration: Ints, sizes: Sizes) -> list[Note]:
    notes = [
        Note(kind, {"documents": int(np.sum(counts == 0))})
        for counts, kind in ((n_passages, "candidates_unscored"), (available, "calibration_unscored"))
        if (counts == 0).any()
    ]
    if (n_used < n_passages).any():
        notes.append(Note("documents_cut", {"passages": int(n_passages.max()), "used": int(n_used.max())}))
    distinct = np.unique(np.concatenate([n_passages, available]))
    if sizes == "unmatched" and np.sum(distinct > 0) > 1:
        notes.append(Note("sizes_differ", {}))
    least = int(n_calibration.min())
    if 1 / (least + 1) > _FPR:
        figures = {"documents": least, "smallest_p": 1 / (least + 1), "fpr": _FPR, "needed": nonmembers_needed(_FPR)}
        notes.append(Note("few_calibration_documents", figures))
    return notes
