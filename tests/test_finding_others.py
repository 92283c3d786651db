"""The finding against other models, and the difference that it withstands: by hand, and by simulation."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, norm

from llm_mia import ScoreTable
from llm_mia.calibration import chance_of_flags, flag_probabilities, flag_rank, largest_excess, surplus_test
from llm_mia.decision import Finding, Flags, OtherFlags, calibrate, flag, flag_documents
from llm_mia.errors import CalibrationError, UsageError
from llm_mia.records import Interval, Standing
from llm_mia.report.words import comparison_facts, finding, sensitivity_words

Floats = NDArray[np.float64]
LEVEL = 0.05


def table(
    target: Floats, others: dict[str, dict[str, Floats]], n: int, *, attack: str = "loss", **options: Any
) -> ScoreTable:
    """*n* known non-members, then candidates, scored by the target and by other models."""
    labels = [0] * n + [None] * (len(target) - n)
    return replace(ScoreTable.of({attack: target}, labels, name="t.csv", **options), others=others)


def decided(scores: ScoreTable, attack: str = "loss", *, fpr: float = 0.05, **options: Any) -> tuple[Flags, Finding]:
    flags = flag(scores, calibrate(scores, attack, fpr=fpr), **options)
    assert flags.finding is not None
    return flags, flags.finding


def limit(rate: float, repeats: int) -> float:
    """Four Monte-Carlo standard errors above *rate*."""
    return rate + 4 * math.sqrt(rate * (1 - rate) / repeats)


def correlated(rng: np.random.Generator, size: int, correlation: float) -> tuple[Floats, Floats]:
    common = math.sqrt(correlation) * rng.normal(size=size)
    first, second = (common + math.sqrt(1 - correlation) * rng.normal(size=size) for _ in range(2))
    return first, second


# -- the exchange of the models ---------------------------------------------------------------------------------------


def test_the_p_value_is_the_share_of_all_exchanges() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=12), rng.normal(size=12)
    candidate, documents = np.arange(12) >= 6, np.array([0, 0, 1, 2, 3, 3, 4, 4, 5, 6, 7, 7])
    first[candidate] += 1.5

    def mean_difference(scores: Floats) -> float:
        shares = np.array([(scores >= score).sum() for score in scores]) / 13
        high = shares**-0.25
        return float(high[candidate].mean() - high[~candidate].mean())

    high = [np.array([(column >= score).sum() for score in column]) / 13 for column in (first, second)]
    gain = high[0] ** -0.25 - high[1] ** -0.25
    sums = []
    for signs in itertools.product((1, -1), repeat=8):
        changed = gain * np.array(signs)[documents]
        sums.append(changed[candidate].mean() - changed[~candidate].mean())
    observed = mean_difference(first) - mean_difference(second)
    assert sums[0] == pytest.approx(observed)
    exact = float(np.mean(np.array(sums) >= observed - 1e-9))
    assert 0.01 < exact < 0.5
    # Of 9,999 random exchanges: four standard errors.
    drawn = surplus_test(first, second, candidate, documents).p_value
    assert drawn == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 9_999))


def test_candidates_are_compared_within_their_category() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=80), rng.normal(size=80)
    candidate, kinds = np.arange(80) >= 40, np.array(["a", "b"])[np.arange(80) % 2]
    single = surplus_test(first, second, candidate, range(80), categories=kinds).p_value
    shift = 100 * (kinds == "b")
    assert surplus_test(first + shift, second + shift, candidate, range(80), categories=kinds).p_value == single


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(CalibrationError, match="no category has both"):
        surplus_test([1.0, 2.0], [1.0, 2.0], [True, False], range(2), categories=["a", "b"])
    with pytest.raises(CalibrationError, match="no category has both"):
        surplus_test([1.0, 2.0], [1.0, 2.0], [True, True], range(2))
    with pytest.raises(UsageError, match="lengths 2, 1, 2, 2, 2"):
        surplus_test([1.0, 2.0], [1.0], [True, False], range(2))


@pytest.mark.parametrize(("n", "m", "shift", "size"), [(60, 140, 0.5, 1), (100, 400, 1.0, 1), (120, 120, 1.0, 6)])
def test_a_difference_that_both_models_see_is_a_finding_in_at_most_5_percent(
    n: int, m: int, shift: float, size: int
) -> None:
    """By both tests; by chance alone, or with the candidates' flags alone exchanged (McNemar), in many more."""
    rng, repeats, k = np.random.default_rng(2), 120, flag_rank(n, LEVEL)
    documents, candidate = np.arange(n + m) // size, np.arange(n + m) >= n
    both, chance, flags_alone = 0, 0, 0
    for repeat in range(repeats):
        columns = correlated(rng, n + m, 0.9 * (repeat % 2))
        raised = rng.normal(size=documents[-1] + 1)[documents] * (size > 1) + shift * candidate
        columns = columns[0] + raised, columns[1] + raised
        flagged = [column[n:] > np.sort(column[:n])[-k] for column in columns]
        by_chance = chance_of_flags([(int(flagged[0].sum()), m, k, n)]) <= LEVEL
        chance += by_chance
        both += by_chance and surplus_test(*columns, candidate, documents).p_value <= LEVEL
        gained, lost = (int((flagged[i] & ~flagged[1 - i]).sum()) for i in (0, 1))
        flags_alone += by_chance and binom.sf(gained - 1, gained + lost, 0.5) <= LEVEL
    assert both / repeats <= limit(LEVEL, repeats)
    assert chance / repeats > limit(LEVEL, repeats), "the former rule"
    if size == 1:
        assert flags_alone / repeats > limit(LEVEL, repeats), "the luck of the calibration set left out"


