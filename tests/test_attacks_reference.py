"""Attacks with a reference model: by hand, against the authors' code and formulas, and what must hold of all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from llm_mia import TokenSignals
from llm_mia.attacks import ATTACKS, parse_attack
from llm_mia.attacks.reference import WINDOWS
from llm_mia.records import Population

from .test_attacks import TOKENS, of_logits

ALIGNED = ["wbc", "ez", "hard_token", "hard_token:form=gain", "clipped_gain", "student_gain", "rmia", "info_rmia"]
POPULATION = Population(target=np.array([-3.0, -2.0, -4.0, -1.0]), reference=np.array([-3.5, -3.0, -3.5, -1.0]))
steady = settings(derandomize=True, deadline=None)


def signals(logprob: Sequence[float], rank: Sequence[int] = (), tokenizer: str = "a") -> TokenSignals:
    observed = np.array(logprob, dtype=np.float32)
    ranks = np.array(rank or [1] * len(observed), dtype=np.int32)
    observed.flags.writeable = ranks.flags.writeable = False  # an attack that changed its evidence would raise
    flat = np.ones(len(observed), dtype=np.float32)
    return TokenSignals(ranks, observed, -2 * flat, flat, top=observed, rank=ranks, tokenizer=tokenizer)


def of_gains(gains: Sequence[float], rank: Sequence[int] = ()) -> tuple[TokenSignals, TokenSignals]:
    """Target and reference, of which the former gains *gains* over the latter."""
    return signals([g - 40 for g in gains], rank), signals([-40.0] * len(gains), rank)


def score_of(spec: str, target: TokenSignals, reference: TokenSignals, **others: Any) -> float:
    evidence: dict[str, Any] = {"reference": reference, "aligned_reference": reference, "text": "four"}
    return parse_attack(spec).score({"target": target, "population": POPULATION, **evidence, **others})


BY_HAND: list[tuple[str, tuple[list[float], list[float]], float]] = [
    ("reference", ([-1, -2], [-3, -6]), 3.0),  # (2 + 4) / 2
    ("reference:form=ratio", ([-1, -2], [-3, -6]), 3.0),  # 9 / 3
    ("reference:form=ratio", ([-4], [-2]), 0.5),
    # gains 2 -1 -2 4: pairs 1 -3 2 (2 of 3), threes -1 1 (1 of 2), all four 3 (1 of 1): (2/3 + 1/2 + 1) / 3
    ("wbc", ([-1, -3, -5, -1], [-3, -2, -3, -5]), 13 / 18),
    ("wbc", ([-1], [-3]), 1.0),  # no window fits: the passage is the window
    ("ez", ([-1, -3, -5, -1], [-3, -2, -3, -5]), 7 / 4),  # (1 + 2 + 4) / (1 + 1 + 2)
    ("ez:prior=2", ([-1, -3, -5, -1], [-3, -2, -3, -5]), 8 / 5),
    # the ⌊0.5 · 5⌋ = 2 hardest are -7 and -6, gains 1 and -2
    ("hard_token:k=0.5", ([-1, -7, -5, -6, -1], [-3, -8, -9, -4, -5]), 0.5),
    ("hard_token:k=0.5,form=gain", ([-1, -7, -5, -6, -1], [-3, -8, -9, -4, -5]), -0.5),
    ("hard_token", ([-1, -7, -5, -6, -1], [-3, -8, -9, -4, -5]), 1.0),  # -7 alone
    ("clipped_gain", ([-1, -3, -5, -1], [-3, -2, -3, -1.25]), -0.1875),  # (1 - 1 - 1 + 0.25) / 4
    ("clipped_gain:c=2", ([-1, -3, -5, -1], [-3, -2, -3, -1.25]), -0.1875),  # (2 - 1 - 2 + 0.25) / 4
    ("student_gain", ([-1, -3, -5, -1], [-3, -2, -3, -5]), 3 / 5),  # (2 - 1 - 2 + 4) / √(4 + 1 + 4 + 16)
    # gain (2 - 1 - 2 + 4) / 4 = 0.75 against 0.5, 1, -0.5, 0
    ("rmia", ([-1, -3, -5, -1], [-3, -2, -3, -5]), 0.75),
    ("rmia:gamma=2", ([-1, -3, -5, -1], [-3, -2, -3, -5]), 0.5),  # 0.75 - 0.693
    ("info_rmia", ([-1, -3, -5, -1], [-3, -2, -3, -5]), 0.5),  # 0.75 - 1 / 4
]


@pytest.mark.parametrize(("spec", "models", "expected"), BY_HAND)
def test_by_hand(spec: str, models: tuple[list[float], list[float]], expected: float) -> None:
    assert score_of(spec, *map(signals, models)) == pytest.approx(expected, rel=1e-6)


def test_between_tokenizers_the_difference_goes_by_the_byte_and_the_ratio_by_the_text() -> None:
    ours, theirs = signals([-1, -2]), signals([-3, -3, -6], tokenizer="b")
    assert score_of("reference", ours, theirs) == 9 / 4
    assert score_of("reference:form=ratio", ours, theirs) == 4.0


# --- the authors' formulas ----------------------------------------------------------------------------------

# What the authors' code gave on the logits of `of_logits`, for a target of shift 0 and a reference of shift 0.5:
# Stry233/WBC attacks/wbc.py, `_compute_window_score` over the nine lengths that fit 32 tokens (with its tenth, the
# whole passage a second time, 0.175663); JetBrains-Research/ez-mia mia/ez_score.py, `error_zone_pos_neg_sum_ratio`.
AUTHORS = {"wbc": 0.195180745, "ez:prior=1e-9": 0.525240302}


def test_the_authors_code_on_the_same_logits() -> None:
    scores = {spec: score_of(spec, of_logits(0), of_logits(0.5)) for spec in AUTHORS}
    assert scores == pytest.approx(AUTHORS, abs=1e-6)


def full(shift: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """log p of the tokens, and whether each is the likeliest word, from whole distributions in float64."""
    t, v = np.arange(33)[:, None], np.arange(40)[None]
    logits = 3 * np.sin((shift + t) * (v + 1) * 0.37)[:-1]
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    of_target = log_p[np.arange(32), TOKENS[1:]]
    return of_target, of_target > log_p.max(axis=1) - 1e-6  # a draw for the first place is no error


def plain(
    spec: str, of_target: NDArray[np.float64], of_reference: NDArray[np.float64], chosen: NDArray[np.bool_]
) -> float:
    """The formulas once more, as slowly as they are written."""
    d, n = of_target - of_reference, len(of_target)
    if spec == "reference:form=ratio":
        return float(np.log(1 / np.exp(of_reference)).mean() / np.log(1 / np.exp(of_target)).mean())
    if spec == "wbc":
        votes = [[d[i : i + w].sum() > 0 for i in range(n - w + 1)] for w in WINDOWS if w <= n]
        return float(np.mean([np.mean(of_one) for of_one in votes]))
    if spec == "ez":
        wrong = [x for x, right in zip(d, chosen, strict=True) if not right]
        return float((1 + sum(x for x in wrong if x > 0)) / (1 + sum(-x for x in wrong if x < 0)))
    if spec.startswith("hard_token"):
        hard = sorted(zip(of_target, of_reference, strict=True))[: math.floor(n * 0.5)]
        return float(np.mean([a > b if "gain" not in spec else a - b for a, b in hard]))
    if spec == "clipped_gain":
        return float(sum(min(1.0, max(-1.0, x)) for x in d) / n)
    t = d.mean() / (d.std(ddof=1) / math.sqrt(n))  # Student's, from which the sum is had back
    return float(t * math.sqrt(n / (n - 1 + t * t)))


@pytest.mark.parametrize(
    "spec",
    [
        "reference:form=ratio", "wbc", "ez", "hard_token:k=0.5", "hard_token:k=0.5,form=gain", "clipped_gain",
        "student_gain",
    ],
)  # fmt: skip
def test_the_published_formula_on_whole_distributions(spec: str) -> None:
    (of_target, chosen), (of_reference, _) = full(0), full(0.5)
    assert score_of(spec, of_logits(0), of_logits(0.5)) == pytest.approx(
        plain(spec, of_target, of_reference, chosen), abs=2e-5
    )


# --- where published code goes wrong ------------------------------------------------------------------------


def test_ez_ranks_its_strongest_evidence_highest_where_the_authors_code_gives_it_nothing() -> None:
    lossless = score_of("ez", *of_gains([3, 2, 4]))  # published: 0, since nothing was lost
    mixed = score_of("ez", *of_gains([3, -2, 4]))
    against = score_of("ez", *of_gains([-3, -2, -4]))
    assert lossless == 10 > mixed == 8 / 3 > 1 > against == 1 / 10
    one_wrong = score_of("ez", *of_gains([3, 2, 4], rank=[0, 0, 1]))  # published: 0 below two wrong choices
    assert one_wrong == 5


def test_ez_of_a_passage_by_heart_goes_by_what_the_reference_got_wrong() -> None:
    by_heart, reference = signals([0, -0.5, 0], rank=[0, 0, 0]), signals([-3, -0.5, -1], rank=[4, 0, 0])
    assert score_of("ez", by_heart, reference) == 4  # (1 + 3) / 1
    assert score_of("ez", by_heart, replace(reference, rank=by_heart.rank)) == 1  # both right everywhere: no evidence


def test_models_that_agree_are_no_evidence() -> None:
    same = signals([-1, -2, -5, -0.5, -3])
    expected = {"reference": 0, "reference:form=ratio": 1, "wbc": 0.5, "ez": 1, "hard_token": 0.5, "clipped_gain": 0}
    assert {spec: score_of(spec, same, same) for spec in expected} == expected
    assert score_of("hard_token:form=gain", same, same) == score_of("student_gain", same, same) == 0


def test_a_ratio_divides_by_no_zero() -> None:
    by_heart, never_seen = signals([0.0, 0.0]), signals([-1.0, -1.0])
    assert 1e9 < score_of("reference:form=ratio", by_heart, never_seen) < math.inf
    assert score_of("reference:form=ratio", by_heart, by_heart) == 1


def test_no_order_of_tokens_decides_which_of_equally_hard_ones_count() -> None:
    gains = [5.0, 1.0, -1.0, -2.0, -3.0]
    for order in (gains, gains[::-1]):
        target, reference = signals([-4.0] * 5), signals([-4 - g for g in order])
        assert score_of("hard_token", target, reference) == pytest.approx(0.4)
        assert score_of("hard_token:form=gain", target, reference) == 0


# --- what must hold -----------------------------------------------------------------------------------------

whole = st.integers(-30, 30).map(lambda n: n / 4)  # exact in float32 whatever is added to it
gains_of = st.lists(whole, min_size=1, max_size=60)


@pytest.mark.parametrize("spec", [*ALIGNED, "reference", "reference:form=ratio"])
def test_all_tokens_likelier_raise_the_score(spec: str) -> None:
    gains = [0.3, -2.0, 1.0, -0.9, 0.1, -0.2, 0.4, -1.2]
    low, high = (score_of(spec, *of_gains([g + more for g in gains])) for more in (0, 2.5))
    assert low < high


@steady
@given(gains_of, st.data())
def test_one_likelier_token_never_lowers_the_score(gains: list[float], data: st.DataObject) -> None:
    at, more = data.draw(st.integers(0, len(gains) - 1)), data.draw(st.integers(1, 20)) / 4
    likelier = [*gains[:at], gains[at] + more, *gains[at + 1 :]]
    for spec in ("reference", "reference:form=ratio", "wbc", "ez", "clipped_gain", "rmia", "rmia:a=0.3", "info_rmia"):
        assert score_of(spec, *of_gains(likelier)) >= score_of(spec, *of_gains(gains)) - 1e-12


@steady
@given(gains_of)
def test_models_that_change_places_turn_the_score(gains: list[float]) -> None:
    first, second = of_gains(gains)
    there = {spec: score_of(spec, first, second) for spec in ("wbc", "ez", "clipped_gain", "student_gain")}
    back = {spec: score_of(spec, second, first) for spec in there}
    assert back["wbc"] == pytest.approx(1 - there["wbc"], abs=1e-12)
    assert back["ez"] == pytest.approx(1 / there["ez"])
    assert back["clipped_gain"] == -there["clipped_gain"]
    assert back["student_gain"] == pytest.approx(-there["student_gain"], abs=1e-12)
    ratio = score_of("reference:form=ratio", first, second) * score_of("reference:form=ratio", second, first)
    assert ratio == pytest.approx(1)


@steady
@given(gains_of, st.randoms(use_true_random=False), st.integers(-40, 40).map(lambda n: n / 4))
def test_neither_order_nor_a_shift_of_both_models_matters(gains: list[float], rng: Any, shift: float) -> None:
    models = of_gains(gains)
    moved = tuple(replace(model, logprob=model.logprob - np.float32(shift)) for model in models)
    for spec in ALIGNED:
        assert score_of(spec, *moved) == pytest.approx(score_of(spec, *models), abs=1e-9)
    shuffled = rng.sample(gains, len(gains))
    for spec in ("ez", "clipped_gain", "student_gain", "rmia", "info_rmia", "reference:form=ratio"):
        assert score_of(spec, *of_gains(shuffled)) == pytest.approx(score_of(spec, *models), abs=1e-9)


@steady
@given(gains_of)
def test_a_clip_too_wide_is_the_difference_and_one_too_narrow_the_balance_of_signs(gains: list[float]) -> None:
    models = of_gains(gains)
    assert score_of("clipped_gain:c=inf", *models) == pytest.approx(score_of("reference", *models), abs=1e-12)
    assert score_of("clipped_gain:c=1e-3", *models) * 1e3 == pytest.approx(np.sign(gains).mean(), abs=1e-5)


def test_student_gain_does_not_know_the_scale_and_grows_with_the_evidence() -> None:
    gains = [0.25, -2.0, 1.0, 3.0]
    once, twice = (score_of("student_gain", *of_gains(gains * k)) for k in (1, 2))
    assert score_of("student_gain", *of_gains([2 * g for g in gains])) == pytest.approx(once)
    assert twice == pytest.approx(math.sqrt(2) * once)


def test_student_gain_of_unrelated_models_has_one_spread_whatever_the_length_and_the_mean_gain_does_not() -> None:
    rng = np.random.default_rng(5)
    spread: dict[str, list[float]] = {"student_gain": [], "reference": []}
    for n, scale in ((8, 0.5), (128, 2.0)):
        draws = rng.laplace(scale=scale, size=(400, n))
        for spec, deviations in spread.items():
            deviations.append(float(np.std([score_of(spec, *of_gains(list(row))) for row in draws])))
    assert spread["student_gain"] == pytest.approx([1, 1], abs=0.12)
    assert max(spread["reference"]) / min(spread["reference"]) > 1.15  # the planted twin: same check, other attack


@pytest.mark.parametrize("spec", [*ALIGNED, "reference", "reference:form=ratio"])
@pytest.mark.parametrize("at", [0, 3, 9])
def test_a_token_that_either_model_could_not_score_is_never_dropped(spec: str, at: int) -> None:
    logprob = [-1.0, -2, -9, -4, -5, -6, -7, -8, -3, -0.5]
    broken = [math.nan if t == at else p for t, p in enumerate(logprob)]
    rank = [0 if t == at else 1 for t in range(10)]  # nothing is likelier than NaN
    assert math.isnan(score_of(spec, signals(broken, rank), signals(logprob)))
    assert math.isnan(score_of(spec, signals(logprob, rank), signals(broken, rank)))


@pytest.mark.parametrize("spec", [*ALIGNED, "reference", "reference:form=ratio"])
@pytest.mark.parametrize("n", [1, 2, 41])
def test_one_token_and_constant_sequences_have_a_score(spec: str, n: int) -> None:
    for gain in (-2.0, 0.0, 2.0):
        for rank in ([0] * n, [1] * n):
            models = of_gains([gain] * n, rank)
            assert math.isfinite(score_of(spec, *models))
            assert score_of(spec, *models) == score_of(spec, *models)


@pytest.mark.parametrize("spec", ALIGNED)
def test_an_attack_on_tokens_asks_for_a_reference_that_is_aligned(spec: str) -> None:
    parsed = parse_attack(spec)
    assert parsed.evidence[:2] == ("target", "aligned_reference")
    assert set(parsed.passes) >= {"target", "reference"}
    assert parsed.summary.endswith(".")
    assert parsed.formula
    assert "arXiv:" in parsed.paper


def test_the_choices_are_columns() -> None:
    assert [parsed.name for parsed in ATTACKS["reference"].variants()] == ["reference", "reference:form=ratio"]
    assert [parsed.name for parsed in ATTACKS["hard_token"].variants()] == ["hard_token", "hard_token:form=gain"]
