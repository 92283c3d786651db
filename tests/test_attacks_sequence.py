"""Perplexity, CAMIA's features and Win-k against hand-made figures, the authors' code, and what must hold for any."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from llm_mia import TokenSignals
from llm_mia.attacks import ATTACKS, parse_attack
from llm_mia.attacks.sequence import SIGNALS, Signal, lempel_ziv_phrases
from llm_mia.errors import AttackError

from .test_attacks import TOKENS, of_logits

FEATURES = [f"camia:signal={name}" for name in SIGNALS]
ALL = ["perplexity", "win_k", *FEATURES]
MONOTONE = ["perplexity", "win_k"] + [
    f"camia:signal={s}" for s in ("below_1", "below_2", "below_3", "cut", "diversity")
]
steady = settings(derandomize=True, deadline=None, max_examples=60)


def signals(logprob: Sequence[float], ids: Sequence[int] = ()) -> TokenSignals:
    observed, tokens = np.array(logprob, dtype=np.float32), np.array(ids or range(len(logprob)), dtype=np.int32)
    observed.flags.writeable = tokens.flags.writeable = False  # an attack that changed its evidence would raise
    return TokenSignals(tokens, observed, observed, observed, observed, tokens)


def score(spec: str, target: TokenSignals) -> float:
    return parse_attack(spec).score({"target": target})


TARGET = signals([-1, -4, -2, -8, -0.5], ids=[5, 6, 5, 7, 6])
BY_HAND = {
    "perplexity": -22.197951,  # -exp((1 + 4 + 2 + 8 + 0.5) / 5) = -exp(3.1)
    "win_k": -14 / 3,  # windows -7/3, -14/3, -10.5/3; ⌊0.2 · 3⌋ = 0, so the one lowest
    "win_k:k=0.5,window=2": -4.625,  # windows -2.5, -3, -5, -4.25: (5 + 4.25) / 2
    "win_k:k=0.25,window=2": -5.0,
    "win_k:k=1,window=4": -3.6875,  # windows -15/4 and -14.5/4
    "win_k:window=100": -3.1,  # shorter than the window: one window
    "camia:signal=cut": -3.1,
    "camia:signal=cut,first=3": -7 / 3,
    "camia:signal=below_1": 2 / 5,  # -1, -0.5
    "camia:signal=below_2": 3 / 5,  # and -2
    "camia:signal=below_3": 3 / 5,
    "camia:signal=below_mean": 3 / 5,  # above -3.1
    "camia:signal=below_previous": 2 / 4,  # -4 > -1 no, -2 > -2.5 yes, -8 > -7/3 no, -0.5 > -3.75 yes
    "camia:signal=diversity": -3.1 * 5 / 3,  # 3 of 5 tokens are distinct
    "camia": -3.1 * 5 / 3,
    "camia:signal=lz": -3 / 5,  # steps end at -5.5 and -3: 2 1 2 0 2, phrases 2 | 1 | 20, and a 2 that stood before
    "camia:signal=repetition": -13 / 3 + 3.1,  # first occurrences -1, -4, -8
    "camia:signal=slope": -0.3,  # t from -2 to 2: (2 + 4 + 0 - 8 - 1) / 10
    "camia:signal=slope,first=2": -3.0,
}


@pytest.mark.parametrize("spec", BY_HAND)
def test_by_hand(spec: str) -> None:
    assert score(spec, TARGET) == pytest.approx(BY_HAND[spec], rel=1e-6)


def test_phrases_by_hand() -> None:
    assert lempel_ziv_phrases(b"1001111011000010") == 8  # 1 0 01 11 10 110 00 010
    assert lempel_ziv_phrases(b"1010101010101010") == 7  # 1 0 10 101 01 010 1010
    assert lempel_ziv_phrases(b"100111") == 4  # 1 0 01 11
    assert lempel_ziv_phrases(b"0") == 1


# What changhongyan123/context_aware_mia, util_features.py, gives on the logits of `of_logits`: get_loss, get_ppl,
# get_count_above, get_slope, get_lz_complexity (3 bins, negated) and loss over get_token_diversity with end_time 32
# and 20, get_count_mean over the length, and the loop of run_ours_get_roc.py for the mean of those before.
AUTHORS = {
    "cut": (-5.454541511833668, -5.146677160263062),
    "diversity": (-14.545444031556448, -9.35759483684193),
    "slope": (-0.02955903383818552, 0.024336608728968173),
    "below_1": (0.0, 0.0),
    "below_3": (0.1875, 0.2),
    "below_mean": (0.4375, 0.5),
    "below_previous": (0.3548387096774194, 0.42105263157894735),
    "lz": (-0.4375, -0.55),
}
# mimir/attacks/min_k.py there, with its window of tokens in a row: (k, window) and its figure negated.
WINDOWS = {
    (0.2, 3): -6.988286442226834,
    (0.2, 1): -7.9492983023325605,
    (0.1, 5): -6.865816354751587,
    (0.6, 2): -6.497532109419505,
    (1.0, 8): -5.435840892791748,
}


def test_the_authors_code_on_the_same_logits() -> None:
    target = of_logits(0)
    scores = {s: tuple(score(f"camia:signal={s},first={first}", target) for first in (32, 20)) for s in AUTHORS}
    assert scores == {s: pytest.approx(values, abs=1e-5) for s, values in AUTHORS.items()}
    assert {kw: score(f"win_k:k={kw[0]},window={kw[1]}", target) for kw in WINDOWS} == pytest.approx(WINDOWS, abs=1e-5)
    assert score("perplexity", target) == pytest.approx(-math.exp(5.454541), rel=1e-5)


def log_likelihoods() -> NDArray[np.float64]:
    """Of the tokens under the logits of `of_logits`, in double precision and by nothing of the package."""
    t, v = np.arange(32)[:, None], np.arange(40)[None]
    logits = 3 * np.sin(t * (v + 1) * 0.37)
    every = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return np.array([every[i, token] for i, token in enumerate(TOKENS[1:])])


def test_the_formulas_from_the_full_logits() -> None:
    observed, ids, target = log_likelihoods(), TOKENS[1:], of_logits(0)
    n, mean = len(observed), sum(observed) / len(observed)
    firsts = [observed[t] for t in range(n) if ids[t] not in ids[:t]]
    windows = sorted(sum(observed[i : i + 3]) / 3 for i in range(n - 2))[: int(0.2 * (n - 2))]
    assert 0 < len(firsts) < n
    plain = {
        "perplexity": -math.exp(-mean),
        "win_k": sum(windows) / len(windows),
        "camia:signal=cut": mean,
        "camia:signal=diversity": mean / (len(set(ids)) / n),
        "camia:signal=repetition": sum(firsts) / len(firsts) - mean,
        "camia:signal=slope": np.polyfit(np.arange(n), observed, 1)[0],
        "camia:signal=below_3": sum(value >= -3 for value in observed) / n,
        "camia:signal=below_mean": sum(value > mean for value in observed) / n,
        "camia:signal=below_previous": sum(observed[t] > sum(observed[:t]) / t for t in range(1, n)) / (n - 1),
    }
    assert {spec: score(spec, target) for spec in plain} == pytest.approx(plain, rel=1e-5, abs=1e-5)


# Eighths, so that sums are exact and a shift of all of them is one.
eighths = st.lists(st.integers(-200, -16).map(lambda i: i / 8), min_size=1, max_size=60)


@pytest.mark.parametrize("spec", MONOTONE)
@steady
@given(values=eighths, at=st.integers(0, 59), by=st.integers(1, 16))
def test_a_likelier_token_never_lowers_the_score(spec: str, values: list[float], at: int, by: int) -> None:
    likelier = list(values)
    likelier[at % len(values)] += by / 8
    assert score(spec, signals(likelier)) >= score(spec, signals(values)) - 1e-9


@pytest.mark.parametrize("spec", [spec for spec in ALL if spec not in MONOTONE])
@steady
@given(values=eighths, by=st.integers(1, 16))
def test_what_tells_of_the_shape_does_not_see_the_level(spec: str, values: list[float], by: int) -> None:
    shifted = signals([value + by / 8 for value in values])
    assert score(spec, shifted) == pytest.approx(score(spec, signals(values)), abs=1e-9)


@steady
@given(eighths, st.randoms(use_true_random=False))
def test_what_knows_the_order_and_what_does_not(values: list[float], rng: Any) -> None:
    ids = [rng.randrange(5) for _ in values]
    order = rng.sample(range(len(values)), len(values))
    there, here = signals(values, ids), signals([values[i] for i in order], [ids[i] for i in order])
    for name in ("below_1", "below_2", "below_3", "below_mean", "cut", "diversity"):
        assert score(f"camia:signal={name}", there) == pytest.approx(score(f"camia:signal={name}", here), abs=1e-9)
    back = signals(values[::-1])
    assert score("camia:signal=slope", back) == pytest.approx(-score("camia:signal=slope", there), abs=1e-9)
    assert score("win_k", back) == pytest.approx(score("win_k", there), abs=1e-9)


@steady
@given(eighths, st.permutations(range(8)), st.randoms(use_true_random=False))
def test_names_of_tokens_do_not_matter(values: list[float], names: list[int], rng: Any) -> None:
    ids = [rng.randrange(8) for _ in values]
    renamed = signals(values, [1000 - names[i] for i in ids])
    for spec in ALL:
        assert score(spec, renamed) == pytest.approx(score(spec, signals(values, ids)), abs=1e-9)


@steady
@given(eighths, st.floats(0.001, 1.0), st.integers(1, 70))
def test_win_k_with_a_window_of_one_is_min_k_and_with_one_window_the_loss(
    values: list[float], k: float, window: int
) -> None:
    target = signals(values)
    assert score(f"win_k:k={k},window=1", target) == score(f"min_k:k={k}", target)
    assert score(f"win_k:k={k},window={len(values) + window}", target) == pytest.approx(score("loss", target))
    assert score(f"win_k:k={k},window={window}", target) <= score(f"win_k:k=1,window={window}", target) + 1e-9


def test_only_the_first_tokens_count() -> None:
    longer = replace(
        TARGET,
        logprob=np.append(TARGET.logprob, np.array([-30, -0.1], dtype=np.float32)),
        token_ids=np.append(TARGET.token_ids, np.array([5, 9], dtype=np.int32)),
    )
    for spec in FEATURES:
        assert score(f"{spec},first=5", longer) == score(spec, TARGET)
        assert score(f"{spec},first=7", longer) == score(spec, longer)


@pytest.mark.parametrize("spec", [*ALL, "camia:signal=cut,first=1", "win_k:window=2"])
def test_a_token_that_could_not_be_scored_is_never_dropped(spec: str) -> None:
    for at in range(5):
        values = TARGET.logprob.copy()
        values[at] = math.nan
        assert math.isnan(score(spec, replace(TARGET, logprob=values)))
    assert math.isnan(score(spec, signals([math.nan])))
    assert math.isnan(score(spec, signals([])))


@pytest.mark.parametrize("spec", ALL)
@pytest.mark.parametrize("values", [[-3.0], [0.0], [-0.1] * 7, [0.0] * 300, [-3.0, -3.0], [-800.0] * 5])
def test_short_and_constant_passages_have_a_score(spec: str, values: list[float]) -> None:
    assert math.isfinite(score(spec, signals(values)))
    assert math.isfinite(score(spec, signals(values, ids=[1] * len(values))))


def test_one_token() -> None:
    single = signals([-3.0])
    assert {s: score(f"camia:signal={s}", single) for s in SIGNALS} == {
        "below_1": 0, "below_2": 0, "below_3": 1, "below_mean": 0, "below_previous": 0,
        "cut": -3, "diversity": -3, "lz": -1, "repetition": 0, "slope": 0,
    }  # fmt: skip


def test_each_feature_is_turned_towards_members() -> None:
    """A loss that falls, runs in few patterns, and a repeat that adds nothing speak for a member."""
    assert score("camia:signal=slope", signals([-4, -3, -2])) > score("camia:signal=slope", signals([-2, -3, -4]))
    steady_loss, jumpy = signals([-1, -5] * 16), signals([-(i * i % 11) - 1 for i in range(32)])
    assert score("camia:signal=lz", steady_loss) > score("camia:signal=lz", jumpy)
    helped, not_helped = signals([-4, -1], ids=[3, 3]), signals([-4, -4], ids=[3, 3])
    assert score("camia:signal=repetition", not_helped) == 0 > score("camia:signal=repetition", helped)
    repeats, varied = signals([-2, -2], ids=[3, 3]), signals([-2, -2], ids=[3, 4])
    assert score("camia:signal=diversity", varied) == -2 > score("camia:signal=diversity", repeats) == -4


def test_perplexity_ranks_as_the_loss_and_never_overflows() -> None:
    passages = [signals([-level, -2 * level]) for level in (0.0, 0.5, 3.0, 40.0)]
    scores = [score("perplexity", passage) for passage in passages]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == -1, "known by heart"
    assert math.isfinite(score("perplexity", signals([-1e6])))


def test_a_column_for_each_feature() -> None:
    assert tuple(SIGNALS) == get_args(Signal)
    names = [variant.name for variant in ATTACKS["camia"].variants()]
    assert sorted(names) == sorted(["camia", *(f for f in FEATURES if f != "camia:signal=diversity")])
    with pytest.raises(AttackError, match="signal=elbow is not among the choices: below_1"):
        parse_attack("camia:signal=elbow")
    with pytest.raises(AttackError, match="first=0 is out of range"):
        parse_attack("camia:first=0")


@pytest.mark.parametrize("name", ["loss", "perplexity", "confidence", "zlib", "lowercase", "camia", "win_k"])
def test_every_one_shows_its_formula(name: str) -> None:
    variant = ATTACKS[name]
    assert "ℓ" in variant.formula or "log p" in variant.formula or "p(x_t" in variant.formula
    assert variant.summary.endswith(".")
    assert variant.passes == (("target", "lowered") if name == "lowercase" else ("target",))
