"""A p-value for each document, calibrated on documents."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike

from ..calibration import conformal_p_values
from ..errors import ScoresError
from ._scores import Floats, Grouped, How, Ints, disjoint, evidence, grouped, one_attack

__all__ = ["DocumentPValues", "document_p_values"]

Sizes: TypeAlias = Literal["matched", "as_drawn"]


@dataclass(frozen=True, slots=True, eq=False)
class DocumentPValues:
    """One row per candidate document, in order of first appearance."""

    names: tuple[str, ...]
    """Shape (m,)."""
    p_values: Floats
    """Shape (m,); NaN where no passage has a score."""
    values: Floats
    """Shape (m,): the evidence of the passages used."""
    n_passages: Ints
    """Shape (m,): passages that have a score."""
    n_used: Ints
    """Shape (m,): passages that the p-value rests on, fewer where a document was cut to the size of others."""
    n_calibration: Ints
    """Shape (m,): calibration documents it was compared with; no p-value is under 1/(this + 1)."""
    notes: tuple[str, ...]
    """What was assumed, set aside or out of reach, a sentence each."""


def document_p_values(
    candidate_scores: ArrayLike,
    candidate_documents: Sequence[str],
    calibration_scores: ArrayLike,
    calibration_documents: Sequence[str],
    *,
    how: How = "mean",
    sizes: Sizes = "matched",
    keep: float = 0.9,
    seed: int = 0,
) -> DocumentPValues:
    """Each p-value of a document that was not trained on is super-uniform, provided its passages are exchangeable with
    those of calibration documents, document by document.

    It is conformal (`llm_mia.calibration.conformal_p_values`) with a document's evidence in the place of a score: n is
    the number of calibration documents, and however alike the passages within a document are, the p-value holds.

    The mean of many passages varies less than that of few, so documents of different sizes are not exchangeable as
    they stand. ``sizes="matched"`` cuts both sides to the same number of passages, drawn at random: a candidate of k
    is compared with k passages of each calibration document, k being at most what a share *keep* of these have; the
    others are set aside for it. A smaller *keep* lets more passages speak against fewer documents. It takes for
    granted that the size of a document says nothing else about its scores.
    ``sizes="as_drawn"`` uses every passage; it takes for granted that candidates' sizes are drawn like those of the
    calibration documents, and then holds over candidates of all sizes together, not for short ones alone.

    Scores have shapes (m passages,) and (n passages,). The draw of passages depends on *seed*, the document's
    name and the order of its passages, on no other document.

    Raises `ScoresError`: no passages, unequal lengths, infinite scores, a document on both sides, no calibration
    document with a score, unknown *how* or *sizes*, *keep* outside (0, 1]. Vovk, Gammerman and Shafer 2005.

    >>> found = document_p_values([5.0, 6.0, 1.0, 2.0], ["new", "new", "old", "old"],
    ...                           [1.0, 3.0, 2.0, 4.0, 3.0, 2.0], ["a", "a", "b", "b", "c", "c"])
    >>> found.names, found.p_values.tolist(), found.notes  # document means 5.5 and 1.5 among 2, 3 and 2.5
    (('new', 'old'), [0.25, 1.0], ('3 calibration documents: no p-value is under 0.25, and FPR ≤ 0.05 takes 19',))
    """
    if sizes not in get_args(Sizes):
        raise ScoresError(f"sizes must be one of {', '.join(get_args(Sizes))}: got {sizes!r}")
    if not 0 < keep <= 1:
        raise ScoresError(f"keep must lie between 0 and 1, 0 excluded: got {keep:g}")
    candidates = one_attack(grouped(candidate_scores, candidate_documents, "candidate"))
    known = one_attack(grouped(calibration_scores, calibration_documents, "calibration"))
    disjoint(candidates, known, "among the candidates and in the calibration set")
    n_passages, available = candidates.sizes(candidates.scored), known.sizes(known.scored)
    if not available.any():
        raise ScoresError("no calibration passage has a score: known non-members are needed")
    most = _shared_by(available, keep) if sizes == "matched" else int(n_passages.max())
    n_used = np.minimum(n_passages, most)
    p_values, values = np.full(len(n_used), np.nan), np.full(len(n_used), np.nan)
    n_calibration = np.full(len(n_used), int(np.sum(available > 0)), dtype=np.intp)
    places = _places(candidates, seed), _places(known, seed)
    # Candidates that use equally many passages are compared with the same calibration documents.
    for used in np.unique(n_used[n_used > 0]).tolist():
        rows = n_used == used
        cut, least = (used, used) if sizes == "matched" else (np.inf, 1)
        values[rows] = evidence(candidates, places[0] < cut, how)[rows]
        others = evidence(known, places[1] < cut, how)[available >= least]
        p_values[rows], n_calibration[rows] = conformal_p_values(values[rows], others), len(others)
    notes = _notes(n_passages, available, n_used, n_calibration, sizes)
    return DocumentPValues(candidates.names, p_values, values, n_passages, n_used, n_calibration, tuple(notes))


def _places(passages: Grouped, seed: int) -> Floats:
    """Place 0, 1, … of each scored passage in a random order of its document, +inf where there is no score."""
    places = np.full(len(passages.values), np.inf)
    rows = np.flatnonzero(passages.scored)
    # In the order given, never in that of the scores: drawn places would then name quantiles instead of passages.
    rows = rows[np.argsort(passages.numbers[rows], kind="stable")]
    sizes = passages.sizes(passages.scored)
    for name, end, size in zip(passages.names, np.cumsum(sizes).tolist(), sizes.tolist(), strict=True):
        digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        rng = np.random.default_rng([seed, int.from_bytes(digest, "big")])
        places[rows[end - size : end]] = rng.permutation(size)
    return places


def _shared_by(available: Ints, keep: float) -> int:
    """Most passages that a share *keep* of calibration documents have, of those that have any.

    >>> tuple(_shared_by(np.array([0, 1, *[7] * 8, 30]), keep) for keep in (1, 0.9, 0.1))
    (1, 7, 30)
    """
    descending = np.sort(available[available > 0])[::-1]
    return int(descending[max(math.ceil(keep * len(descending) - 1e-9), 1) - 1])


def _notes(n_passages: Ints, available: Ints, n_used: Ints, n_calibration: Ints, sizes: Sizes) -> list[str]:
    notes = [
        f"{np.sum(counts == 0)} {whose} documents have no passage with a score: {so}"
        for counts, whose, so in (
            (n_passages, "candidate", "no p-value"),
            (available, "calibration", "not calibrated on"),
        )
        if (counts == 0).any()
    ]
    if (n_used < n_passages).any():
        notes.append(f"documents of up to {n_passages.max()} passages are judged on {n_used.max()}, drawn at random")
    found = np.unique(np.concatenate([n_passages, available]))
    if sizes == "as_drawn" and np.sum(found > 0) > 1:
        notes.append("documents differ in size: the p-values hold if candidates' sizes are drawn like the others'")
    least = int(n_calibration.min())
    if 1 / (least + 1) > 0.05:
        notes.append(
            f"{least} calibration documents: no p-value is under {1 / (least + 1):.3g}, and FPR ≤ 0.05 takes 19"
        )
    return notes
