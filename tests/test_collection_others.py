"""A collection against another model: a shift of the texts is no finding, training is; what a finding withstands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_mia import ScoreTable
from llm_mia.decision import CollectionResult, NoteKind, judge_collection
from llm_mia.documents import (
    Pairs,
    adjusted_statistic,
    auroc_of_shift,
    collection_test,
    difference_test,
    permutation_test,
    shift_of_auroc,
    vanishing_difference,
)
from llm_mia.records import Standing
from llm_mia.report.words import collection_finding, collection_lines, notes_words

Floats = NDArray[np.float64]
LEVEL, DRAWS = 0.05, 300
LIMIT = LEVEL + 4 * math.sqrt(LEVEL * (1 - LEVEL) / DRAWS)  # four standard errors above a true rate of 5 %


def evidence(
    rng: np.random.Generator,
    sizes: tuple[int, int],
    precision: tuple[float, float],
    *,
    other_genre: float = 0.0,
    effect: float = 0.0,
    spread: Sequence[float] = (1.0, 1.0),
) -> tuple[Floats, Floats]:
    """Evidence of documents by the target and by the other model; both measure the text, with noise of their own."""
    of_candidates = np.arange(sum(sizes)) < sizes[0]
    unit = 0.7 * np.where(of_candidates, *spread)  # documents of 5 passages: variance 0.4 + 0.6 / 5
    text = unit * rng.normal(size=sum(sizes)) - 0.8 * ((rng.random(sum(sizes)) < other_genre) & ~of_candidates)
    target, other = (math.sqrt(p) * text + math.sqrt(1 - p) * unit * rng.normal(size=len(text)) for p in precision)
    return np.asarray(target + effect * of_candidates), np.asarray(other)


def p_values(target: Floats, other: Floats, sizes: tuple[int, int], seed: int) -> tuple[float, float, float]:
    """Of the target alone, given the other model, and given it by the direct regression, which is a fault."""
    first, rng = sizes[0], np.random.default_rng(seed)
    alone = permutation_test(target[:first], target[first:], 99, rng)[1]
    given, direct = (
        Pairs(target[:, None], other[:, None], sizes, same_attack, target[first:, None]).p_value(99, seed)[1]
        for same_attack in (True, False)
    )
    return alone, given, direct


def shares(sizes: tuple[int, int], precision: tuple[float, float], **kind: float) -> tuple[float, float, float]:
    """How often all of the tests are significant that a finding needs; by the target alone; by direct regression."""
    rng = np.random.default_rng(0)
    drawn = np.array(
        [p_values(*evidence(rng, sizes, precision, **kind), sizes, seed) for seed in range(DRAWS)]  # type: ignore[arg-type]
    )
    alone, given, direct = (drawn <= LEVEL).T
    return float((alone & given).mean()), float(alone.mean()), float((alone & direct).mean())


# -- the error rate ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", [(0.95, 0.95), (0.9, 0.6)])
def test_a_shift_of_the_texts_is_no_finding_and_is_by_the_target_alone(precision: tuple[float, float]) -> None:
    found, alone, direct = shares((40, 40), precision, other_genre=0.4)
    assert found <= LIMIT
    assert alone > 0.4, "the fault: about half of the cases"
    if precision == (0.9, 0.6):
        assert direct > LIMIT, "the fault: a line that noise makes too flat leaves a part of the shift"


@pytest.mark.parametrize(("sizes", "spread"), [((5, 5), (1.0, 1.0)), ((10, 30), (0.6, 1.0))])
def test_the_difference_alone_holds_its_level_where_the_texts_are_alike(
    sizes: tuple[int, int], spread: tuple[float, float]
) -> None:
    rng = np.random.default_rng(1)
    given = [
        p_values(*evidence(rng, sizes, (0.9, 0.6), spread=spread), sizes, seed)[1] <= LEVEL for seed in range(DRAWS)
    ]
    assert np.mean(given) <= LIMIT


def test_training_is_still_detected() -> None:
    found, alone, _ = shares((40, 40), (0.95, 0.95), effect=0.55)
    assert alone - found <= 0.02
    assert found > 0.9
    weaker, _, _ = shares((40, 40), (0.6, 0.6), effect=0.55)
    assert 0.6 < weaker < found, "another model that agrees little costs power"


def test_another_model_that_shows_nothing_of_the_texts_supports_no_finding() -> None:
    rng = np.random.default_rng(3)
    target, _ = evidence(rng, (20, 20), (1.0, 0.0), effect=3.0)
    pairs = Pairs(target[:, None], -target[:, None], (20, 20), True, target[20:, None])
    assert (pairs.p_value(99, 0)[1], round(pairs.correlation, 9)) == (1, -1)


def test_the_adjusted_difference_is_that_of_least_squares() -> None:
    rng = np.random.default_rng(0)
    picked = np.arange(12) < 5
    covariate = rng.normal(size=12)
    values = 2 * covariate + picked + rng.normal(size=12)
    design = np.column_stack([np.ones(12), picked, covariate])
    fitted = np.linalg.lstsq(design, values, rcond=None)[0]
    statistic, correlation = adjusted_statistic(values, covariate, picked[None])
    centred = [x - np.where(picked, x[picked].mean(), x[~picked].mean()) for x in (values, covariate)]
    assert correlation[0] == pytest.approx(np.corrcoef(*centred)[0, 1])
    assert np.sign(statistic[0]) == np.sign(fitted[1])
    residuals = values - design @ fitted
    within = [residuals[side].var(ddof=1) for side in (picked, ~picked)]
    squares = sum(((covariate[side] - covariate[side].mean()) ** 2).sum() for side in (picked, ~picked))
    apart = covariate[picked].mean() - covariate[~picked].mean()
    error = math.sqrt(within[0] / 5 + within[1] / 7 + apart**2 * (residuals**2).sum() / 9 / squares)
    assert statistic[0] == pytest.approx(fitted[1] / error)


# -- what a finding withstands ----------------------------------------------------------------------------------------


def sides(
    rng: np.random.Generator, shift: float, documents: int = 20
) -> tuple[tuple[Floats, list[str]], tuple[Floats, list[str]]]:
    def side(prefix: str, raised: float) -> tuple[Floats, list[str]]:
        scores = 0.5 * np.repeat(rng.normal(size=documents), 4) + rng.normal(size=4 * documents) + raised
        return scores, [f"{prefix}{i}" for i in range(documents) for _ in range(4)]

    return side("s", shift), side("c", 0.0)


def test_a_finding_vanishes_at_the_shift_that_is_given() -> None:
    candidates, nonmembers = sides(np.random.default_rng(0), 1.0)
    vanishing = vanishing_difference(candidates, nonmembers)
    for step, significant in ((-0.01, True), (0.01, False)):
        shift = shift_of_auroc(nonmembers[0], vanishing + step)
        shifted = collection_test((candidates[0] - shift, candidates[1]), nonmembers, permutations=999)
        assert (shifted.p_value <= 0.05) is significant
    stronger, _ = sides(np.random.default_rng(0), 1.5)
    assert vanishing_difference(stronger, nonmembers) > vanishing
    assert vanishing_difference(nonmembers, candidates) == 0.5, "there is no finding that could vanish"


def test_a_shift_and_its_auroc_are_inverse() -> None:
    scores = np.random.default_rng(0).normal(size=5000)
    assert auroc_of_shift(scores, 1.0) == pytest.approx(0.7602, abs=0.01)  # Φ(1/√2); the sample's spread errs by 1 %
    assert auroc_of_shift(scores, shift_of_auroc(scores, 0.6)) == pytest.approx(0.6, abs=1e-3)


def test_a_detectable_difference_is_detected_in_four_of_five_cases() -> None:
    rng, seen = np.random.default_rng(0), []
    for _ in range(150):
        first, second = rng.normal(size=30), rng.normal(size=30)
        names = [f"s{i}" for i in range(30)], [f"c{i}" for i in range(30)]
        test, _ = difference_test((first, first, names[0]), (second, second, names[1]), permutations=19)
        shift = math.sqrt(2) * NormalDist().inv_cdf(test.detectable)
        seen.append(permutation_test(first + shift, second, 99, rng)[1] <= LEVEL)
    # Four standard errors of 150 draws, and 0.03: the estimated spread differs from draw to draw.
    assert np.mean(seen) == pytest.approx(0.8, abs=4 * math.sqrt(0.8 * 0.2 / 150) + 0.03)


# -- decisions --------------------------------------------------------------------------------------------------------


def table(effect: float, *, genre: float = 0.0, documents: int = 20, precision: float = 0.95) -> ScoreTable:
    """Documents of 4 passages by the target and by a reference; candidates first."""
    rng = np.random.default_rng(7)
    text = rng.normal(size=8 * documents) + np.repeat(rng.normal(size=2 * documents), 4)
    text[4 * documents :] -= genre
    noise = math.sqrt(1 - precision)
    scores = text + noise * rng.normal(size=len(text)) + effect * (np.arange(len(text)) < 4 * documents)
    other = text + noise * rng.normal(size=len(text))
    made = ScoreTable.of(
        {"loss": scores, "reference": scores - other},
        labels=[None] * (4 * documents) + [0] * (4 * documents),
        documents=[f"d{i // 4}" for i in range(len(text))],
    )
    return replace(made, others={"reference": {"loss": other}})


def judge(score_table: ScoreTable, *attacks: str) -> CollectionResult:
    return judge_collection(score_table, attacks or ["loss"])


def test_both_p_values_have_to_be_significant() -> None:
    trained = judge(table(2.0))
    assert trained.significant
    assert trained.p_value == max(trained.test.p_value, trained.others[0].test.p_value)
    assert (trained.others[0].role, trained.others[0].attacks) == ("reference", ("loss",))
    assert collection_finding(trained).startswith("consistent with training on the collection")
    shifted = judge(table(0.0, genre=2.0))
    assert shifted.test.p_value < 0.001
    assert (shifted.significant, shifted.vanishing, shifted.power) == (False, None, None)
    assert "not significantly higher than scores by the reference model predict" in collection_finding(shifted)


def test_another_model_that_does_not_resemble_the_target_supports_no_finding() -> None:
    score_table = table(2.0)
    unlike = {"loss": np.random.default_rng(1).normal(size=len(score_table))}
    result = judge(replace(score_table, others={"stand-in": unlike}))
    assert (result.test.p_value, result.others[0].test.p_value, result.significant) == (1e-4, 1, False)
    assert abs(result.others[0].test.correlation) < 0.5
    assert "agree too little with the target's to be compared" in collection_finding(result)


def test_without_another_model_a_finding_is_at_best_not_checked() -> None:
    alone = replace(table(2.0), others={}, standing=Standing.SOUND)
    result = judge(alone)
    assert (result.significant, result.resists, result.standing) == (True, None, Standing.NOT_CHECKED)
    assert collection_finding(result).endswith("; not compared with another model")
    assert "no other model has scored the passages" in collection_lines(result)[0]
    assert judge(replace(alone, standing=Standing.DOUBTFUL)).standing is Standing.DOUBTFUL
    assert judge(replace(alone, standing=None)).standing is None


def test_a_finding_that_a_difference_could_explain_is_doubtful() -> None:
    sound = judge(replace(table(3.0), standing=Standing.SOUND))
    assert (sound.resists, sound.standing) == (True, Standing.SOUND)
    weak = judge(replace(table(0.8, genre=0.8, precision=0.99), standing=Standing.SOUND))
    assert weak.significant
    assert weak.vanishing is not None
    assert weak.others[0].test.other.high >= weak.vanishing
    assert (weak.resists, weak.standing) == (False, Standing.DOUBTFUL)
    assert "which is not enough: the finding is doubtful" in " ".join(collection_lines(weak))
    assert judge(replace(table(0.8, genre=0.8, precision=0.99), standing=Standing.VOID)).standing is Standing.VOID


def test_an_attack_that_takes_the_reference_is_compared_by_likelihood() -> None:
    score_table = table(1.0)
    result = judge(score_table, "reference")
    assert result.others[0].attacks == ("loss",)
    assert result.significant
    other = score_table.others["reference"]["loss"]
    second = {"loss": other + 0.1, "reference": score_table.column("loss") - other}
    both = judge(replace(score_table, others={**score_table.others, "reference-2": second}), "reference")
    assert [each.role for each in both.others] == ["reference", "reference-2", "reference-2"]
    assert [each.attacks for each in both.others] == [("loss",), ("reference",), ("loss",)]
    unlike = {**second, "reference": np.random.default_rng(0).normal(size=len(score_table))}
    only = replace(score_table, columns={"reference": score_table.column("reference")})
    assert judge(only, "reference").others[0].attacks == ("reference",), "with the likelihood as a covariate"
    no = judge(replace(score_table, others={**score_table.others, "reference-2": unlike}), "reference")
    assert not no.significant, "the second reference does not confirm it"


def test_documents_that_the_other_model_has_not_scored_are_left_out_of_its_test_only() -> None:
    score_table = table(2.0)
    other = score_table.others["reference"]["loss"].copy()
    other[80:120] = np.nan  # ten of the twenty documents of non-members
    result = judge(replace(score_table, others={"stand-in": {"loss": other}}))
    assert (result.test.n_documents, result.others[0].test.n_documents) == ((20, 20), (20, 10))
    assert result.significant
    other[80:] = np.nan
    none = judge(replace(score_table, others={"stand-in": {"loss": other}}))
    assert (none.others, none.resists) == ((), None)
    assert NoteKind.OTHER_UNSCORED in [note.kind for note in none.notes]
    assert any(
        "the stand-in model has scored no candidate or no non-member" in words for words in notes_words(none.notes)
    )
    few = table(5.0, documents=3)
    other = few.others["reference"]["loss"].copy()
    other[12:16] = np.nan
    result = judge(replace(few, others={"stand-in": {"loss": other}}))
    assert not result.significant
    assert any(
        "scored only 3 documents of candidates and 2 of non-members" in words for words in notes_words(result.notes)
    )


def test_another_seed_divides_nothing_anew() -> None:
    rng = np.random.default_rng(0)
    names = [f"s{i}" for i in range(6)], [f"c{i}" for i in range(6)]
    scores = rng.normal(size=(6, 3)) + 0.5, rng.normal(size=(6, 3))
    results = {collection_test((scores[0], names[0]), (scores[1], names[1]), seed=seed).p_value for seed in range(10)}
    assert len(results) == 1, "all divisions of twelve documents are used, and none is held out"
