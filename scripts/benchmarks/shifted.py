"""Weighted p-values where calibration set and candidates differ by a known shift."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llm_mia.calibration import conformal_p_values, likelihood_ratio_weights, weighted_p_values

from .figures import Figure
from .rates import Scores, mean_limit, standard_error

Floats = NDArray[np.float64]

CALIBRATION, CANDIDATES, MEMBERS = 1_000, 1_000, 100
TILT = 0.7
RATES = (0.1, 0.05, 0.01)
WAYS = ("unweighted", "true weights", "fitted weights")


def weighted_figures(scores: Scores, splits: int, rng: np.random.Generator) -> list[Figure]:
    """FPR among the candidates that are non-members: without weights, with the exact ones, and with fitted ones.

    The shift: a non-member enters the calibration set with a chance proportional to exp(−tilt·z), where z is its
    reference score, standardised and kept within ±2. The sign is the one that makes unweighted p-values too small.
    """
    centre, spread = scores.reference.mean(), scores.reference.std()
    reference, members = (np.clip((r - centre) / spread, -2, 2) for r in (scores.reference, scores.member_reference))
    tilt = TILT * float(np.sign(np.corrcoef(reference, scores.nonmembers)[0, 1]))
    rates, power = (np.empty((splits, len(WAYS), len(RATES))) for _ in range(2))
    worth = np.empty(splits)
    for at in range(splits):
        calibration, others = _drawn(reference, tilt, rng)
        mixed = rng.choice(len(members), size=MEMBERS, replace=False)
        z = np.concatenate([members[mixed], reference[others]])
        values = np.concatenate([scores.members[mixed], scores.nonmembers[others]])
        p_values, worth[at] = _p_values(values, z, scores.nonmembers[calibration], reference[calibration], tilt)
        below = p_values[:, None, :] <= np.array(RATES)[:, None] * (1 + 1e-12)
        power[at], rates[at] = below[..., :MEMBERS].mean(axis=-1), below[..., MEMBERS:].mean(axis=-1)
    shift = f"calibration set drawn with weight exp({-tilt:+.1f}·z), z the reference score"
    return [
        Figure(
            f"{scores.name}, shifted, {way}, FPR ≤ {100 * fpr:g} %: mean realised",
            100 * rates[:, i, j].mean(),
            "%",
            None if i == 0 else 100 * mean_limit(fpr, rates[:, i, j]),
            note=f"± {100 * standard_error(rates[:, i, j]):.2g}; finds {100 * power[:, i, j].mean():.3g} % of the "
            f"members; " + (shift, "exact weights", f"fitted, {worth.mean():.0f} effective of {CALIBRATION:,}")[i],
        )
        for j, fpr in enumerate(RATES)
        for i, way in enumerate(WAYS)
    ]


def _drawn(z: Floats, tilt: float, rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Non-members for calibration, thinned by the shift, and unchanged ones for the candidates."""
    order = rng.permutation(len(z))
    others, rest = order[: CANDIDATES - MEMBERS], order[CANDIDATES - MEMBERS :]
    kept = rest[rng.random(len(rest)) < np.exp(-tilt * z[rest] - 2 * abs(tilt))]
    if len(kept) < CALIBRATION:
        raise ValueError(f"{len(kept)} non-members are left by the shift: it takes {CALIBRATION:,}")
    return kept[:CALIBRATION], others


def _p_values(scores: Floats, z: Floats, calibration: Floats, their_z: Floats, tilt: float) -> tuple[Floats, float]:
    """P-values, shape (`WAYS`, candidates), and the effective number of non-members under the fitted weights."""
    documents = [str(i) for i in range(len(their_z) + len(z))]
    fitted = likelihood_ratio_weights(their_z[:, None], z[:, None], documents, check_fit=False)
    ways = [
        conformal_p_values(scores, calibration),
        weighted_p_values(scores, np.exp(tilt * z), calibration, np.exp(tilt * their_z)),
        weighted_p_values(scores, fitted.candidates, calibration, fitted.calibration),
    ]
    return np.stack(ways), fitted.effective_n
