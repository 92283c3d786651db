"""The guarantees of the monitor, by simulation, each with a fault that the simulation notices."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from llm_mia.calibration import conformal_p_values
from llm_mia.monitor import (
    BenignTraffic,
    Traffic,
    baseline_of,
    benign_windows,
    drift_of,
    judge,
    median_distance,
    simes,
    squared_mmd,
)
from llm_mia.monitor.combining import combined, scale_of
from llm_mia.monitor.detectors import change_of
from llm_mia.queries import Query

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


def bursts(rng: np.random.Generator, clients: int, first: int = 0, size: float = 400.0) -> Traffic:
    """Requests of clients that come together: twenty of each, which are alike and differ from those of others."""
    of_each = [(client, size * math.exp(rng.normal())) for client in range(first, first + clients)]
    lengths = [(client, int(mean * math.exp(0.1 * rng.normal()))) for client, mean in of_each for _ in range(20)]
    queries = [Query(0.0, str(client), prompt_bytes=length, max_tokens=100) for client, length in lengths]
    traffic = Traffic()
    traffic.add([*enumerate(queries)], 0)
    return traffic


def of_window(rng: np.random.Generator, size: float = 400.0) -> float:
    """The p-value of a window of traffic among the windows of benign traffic."""
    benign = benign_windows(bursts(rng, 20).sample, bursts(rng, 40).sample)
    windows = drift_of(bursts(rng, 2, size=size).sample, replace(benign, requests=40))
    return windows[0].p_value


def of_permuted_requests(rng: np.random.Generator) -> float:
    """The fault: requests are permuted, as if they were independent."""
    one, other = (np.array([each.figures for _, each in bursts(rng, clients).sample]) for clients in (2, 10))
    rows, width = np.concatenate([one, other]), median_distance(other)
    orders = [np.arange(len(rows)), *(rng.permutation(len(rows)) for _ in range(39))]
    found = [squared_mmd(rows[order[:40]], rows[order[40:]], width) for order in orders]
    return float(np.mean([value >= found[0] for value in found]))


def test_drift_keeps_its_rate_where_requests_of_a_client_come_together_and_permuted_requests_do_not() -> None:
    slack = 4 * np.sqrt(RATE * (1 - RATE) / 60)
    assert rate_of(of_window, 60) <= RATE + slack
    assert rate_of(of_permuted_requests, 10) > 0.8
    assert rate_of(partial(of_window, size=400_000.0), 10) > 0.8


def test_a_window_of_more_requests_has_as_many_rows_and_short_logs_have_none() -> None:
    rng = np.random.default_rng(0)
    benign = benign_windows(bursts(rng, 50).sample, bursts(rng, 50).sample)
    assert len(benign.discrepancies) == 1000 // benign.requests == 24
    compared = drift_of(bursts(rng, 6).sample, benign)
    assert [(window.first, window.requests) for window in compared] == [(0, 60), (60, 60)]
    every_16th = [(16 * at, each) for at, (_, each) in enumerate(bursts(rng, 50).sample)]
    thinned = benign_windows(every_16th, every_16th)
    assert len(thinned.discrepancies) == (16 * 999 + 1) // thinned.requests == 24
    assert {window.requests for window in drift_of(bursts(rng, 120).sample, benign)} == {100}
    assert drift_of(bursts(rng, 1).sample, benign) == drift_of([], benign) == ()
    assert benign_windows([], []).discrepancies == ()
    assert drift_of(bursts(rng, 6).sample, benign_windows([], [])) == ()


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


def test_benign_families_raise_no_alarm_merely_because_they_want_log_probabilities() -> None:
    key = b"key"
    benign = BenignTraffic(Traffic(key=key), Traffic(key=key))
    for query in logs.benign_queries(240, 1):
        benign.half(query.client).add([(0, query)], 0)
    base = baseline_of(benign, frozenset(), registry=None, false_alarms=RATE)
    traffic = Traffic(key=key)
    traffic.add([*enumerate(logs.benign_queries(240, 2))], 0)  # twice as many clients as in the half that calibrates
    result = judge(traffic, base, [Path("log")], [], out=Path(), registry=None, false_alarms=RATE, fdr=RATE)
    assert result.families == 3
    assert result.of("family") == ()
