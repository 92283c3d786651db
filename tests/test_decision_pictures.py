"""What figures show beyond the records: realised rates, counts of p-values, flags to expect by share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_mia.decision import (
    Calibration,
    Flags,
    calibrate,
    flag,
    flags_by_share,
    p_value_counts,
    realised_rates,
)
from llm_mia.errors import UsageError
from llm_mia.records import Interval
from llm_mia.scores import ScoreTable


def calibrated(scores: Any, documents: Any = None, fpr: float = 0.2, **options: Any) -> Calibration:
    table = ScoreTable.of(scores, [0] * len(scores), documents=documents, **options)
    return calibrate(table, "score", fpr=fpr)


def books(documents: int, passages: int, seed: int) -> tuple[NDArray[np.float64], list[str]]:
    """Scores of which half the variance is that of the document."""
    rng = np.random.default_rng(seed)
    scores = np.repeat(rng.normal(size=documents), passages) + rng.normal(size=documents * passages)
    return scores, [f"book {number // passages}" for number in range(documents * passages)]


# -- realised rates ---------------------------------------------------------------------------------------------------


def test_the_mean_realised_rate_is_what_the_rank_gives() -> None:
    """Above the k-th largest of 20 scores of a half lies a share k/21 of the other half on average, for any scores."""
    realised = realised_rates(calibrated(np.random.default_rng(0).normal(size=40)), rates=(0.05, 0.1, 0.5))
    assert realised is not None
    assert (realised.documents, realised.splits) == (20, 1000)
    for rate, mean, low, high in zip(realised.promised, realised.mean, realised.low, realised.high, strict=True):
        exact = math.floor(rate * 21) / 21
        # Of 1,000 splits, whose standard deviation is below a third of their 90 % interval: 4 standard errors.
        assert abs(mean - exact) < 4 * (high - low) / 3 / math.sqrt(1000) + 1e-9
        assert low <= mean <= high


@pytest.mark.parametrize("confidence", [None, 0.8])
def test_ties_and_documents_do_not_break_the_promise(confidence: float | None) -> None:
    scores, documents = books(80, 5, seed=1)
    table = ScoreTable.of(scores.round(1), [0] * len(scores), documents=documents)
    realised = realised_rates(calibrate(table, "score", fpr=0.2, confidence=confidence))
    assert realised is not None
    errors = (realised.high - realised.low) / 3 / math.sqrt(realised.splits)
    assert np.all(realised.mean <= realised.promised + 4 * errors)
    if confidence is not None:
        assert np.all(realised.mean < realised.promised)


def test_documents_taken_for_independent_passages_seem_to_vary_less() -> None:
    """A planted fault: splits by passage put passages of a document on both sides, so the band is far too narrow."""
    scores, documents = books(60, 20, seed=2)
    by_document, by_passage = (realised_rates(calibrated(scores, names), (0.2,)) for names in (documents, None))
    assert by_document is not None
    assert by_passage is not None
    width, narrow = (float((each.high - each.low)[0]) for each in (by_document, by_passage))
    assert narrow < 0.5 * width


def test_each_category_sets_a_threshold_of_its_own() -> None:
    rng = np.random.default_rng(3)
    scores = np.concatenate([rng.normal(0, 1, 60), rng.normal(9, 1, 60)])
    table = ScoreTable.of(scores, [0] * 120, categories=["low"] * 60 + ["high"] * 60)
    realised = realised_rates(calibrate(table, "score", fpr=0.2), (0.2,))
    assert realised is not None
    # With a single threshold the high category would be flagged at 40 % and the other never: 20 % as well. So the
    # spread over splits tells them apart: of each category it is that of 30 scores set by 30.
    alone = realised_rates(calibrated(scores[:60]), (0.2,))
    assert alone is not None
    assert float((realised.high - realised.low)[0]) < float((alone.high - alone.low)[0])
    assert abs(float(realised.mean[0]) - 6 / 31) < 0.03


def test_half_of_few_documents_certifies_nothing() -> None:
    assert realised_rates(calibrated(np.arange(7.0)), (0.2,)) is None


# -- p-values ---------------------------------------------------------------------------------------------------------


def test_counts_of_p_values_are_within_their_interval_as_often_as_it_says() -> None:
    rng, inside, total = np.random.default_rng(4), 0, 0
    for _ in range(300):
        known, candidates = rng.normal(size=99), rng.normal(size=80)
        p_values = (1 + (known[None] >= candidates[:, None]).sum(axis=1)) / 100
        counted = p_value_counts(p_values, [str(i) for i in range(80)], 99, bins=10)
        assert counted.interval is not None
        assert counted.counts.sum() == 80
        low, high = counted.interval
        inside += int(((low <= counted.counts) & (counted.counts <= high)).sum())
        total += 10
    # Each bin is inside with 95 % or more, by the discreteness of counts rather more; bins of a histogram depend on
    # each other, so the standard error is taken over 300 histograms.
    assert inside / total >= 0.95 - 4 * math.sqrt(0.05 * 0.95 / 300)


def test_shared_documents_leave_no_interval() -> None:
    p_values = np.linspace(0.01, 1, 100)
    names = [str(i) for i in range(100)]
    assert p_value_counts(p_values, names, 99).interval is not None
    assert p_value_counts(p_values, [str(i // 10) for i in range(100)], 99).interval is None
    shared = p_value_counts(p_values, names, 99, n_documents=33)
    assert shared.interval is None
    assert shared.expected.sum() == pytest.approx(100)


def test_p_values_at_the_edge_of_a_bin_are_counted_in_it() -> None:
    grid = np.arange(1, 21) / 20  # 3/20 is 0.15000000000000002
    assert p_value_counts(grid, [str(i) for i in range(20)], 19).counts.tolist() == [1] * 20
    assert p_value_counts([0.5], ["a"], 1).counts.tolist() == [1, 0]
    with pytest.raises(UsageError, match="no candidate"):
        p_value_counts([math.nan], ["a"], 9)


# -- flags by share ---------------------------------------------------------------------------------------------------


def decided(fdr: float | None = None, confidence: float | None = None) -> Flags:
    scores, labels = [*np.arange(100.0), *np.arange(999.0, 1048), *np.arange(-91.0, 0)], [0] * 100 + [None] * 140
    table = ScoreTable.of(scores, labels)
    return flag(table, calibrate(table, "score", fpr=0.05, confidence=confidence), fdr=fdr)


def test_flags_to_expect_rise_from_chance_to_the_power() -> None:
    curve = flags_by_share(decided(), Interval(0.5, 0.4, 0.6))
    assert (curve.candidates, curve.flagged, curve.least) == (140, 49, 15)
    chance = 5 / 101  # the threshold is the fifth highest of 100
    assert (curve.expected[0], curve.expected[-1]) == (pytest.approx(140 * chance), pytest.approx(70.0))
    assert curve.by_chance == pytest.approx(7.0)
    assert np.all(curve.low <= curve.expected)
    assert np.all(curve.expected <= curve.high)
    assert curve.crossing is not None
    # 140 · (s · 0.5 + (1 − s) · chance) = 15
    assert curve.crossing.value == pytest.approx((15 / 140 - chance) / (0.5 - chance))
    assert curve.crossing.low < curve.crossing.value < curve.crossing.high


def test_flags_of_a_threshold_with_confidence_come_at_its_rate_and_not_at_the_promised() -> None:
    """At the crossing as many flags as a finding needs come in about half of the cases; with 0.05 it was a tenth."""
    curve, power = flags_by_share(decided(confidence=0.95), Interval(0.6, 0.5, 0.7)), 0.6
    assert curve.expected[0] == pytest.approx(140 * 2 / 101)  # the second highest of 100
    assert curve.least is not None
    assert curve.crossing is not None
    members, rng, times = round(curve.crossing.value * 140), np.random.default_rng(0), 2000
    rates = rng.beta(2, 99, size=times)  # of new non-members above the second highest of 100
    enough = rng.binomial(members, power, times) + rng.binomial(140 - members, rates) >= curve.least
    assert 0.35 < enough.mean() < 0.65  # counts are whole and skewed, so the mean is not quite the median


def test_more_flags_are_expected_by_chance_where_large_documents_score_higher() -> None:
    """The rate of a threshold is an average over documents, and a large document has more passages to flag."""
    rng = np.random.default_rng(6)

    def side(name: str, count: int) -> tuple[list[float], list[str]]:
        sizes = np.where(rng.random(count) < 0.1, 40, 1)
        of_document = np.repeat(np.where(sizes > 1, 2.0, 0.0) + 0.6 * rng.normal(size=count), sizes)
        scores = of_document + 0.8 * rng.normal(size=sizes.sum())
        return scores.tolist(), [f"{name}{at}" for at in np.repeat(np.arange(count), sizes)]

    promised, expected, flagged = 0.0, 0.0, 0
    for _ in range(40):
        (known, of_known), (new, of_new) = side("known", 59), side("new", 60)
        labels = [0] * len(known) + [None] * len(new)
        table = ScoreTable.of([*known, *new], labels, documents=[*of_known, *of_new])
        calibration = calibrate(table, "score", fpr=0.05)
        promised, flagged = promised + 0.05 * len(new), flagged + int(calibration.flagged(new).sum())
        expected += len(new) * max(0.05, calibration.share_above)
    assert flagged > 3 * promised
    # 240 large documents on each side, whose flags vary by about 1.4 times their mean: 2 · 1.4 · √(2 / 240) = 0.25.
    assert expected == pytest.approx(flagged, rel=0.25)


def test_an_attack_that_flags_no_more_than_chance_shows_no_share() -> None:
    assert flags_by_share(decided(), Interval(0.05, 0.01, 0.09)).crossing is None
    weak = flags_by_share(decided(), Interval(0.2, 0.04, 0.3)).crossing
    assert weak is not None
    assert weak.high == math.inf


def test_a_false_discovery_rate_fixes_no_number_of_flags() -> None:
    with pytest.raises(UsageError, match="false discovery rate"):
        flags_by_share(decided(fdr=0.1), Interval(0.5, 0.4, 0.6))
