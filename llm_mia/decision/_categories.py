"""Known non-members' scores → a `Calibration`, with one threshold for all or one for each category."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..calibration import Floats, Split, describe_uncertified, finite, nonmembers_needed
from ..errors import CalibrationError, UsageError
from ._calibration import Calibration, assemble
from ._guarantee import OTHER


def calibrate_scores(
    scores: ArrayLike,
    *,
    attack: str,
    fpr: float,
    n_documents: int,
    calibrated_on: Mapping[str, Any] | None = None,
    confidence: float | None = None,
    categories: Sequence[str] | None = None,
    pool: bool | Collection[str] = False,
    split: Split | None = None,
    chosen: Mapping[str, Any] | None = None,
    stack: Mapping[str, Any] | None = None,
    by: str = "",
    validity: str = "",
) -> Calibration:
    """A new non-member exchangeable with the n scores is flagged with probability at most *fpr*.

    That is `fpr_threshold`; with a *confidence* it is `confident_threshold`. *scores* has shape (n,): known non-members
    that nothing else was chosen on. With several passages a document it is the documents that must be exchangeable, and
    n passages carry less than n independent ones would.

    With *categories*, shape (n,), the guarantee holds in each by itself, and not only over all (Mondrian): a category
    is whatever is known of a passage without its score, such as a length band, a language or a source. With a
    confidence it holds in each, not in all at once. *pool* names those that are put together as ``other``, where it
    holds of the pool as a whole, in the mixture found here; fix it beforehand, or on the fit part. ``pool=True`` pools
    what is too small in this very set: then it holds in the pool only roughly, since a category just short of standing
    alone has fewer passages here than among new ones (5.3 % were realised for 5 % where that one scored far above
    the rest).

    *split* and *chosen* (JSON values) record how the attack was chosen, and on what; *stack* (JSON values) the model
    that made the scores, where one did; *by* what the categories are, *validity* what was said of the known set.

    Raises `CalibrationError` where there are no scores, NaN or infinite ones, all (of a category) are equal, or n can't
    certify *fpr*. Categories: Vovk, Gammerman and Shafer 2005, section 4.5.

    >>> calibration = calibrate_scores([3.0, 1.0, 2.0], attack="loss", fpr=0.25, n_documents=3)
    >>> calibration.threshold, Calibration.from_json(calibration.to_json()) == calibration
    (3.0, True)
    >>> kinds = ["en"] * 3 + ["de"] * 3
    >>> both = calibrate_scores([1, 2, 3, 7, 8, 9], attack="loss", fpr=0.25, n_documents=6, categories=kinds)
    >>> both.thresholds, both.flagged([5, 5], ["en", "de"]).tolist()
    ({'de': 9.0, 'en': 3.0}, [True, False])
    """
    groups = {} if categories is None else _grouped(finite(scores, "calibration scores"), categories)
    needed = nonmembers_needed(fpr, confidence)
    small = {name for name, own in groups.items() if len(own) < needed}
    names = small if pool is True else {pool} if isinstance(pool, str) else pool or ()
    pooled = tuple(sorted(names))
    if pooled and {*pooled, OTHER} & {*groups}:
        groups, pooled = _pooled(groups, pooled)
    short = {name: len(own) for name, own in groups.items() if len(own) < needed}
    if short:
        raise CalibrationError(_too_few(short, needed, describe_uncertified(fpr, confidence)))
    return assemble(
        {name: (own, pooled if name == OTHER else ()) for name, own in groups.items()},
        by_size=pool is True,
        scores=scores,
        attack=attack,
        fpr=fpr,
        confidence=confidence,
        n_documents=n_documents,
        calibrated_on=calibrated_on or {},
        split=split,
        chosen=chosen or {},
        stack=stack or {},
        by=by,
        validity=validity,
    )


def _grouped(scores: Floats, categories: Sequence[str]) -> dict[str, Floats]:
    if len(categories) != len(scores):
        raise UsageError(f"{len(scores)} calibration scores but {len(categories)} categories")
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(categories):
        rows.setdefault(str(name), []).append(row)
    return {name: scores[own] for name, own in rows.items()}


def _pooled(groups: Mapping[str, Floats], pooled: tuple[str, ...]) -> tuple[dict[str, Floats], tuple[str, ...]]:
    """*groups* with the *pooled* ones as ``other``, and one of that name among them."""
    names = tuple(sorted({*pooled} | ({OTHER} & groups.keys())))
    alone = {name: own for name, own in groups.items() if name not in names}
    return {**alone, OTHER: np.concatenate([groups[name] for name in names if name in groups])}, names


def _too_few(sizes: Mapping[str, int], needed: int, what: str) -> str:
    fewest = sorted(sizes, key=lambda name: (sizes[name], name))
    which = ", ".join(f"{sizes[name]} of category {name!r}" for name in fewest[:5]) + (" …" if fewest[5:] else "")
    return f"{which} {what}: at least {needed} non-members are needed of each; join small categories with `pool`"
