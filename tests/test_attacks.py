"""Attacks against figures worked out by hand, the authors' published formulas, and what must hold for any passage."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from llm_mia import TokenSignals, read_passages, score
from llm_mia.attacks import (
    ATTACKS,
    EVIDENCE,
    Evidence,
    EvidenceKind,
    ModelPass,
    Share,
    attack,
    lowest,
    parse_attack,
    passes_needed,
    register_evidence,
)
from llm_mia.backends import Backend
from llm_mia.backends.moments import Reducer
from llm_mia.errors import AttackError
from llm_mia.guides import guide
from llm_mia.records import GainNull, Population, ShadowLikelihoods, ShadowPopulation, TokenFrequencies

ALL = sorted(
    variant.name
    for attack_of_name in ATTACKS.values()
    for variant in attack_of_name.variants()
    if "samples" not in attack_of_name.evidence  # tests/test_attacks_samples.py
)
# Scores that count something, or are cut off, need not move with a quarter of a nat.
STEPS = {"camia:signal=below_1", "camia:signal=below_2", "camia:signal=below_3", "wbc", "hard_token", "rmia", "dc_pdd",
         "shadow_rmia", "shadow_rmia:form=offline"}  # fmt: skip
# Where a constant on every log-likelihood changes nothing, by the attack's own definition.
LEVEL_FREE = {"camia:signal=below_mean", "camia:signal=below_previous", "camia:signal=lz", "camia:signal=repetition",
              "camia:signal=slope", "pac"}  # fmt: skip
steady = settings(derandomize=True, deadline=None)


def signals(
    logprob: Sequence[float], mean: Sequence[float] = (), std: Sequence[float] = (), tokenizer: str = "a"
) -> TokenSignals:
    n = len(logprob)
    observed, expected, spread = (
        np.array(values, dtype=np.float32) for values in (logprob, mean or [-2.0] * n, std or [1.5] * n)
    )
    for array in (observed, expected, spread):
        array.flags.writeable = False  # an attack that changed its evidence would raise
    ids = np.zeros(n, dtype=np.int32)
    return TokenSignals(ids, observed, expected, spread, top=observed, rank=ids, tokenizer=tokenizer)


def evidence_of(target: TokenSignals, **others: Evidence) -> dict[str, Evidence]:
    """All that any attack may ask for: *target* wherever nothing else is given."""
    same: dict[str, Evidence] = dict.fromkeys(EVIDENCE, target)
    several = {"neighbours": (target, target), "swapped": (target, target)}
    same |= several | {"text": "A text", "frequencies": TokenFrequencies(np.array([3, 1, 0]), target.tokenizer)}
    same |= {"population": Population(np.array([-2.0, -3.0, -4.0]), np.array([-2.5, -2.5, -4.5]))}
    same |= {"gain_null": GainNull(np.array([0]), np.array([0.25]))}
    inside, shadows = np.array([True, False]), np.array([-2.0, -3.0])
    same |= {"shadows": ShadowLikelihoods(shadows, inside, 0.5, 0.5)}
    rows = np.array([shadows, shadows - 1, shadows - 2])
    same |= {"shadow_population": ShadowPopulation(rows[:, 1], rows, np.array([inside] * 3))}
    if "reference" in others:
        same["aligned_reference"] = others["reference"]
    return same | others


def score_of(spec: str, target: TokenSignals, **others: Evidence) -> float:
    return parse_attack(spec).score(evidence_of(target, **others))


TARGET = signals([-1, -4, -2, -8, -0.5], mean=[-2, -2, -1, -4, -1], std=[1, 2, 1, 2, 0.5])
BY_HAND: list[tuple[str, dict[str, Any], float]] = [
    ("loss", {}, -3.1),  # (1 + 4 + 2 + 8 + 0.5) / 5
    ("zlib", {"text": "abc"}, -3.1 / 11),  # 2 bytes of header, 3 + 3·8 + 7 bits of one fixed block in 5, 4 of Adler-32
    ("lowercase", {"lowered": signals([-6, -6.4])}, 2.0),  # 6.2 / 3.1
    ("min_k:k=0.4", {}, -6.0),  # (8 + 4) / 2
    ("min_k", {}, -8.0),  # ⌊0.2 · 5⌋ = 1 token
    ("min_k++:k=0.4", {}, -1.5),  # z = 1, -1, -1, -2, 1: (-2 - 1) / 2
    ("min_k++:k=1", {}, -0.4),  # (1 - 1 - 1 - 2 + 1) / 5
    ("reference", {"reference": signals([-2, -4, -4, -9, -1])}, 0.9),  # (1 + 0 + 2 + 1 + 0.5) / 5
    ("reference", {"reference": signals([-10, -5, -9.5], tokenizer="b"), "text": "naïve"}, 1.5),  # (24.5 - 15.5) / 6
]


@pytest.mark.parametrize(("spec", "others", "expected"), BY_HAND)
def test_by_hand(spec: str, others: dict[str, Any], expected: float) -> None:
    assert score_of(spec, TARGET, **others) == pytest.approx(expected, rel=1e-6)


def test_confidence_by_hand() -> None:
    halves = signals([math.log(p) for p in (0.5, 0.25, 0.125, 0.125)])
    assert score_of("confidence", halves) == pytest.approx(0.25, rel=1e-6)  # their mean


TEXT = "The River bends under a Stone bridge, and Anna counts seven geese."
TOKENS = [(7 * t * t + 3 * t) % 40 for t in range(33)]


def of_logits(shift: float) -> TokenSignals:
    """Signals of 33 tokens under logits 3 sin(0.37 (shift + t) (v + 1)) over 40 words, by the package's own route."""
    t, v = np.arange(33)[:, None], np.arange(40)[None]
    logits = torch.tensor(3 * np.sin((shift + t) * (v + 1) * 0.37), dtype=torch.float32)
    reduce = Reducer(None, 40, logits, compiled=False)
    logprob, mean, std, top, rank = reduce(logits[:-1], torch.tensor(TOKENS[1:]))
    ids = np.array(TOKENS[1:], dtype=np.int32)
    return TokenSignals(ids, logprob.numpy(), mean.numpy(), std.numpy(), top.numpy(), rank.numpy().astype(np.int32))


