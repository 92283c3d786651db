"""The noise that DP-SGD needs for a given ε, and the ε that its accountant reports. Pure numbers, without torch."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import cache

from ..errors import MissingExtraError, UsageError
from ._recipe import Privacy, Recipe

__all__ = ["Sampling", "check_privacy", "epsilon_spent", "noise_needed", "require_opacus"]

# Rényi orders of which the accountant takes the best. Fractional orders are slow and bring little: with those of
# Opacus, 107 of them and the largest 63, the noise is at most 0.5 % smaller. A small ε needs large orders.
ORDERS = [1.25, 1.5, 1.75, 2, 2.5, *range(3, 33), 36, 40, 48, 56, 64, 80, 96, 128, 192, 256, 384, 512, 768, 1024]
LARGEST_NOISE = 1000.0
"""More noise than this, in clipping norms, leaves nothing of a text."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Poisson sampling: every step of an epoch takes each text with the same probability, independently."""

    texts: int
    batch_size: int
    """The largest expected number of texts in a step."""
    epochs: int

    @property
    def steps_of_epoch(self) -> int:
        """⌈texts / batch size⌉."""
        return math.ceil(self.texts / self.batch_size)

    @property
    def probability(self) -> float:
        """With which a step takes a text."""
        return 1 / self.steps_of_epoch

    @property
    def steps(self) -> int:
        """Of all epochs."""
        return self.epochs * self.steps_of_epoch


def require_opacus() -> None:
    """Raise `MissingExtraError` where Opacus is not installed."""
    try:
        import opacus  # noqa: F401
    except ImportError:
        raise MissingExtraError("opacus, which DP-SGD needs,", "pip install 'llm-mia[dp]'") from None


def check_privacy(recipe: Recipe, texts: int) -> None:
    """Refuse, before a model is loaded, a *recipe* whose ε no noise reaches in a training on so many *texts*.

    Raises:
        MissingExtraError: Opacus is not installed.
        UsageError: ε is out of reach.
    """
    if recipe.privacy is None:
        return
    require_opacus()
    delta = 1 / (10 * texts) if recipe.privacy.delta is None else recipe.privacy.delta
    noise_needed(recipe.privacy, Sampling(texts, recipe.batch_size, recipe.epochs), delta)


@cache
def epsilon_spent(noise_multiplier: float, sampling: Sampling, delta: float) -> float:
    """The ε at *delta* that all steps of *sampling* spend, by Opacus' accountant of Rényi differential privacy.

    It is an upper bound that is proven for texts that are added and for texts that are removed, at any probability of
    sampling (Mironov, Talwar and Zhang 2019, arXiv:1908.10530). The accountant of privacy loss distributions (PRV)
    would ask for 6 to 10 % less noise; it is slower, approximates on a grid, and considers a single direction, which is
    a pitfall under composition (Lebeda et al. 2024, arXiv:2405.20769).
    """
    from opacus.accountants import RDPAccountant

    accountant = RDPAccountant()
    accountant.history = [(noise_multiplier, sampling.probability, sampling.steps)]
    with _without_warnings():
        return float(accountant.get_epsilon(delta, alphas=ORDERS))


@cache
def noise_needed(privacy: Privacy, sampling: Sampling, delta: float) -> float:
    """The noise multiplier at which all steps of *sampling* spend at most ε, and at least 99 % of it.

    Raises:
        UsageError: no noise is large enough.
    """
    from opacus.accountants.utils import get_noise_multiplier

    smallest = epsilon_spent(LARGEST_NOISE, sampling, delta)
    if smallest > privacy.epsilon:
        raise UsageError(
            f"`epsilon` is {privacy.epsilon:g}, and {sampling.steps} steps on {sampling.texts} texts reach no less "
            f"than {smallest:.3g} at `delta` {delta:.3g}: give a larger `epsilon` or `delta`, or fewer `epochs`"
        )
    with _without_warnings():
        noise = get_noise_multiplier(
            target_epsilon=privacy.epsilon,
            target_delta=delta,
            sample_rate=sampling.probability,
            steps=sampling.steps,
            accountant="rdp",
            epsilon_tolerance=0.01 * privacy.epsilon,
            alphas=ORDERS,
        )
    return float(noise)


def _without_warnings() -> warnings.catch_warnings[None]:
    """A block in which the accountant does not advise other orders, of which it is given enough."""
    return warnings.catch_warnings(action="ignore")
