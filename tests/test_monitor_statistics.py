"""The guarantees of the monitor, by simulation, each with a fault that the simulation notices."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from llm_mia.calibration import conformal_p_values
from llm_mia.monitor import BenignTraffic, Traffic, baseline_of, judge, mmd_p_value, simes
from llm_mia.monitor.combining import combined, scale_of
from llm_mia.monitor.detectors import change_of

from . import monitored_logs as logs

RATE, TRIALS = 0.05, 600
SLACK = 4 * np.sqrt(RATE * (1 - RATE) / TRIALS)
"""Four standard errors of a rate of 5 % over the trials."""


def rate_of(p_value: Callable[[np.random.Generator], float], trials: int = TRIALS) -> float:
    """How often a p-value is at most 5 %."""
    return float(np.mean([p_value(np.random.default_rng(seed)) <= RATE for seed in range(trials)]))


def counts(rng: np.random.Generator, clients: int) -> dict[str, np.ndarray]:
    """What six detectors count of benign clients: mostly nothing, at times much."""
    return {str(at): np.floor(rng.pareto(1.2, clients) * 3) * (rng.random(clients) < 0.3) for at in range(6)}


def of_client(rng: np.random.Generator, *, each_alone: bool = False) -> float:
    """The p-value of a benign client; *each_alone* is the fault: the least p-value of the detectors."""
    fit, calibration, test = counts(rng, 30), counts(rng, 99), counts(rng, 1)
    scales = {name: scale_of(values) for name, values in fit.items()}
    known, given = ({name: scale.surprise(of[name]) for name, scale in scales.items()} for of in (calibration, test))
    if each_alone:
        return float(min(conformal_p_values(given[name], known[name])[0] for name in scales))
    return float(conformal_p_values(combined(given), combined(known))[0])


def test_the_combined_score_keeps_its_rate_and_the_least_p_value_of_the_detectors_does_not() -> None:
    assert rate_of(of_client) <= RATE + SLACK
    assert rate_of(partial(of_client, each_alone=True)) > RATE + SLACK


def of_blocks(rng: np.random.Generator, combine: Callable[[np.ndarray], float]) -> float:
    calibration = rng.exponential(size=199)
    return combine(conformal_p_values(rng.exponential(size=5), calibration))


def test_simes_keeps_its_rate_and_the_least_p_value_does_not() -> None:
    assert rate_of(partial(of_blocks, combine=simes)) <= RATE + SLACK
    assert rate_of(partial(of_blocks, combine=lambda p_values: float(p_values.min()))) > 2 * RATE


def of_windows(rng: np.random.Generator, shift: float = 0.0, spread: float = 1.0) -> float:
    one, other = rng.normal(shift, spread, (25, 2)), rng.normal(size=(40, 2))
    return mmd_p_value(one, other, permutations=39, seed=int(rng.integers(1 << 30)))


def test_the_permutation_test_keeps_its_rate_and_sees_what_a_mean_cannot() -> None:
    assert rate_of(of_windows, 300) <= RATE + 4 * np.sqrt(RATE * (1 - RATE) / 300)
    assert rate_of(partial(of_windows, shift=1.0), 40) > 0.8
    assert rate_of(partial(of_windows, spread=0.2), 40) > 0.8


def test_a_width_from_one_sample_alone_would_still_permute_the_same_kernel() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 2))
    assert mmd_p_value(rows, rows, permutations=19) == 1.0  # no split separates equal samples better


def test_surprise_rises_with_the_value_within_and_beyond_the_benign() -> None:
    scale = scale_of([0, 0, 0, 0, 0, 0, 1, 2, 2, 5])
    values = scale.surprise([0, 1, 2, 5, 6, 60])
    assert values[0] == 0
    assert (np.diff(values) > 0).all()
    assert values[3] == pytest.approx(-np.log10(2 / 11))
    assert scale_of([0.0] * 9).surprise([1.0])[0] > 1


def test_change_needs_a_past_and_a_rise() -> None:
    assert change_of([(10, 10)]) == change_of([]) == 0
    assert change_of([(10, 5)] * 8) == pytest.approx(0, abs=1e-9)
    assert change_of([(20, 0)] * 4 + [(20, 15)] * 4) > 30
    assert change_of([(20, 15)] * 4 + [(20, 0)] * 4) == 0


def test_honest_families_raise_no_alarm_merely_because_they_want_log_probabilities() -> None:
    key = b"key"
    benign = BenignTraffic(Traffic(key=key), Traffic(key=key))
    for query in logs.honest(240, 1):
        benign.half(query.client).add([(0, query)], 0)
    base = baseline_of(benign, frozenset(), registry=None, false_alarms=RATE)
    traffic = Traffic(key=key)
    traffic.add([*enumerate(logs.honest(240, 2))], 0)  # twice as many clients as in the half that calibrates
    result = judge(traffic, base, [Path("log")], [], out=Path(), registry=None, false_alarms=RATE, fdr=RATE)
    assert result.families == 3
    assert result.of("family") == ()
