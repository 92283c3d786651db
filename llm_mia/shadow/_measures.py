"""What the signals of the pool show about each shadow model: how much less it loses on its members."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..metrics import welch
from ..records import Interval, Passage
from ..store import RunDirectory
from ..training import TrainingRecord
from ._record import ShadowRecord, ShadowsPlan, ShadowsRecord
from ._shadows import Shadows, distinct_and_scored, spreads

__all__ = ["measured"]

CONFIDENCE = 0.95


def measured(run: RunDirectory, plan: ShadowsPlan, trained: Mapping[str, TrainingRecord], dtype: str) -> ShadowsRecord:
    """The record of the shadow models whose signals are in *run*."""
    shadows = Shadows(run.path, ShadowsRecord(plan, (), math.nan, math.nan, 0, dtype))
    passages, likelihoods = list(shadows.pool), shadows.mean_logprobs
    kept = distinct_and_scored(passages, likelihoods)
    spread_in, spread_out = spreads(likelihoods[kept], [passages[at] for at in kept], shadows.inside)
    return ShadowsRecord(
        plan=plan,
        shadows=tuple(
            _measured(plan, number, trained[role], passages, likelihoods[:, number])
            for number, role in enumerate(plan.roles)
        ),
        spread_in=spread_in,
        spread_out=spread_out,
        unscored=int(np.isnan(likelihoods).any(axis=1).sum()),
        dtype=dtype,
    )


def _measured(
    plan: ShadowsPlan,
    number: int,
    training: TrainingRecord,
    passages: Sequence[Passage],
    likelihoods: NDArray[np.float64],
) -> ShadowRecord:
    of_document: dict[str, list[float]] = {document: [] for document in plan.inside}
    for passage, likelihood in zip(passages, likelihoods.tolist(), strict=True):
        if not math.isnan(likelihood):
            of_document[passage.document].append(-likelihood)
    losses: dict[str, list[float]] = {"1": [], "0": []}
    for document, values in of_document.items():
        if values:
            losses[plan.inside[document][number]].append(sum(values) / len(values))
    inside, outside = np.array(losses["1"]), np.array(losses["0"])
    loss_in, loss_out = (float(side.mean()) if len(side) else math.nan for side in (inside, outside))
    # Documents are independent, the passages of a document are not.
    low, high = welch(outside, inside, CONFIDENCE)
    return ShadowRecord(
        role=plan.roles[number],
        documents=sum(digits[number] == "1" for digits in plan.inside.values()),
        passages=training.texts,
        tokens=training.tokens,
        cut=training.cut,
        loss_in=loss_in,
        loss_out=loss_out,
        gap=Interval(loss_out - loss_in, low, high, CONFIDENCE),
        seconds=training.seconds,
    )
