"""Extraction from signals: exact where it says so, bounds that hold where it says bounds, spans with the right ends."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from llm_mia.errors import UsageError
from llm_mia.extraction import (
    Sampling,
    Span,
    TokenRun,
    examine,
    expected_queries,
    find_spans,
    greedy_run,
    queries_for,
    repeated_tokens,
    stretch_sums,
    token_bounds,
)
from llm_mia.records import TokenSignals

Floats = NDArray[np.float64]
N, P = 50, 1e-3


def signals_of(logits: Floats, targets: NDArray[np.int64]) -> TokenSignals:
    """What one pass says, shapes (tokens, vocabulary) and (tokens,), from whole logits in float64."""
    logp = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    of_tokens = logp[np.arange(len(targets)), targets]
    p = np.exp(logp)
    mean = (p * logp).sum(1)
    return TokenSignals(
        token_ids=targets.astype(np.int32),
        logprob=of_tokens.astype(np.float32),
        mean=mean.astype(np.float32),
        std=np.sqrt((p * (logp - mean[:, None]) ** 2).sum(1)).astype(np.float32),
        top=logp.max(1).astype(np.float32),
        rank=(logp > of_tokens[:, None]).sum(1).astype(np.int32),
    )


def of_logprobs(logprob: Floats) -> TokenSignals:
    """Tokens that never repeat, with these log-probabilities; ranks are 0 from 1/2 on."""
    n = len(logprob)
    low = np.full(n, np.nan, dtype=np.float32)
    rank = (logprob < math.log(0.5)).astype(np.int32)
    return TokenSignals(np.arange(n, dtype=np.int32), logprob.astype(np.float32), low, low, low, rank)


def known_by_heart(before: Floats, n: int, after: Floats) -> Floats:
    """Log-probabilities: strange tokens, *n* that the model knows, strange tokens."""
    return np.concatenate([before, np.full(n, -0.02), after])


class TestSampling:
    @pytest.mark.parametrize("temperature", [0.7, 2.0, -1.0, math.nan])
    def test_other_temperatures_are_refused_and_the_reason_given(self, temperature: float) -> None:
        with pytest.raises(UsageError, match=r"`temperature` is .*: it must be 1, or 0 for greedy decoding"):
            Sampling(temperature)

    @pytest.mark.parametrize("k", [0, -3])
    def test_top_k_of_nothing_is_refused(self, k: int) -> None:
        with pytest.raises(UsageError, match="at least 1"):
            Sampling(top_k=k)

    def test_top_1_is_greedy(self) -> None:
        rng = np.random.default_rng(0)
        signals = signals_of(rng.normal(size=(30, 20)), rng.integers(0, 20, 30))
        for first, second in zip(
            token_bounds(signals, Sampling(top_k=1)), token_bounds(signals, Sampling(0.0)), strict=True
        ):
            np.testing.assert_array_equal(first, second)

    def test_plain_sampling_is_the_log_probability_itself(self) -> None:
        signals = of_logprobs(np.array([-1.0, -np.inf, np.nan, -0.25]))
        for bound in token_bounds(signals, Sampling()):
            np.testing.assert_array_equal(bound, [-1.0, -np.inf, np.nan, -0.25])

    def test_by_hand(self) -> None:
        # p = (1/2, 1/4, 1/8, 1/8) and k = 2: the second token has 1/4 of 3/4. Rank 1: Z ≥ 1/2 + 1/4, so its bound is
        # exact; the first's own bound is weaker than 2/3 but not below it; the third can't be drawn.
        logits = np.log(np.array([[4.0, 2.0, 1.0, 1.0]] * 3))
        low, high = token_bounds(signals_of(logits, np.array([0, 1, 2])), Sampling(top_k=2))
        np.testing.assert_allclose(np.exp(low), [0.5, 0.25, 0.0], rtol=1e-6)
        np.testing.assert_allclose(np.exp(high[1:]), [1 / 3, 0.0], rtol=1e-6)
        assert 2 / 3 <= math.exp(high[0]) <= 1


@pytest.mark.parametrize("k", [2, 5, 40, 300])
@pytest.mark.parametrize("sharpness", [0.5, 2.0, 6.0, 20.0])
def test_top_k_bounds_hold_what_whole_logits_say(k: int, sharpness: float) -> None:
    """Oracle: mask, renormalise, in float64, as Cooper et al. 2025 define it and transformers samples."""
    rng = np.random.default_rng(k)
    logits = rng.normal(size=(4000, 200)) * sharpness
    targets = np.where(rng.random(4000) < 0.5, logits.argmax(1), rng.integers(0, 200, 4000))
    low, high = token_bounds(signals_of(logits, targets), Sampling(top_k=k))
    kept = logits >= np.sort(logits, axis=1)[:, -min(k, 200)][:, None]
    masked = np.where(kept, logits, -np.inf)
    exact = (masked - np.log(np.exp(masked).sum(1, keepdims=True)))[np.arange(4000), targets]
    assert (np.isneginf(low) == np.isneginf(exact)).all()
    drawn = np.isfinite(exact)
    assert (low[drawn] <= exact[drawn] + 1e-5).all()
    assert (high[drawn] >= exact[drawn] - 1e-5).all()


def test_the_bound_by_entropy_tells_something_of_first_choices() -> None:
    """Rank and top alone leave their upper bound at 1; the more uneven the rest is, the more the entropy tells."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(500, 200)) * 4
    logits[:, 0] = np.log(np.exp(logits[:, 1:]).sum(1)) + 3  # 0.95 for the first
    signals = signals_of(logits, np.zeros(500, dtype=np.int64))
    low, high = token_bounds(signals, Sampling(top_k=40))
    assert (high - low).mean() < 0.5 * (0 - low).mean()
    unknown = TokenSignals(
        signals.token_ids, signals.logprob, signals.std + np.nan, signals.std, signals.top, signals.rank
    )
    assert (token_bounds(unknown, Sampling(top_k=40))[1] == 0).all()