# What the authors' formulas gave on those logits, each turned so that higher is more member-like:
# swj0419/detect-pretrain-code src/run.py (their "pred" negated): Min-K% Prob, ppl less reference, lower-case ratio;
# zjysteven/mink-plus-plus run.py and run_ref.py: loss, zlib, Min-K%, Min-K%++, ref, lowercase (0.1 to 1.0);
# ftramer/LM_Memorization extraction.py: log ppl 5.454541, zlib / log ppl 12.466676, lower / log ppl 1.074164.
AUTHORS = {
    "loss": -5.454541,
    "lowercase": 1.074164,
    "reference": -0.485333,
    "min_k:k=0.05": -8.269989,
    "min_k:k=0.1": -8.140414,
    "min_k:k=0.2": -7.949298,
    "min_k:k=0.6": -6.923040,
    "min_k:k=1.0": -5.454542,
    "min_k++:k=0.1": -6.553608,
    "min_k++:k=0.2": -6.316231,
    "min_k++:k=0.6": -5.036150,
    "min_k++:k=1.0": -3.197675,
}


def test_the_authors_formulas_on_the_same_logits() -> None:
    evidence = evidence_of(of_logits(0), reference=of_logits(0.5), lowered=of_logits(0.25), text=TEXT)
    scores = {spec: parse_attack(spec).score(evidence) for spec in AUTHORS}
    assert scores == pytest.approx(AUTHORS, abs=1e-5)
    # zlib builds differ in a byte or two, so the authors' ratio is compared at the size that this build gives.
    size = len(zlib.compress(TEXT.encode()))
    assert parse_attack("zlib").score(evidence) == pytest.approx(-0.08021384 * 68 / size, abs=1e-6)
    assert -1 / parse_attack("zlib").score(evidence) == pytest.approx(12.466676 * size / 68, abs=1e-4)


