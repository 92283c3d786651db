"""The passage and rewritten versions of it: by hand, by the authors' code, and what must hold for any passage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from llm_mia import TokenSignals
from llm_mia.attacks import ATTACKS, parse_attack

from .test_attacks import TOKENS, of_logits, signals

steady = settings(derandomize=True, deadline=None)
EVIDENCE = {"neighbour": "neighbours", "pac": "swapped"}


def score_of(spec: str, target: TokenSignals, others: Sequence[TokenSignals]) -> float:
    return parse_attack(spec).score({"target": target, EVIDENCE[spec.partition(":")[0]]: tuple(others)})


TARGET = signals([-1, -4, -2, -8, -0.5])
OTHERS = [signals([-3, -9, -1]), signals([-2, -6, -4, -4, -1, -1])]
BY_HAND: list[tuple[str, list[TokenSignals], float]] = [
    ("neighbour", OTHERS, -3.1 + 11 / 3),  # -15.5 / 5 less the mean of -13 / 3 and -18 / 6
    ("neighbour", OTHERS[:1], -3.1 + 13 / 3),
    # distances: target -0.5 + 8 = 7.5, others -1 + 9 = 8 and -1 + 6 = 5; ⌊0.05 n⌋ and ⌊0.3 n⌋ are 1 at the least
    ("pac", OTHERS, -1.0),  # (8 + 5) / 2 - 7.5
    # target: top 2 (-0.5 - 1) / 2, bottom 3 (-8 - 4 - 2) / 3; others -1 + 9 and (-1 - 1) / 2 + (6 + 4 + 4) / 3
    ("pac:high=0.4,low=0.6", OTHERS, (8 + 11 / 3) / 2 - (14 / 3 - 0.75)),
]


@pytest.mark.parametrize(("spec", "others", "expected"), BY_HAND)
def test_by_hand(spec: str, others: list[TokenSignals], expected: float) -> None:
    assert score_of(spec, TARGET, others) == pytest.approx(expected, rel=1e-6)


def plain(shift: float) -> NDArray[np.float64]:
    """Log-likelihoods on the logits of `of_logits`, worked out in float64 from all 40 of them."""
    t, v = np.arange(33)[:, None], np.arange(40)[None]
    logits = 3 * np.sin((shift + t) * (v + 1) * 0.37)
    return np.array([row[x] - math.log(sum(map(math.exp, row))) for row, x in zip(logits, TOKENS[1:], strict=False)])


# What calculate_Polarized_Distance of yyy01/PAC attack.py (commit 79c6eca) gave on those logits for the passage and
# three versions of it, negated as the authors negate it in calculate_auc.
AUTHORS = {"pac": -0.21692707, "pac:high=0.1,low=0.5": -0.54051529, "pac:high=1.0,low=1.0": 0.0}
SHIFTS = (0.25, 0.5, 0.75)


def test_the_authors_formulas_on_the_same_logits() -> None:
    versions = [of_logits(shift) for shift in SHIFTS]
    for spec, expected in AUTHORS.items():
        assert score_of(spec, of_logits(0), versions) == pytest.approx(expected, abs=1e-5)
    expected = float(plain(0).mean() - np.mean([plain(shift).mean() for shift in SHIFTS]))
    assert expected == pytest.approx(-0.30192204, abs=1e-8)  # get_logprob of the passage less that of its neighbours
    assert score_of("neighbour", of_logits(0), versions) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("high", "low"), [(0.05, 0.3), (0.03, 0.01), (0.29, 0.9), (1.0, 0.5)])
def test_the_polarized_distance_anew(high: float, low: float) -> None:
    def distance(values: NDArray[np.float64]) -> float:
        ordered: list[float] = sorted(values.tolist())
        top, bottom = max(1, int(len(ordered) * high)), max(1, int(len(ordered) * low))
        return sum(ordered[-top:]) / top - sum(ordered[:bottom]) / bottom

    expected = sum(distance(plain(shift)) for shift in SHIFTS) / 3 - distance(plain(0))
    result = score_of(f"pac:high={high},low={low}", of_logits(0), [of_logits(shift) for shift in SHIFTS])
    assert result == pytest.approx(expected, abs=1e-5)


def test_a_member_by_construction_scores_higher() -> None:
    """Known by heart unchanged, and as hard as any text once its words are swapped."""
    rng = np.random.default_rng(0)
    versions = [signals(list(-rng.exponential(3.0, 60))) for _ in range(5)]
    by_heart, hard = signals(list(-rng.exponential(0.3, 60))), signals(list(-rng.exponential(3.0, 60)))
    for name in EVIDENCE:
        assert score_of(name, by_heart, versions) > score_of(name, hard, versions) + 1


logprobs = st.lists(st.floats(-30, 0, width=32), min_size=1, max_size=60)
several = st.lists(logprobs, min_size=1, max_size=4)


@steady
@given(logprobs, several, st.integers(0, 59), st.floats(0.125, 5, width=32))
def test_likelier_tokens_raise_the_neighbourhood_score(
    values: list[float], others: list[list[float]], at: int, more: float
) -> None:
    likelier = [value + (more if i == at % len(values) else 0) for i, value in enumerate(values)]
    versions = [signals(other) for other in others]
    assert score_of("neighbour", signals(likelier), versions) > score_of("neighbour", signals(values), versions)


@steady
@given(logprobs, several, st.floats(0.125, 5, width=32))
def test_likelier_least_likely_tokens_raise_pac(values: list[float], others: list[list[float]], more: float) -> None:
    """Those below the likeliest, as long as they stay there; the likeliest ones lower it."""
    likelier = [max(value, min(value + more, max(values))) for value in values]
    versions = [signals(other) for other in others]
    before = score_of("pac", signals(values), versions)
    assert score_of("pac", signals(likelier), versions) >= before - 1e-5
    bolder = [value + more if value == max(values) else value for value in values]
    assert score_of("pac:low=0.01", signals(bolder), versions) <= score_of("pac:low=0.01", signals(values), versions)


@steady
@given(logprobs, several, st.randoms(use_true_random=False), st.floats(-8, 8, width=32))
def test_what_changes_nothing(values: list[float], others: list[list[float]], rng: Any, shift: float) -> None:
    """The order of tokens, the order of versions, and the same shift of all likelihoods."""
    versions = [signals(other) for other in others]
    moved = [signals([value + shift for value in other]) for other in others]
    shuffled = [signals(rng.sample(other, len(other))) for other in rng.sample(others, len(others))]
    for name in EVIDENCE:
        score = score_of(name, signals(values), versions)
        assert score_of(name, signals(rng.sample(values, len(values))), shuffled) == pytest.approx(score, abs=1e-4)
        assert score_of(name, signals([value + shift for value in values]), moved) == pytest.approx(score, abs=1e-4)
    # Polarized distances do not know how likely a text is at all.
    alone = score_of("pac", signals([value + shift for value in values]), versions)
    assert alone == pytest.approx(score_of("pac", signals(values), versions), abs=1e-4)


@pytest.mark.parametrize("name", EVIDENCE)
def test_a_version_that_is_the_passage_scores_zero(name: str) -> None:
    assert score_of(name, TARGET, [TARGET, TARGET]) == 0


@pytest.mark.parametrize("name", EVIDENCE)
def test_a_token_that_the_model_could_not_score_is_never_dropped(name: str) -> None:
    spoilt = signals([-1, math.nan, -2, -3])
    assert math.isnan(score_of(name, spoilt, OTHERS))
    for versions in ([spoilt, *OTHERS], [*OTHERS, spoilt]):
        assert math.isnan(score_of(name, TARGET, versions))


@pytest.mark.parametrize("spec", ["neighbour", "pac", "pac:high=0.01,low=1.0"])
def test_one_token_and_constant_texts_have_a_score(spec: str) -> None:
    single, constant = signals([-3.0]), signals([-2.0] * 20)
    for target in (single, constant):
        for versions in ([single], [constant, single], OTHERS):
            assert math.isfinite(score_of(spec, target, versions))
    assert score_of("neighbour", single, [constant]) == -1
    assert score_of("pac", single, [constant]) == 0


@pytest.mark.parametrize("name", EVIDENCE)
def test_without_a_scored_token_there_is_no_score(name: str) -> None:
    assert math.isnan(score_of(name, signals([]), OTHERS))
    assert math.isnan(score_of(name, TARGET, [*OTHERS, signals([])]))


@pytest.mark.parametrize("name", EVIDENCE)
def test_says_what_it_is(name: str) -> None:
    registered = ATTACKS[name]
    assert registered.evidence == ("target", EVIDENCE[name])
    assert registered.passes == ("target", EVIDENCE[name])
    assert registered.summary.endswith(".")
    assert "log p(x_t | x_<t)" in registered.formula
    assert "\n" not in registered.formula
