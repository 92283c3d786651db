"""What the signals of the pool show about each shadow model: how much less it loses on its members."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..metrics import compare_means, welch
from ..records import Interval, Passage
from ..store import RunDirectory
from ..training import TrainingRecord
from ._record import ShadowRecord, ShadowsPlan, ShadowsRecord
from ._shadows import Shadows, distinct_and_scored, spreads

__all__ = ["measured"]

CONFIDENCE = 0.95
NO_INTERVAL = Interval(math.nan, -math.inf, math.inf, CONFIDENCE)
Floats: TypeAlias = NDArray[np.float64]


def measured(run: RunDirectory, plan: ShadowsPlan, trained: Mapping[str, TrainingRecord], dtype: str) -> ShadowsRecord:
    """The record of the shadow models whose signals are in *run*."""
    shadows = Shadows(run.path, ShadowsRecord(plan, (), NO_INTERVAL, math.nan, math.nan, 0, dtype))
    passages, likelihoods = list(shadows.pool), shadows.mean_logprobs
    kept = distinct_and_scored(passages, likelihoods)
    spread_in, spread_out = spreads(likelihoods[kept], [passages[at] for at in kept], shadows.inside)
    losses = _document_losses(plan, passages, likelihoods)
    inside = np.array([[digit == "1" for digit in digits] for digits in plan.inside.values()])
    return ShadowsRecord(
        plan=plan,
        shadows=tuple(
            _measured(role, trained[role], losses[:, number], inside[:, number])
            for number, role in enumerate(plan.roles)
        ),
        gap=_gap(losses, inside),
        spread_in=spread_in,
        spread_out=spread_out,
        unscored=int(np.isnan(likelihoods).any(axis=1).sum()),
        dtype=dtype,
    )


def _document_losses(plan: ShadowsPlan, passages: Sequence[Passage], likelihoods: Floats) -> Floats:
    """The mean loss of the passages of each document, shape (documents, shadows); NaN where none is scored."""
    number = {document: at for at, document in enumerate(plan.inside)}
    of_passage = np.array([number[passage.document] for passage in passages])
    scored = np.isfinite(likelihoods).all(axis=1)
    sums = np.zeros((len(number), likelihoods.shape[1]))
    np.add.at(sums, of_passage[scored], -likelihoods[scored])
    counts = np.bincount(of_passage[scored], minlength=len(number))
    with np.errstate(invalid="ignore"):
        means: Floats = sums / counts[:, None]
    return means


def _gap(losses: Floats, inside: NDArray[np.bool_]) -> Interval:
    """The mean over the documents of the loss of shadows outside, less that of shadows inside, of the same document."""
    scored = np.isfinite(losses).all(axis=1)
    if not scored.any():
        return NO_INTERVAL
    half = losses.shape[1] // 2
    known, unknown = (np.where(of_kind, losses, 0.0).sum(axis=1)[scored] / half for of_kind in (inside, ~inside))
    return compare_means(known, unknown, confidence=CONFIDENCE).difference


def _measured(role: str, training: TrainingRecord, losses: Floats, inside: NDArray[np.bool_]) -> ShadowRecord:
    scored = np.isfinite(losses)
    known, unknown = losses[scored & inside], losses[scored & ~inside]
    loss_in, loss_out = (float(side.mean()) if len(side) else math.nan for side in (known, unknown))
    # Documents are independent, the passages of a document are not.
    low, high = welch(unknown, known, CONFIDENCE)
    return ShadowRecord(
        role=role,
        documents=int(inside.sum()),
        passages=training.texts,
        tokens=training.tokens,
        cut=training.cut,
        loss_in=loss_in,
        loss_out=loss_out,
        gap=Interval(loss_out - loss_in, low, high, CONFIDENCE),
        seconds=training.seconds,
    )
