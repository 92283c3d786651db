"""Prefix attacks against figures worked out by hand and the authors' formulas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from llm_mia.attacks import ATTACKS, parse_attack
from llm_mia.errors import AttackError
from llm_mia.records import TokenSignals
from tests.test_attacks import TOKENS, of_logits, signals, steady

NAMES = ["recall", "con_recall"]
ALONE, FOREIGN, FAMILIAR = signals([-1, -4, -2, -8, -1]), signals([-2, -5, -2, -9, -2]), signals([-1, -3, -2, -6, -0.8])


def score_of(
    spec: str, target: TokenSignals, prefixed: TokenSignals = FOREIGN, member: TokenSignals = FAMILIAR
) -> float:
    return parse_attack(spec).score({"target": target, "prefixed": prefixed, "member_prefixed": member})


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("recall", 1.25),  # (20 / 5) / (16 / 5)
        ("con_recall", 0.85),  # (-4 + 0.5 · 2.56) / -3.2 = 2.72 / 3.2
        ("con_recall:gamma=1", 0.45),  # (-4 + 2.56) / -3.2 = 1.44 / 3.2
        ("con_recall:gamma=0.25", 1.05),  # (-4 + 0.64) / -3.2 = 3.36 / 3.2
    ],
)
def test_by_hand(spec: str, expected: float) -> None:
    assert score_of(spec, ALONE) == pytest.approx(expected, rel=1e-6)


def log_likelihood(shift: float) -> float:
    """Minus the mean cross-entropy of the whole logits, as the authors' `get_ll` and `get_conditional_ll` have it."""
    t, v = np.arange(33)[:, None], np.arange(40)[None]
    logits = 3 * np.sin((shift + t) * (v + 1) * 0.37)
    logp = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return float(np.mean([logp[place, TOKENS[place + 1]] for place in range(32)]))


def test_the_authors_formulas_on_the_same_logits() -> None:
    """ruoyuxie/recall src/run.py: ll_nonmember / ll; WangCheng0116/CON-RECALL run.py: (… − gamma * ll_member) / ll."""
    ll, ll_nonmember, ll_member = log_likelihood(0), log_likelihood(0.5), log_likelihood(0.25)
    assert ll == pytest.approx(-5.454541, abs=1e-6)  # as their formula gave on these logits, in tests/test_attacks.py
    evidence = of_logits(0), of_logits(0.5), of_logits(0.25)
    assert score_of("recall", *evidence) == pytest.approx(ll_nonmember / ll, abs=1e-5)
    for gamma in (0.1, 0.2, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
        expected = (ll_nonmember - gamma * ll_member) / ll
        assert score_of(f"con_recall:gamma={gamma}", *evidence) == pytest.approx(expected, abs=1e-5)
    assert score_of("con_recall", *evidence) == score_of("con_recall:gamma=0.5", *evidence)


def test_the_signs() -> None:
    """More of a member: likelier alone, less likely after non-members, likelier after members."""
    step = np.float32(0.25)

    def likelier(before: TokenSignals) -> TokenSignals:
        return signals((before.logprob + step).tolist())

    for name in NAMES:
        assert score_of(name, likelier(ALONE)) > score_of(name, ALONE)
        assert score_of(name, ALONE, likelier(FOREIGN)) < score_of(name, ALONE)
    assert score_of("con_recall", ALONE, member=likelier(FAMILIAR)) > score_of("con_recall", ALONE)
    # And where a familiar context costs more than a foreign one over gamma, the first turns round, as it says.
    worse = signals([-30])
    assert score_of("con_recall", likelier(ALONE), member=worse) < score_of("con_recall", ALONE, member=worse)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_token_that_the_model_could_not_score_is_never_dropped(name: str, which: int) -> None:
    evidence = [ALONE, FOREIGN, FAMILIAR]
    evidence[which] = signals([-1, math.nan, -2, -8, -1])
    uses_it = which < len(ATTACKS[name].evidence)
    assert math.isnan(score_of(name, *evidence)) == uses_it
    evidence[which] = signals([])
    assert math.isnan(score_of(name, *evidence)) == uses_it


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("values", [[-3.0], [-2.0] * 9, [0.0, 0.0], [-1e-30], [-1e30]])
def test_one_token_and_constant_ones_have_a_score(name: str, values: Sequence[float]) -> None:
    alone = signals(values)
    assert math.isfinite(score_of(name, alone, alone, alone))
    assert math.isfinite(score_of(name, alone))


def test_a_passage_known_by_heart_divides_by_no_zero() -> None:
    by_heart = signals([0.0, 0.0])
    assert score_of("recall", by_heart, signals([-1.0])) == 1e12
    assert score_of("recall", by_heart, by_heart) == 0


logprobs = st.lists(st.floats(-30, -0.0078125, width=32), min_size=1, max_size=40)


@steady
@given(logprobs, logprobs, logprobs, st.floats(0.01, 4), st.randoms(use_true_random=False))
def test_what_must_hold_of_any_passage(
    alone: list[float], foreign: list[float], familiar: list[float], gamma: float, rng: Any
) -> None:
    evidence = [signals(values) for values in (alone, foreign, familiar)]
    recall, con = score_of("recall", *evidence), score_of(f"con_recall:gamma={gamma}", *evidence)
    # Con-ReCaLL is a difference of two ratios.
    assert con == pytest.approx(recall - gamma * score_of("recall", evidence[0], evidence[2]), rel=1e-9, abs=1e-9)
    # The order of tokens does not matter, nor the unit of likelihood.
    for changed in (
        [signals(rng.sample(values, len(values))) for values in (alone, foreign, familiar)],
        [signals([4 * value for value in values]) for values in (alone, foreign, familiar)],
    ):
        assert score_of("recall", *changed) == pytest.approx(recall, rel=1e-9)
        assert score_of(f"con_recall:gamma={gamma}", *changed) == pytest.approx(con, rel=1e-9, abs=1e-9)
    # A context that changes nothing says nothing.
    assert score_of("recall", evidence[0], evidence[0]) == 1
    assert score_of(f"con_recall:gamma={gamma}", *[evidence[0]] * 3) == pytest.approx(1 - gamma, abs=1e-9)


def test_what_they_ask_for() -> None:
    assert ATTACKS["recall"].passes == ("target", "prefixed")
    assert ATTACKS["con_recall"].passes == ("target", "prefixed", "member_prefixed")
    assert ATTACKS["con_recall"].settings == {"gamma": 0.5}
    for name in NAMES:
        assert "LL(x | P)" in ATTACKS[name].formula
        assert ATTACKS[name].summary.endswith(".")
    with pytest.raises(AttackError, match="must be above 0"):
        parse_attack("con_recall:gamma=0")