def test_a_wrong_bound_would_be_seen() -> None:
    """The planted fault: one token more counted into the mass than ranks tell."""
    rng = np.random.default_rng(40)
    logits = rng.normal(size=(4000, 200)) * 6
    targets = logits.argsort(1)[:, -2]
    signals = signals_of(logits, targets)
    wrong = signals.logprob - np.log(np.minimum(1, np.exp(signals.top) + (signals.rank + 1) * np.exp(signals.logprob)))
    exact = signals.logprob - np.log(np.exp(np.sort(logits, axis=1)[:, -3:]).sum(1) / np.exp(logits).sum(1))
    high = token_bounds(signals, Sampling(top_k=3))[1]
    assert (high >= exact - 1e-5).all()
    assert not (wrong >= exact - 1e-5).all()


def test_certain_and_tiny_probabilities_give_no_nan() -> None:
    logprob = np.array([0.0, -1e-9, -100.0, -800.0], dtype=np.float32)
    top, rank = np.array([0.0, -1e-9, -1e-3, -1e-3], dtype=np.float32), np.array([0, 0, 3, 3], dtype=np.int32)
    mean = np.array([0.0, -1e-8, -0.01, -0.01], dtype=np.float32)
    signals = TokenSignals(np.arange(4, dtype=np.int32), logprob, mean, mean, top, rank)
    low, high = token_bounds(signals, Sampling(top_k=40))
    np.testing.assert_array_equal(low, logprob.astype(np.float64))
    assert (low <= high).all()
    assert (high <= 0).all()


class TestStretches:
    def test_by_hand(self) -> None:
        # ½·½·1 = ¼, ½·1·¼ = ⅛
        sums = stretch_sums(np.log([0.5, 0.5, 1.0, 0.25]), 3)
        np.testing.assert_allclose(np.exp(sums), [0.25, 0.125], rtol=1e-12)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.floats(-30, 0) | st.sampled_from([-np.inf, np.nan]), max_size=40), st.integers(1, 45))
    def test_as_summed_one_by_one(self, values: list[float], n: int) -> None:
        tokens = np.array(values)
        expected = [tokens[i : i + n].sum() for i in range(len(tokens) - n + 1)]
        np.testing.assert_allclose(stretch_sums(tokens, n), expected, rtol=1e-12, atol=1e-9)

    def test_a_million_tokens_lose_no_precision(self) -> None:
        tokens = np.full(1_000_000, -7.0)
        tokens[-50:] = -1e-3
        assert stretch_sums(tokens, 50)[-1] == pytest.approx(-0.05, abs=1e-8)

    def test_what_follows_changes_no_stretch_before_it(self) -> None:
        rng = np.random.default_rng(1)
        tokens = -rng.exponential(size=200)
        np.testing.assert_allclose(stretch_sums(tokens, 50)[:100], stretch_sums(tokens[:149], 50), rtol=1e-12)