def test_the_floor_is_of_the_decimal_where_the_published_code_floors_the_double() -> None:
    assert int(90 * 0.7) == 62, "published: int(len · ratio)"
    assert len(lowest(np.zeros(90, dtype=np.float32), 0.7)) == 63


@steady
@given(n=st.integers(1, 5000), thousandths=st.integers(1, 1000))
def test_how_many_are_lowest(n: int, thousandths: int) -> None:
    count = len(lowest(np.zeros(n, dtype=np.float32), thousandths / 1000))
    assert count == max(1, n * Fraction(thousandths, 1000).numerator // Fraction(thousandths, 1000).denominator)


@pytest.mark.parametrize("name", ALL)
def test_likelier_tokens_raise_the_score_whatever_the_attack(name: str) -> None:
    """The sign: higher means more member-like. Where the target's level counts for nothing it changes nothing."""
    target = replace(TARGET, rank=np.array([1, 0, 2, 3, 1], dtype=np.int32))
    likelier = replace(target, logprob=target.logprob + np.float32(0.25), top=target.top + np.float32(0.1))
    other = signals([-2, -4, -4, -9, -1])
    fixed: dict[str, Any] = {
        **dict.fromkeys(("reference", "lowered", "prefixed"), other),
        "member_prefixed": signals([-1, -3, -2, -8, -1]),
        **dict.fromkeys(("neighbours", "swapped"), (other, signals([-3, -5, -2]))),
    }
    before, after = score_of(name, target, **fixed), score_of(name, likelier, **fixed)
    if name in LEVEL_FREE:
        assert after == pytest.approx(before, abs=1e-6)
    else:
        assert after >= before
        assert after > before or name in STEPS, "the score moves"


def test_a_harder_lower_case_and_a_worse_reference_raise_the_score() -> None:
    assert score_of("lowercase", TARGET, lowered=signals([-9])) > score_of("lowercase", TARGET, lowered=signals([-8]))
    worse, better = signals([-9] * 5), signals([-8] * 5)
    assert score_of("reference", TARGET, reference=worse) > score_of("reference", TARGET, reference=better)


@pytest.mark.parametrize("name", [*ALL, "min_k:k=1e-300", "min_k:k=1.0", "min_k++:k=1e-9"])
def test_one_token_has_a_score_and_the_same_one_twice(name: str) -> None:
    single = signals([-3.0])
    assert math.isfinite(score_of(name, single))
    assert score_of(name, single) == score_of(name, single)


def test_one_token_is_all_of_its_tail() -> None:
    single = signals([-3.0], mean=[-2], std=[0.5])
    assert score_of("min_k:k=0.01", single) == score_of("min_k:k=1", single) == -3.0
    assert score_of("min_k++:k=0.01", single) == -2.0


def test_a_passage_known_by_heart_divides_by_no_zero() -> None:
    by_heart = signals([0.0, 0.0])
    assert score_of("lowercase", by_heart, lowered=signals([-1.0])) > 1e9
    assert score_of("zlib", by_heart) == 0


@pytest.mark.parametrize("name", ALL)
def test_without_a_scored_token_in_any_pass_there_is_no_score(name: str) -> None:
    for missing in parse_attack(name).evidence:
        nothing: dict[str, Evidence] = dict.fromkeys(EVIDENCE, signals([]))
        nothing |= {"neighbours": (TARGET, signals([])), "swapped": (signals([]), TARGET)}
        if missing not in ("text", "frequencies", "population", "gain_null", "shadows", "shadow_population"):
            assert math.isnan(parse_attack(name).score({**evidence_of(TARGET), missing: nothing[missing]}))


@pytest.mark.parametrize("name", ALL)
def test_a_token_that_the_model_could_not_score_is_never_dropped(name: str) -> None:
    assert math.isnan(score_of(name, signals([-1, math.nan, -2, -3, -4, -5, -6, -7, -8, -9])))


logprobs = st.lists(st.floats(-30, -0.0078125, width=32), min_size=1, max_size=60)
shares = st.floats(0.001, 1.0)


@steady
@given(logprobs, shares, shares)
def test_min_k_is_monotone_in_k(values: list[float], a: float, b: float) -> None:
    few, many = sorted((a, b))
    target = signals(values)
    assert score_of(f"min_k:k={few}", target) <= score_of(f"min_k:k={many}", target) + 1e-9
    assert score_of(f"min_k:k={many}", target) <= score_of("loss", target) + 1e-9


@steady
@given(logprobs, shares, st.randoms(use_true_random=False))
def test_min_k_does_not_know_the_order_of_tokens(values: list[float], k: float, rng: Any) -> None:
    shuffled = rng.sample(values, len(values))
    for name in ("min_k", "min_k++"):
        there, here = (score_of(f"{name}:k={k}", signals(v)) for v in (values, shuffled))
        assert there == pytest.approx(here, rel=1e-12, abs=1e-9)


@steady
@given(st.lists(st.tuples(st.floats(-30, 0, width=32), st.floats(-30, 0, width=32)), min_size=1), st.sampled_from("ab"))
def test_reference_turns_its_sign_when_the_models_change_places(pairs: list[tuple[float, float]], other: str) -> None:
    first, second = signals([a for a, _ in pairs]), signals([b for _, b in pairs], tokenizer=other)
    assert score_of("reference", first, reference=second) == -score_of("reference", second, reference=first)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("min_kk", "no attack is named 'min_kk': did you mean 'min_k'"),
        ("zlibb", "did you mean 'zlib'"),
        ("", "no attack is named ''"),
        ("quantum", r"there are min_k, min_k\+\+, "),
        ("min_k:k=0", "k=0 is out of range; it must be above 0 and at most 1"),
        ("min_k:k=-0.1", "out of range"),
        ("min_k++:k=1.5", "out of range"),
        ("min_k:k=nan", "out of range"),
        ("min_k:k=abc", "k=abc is not a number"),
        ("min_k:k", "is not a number"),
        ("min_k:foo=1", "no setting 'foo'; it has: k"),
        ("loss:k=0.1", "no setting 'k'; it has: none"),
        ("min_k:", "no setting ''"),
        ("min_k:k=0.1,", "no setting ''"),
        ("min_k:k=0.1,k=0.3", "given twice"),
    ],
)
def test_what_cannot_be_an_attack_is_refused(spec: str, message: str) -> None:
    with pytest.raises(AttackError, match=message):
        parse_attack(spec)


