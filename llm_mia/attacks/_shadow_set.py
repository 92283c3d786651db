"""What attacks need of a set of shadow models besides the signals: which of them was trained on which passage."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..passages import Passages
from ..records import ShadowLikelihoods, ShadowPopulation, text_sha256

__all__ = ["ShadowSet", "choose_shadows"]


def choose_shadows(inside: NDArray[np.bool_], *, seed: int, text: str, place: int | None = None) -> NDArray[np.intp]:
    """The shadows that are evidence for a passage: of K, K/2 − 1 that were trained on it and K/2 − 1 that were not.

    Each passage of the pool is in K/2 shadows, drawn at random. With a shadow in the target's *place*, K/2 − 1 shadows
    of its kind are left, so of the other kind 1 is left out at random. For the target itself, 1 of each kind is left
    out at random. For a passage outside the pool, K/2 − 1 shadows are drawn. All draws are by SHA-256 of *seed* and
    *text*.

    Theorem. Suppose that the likelihoods of a passage under the models that were trained on it are exchangeable given
    those under the other models, and the reverse; the target counts as a model. Then likelihood and evidence have the
    same joint distribution for the target as for a random shadow of the target's kind in its place; hence every score
    has, too. Proof: in both cases the likelihood is that of a random model of a kind, and the evidence is that of
    K/2 − 1 random others of this kind and K/2 − 1 random models of the other kind. Equal numbers of shadows for
    members and non-members also keep the numbers from showing which is which.

    The assumption holds where the target was trained as the shadows were, on a random half of their pool. It neglects
    that shadows share another document with probability ½ · (K/2 − 1) / (K − 1), but shadow and target with ¼.

    Args:
        inside: shape (K,): whether each shadow was trained on the passage; all false for a passage outside the pool.
        seed: of the set of shadows.
        text: of the passage.
        place: the shadow that is in the target's place; None: the target itself is.

    Returns:
        Positions, in ascending order.

    >>> inside = np.array([True, False, False, True, True, False, True, False])
    >>> choose_shadows(inside, seed=0, text="a passage").tolist()  # without 5 and 6
    [0, 1, 2, 3, 4, 7]
    >>> choose_shadows(inside, seed=0, text="a passage", place=1).tolist()
    [0, 2, 3, 4, 5, 7]
    """
    most = len(inside) // 2 - 1
    order = _random_order(len(inside), seed, text)
    order = order[order != place] if place is not None else order
    kinds = [order[inside[order]][:most], order[~inside[order]][:most]]
    return np.sort(np.concatenate(kinds))


def _random_order(count: int, seed: int, text: str) -> NDArray[np.intp]:
    """The numbers below *count* in an order that depends on *seed* and *text*: the same in every version of numpy."""
    digest = text_sha256(text)
    keys = [hashlib.sha256(f"{seed} {number} {digest}".encode()).digest() for number in range(count)]
    return np.array(sorted(range(count), key=keys.__getitem__), dtype=np.intp)


@dataclass(frozen=True, slots=True, eq=False)
class ShadowSet:
    """Shadow models as a supply of a run: their roles, what each was trained on, and figures of their pool.

    `llm_mia.shadow.Shadows.supply` makes it from a folder of shadows.
    """

    roles: tuple[str, ...]
    """``shadow-00``, ``shadow-01``, …"""
    inside: Mapping[str, tuple[bool, ...]]
    """By SHA-256 of the text of a pool passage, hexadecimal: whether each shadow was trained on it."""
    spread_in: float
    """See `ShadowLikelihoods.spread_in`; over the pool, by `llm_mia.attacks.cohort.pooled_spreads`."""
    spread_out: float
    population: Passages
    """At most 1,000 passages of the pool, evenly spaced, of those that every shadow scores."""
    population_logprob: NDArray[np.float64]
    """Shape (passages of the population, shadows): their mean log-likelihood under each shadow, nats per token."""
    sha256: str
    """Digest of pool, split, base, recipe and weights: what scores depend on."""
    seed: int = 0
    """Draws the shadows that are left out for each passage."""

    def memberships(self, text: str) -> NDArray[np.bool_]:
        """Shape (shadows,): whether each shadow was trained on *text*; all false for a text outside the pool."""
        outside = (False,) * len(self.roles)
        return np.array(self.inside.get(text_sha256(text), outside), dtype=np.bool_)

    def likelihoods(self, text: str, mean_logprob: ArrayLike, *, place: int | None = None) -> ShadowLikelihoods:
        """The evidence about the passage *text*, whose mean log-likelihood under each shadow is *mean_logprob*.

        Which shadows it holds, and what *place* means: see `choose_shadows`.
        """
        inside = self.memberships(text)
        chosen = choose_shadows(inside, seed=self.seed, text=text, place=place)
        return ShadowLikelihoods(
            np.asarray(mean_logprob, dtype=np.float64)[chosen], inside[chosen], self.spread_in, self.spread_out
        )

    def compared(self, target: ArrayLike | None = None, *, place: int | None = None) -> ShadowPopulation:
        """The population as evidence, with the mean log-likelihoods *target* under the target.

        Give either *target*, shape (passages,), or the *place* of a shadow that takes the target's place.

        Raises `InputError` where a shadow gives a passage of the population no finite likelihood.
        """
        bad = np.argwhere(~np.isfinite(self.population_logprob))
        if len(bad):
            passage, shadow = bad[0]
            raise InputError(
                f"the population of the shadow models: passage {passage + 1} has no finite likelihood under "
                f"{self.roles[shadow]}: make the shadow models again without it (a text of 1 token cannot be scored)"
            )
        of_target = self.population_logprob[:, place] if target is None else np.asarray(target, dtype=np.float64)
        shadows = np.full(self.population_logprob.shape, np.nan)
        inside = np.zeros(shadows.shape, dtype=np.bool_)
        for row, passage in enumerate(self.population):
            inside[row] = self.memberships(passage.text)
            chosen = choose_shadows(inside[row], seed=self.seed, text=passage.text, place=place)
            shadows[row, chosen] = self.population_logprob[row, chosen]
        return ShadowPopulation(of_target, shadows, inside)