@pytest.mark.parametrize(
    ("rank", "run"),
    [
        ([], TokenRun(0, 0)),
        ([5], TokenRun(0, 0)),
        ([0], TokenRun(0, 1)),
        ([0, 0, 1, 0, 0], TokenRun(0, 2)),
        ([1, 0, 2, 0, 0, 0], TokenRun(3, 3)),
    ],
)
def test_longest_greedy_run(rank: list[int], run: TokenRun) -> None:
    assert greedy_run(np.array(rank, dtype=np.int32)) == run


class TestQueries:
    def test_by_hand(self) -> None:
        # 1 − (1 − 1/4)ⁿ ≥ 1/2 from n = 3 on: 1 − 27/64 = 0.578, with n = 2 it is 0.4375.
        assert queries_for(math.log(0.25), 0.5) == 3
        assert expected_queries(math.log(0.25)) == pytest.approx(4)

    @pytest.mark.parametrize("p", [0.9, 0.5, 0.1, 1e-3, 1e-7])
    @pytest.mark.parametrize("q", [0.5, 0.95])
    def test_so_many_suffice_and_one_less_does_not(self, p: float, q: float) -> None:
        n = queries_for(math.log(p), q)
        assert -math.expm1(n * math.log1p(-p)) >= q - 1e-12
        assert n == 1 or -math.expm1((n - 1) * math.log1p(-p)) < q

    def test_no_overflow(self) -> None:
        assert queries_for(-100.0, 0.5) == pytest.approx(math.log(2) * math.exp(100), rel=1e-12)
        assert queries_for(-5000.0, 0.5) == expected_queries(-5000.0) == math.inf
        assert queries_for(-math.inf, 0.95) == expected_queries(-math.inf) == math.inf
        assert (queries_for(0.0, 0.95), expected_queries(0.0)) == (1, 1)
        assert math.isnan(queries_for(math.nan, 0.95))

    def test_the_two_ways_to_compute_it_meet(self) -> None:
        assert queries_for(-30.0001, 0.95) == pytest.approx(queries_for(-29.9999, 0.95), rel=1e-3)