def test_settings_hold_for_the_attack_they_were_given_to() -> None:
    assert parse_attack("min_k:k=0.1").settings == {"k": 0.1}
    assert parse_attack("min_k").settings == ATTACKS["min_k"].settings == {"k": 0.2}
    assert parse_attack("min_k:k=0.1").name == "min_k:k=0.1"


def test_passes_are_shared() -> None:
    assert passes_needed([ATTACKS["loss"], ATTACKS["zlib"], ATTACKS["min_k"]]) == ("target",)
    needed = {declared.name for kind in EVIDENCE.values() for declared in kind.passes}
    assert set(passes_needed(ATTACKS.values())) == needed
    assert passes_needed([ATTACKS["rmia"], ATTACKS["lowercase"]]) == (
        "target", "lowered", "population_target", "reference", "population_reference",
    )  # fmt: skip
    assert passes_needed([]) == ()


@pytest.fixture
def registered() -> Iterator[str]:
    """An attack of somebody else's, without annotations that anybody could read."""

    @attack("top gap", paper="nobody")
    def gap(target, lowered, text, *, k: Share = 0.5, power=2):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        """How far the tokens stay below the likeliest."""
        return k * (target.logprob - target.top).mean() ** power + 0 * len(lowered) + 0 * len(text)

    yield "top gap"
    del ATTACKS["top gap"]