@pytest.mark.parametrize("n", [60, 100, 1000])
@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_a_hundred_members_of_two_hundred_candidates_are_found(n: int, correlation: float) -> None:
    """Members 1.41 standard deviations higher: an AUROC of 0.84, the lowest in README's demonstration.

    In 4,000 draws 0.92 to 1.00, and 0.88 with 60 non-members and another model that has nothing in common with the
    target. A share of 50 draws is below its expectation by three standard errors with probability 0.001.
    """
    rng, findings, repeats = np.random.default_rng(3), 0, 50
    for _ in range(repeats):
        target, other = correlated(rng, n + 200, correlation)
        target[n : n + 100] += 1.41
        k = flag_rank(n, LEVEL)
        flags = int((target[n:] > np.sort(target[:n])[-k]).sum())
        if chance_of_flags([(flags, 200, k, n)]) <= LEVEL:
            candidate = np.arange(n + 200) >= n
            findings += surplus_test(target, other, candidate, range(n + 200)).p_value <= LEVEL
    power = 0.9 if n > 60 or correlation else 0.88
    assert findings / repeats >= power - 3 * math.sqrt(power * (1 - power) / repeats)


# -- the difference that a finding withstands -------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "m", "flags"), [(100, 140, 48), (1000, 200, 40), (60, 60, 25)])
def test_no_smaller_difference_gives_as_many_flags(n: int, m: int, flags: int) -> None:
    """Candidates with the concave ROC that has the smallest AUROC for its false positive rate, drawn 20,000 times."""
    k, repeats, rng = flag_rank(n, LEVEL), 20_000, np.random.default_rng(4)
    probabilities = flag_probabilities([(m, k, n)])
    share = largest_excess(probabilities, flags, m, LEVEL) * (1 - LEVEL)
    threshold = rng.beta(k, n + 1 - k, size=repeats)  # the share of non-members above it

    def as_many(share: float) -> float:
        realised = LEVEL + share
        # From (0, 0) by (0.05, realised) to (1, 1): its area is (1 + share) / 2.
        rate = np.where(
            threshold < LEVEL,
            threshold * realised / LEVEL,
            realised + (threshold - LEVEL) * (1 - realised) / (1 - LEVEL),
        )
        return float((rng.binomial(m, rate) >= flags).mean())

    assert as_many(share) <= limit(LEVEL, repeats)
    needed = int(np.argmax(np.cumsum(probabilities[::-1])[::-1] <= LEVEL))
    assert as_many((flags - needed) / m) > limit(LEVEL, repeats), "flags less those needed, without their luck"


def test_the_sensitivity_of_a_decision_and_whether_another_model_excludes_it() -> None:
    rng = np.random.default_rng(5)
    target, other = rng.normal(size=900), rng.normal(size=900)
    target[500:700] += 2
    flags, result = decided(table(target, {"reference": {"loss": other}}, 500))
    limits = result.sensitivity
    assert limits is not None
    assert limits.auroc == pytest.approx((1 + limits.share) / 2)
    assert limits.fpr == pytest.approx(0.05 + limits.share)
    assert limits.flags == pytest.approx(400 * limits.share)
    assert result.resists
    assert not result.others[0].auroc.high >= limits.auroc
    weak = target.copy()
    weak[500:700] -= 1.4
    flags, result = decided(replace(table(weak, {"reference": {"loss": other}}, 500), standing=Standing.SOUND))
    assert result.significant
    assert result.resists is False
    assert flags.standing is Standing.DOUBTFUL
    assert finding(flags).endswith(", but doubtful")
    alone, result = decided(replace(table(weak, {}, 500), standing=Standing.NOT_CHECKED))
    assert (result.resists, alone.standing) == (None, Standing.NOT_CHECKED)
    assert "not compared with another model" in finding(alone)