class TestSpans:
    def spans(self, tokens: Floats, n: int = N, p: float = P) -> list[Span]:
        return find_spans(stretch_sums(tokens, n), tokens, n, p)

    def test_none(self) -> None:
        assert self.spans(np.full(200, -3.0)) == []
        assert self.spans(np.full(49, 0.0)) == []
        assert self.spans(np.empty(0)) == []

    def test_a_stretch_alone(self) -> None:
        assert self.spans(np.zeros(50)) == [Span(0, 50, 0, 0.0)]

    def test_a_planted_text_is_found_to_the_token(self) -> None:
        (span,) = self.spans(known_by_heart(np.full(60, -3.0), 80, np.full(60, -3.0)))
        assert (span.start, span.end) == (60, 140)
        assert span.log_probability == pytest.approx(-1.0)
        assert 60 <= span.likeliest <= 90

    def test_what_the_model_must_recognise_first_is_not_in_it(self) -> None:
        (span,) = self.spans(known_by_heart(np.array([*[-3.0] * 60, -7.0, -2.0, -0.25]), 80, np.full(9, -3.0)))
        assert (span.start, span.end) == (62, 143), "its third token is likelier than three in four"

    @pytest.mark.parametrize("seed", range(3))
    def test_natural_surroundings_move_no_edge_by_more_than_two(self, seed: int) -> None:
        """Held-out English under a small model: a quarter of the tokens are easy, the mean is about 3.2 nats."""
        rng = np.random.default_rng(seed)
        off = []
        for _ in range(300):
            around = np.where(rng.random((2, 100)) < 0.25, -rng.exponential(0.2, (2, 100)), -rng.gamma(2, 2, (2, 100)))
            (span,) = self.spans(known_by_heart(around[0], 90, around[1]))
            off += [abs(span.start - 100), abs(span.end - 190)]
        assert np.mean(np.array(off) <= 2) > 0.96, "98 % over many"

    def test_without_trimming_they_would(self) -> None:
        """The planted fault: the union of all probable stretches."""
        tokens = known_by_heart(np.full(60, -1.5), 90, np.full(60, -1.5))
        probable = np.flatnonzero(stretch_sums(tokens, N) >= math.log(P))
        assert 60 - probable[0] > 2
        assert probable[-1] + N - 150 > 2
        (span,) = self.spans(tokens)
        assert (span.start, span.end) == (60, 150)

    def test_two_texts_apart_are_two_spans_and_one_with_a_gap_is_one(self) -> None:
        gap = np.full(30, -4.0)
        tokens = np.concatenate([gap, np.zeros(60), gap, np.zeros(70), gap])
        assert [(span.start, span.end) for span in self.spans(tokens)] == [(30, 90), (120, 190)]
        bridged = np.concatenate([gap, np.zeros(60), [-4.0], np.zeros(70), gap])
        assert [(span.start, span.end) for span in self.spans(bridged)] == [(30, 161)]

    def test_stretches_that_touch_but_share_no_token_are_two(self) -> None:
        tokens = np.array([-9.0, 0, 0, 0, 0, 0, 0, -9.0])
        stretches = np.full(len(tokens) - 2, -np.inf)
        stretches[[1, 4]] = 0.0
        assert [(span.start, span.end) for span in find_spans(stretches, tokens, 3, 0.5)] == [(1, 4), (4, 7)]

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(st.sampled_from([0.0, -0.1, -0.5, -0.8, -1.5, -4.0]), min_size=1, max_size=40),
        st.integers(1, 8),
        st.sampled_from([1.0, 0.5, 0.1, 1e-3]),
    )
    def test_whatever_the_tokens(self, values: list[float], n: int, p: float) -> None:
        tokens = np.array(values)
        spans, sums = self.spans(tokens, n, p), stretch_sums(tokens, n)
        probable = np.flatnonzero(sums >= math.log(p) - 1e-12)
        covered = np.zeros(len(tokens), dtype=bool)
        for start in probable:
            covered[start : start + n] = True
        assert bool(spans) == bool(len(probable))
        for span in spans:
            assert 0 <= span.start < span.end <= len(tokens)
            assert covered[span.start : span.end].all(), "nothing outside of the union"
            assert span.log_probability == sums[span.likeliest] == pytest.approx(max(sums[probable]), abs=20)
            gains = tokens[span.start : span.end] + max(math.log(4 / 3), -math.log(p) / n)
            assert gains.sum() >= -1e-9, "as a whole it is as likely as its edges must be"
            assert min(gains[0], gains[-1]) >= -1e-9, "and it begins and ends with such tokens"
        assert all(span.end <= later.start for span, later in pairwise(spans))

    def test_a_lower_probability_loses_no_span(self) -> None:
        rng = np.random.default_rng(3)
        tokens = np.where(rng.random(3000) < 0.97, -0.02, -5.0)
        covers = []
        for p in (0.5, 0.1, 1e-2, 1e-3):
            covered = np.zeros(3000, dtype=bool)
            for span in self.spans(tokens, 20, p):
                covered[span.start : span.end] = True
            covers.append(covered)
        assert all((small <= large).mean() > 0.99 for small, large in pairwise(covers))
        assert covers[0].any()