def test_an_attack_of_somebody_else(registered: str, fake: Backend, write_jsonl: Any, tmp_path: Path) -> None:
    parsed = parse_attack(f"{registered}:power=3,k=0.25")
    assert parsed.settings == {"k": 0.25, "power": 3}
    assert passes_needed([parsed]) == parsed.passes == ("target", "lowered")
    assert parsed.summary == "How far the tokens stay below the likeliest."
    with pytest.raises(AttackError, match="not a whole number"):
        parse_attack(f"{registered}:power=0.5")  # its default is an integer
    with pytest.raises(AttackError, match="out of range"):
        parse_attack(f"{registered}:k=2")
    passages = read_passages(write_jsonl("p.jsonl", [{"text": "a river"}, {"text": "a stone bridge"}]))
    table = score(passages, fake, attacks=[parsed.name], out=tmp_path / "run")
    assert list(table.columns) == [parsed.name]
    assert (table.column(parsed.name) < 0).all(), "an odd power of a negative mean"


def test_registering_refuses_what_it_cannot_serve() -> None:
    before = dict(ATTACKS)
    with pytest.raises(AttackError, match="no evidence is named 'weights'; there are target, reference, "):
        attack("x", paper="")(lambda target, weights: 0.0)
    with pytest.raises(AttackError, match=r"'loss' is registered by llm_mia\.attacks\.likelihood already"):
        attack("loss", paper="")(lambda target: 0.0)

    def without_default(target: TokenSignals, *, k: float) -> float:
        return k

    with pytest.raises(AttackError, match="the setting 'k' has no default"):
        attack("y", paper="")(without_default)
    assert before == ATTACKS


def test_every_attack_says_what_it_is() -> None:
    named = (
        "loss perplexity confidence zlib lowercase camia win_k min_k min_k++ gap_k surp dc_pdd reference wbc ez "
        "hard_token recall con_recall neighbour pac rmia info_rmia lira "
        "shadow_rmia samia ngram_coverage"
    )
    assert set(named.split()) <= set(ATTACKS)
    for registered_attack in ATTACKS.values():
        assert set(registered_attack.evidence) <= set(EVIDENCE)
        assert "arXiv:" in registered_attack.paper
        assert registered_attack.summary.endswith(".")
        assert registered_attack.formula, "llm-mia attacks NAME shows it"
        assert ">>> " in (registered_attack.function.__doc__ or "")
    assert [name for name in ATTACKS if f"`{name}`" not in guide("models")] == [], "a place in the table of the guide"


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("auto", {}, "the name means a choice among attacks"),
        ("label", {}, "the name is a column of the table of scores"),
        ("a:b", {}, "choose a name without ':'"),
        (" ", {}, "choose a name without ':'"),
        ("mine", {"revision": 0}, "its revision is 0: give a whole number from 1 on"),
        ("mine", {"revision": "2"}, "its revision is '2'"),
    ],
)
def test_a_name_or_revision_that_cannot_be_recorded_is_refused(name: str, more: dict[str, Any], message: str) -> None:
    with pytest.raises(AttackError, match=message):
        attack(name, paper="none", **more)(lambda target: 0.0)
    assert name not in ATTACKS


def test_a_setting_that_cannot_be_recorded_is_refused() -> None:
    def mine(target: TokenSignals, *, k: object = None) -> float:
        return 0.0

    with pytest.raises(AttackError, match="the default of 'k' is None: give a number or a string"):
        attack("mine", paper="none")(mine)


def test_an_attack_that_fails_is_named(registered: str, fake: Backend, tmp_path: Path) -> None:
    def mine(target: "np.nonsense", *, k: float = 0.0) -> float:  # type: ignore[name-defined]  # noqa: UP037
        return 1 / k

    attack(registered, paper="none")(mine)
    with pytest.raises(AttackError, match=rf"attack '{registered}' fails \(ZeroDivisionError: .*\): correct it"):
        score(["The river bends."], fake, attacks=[registered], out=tmp_path / "run")


def test_two_kinds_of_evidence_have_no_pass_of_the_same_name() -> None:
    kind = EvidenceKind("mine", "none", lambda row, _: None, passes=(ModelPass("target", "reference"),))
    with pytest.raises(AttackError, match="evidence 'target' has another pass 'target'"):
        register_evidence(kind)
    assert "mine" not in EVIDENCE