def test_discoveries_and_documents_have_a_sensitivity() -> None:
    rng = np.random.default_rng(6)
    target = np.concatenate([rng.normal(size=1000), rng.normal(5, 1, size=80), rng.normal(size=20)])
    other = {"reference": {"loss": rng.normal(size=1100)}}
    _, result = decided(table(target, other, 1000), fdr=0.1)
    assert result.sensitivity is not None
    assert result.sensitivity.fpr is None
    assert 0.5 < result.sensitivity.auroc < 1
    assert result.resists
    shared = table(target, other, 1000, documents=[f"d{i // 2}" for i in range(1100)])
    for flags, result in (decided(shared), decided(shared, fdr=0.1)):
        assert result.sensitivity is not None
        assert 0.5 < result.sensitivity.auroc < 1
        assert ("flags that the test counts" in str(sensitivity_words(flags))) == (result.flagged != flags.flagged)


# -- what is compared -------------------------------------------------------------------------------------------------


def only(result: Finding) -> OtherFlags:
    (other,) = result.others
    return other


def test_both_models_flag_the_same_candidates_by_the_same_rule() -> None:
    rng = np.random.default_rng(7)
    target, other = rng.normal(size=300), 1000 * rng.normal(size=300)
    target[200:250] += 3
    other[200:210] = 9999
    other[[5, 6, 299]] = math.nan
    flags, result = decided(table(target, {"stand-in": {"loss": other}}, 200))
    compared = only(result)
    kept = np.isfinite(other)
    expected = [
        int((column[200:][kept[200:]] > np.sort(column[:200][kept[:200]])[-flag_rank(198, 0.05)]).sum())
        for column in (target, other)
    ]
    assert [compared.flagged, compared.other_flagged] == expected
    assert (compared.role, compared.attack, compared.candidates, compared.nonmembers) == ("stand-in", "loss", 99, 198)
    assert result.p_value == max(result.chance, compared.p_value)
    ((role, sentence),) = comparison_facts(flags)
    assert role == "stand-in"
    assert sentence.startswith(f"in the place of the target: {expected[1]} of 99 candidates flagged")
    assert f", {expected[0]} by the target (198 non-members); " in sentence or expected[0] == result.flagged
    vanishes = str(sensitivity_words(flags))
    assert vanishes.startswith("the finding would vanish if a difference between candidates and non-members")
    assert f"the stand-in model allows a rate of at most {100 * compared.largest_rate(0.05):.1f} %" in vanishes
    assert compared.other_share is not None
    by_share = 0.05 + 3 * (compared.other_share.high - 0.05)
    assert compared.largest_rate(0.05) == pytest.approx(min(by_share, 2 * compared.largest_auroc - 0.95))


def test_another_model_that_sees_the_same_leaves_no_finding_and_no_bound() -> None:
    rng = np.random.default_rng(8)
    target = rng.normal(size=300) + 2 * (np.arange(300) >= 200)
    flags, result = decided(table(target, {"reference": {"loss": target + 0.1 * rng.normal(size=300)}}, 200))
    assert result.chance < 1e-9
    assert not result.significant
    assert result.sensitivity is None
    assert flags.members is not None
    assert flags.share is not None
    assert (flags.members.members, flags.members.within(range(50)), flags.share.low) == (0, 0, 0)
    assert (
        "no finding, the reference model, which should not know the candidates, sees a similar difference"
        in finding(flags)
    )


def test_which_column_of_another_model_is_compared() -> None:
    rng = np.random.default_rng(9)
    columns = {name: rng.normal(size=100) for name in ("loss", "min_k", "reference")}

    def compared(attack: str, decider: str | None = None) -> list[str]:
        scores = table(rng.normal(size=100), {"reference-2": columns}, 60, attack=attack)
        return [other.attack for other in decided(scores, decider or attack)[1].others]

    assert compared("min_k") == ["min_k"]
    assert compared("min_k", "-min_k") == ["-min_k"]
    assert compared("zlib") == ["loss"]
    assert compared("reference") == ["loss"], "by a second reference it is still a score of the target"


