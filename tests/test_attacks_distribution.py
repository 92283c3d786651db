"""The token distribution family against figures worked out by hand, the published formulas, and what must hold."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from llm_mia.attacks import ATTACKS, Evidence, parse_attack
from llm_mia.errors import AttackError
from llm_mia.records import TokenFrequencies, TokenSignals

from .test_attacks import TOKENS, of_logits

steady = settings(derandomize=True, deadline=None)
VOCABULARY = 40
ONE_PASS = ["min_k", "min_k++", "gap_k", "surp"]
FAMILY = [*ONE_PASS, "dc_pdd"]


def counted(counts: Any, tokenizer: str = "a", corpus: str = "c4") -> TokenFrequencies:
    return TokenFrequencies(np.array(counts, dtype=np.int64), tokenizer, corpus)


ONCE = counted([1] * VOCABULARY)


def signals(logprob: Any, *, mean: Any = -2.0, std: Any = 1.5, top: Any = -0.5, ids: Any = 0) -> TokenSignals:
    """Signals that no attack may change; what is one number holds for every token."""
    n = len(logprob)
    arrays = [np.broadcast_to(np.array(x, dtype=np.float32), n).copy() for x in (logprob, mean, std, top)]
    tokens = np.broadcast_to(np.array(ids, dtype=np.int32), n).copy()
    for array in (*arrays, tokens):
        array.flags.writeable = False
    observed, expected, spread, best = arrays
    return TokenSignals(tokens, observed, expected, spread, best, rank=tokens, tokenizer="a")


def score(spec: str, target: TokenSignals, frequencies: TokenFrequencies = ONCE) -> float:
    evidence: dict[str, Evidence] = {"target": target, "frequencies": frequencies}
    return parse_attack(spec).score(evidence)


# By hand

GAPS = signals([-2, -4, -1, -9, -3], top=[-1, -1, -1, -1, -2], std=[1, 1.5, 2, 2, 0.5])  # −1, −2, 0, −4, −2
SURPRISES = signals([-1, -8, -2, -6, -4], mean=[-1, -3, -0.5, -1.5, -1])


@pytest.mark.parametrize(
    ("spec", "target", "expected"),
    [
        ("gap_k:k=0.2,window=1", GAPS, -4.0),  # the lowest of five
        ("gap_k:k=0.4,window=1", GAPS, -3.0),  # (−4 − 2) / 2
        ("gap_k", GAPS, -2.0),  # windows −1, −2, −2; ⌊0.2 · 3⌋ = 0, so one
        ("gap_k:k=1", GAPS, -5 / 3),  # (−1 − 2 − 2) / 3
        ("gap_k:k=0.5,window=2", GAPS, -2.5),  # windows −1.5, −1, −2, −3: (−3 − 2) / 2
        ("gap_k:window=5", GAPS, -1.8),  # −9 / 5
        ("gap_k:window=99", GAPS, -1.8),  # the passage is one window
        ("surp", SURPRISES, -6.0),  # of −8 and −6, the first under an entropy of 3
        ("surp:k=0.6", SURPRISES, -5.0),  # −8 drops out: (−6 − 4) / 2
        ("surp:k=0.6,entropy=1.2", SURPRISES, -4.0),  # only −4 is left
        ("surp:k=0.2", SURPRISES, -8.0),  # none is left, so all: −8
        ("surp:k=0.4,entropy=1.5", SURPRISES, -7.0),  # 1.5 is not below 1.5: none is left, (−8 − 6) / 2
        ("surp:k=0.4,entropy=inf", SURPRISES, -7.0),
    ],
)
def test_by_hand(spec: str, target: TokenSignals, expected: float) -> None:
    assert score(spec, target) == pytest.approx(expected, rel=1e-6)


def test_dc_pdd_by_hand() -> None:
    # 12 tokens were counted, of a vocabulary of 4: f = 8/16, 4/16, 1/16, 3/16.
    frequencies = counted([7, 3, 0, 2])
    target = signals(np.log([0.5, 0.25, 0.125, 1.0]), ids=[1, 2, 1, 0])
    # First occurrences: 0.5 · log 4, 0.25 · log 16 and 1 · log 2, each of them log 2.
    assert score("dc_pdd:a=9", target, frequencies) == pytest.approx(math.log(2), rel=1e-6)
    assert score("dc_pdd:a=0.5", target, frequencies) == 0.5
    unlikely = signals(np.log([1e-4, 0.5]), ids=[2, 3])
    assert score("dc_pdd", unlikely, frequencies) == pytest.approx((1e-4 * math.log(16) + 0.01) / 2, rel=1e-5)


def test_dc_pdd_takes_the_first_occurrence_that_is_scored() -> None:
    first, second = math.log(0.5), math.log(1e-3)
    assert score("dc_pdd:a=9", signals([first, second], ids=[3, 3])) == pytest.approx(0.5 * math.log(40), rel=1e-6)
    assert score("dc_pdd:a=9", signals([second, first], ids=[3, 3])) == pytest.approx(1e-3 * math.log(40), rel=1e-6)


# The published formulas, worked out from the logits without anything of the package


def log_softmax() -> NDArray[np.float64]:
    """Of the logits of `of_logits`, shape (32, 40)."""
    t, v = np.arange(32)[:, None], np.arange(VOCABULARY)[None]
    logits = np.float32(3 * np.sin(t * (v + 1) * 0.37)).astype(np.float64)
    return np.asarray(logits - np.log(np.exp(logits).sum(1, keepdims=True)))


def published_gap_k(log_p: NDArray[np.float64], tokens: list[int], k: float, window: int) -> float:
    """Of meaoww/gap-k, wikimia.py: gap over deviation, mean of windows, mean of the ⌊k · windows⌋ lowest."""
    gaps = []
    for row, token in zip(log_p, tokens, strict=True):
        variance = sum(math.exp(x) * x * x for x in row) - sum(math.exp(x) * x for x in row) ** 2
        gaps.append((row[token] - max(row)) / math.sqrt(max(variance, 1e-8)))
    smoothed = sorted(sum(gaps[i : i + window]) / window for i in range(len(gaps) - window + 1))
    worst = smoothed[: max(1, int(len(smoothed) * k))]
    return float(sum(worst) / len(worst))


def published_surp(log_p: NDArray[np.float64], tokens: list[int], k: float, entropy: float) -> float:
    """As in computationalprivacy/mia_llms_benchmark, attacks/surp.py: the k % lowest and the certain, intersected."""
    log_likelihoods = [row[token] for row, token in zip(log_p, tokens, strict=True)]
    tail = set(sorted(range(len(log_likelihoods)), key=log_likelihoods.__getitem__)[: int(k * len(log_likelihoods))])
    both = [log_likelihoods[t] for t in tail if -sum(math.exp(x) * x for x in log_p[t]) < entropy]
    return float(sum(both) / len(both))


def published_dc_pdd(log_p: NDArray[np.float64], tokens: list[int], smoothed: NDArray[np.float64], a: float) -> float:
    """Of zhang-wei-chao/DC-PDD, com_det_sco.py, with the smoothed frequencies that it computes and does not use."""
    terms, seen = [], set()
    for row, token in zip(log_p, tokens, strict=True):
        if token not in seen:
            seen.add(token)
            terms.append(min(a, math.exp(row[token]) * math.log(1 / smoothed[token])))
    return float(sum(terms) / len(terms))


@pytest.mark.parametrize(("k", "window"), [(0.2, 3), (0.2, 6), (0.1, 1), (0.5, 2), (1.0, 32)])
def test_gap_k_is_the_authors(k: float, window: int) -> None:
    expected = published_gap_k(log_softmax(), TOKENS[1:], k, window)
    assert score(f"gap_k:k={k},window={window}", of_logits(0)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("k", "entropy"), [(0.4, 2.85), (0.2, 2.83), (0.6, 2.84), (1.0, 2.75)])
def test_surp_is_the_published_one(k: float, entropy: float) -> None:
    expected = published_surp(log_softmax(), TOKENS[1:], k, entropy)
    assert score(f"surp:k={k},entropy={entropy}", of_logits(0)) == pytest.approx(expected, rel=1e-5)
    assert expected != pytest.approx(score(f"min_k:k={k}", of_logits(0)), rel=1e-3), "the entropy decides something"


def test_surp_of_a_model_that_is_nowhere_certain_is_min_k() -> None:
    with pytest.raises(ZeroDivisionError):
        published_surp(log_softmax(), TOKENS[1:], 0.4, 2.0)
    assert score("surp", of_logits(0)) == score("min_k:k=0.4", of_logits(0))


@pytest.mark.parametrize("a", [0.01, 0.1, 10.0])
def test_dc_pdd_is_the_papers(a: float) -> None:
    frequencies = counted(np.random.default_rng(0).integers(0, 50, VOCABULARY), tokenizer="")
    smoothed = (frequencies.counts + 1) / (frequencies.counts.sum() + VOCABULARY)
    scores = score(f"dc_pdd:a={a}", of_logits(0), frequencies)
    assert len(set(TOKENS[1:])) < len(TOKENS[1:]), "some stand more than once"
    assert scores == pytest.approx(published_dc_pdd(log_softmax(), TOKENS[1:], smoothed, a), rel=1e-5)
    as_run = published_dc_pdd(log_softmax(), TOKENS[1:], np.maximum(frequencies.counts, 1e-9), a)
    assert scores != pytest.approx(as_run, rel=0.1), "what the authors' code computes from raw counts"


# What the functions above gave, every token counted once: written down, so that they cannot drift with the code.
GOLDEN = {
    "gap_k": -5.803598,
    "gap_k:k=0.1,window=1": -7.283558,
    "surp:k=1.0,entropy=2.75": -5.567036,
    "dc_pdd": 0.007538052,
    "dc_pdd:a=0.1": 0.04629925,
}


def test_golden_values() -> None:
    scores = {spec: score(spec, of_logits(0), replace(ONCE, tokenizer="")) for spec in GOLDEN}
    assert scores == pytest.approx(GOLDEN, rel=1e-6)


# What must hold for any passage

tokens = st.lists(
    st.tuples(
        st.floats(-30, -0.0078125, width=32),
        st.floats(-6, -0.0078125, width=32),
        st.floats(0.0625, 4, width=32),
        st.integers(0, VOCABULARY - 1),
    ),
    min_size=1,
    max_size=40,
)


def passage(rows: list[tuple[float, float, float, int]]) -> TokenSignals:
    observed, mean, std, ids = zip(*rows, strict=True)
    return signals(observed, mean=mean, std=std, top=np.maximum(observed, -1.0), ids=ids)


@steady
@given(tokens, st.integers(0, 39), st.floats(0, 8, width=32))
def test_a_likelier_token_never_lowers_a_score(rows: Any, at: int, gain: float) -> None:
    here = passage(rows)
    observed = here.logprob.copy()
    observed[at % len(observed)] = min(0.0, observed[at % len(observed)] + gain)
    for name in ("min_k", "min_k++", "gap_k", "gap_k:k=0.5,window=2", "dc_pdd", "dc_pdd:a=9"):
        assert score(name, replace(here, logprob=observed)) >= score(name, here) - 1e-6


@steady
@given(tokens, st.sampled_from([0.125, 0.5, 2.0]))
def test_likelier_tokens_never_lower_surp(rows: Any, gain: float) -> None:
    here = passage(rows)
    there = replace(here, logprob=here.logprob + np.float32(gain))
    assert score("surp", there) >= score("surp", here)


def test_one_likelier_token_may_lower_surp() -> None:
    # The other of the two least likely is then a surprise of its own: −3 was one, −4 is none any more.
    before, after = signals([-3, -4, -5], mean=[-9, -1, -1]), signals([-3, -2, -5], mean=[-9, -1, -1])
    assert score("surp:k=0.7", after) == -5.0 < score("surp:k=0.7", before) == -4.5


@steady
@given(tokens, st.sampled_from([0.5, 2.0, 4.0]))
def test_gap_k_has_no_unit_and_no_direction(rows: Any, factor: float) -> None:
    here = passage(rows)
    for spec in ("gap_k", "gap_k:k=0.7,window=4"):
        as_is = score(spec, here)
        shifted = replace(here, logprob=here.logprob - np.float32(2), top=here.top - np.float32(2))
        scaled = replace(here, **{name: getattr(here, name) * np.float32(factor) for name in ("logprob", "top", "std")})
        assert score(spec, shifted) == pytest.approx(as_is, abs=1e-3)
        assert score(spec, scaled) == pytest.approx(as_is, rel=1e-6)
        assert score(spec, passage(rows[::-1])) == pytest.approx(as_is, rel=1e-6, abs=1e-9)


def test_gap_k_knows_which_tokens_stand_together() -> None:
    apart, together = [-9, -1, -1, -9, -1, -1, -9], [-1, -1, -9, -9, -9, -1, -1]
    assert score("gap_k", signals(apart)) > score("gap_k", signals(together))
    assert score("gap_k:window=1", signals(apart)) == score("gap_k:window=1", signals(together))


@steady
@given(tokens, st.randoms(use_true_random=False), st.sampled_from([0.2, 0.4, 1.0]))
def test_surp_does_not_know_the_order_and_without_entropy_is_min_k(rows: Any, rng: Any, k: float) -> None:
    here = passage(rows)
    shuffled = passage(rng.sample(rows, len(rows)))
    assert score(f"surp:k={k}", shuffled) == pytest.approx(score(f"surp:k={k}", here), rel=1e-9)
    if len(set(here.logprob)) == len(rows):
        assert score(f"surp:k={k},entropy=inf", here) == pytest.approx(score(f"min_k:k={k}", here), rel=1e-9)


@steady
@given(tokens, st.lists(st.integers(0, 1000), min_size=VOCABULARY, max_size=VOCABULARY), st.integers(0, 99))
def test_dc_pdd_does_not_know_the_names_of_tokens(rows: Any, counts: list[int], seed: int) -> None:
    here, renamed = passage(rows), np.random.default_rng(seed).permutation(VOCABULARY)
    moved = np.empty(VOCABULARY, dtype=np.int64)
    moved[renamed] = counts
    there = replace(here, token_ids=renamed[here.token_ids].astype(np.int32))
    for spec in ("dc_pdd", "dc_pdd:a=9"):
        as_is = score(spec, here, counted(counts))
        assert score(spec, there, counted(moved)) == pytest.approx(as_is, rel=1e-9)
        assert 0 <= as_is <= (0.01 if spec == "dc_pdd" else 9) + 1e-12


def test_dc_pdd_of_a_rarer_token_is_higher() -> None:
    target = signals([-8.0], ids=[7])
    common, rare = [50] * VOCABULARY, [50] * VOCABULARY
    common[7], rare[7] = 500, 0
    assert score("dc_pdd", target, counted(rare)) > score("dc_pdd", target, counted(common)) > 0


# What passages are like


@pytest.mark.parametrize("name", [*FAMILY, "gap_k:window=500", "gap_k:k=1e-9", "surp:k=1e-9", "surp:entropy=1e-9"])
def test_every_passage_has_a_score(name: str) -> None:
    for values in ([-3.0], [0.0], [-3.0] * 50, [0.0] * 50, [-100.0] * 3):
        for mean in (-9.0, -1.0, 0.0):
            result = score(name, signals(values, mean=mean, top=0.0, ids=3))
            assert math.isfinite(result)


@pytest.mark.parametrize("name", FAMILY)
def test_nan_is_carried_wherever_it_stands(name: str) -> None:
    whole = signals(-np.arange(1.0, 11.0), ids=[1, 2, 1, 2, 1, 2, 1, 2, 1, 2])
    used = {"min_k++": ("mean", "std"), "gap_k": ("top", "std"), "surp": ("mean",)}.get(name, ())
    for field in ("logprob", *used):
        for at in range(10):
            values = getattr(whole, field).copy()
            values[at] = math.nan
            assert math.isnan(score(name, replace(whole, **{field: values}))), f"{field} of token {at}"


def test_frequencies_of_another_tokenizer_are_refused() -> None:
    with pytest.raises(AttackError, match=r"^`frequencies` of c4 were counted with another tokenizer .*: count"):
        score("dc_pdd", signals([-1.0]), counted([1] * VOCABULARY, tokenizer="b"))
    with pytest.raises(AttackError, match="of the corpus were counted"):
        score("dc_pdd", signals([-1.0]), counted([1] * VOCABULARY, tokenizer="b", corpus=""))


def test_a_larger_corpus_in_the_place_of_another_is_noticed() -> None:
    target, small, large = signals([-8.0], ids=[0]), counted([0] * 8), counted([0, 10_000, *[0] * 6])
    assert score("dc_pdd:a=9", target, small) == pytest.approx(math.exp(-8) * math.log(8))
    assert score("dc_pdd:a=9", target, large) == pytest.approx(math.exp(-8) * math.log(10_008))
    assert score("dc_pdd:a=9", target, small) == pytest.approx(math.exp(-8) * math.log(8))


@pytest.mark.parametrize("name", FAMILY)
def test_each_says_its_formula(name: str) -> None:
    registered = ATTACKS[name]
    assert "Σ" in registered.formula
    assert not any(word in registered.formula for word in (">>>", "Error"))
    assert registered.summary.endswith(".")
    assert "\n" not in registered.summary


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("gap_k:window=0", "window=0 is out of range"),
        ("gap_k:window=2.5", "not a whole number"),
        ("surp:entropy=0", "entropy=0 is out of range"),
        ("surp:k=0", "k=0 is out of range"),
        ("dc_pdd:a=0", "a=0 is out of range"),
    ],
)
def test_settings_have_bounds(spec: str, message: str) -> None:
    with pytest.raises(AttackError, match=message):
        parse_attack(spec)