class TestExamine:
    def test_greedy_is_probability_one_or_none(self) -> None:
        logprob = known_by_heart(np.full(10, -3.0), 60, np.full(10, -3.0))
        result = examine(of_logprobs(logprob), Sampling(0.0), probability=1.0)
        assert [(span.start, span.end, span.log_probability) for span in result.spans] == [(10, 70, 0.0)]
        assert result.greedy == TokenRun(10, 60)

    def test_top_k_gives_bounds_on_a_stretch(self) -> None:
        rng = np.random.default_rng(2)
        logits = rng.normal(size=(80, 100)) * 3
        result = examine(signals_of(logits, logits.argmax(1)), Sampling(top_k=10), n=20, probability=1e-9)
        assert result.log_probability < result.log_probability_high <= 0
        assert all(span.log_probability <= result.upper_bound(span) <= 0 for span in result.spans)
        plain = examine(signals_of(logits, logits.argmax(1)), n=20, probability=1e-9)
        assert plain.log_probability == plain.log_probability_high == result.log_probability

    def test_no_stretch_begins_before_its_prefix(self) -> None:
        signals = of_logprobs(np.zeros(120))
        assert examine(signals).stretches == 71
        late = examine(signals, skip=49)
        assert (late.stretches, late.likeliest) == (22, 49)
        assert [(span.start, span.end) for span in late.spans] == [(49, 120)]
        assert examine(signals, skip=500).spans == []
        assert examine(signals, skip=500).stretches == 0

    @pytest.mark.parametrize("n", [0, 1, 49])
    def test_too_short(self, n: int) -> None:
        result = examine(of_logprobs(np.zeros(n)))
        assert (result.stretches, list(result.spans), result.copied) == (0, [], 0)
        assert math.isnan(result.log_probability)
        assert result.greedy == TokenRun(0, n)

    def test_a_token_not_known_makes_its_stretches_unknown_and_no_others(self) -> None:
        logprob = np.zeros(120)
        logprob[110] = np.nan
        result = examine(of_logprobs(logprob))
        assert result.unknown == 10
        assert [(span.start, span.end) for span in result.spans] == [(0, 110)]
        nothing = examine(of_logprobs(np.full(60, np.nan)))
        assert (nothing.unknown, list(nothing.spans)) == (11, [])

    def test_likelier_tokens_never_lower_a_probability(self) -> None:
        rng = np.random.default_rng(5)
        logprob = -rng.exponential(0.05, size=200)
        before, after = (examine(of_logprobs(values)) for values in (logprob, logprob / 2))
        assert after.log_probability >= before.log_probability
        assert sum(span.end - span.start for span in after.spans) >= sum(span.end - span.start for span in before.spans)

    def test_a_text_that_the_passage_shows_twice_is_no_evidence(self) -> None:
        """The model copies the second half from the first: probable, and says nothing of training."""
        ids = np.concatenate([np.arange(100), np.arange(100)]).astype(np.int32)
        logprob = np.concatenate([np.full(100, -3.0), np.full(100, -0.01)])
        signals = of_logprobs(logprob)
        assert examine(signals).spans, "were it another text"
        copied = TokenSignals(ids, signals.logprob, signals.mean, signals.std, signals.top, signals.rank)
        result = examine(copied)
        assert list(result.spans) == []
        assert result.copied == 53, "all 51 of the copy, and the two before that are probable too"
        assert result.greedy.length == 0

    @pytest.mark.parametrize(
        ("settings", "message"),
        [({"n": 0}, "at least 1"), ({"probability": 0.0}, "above 0"), ({"probability": 1.5}, "at most 1")],
    )
    def test_senseless_settings(self, settings: dict[str, Any], message: str) -> None:
        with pytest.raises(UsageError, match=message):
            examine(of_logprobs(np.zeros(60)), **settings)

    def test_names_of_tokens_matter_to_copies_only(self) -> None:
        rng = np.random.default_rng(6)
        logprob, ids = -rng.exponential(0.1, size=150), rng.integers(0, 40, 150).astype(np.int32)
        signals, renamed = of_logprobs(logprob), rng.permutation(40).astype(np.int32)
        first, second = (
            examine(TokenSignals(token_ids, signals.logprob, signals.mean, signals.std, signals.top, signals.rank))
            for token_ids in (ids, renamed[ids])
        )
        assert (first.spans, first.log_probability, first.greedy) == (
            second.spans,
            second.log_probability,
            second.greedy,
        )


def test_repeated_tokens() -> None:
    assert not repeated_tokens(np.arange(5, dtype=np.int32)).any()
    assert not repeated_tokens(np.array([], dtype=np.int32)).any()
    assert not repeated_tokens(np.tile(np.arange(9), 2).astype(np.int32))[:9].any()
    constant = repeated_tokens(np.zeros(30, dtype=np.int32))
    assert constant.tolist() == [False] + [True] * 29, "all but the first run of ten"


@pytest.mark.timed
def test_linear_in_the_text() -> None:
    import time

    signals = of_logprobs(np.log(np.random.default_rng(0).random(200_000)))
    start = time.perf_counter()
    examine(signals)
    assert time.perf_counter() - start < 5, "0.3 s on an idle core"