def test_the_largest_p_value_of_several_references_is_kept() -> None:
    rng = np.random.default_rng(10)
    target, other = rng.normal(size=300), rng.normal(size=300)
    target[200:250] += 3
    second = rng.normal(size=300)
    models = {"reference": {"loss": other}, "reference-2": {"loss": other, "reference": second}}
    flags, result = decided(table(target, models, 200, attack="reference"), "reference")
    (reference,) = result.references
    _, alone = decided(table(second, {}, 200, attack="reference"), "reference")
    assert (reference.role, reference.p_value, reference.flagged) == ("reference-2", alone.chance, alone.flagged)
    assert result.chance < LEVEL < reference.p_value == result.p_value
    assert not result.significant
    assert "with reference model 2 chance alone may flag as many" in finding(flags)
    ((_, of_first), (role, of_second)) = comparison_facts(flags)
    assert "in the place of the reference model" not in of_first
    assert role == "reference-2"
    assert f"in the place of the reference model: {reference.flagged} flagged, as many by chance: p = " in of_second


def test_few_nonmembers_that_both_have_scored_are_compared_without_a_threshold() -> None:
    rng = np.random.default_rng(11)
    target, other = rng.normal(size=130), rng.normal(size=130)
    target[30:] += 4
    other[:20] = math.nan
    flags, result = decided(table(target, {"stand-in": {"loss": other}}, 30))
    compared = only(result)
    assert (compared.flagged, compared.other_flagged, compared.nonmembers) == (None, None, 10)
    assert compared.p_value < LEVEL
    assert comparison_facts(flags)[0][1].startswith("10 non-members are too few for a threshold on 100 candidates; ")
    other[:30] = math.nan
    assert decided(table(target, {"stand-in": {"loss": other}}, 30))[1].others == ()


def test_categories_discoveries_and_documents_are_compared_alike() -> None:
    rng = np.random.default_rng(12)
    target, other = rng.normal(size=480), rng.normal(size=480)
    target[240:400] += 3
    models = {"reference": {"loss": other}}
    kinds = ["a", "b"] * 240
    flags, result = decided(table(target, models, 240, categories=kinds))
    assert (only(result).flagged, result.significant) == (flags.flagged, True)
    flags, result = decided(table(target, models, 240), fdr=0.1)
    assert (only(result).flagged, result.significant) == (flags.flagged, True)
    scores = table(target, models, 240, documents=[f"d{i // 4}" for i in range(480)])
    flags = flag_documents(scores, calibrate(scores, "loss", fpr=0.05))
    assert flags.finding is not None
    compared = only(flags.finding)
    assert (compared.candidates, compared.nonmembers) == (60, 60)
    assert compared.flagged == flags.flagged
    assert flags.significant
    assert "candidate documents and non-members" in str(sensitivity_words(flags))


def test_the_shift_of_members_in_these_tests_is_what_they_say() -> None:
    assert float(norm.cdf(1.41 / math.sqrt(2))) == pytest.approx(0.84, abs=0.005)


def test_a_difference_that_lowers_the_scores_of_another_model_makes_a_finding_doubtful() -> None:
    """Texts that the target finds easier and the other model harder differ, although its AUROC is below 0.5."""
    rng = np.random.default_rng(1)
    texts, candidate = rng.normal(size=(2, 240)), np.arange(240) >= 100
    target, other = texts[0] + candidate, texts[1] - candidate
    table = ScoreTable.of({"loss": target}, [0] * 100 + [None] * 140, others={"stand-in": {"loss": other}})
    flags = flag(table, calibrate(table, "loss", fpr=0.05))
    assert flags.significant
    assert flags.finding is not None
    assert flags.finding.resists is False
    assert "the stand-in model allows a rate of at most" in (sensitivity_words(flags) or "")


def test_a_model_that_sees_no_difference_is_not_reported_to_see_one() -> None:
    """A small difference may be improbable by chance, and the target not clearly higher than the other model."""
    scores = np.arange(240.0)
    labels = [0 if row % 2 else None for row in range(240)]
    other = OtherFlags("stand-in", "loss", 0.2, 9, 6, 120, 120, auroc=Interval(0.5, 0.43, 0.57, 0.95))
    table = ScoreTable.of(scores, labels)
    flags = flag(table, calibrate(table, "score", fpr=0.05))
    assert flags.finding is not None
    flags = replace(flags, finding=replace(flags.finding, chance=0.001, others=(other,)))
    assert "does not score them clearly higher than the stand-in model" in finding(flags)
    seen = replace(other, auroc=Interval(0.7, 0.6, 0.8, 0.95))
    assert flags.finding is not None
    flags = replace(flags, finding=replace(flags.finding, others=(seen,)))
    assert "the stand-in model, which should not know the candidates, sees a similar difference" in finding(flags)
