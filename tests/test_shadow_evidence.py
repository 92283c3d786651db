"""Evidence from shadow models, end to end: passes of all models, scores by hand, and what is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_mia import calibrate, flag, score
from llm_mia.attacks import ShadowSet, choose_shadows, cohort
from llm_mia.backends.fake import FakeBackend
from llm_mia.errors import AttackError, CalibrationError, InputError, RunDirectoryError, UsageError
from llm_mia.passages import Passages
from llm_mia.records import ShadowLikelihoods
from llm_mia.scoring import attacks_for, score_to_disk
from llm_mia.signals import ModelSource, Supplies, signals_of

from .conftest import sentences

POOL, OUTSIDE = sentences(24, seed=90), sentences(6, seed=91)
TARGET = FakeBackend(0)
SHADOWS = {f"shadow-{number:02d}": FakeBackend(number + 1) for number in range(4)}
FORMS: tuple[tuple[cohort.Form, str], ...] = (("online", ""), ("offline", ":form=offline"))
ATTACKS = ["lira", "lira:form=offline", "shadow_rmia", "shadow_rmia:form=offline"]


def means(model: ModelSource, texts: Sequence[str]) -> list[float]:
    return [float(signals.logprob.mean(dtype=np.float64)) for signals in signals_of(model, texts)]


def shadow_set(models: Mapping[str, ModelSource], *, seed: int = 0) -> ShadowSet:
    """A supply whose shadows are *models*, each taken for trained on a random half of the pool."""
    rng = np.random.default_rng(seed)
    inside = rng.permuted(np.tile(np.arange(len(models)) < len(models) // 2, (len(POOL), 1)), axis=1)
    logprob = np.array([means(model, POOL) for model in models.values()]).T
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in POOL]
    memberships = {digest: tuple(map(bool, row)) for digest, row in zip(digests, inside, strict=True)}
    spreads = cohort.pooled_spreads(logprob, inside)
    population = Passages.of(POOL[::2])
    return ShadowSet(tuple(models), memberships, *spreads, population, logprob[::2], f"digest {seed}", seed)


GIVEN = Supplies(shadows=shadow_set(SHADOWS))


def by_hand(text: str) -> tuple[float, ShadowLikelihoods]:
    """The target's likelihood, and the evidence by the definition."""
    assert GIVEN.shadows is not None
    inside = np.array(GIVEN.shadows.inside.get(hashlib.sha256(text.encode()).hexdigest(), (False,) * 4))
    chosen = choose_shadows(inside, seed=0, text=text)
    of_shadows = np.array([means(model, [text])[0] for model in SHADOWS.values()])
    evidence = ShadowLikelihoods(of_shadows[chosen], inside[chosen], GIVEN.shadows.spread_in, GIVEN.shadows.spread_out)
    return means(TARGET, [text])[0], evidence


def ratio(text: str, form: cohort.Form) -> NDArray[np.float64]:
    of_target, evidence = by_hand(text)
    return cohort.shadow_ratio(of_target, evidence.mean_logprob, evidence.inside, form=form)


def test_scores_are_those_of_the_chosen_shadows(tmp_path: Path) -> None:
    texts = [*POOL, *OUTSIDE]
    # The order of the models need not be that of the set.
    models = dict(reversed(SHADOWS.items()))
    table = score(texts, TARGET, models=models, attacks=ATTACKS, supplies=GIVEN, out=tmp_path / "run")
    for row, text in enumerate(texts):
        of_target, evidence = by_hand(text)
        for form, setting in FORMS:
            expected = cohort.lira(
                of_target, evidence.mean_logprob, evidence.inside,
                spread_in=evidence.spread_in, spread_out=evidence.spread_out, form=form,
            )  # fmt: skip
            assert table.column(f"lira{setting}")[row] == pytest.approx(float(expected), rel=1e-9, nan_ok=True)
    for form, setting in FORMS:
        population = np.sort([ratio(text, form) for text in POOL[::2]])
        shares = [float(cohort.share_exceeded(ratio(text, form), population)) for text in texts]
        # A passage of the population ties with itself but for the last bits, so a count may differ by 1.
        assert table.column(f"shadow_rmia{setting}") == pytest.approx(
            np.array(shares), abs=1.001 / len(population), nan_ok=True
        )
    outside = np.array([text in OUTSIDE for text in texts])
    for name in ATTACKS:
        lacking = outside if "offline" not in name else np.zeros(len(texts), np.bool_)
        assert np.isnan(table.column(name)).tolist() == lacking.tolist(), "online needs shadows trained on the passage"
    folders = sorted(path.name for path in (tmp_path / "run" / "signals").iterdir())
    assert folders == [*SHADOWS, "shadow_population", "target"]


def test_pool_passages_may_be_scored_and_the_population_is_compared_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, original = [], cohort.population_ratios

    def counted(*arguments: object, **settings: object) -> NDArray[np.float64]:
        calls.append(settings)
        return original(*arguments, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(cohort, "population_ratios", counted)
    score(POOL, TARGET, models=SHADOWS, attacks=["shadow_rmia"], supplies=GIVEN, out=tmp_path / "run")
    assert len(calls) == 1


def test_they_are_part_of_the_default_where_the_shadows_are_given(tmp_path: Path) -> None:
    given = score_to_disk(POOL, TARGET, models=SHADOWS, supplies=GIVEN, out=tmp_path / "with")
    assert {*ATTACKS} < {*given.attacks}
    without = score_to_disk(POOL, TARGET, models=SHADOWS, out=tmp_path / "without")
    assert not {*ATTACKS} & {*without.attacks}
    likelihoods = {role: {"logprob"} for role in ("target", *SHADOWS)}
    loaded = GIVEN.load(("target", *SHADOWS))
    assert {*ATTACKS} < {attack.name for attack in attacks_for((), loaded, likelihoods).attacks}, "no other field"


def test_what_is_missing_or_does_not_fit_is_named(tmp_path: Path) -> None:
    out = tmp_path / "run"
    lacking = (
        r"'lira' needs shadow models: train them on random halves of a pool of texts, and give their folder as `shad"
    )
    with pytest.raises(AttackError, match=lacking):
        score(POOL, TARGET, models=SHADOWS, attacks=["lira"], out=out)
    fewer = {role: model for role, model in SHADOWS.items() if role != "shadow-02"}
    with pytest.raises(UsageError, match="`shadows` are of models that `models` lacks: give shadow-02 there, too"):
        score(POOL, TARGET, models=fewer, attacks=["lira"], supplies=GIVEN, out=out)
    with pytest.raises(AttackError, match="'lira' compares token with token, and its models have different tokenizers"):
        score(POOL, FakeBackend(0, bos=True), models=SHADOWS, attacks=["lira"], supplies=GIVEN, out=out)
    assert not out.exists()


def test_a_passage_that_no_model_scores_has_no_score(tmp_path: Path) -> None:
    table = score(["x", *POOL], TARGET, models=SHADOWS, attacks=["lira"], supplies=GIVEN, out=tmp_path / "run")
    assert np.isnan(table.column("lira")).tolist() == [True, *[False] * len(POOL)]


def test_a_passage_of_the_population_without_a_score_is_refused(tmp_path: Path) -> None:
    assert GIVEN.shadows is not None
    logprob = GIVEN.shadows.population_logprob.copy()
    logprob[2, 1] = np.nan
    broken = Supplies(shadows=replace(GIVEN.shadows, population_logprob=logprob))
    with pytest.raises(InputError, match="passage 3 has no finite likelihood under shadow-01"):
        score(POOL, TARGET, models=SHADOWS, attacks=["shadow_rmia"], supplies=broken, out=tmp_path / "run")


@pytest.mark.parametrize("name", ["lira", "shadow_rmia"])
def test_a_calibration_on_other_shadows_does_not_fit(name: str, tmp_path: Path) -> None:
    others = Supplies(shadows=shadow_set(SHADOWS, seed=1))
    tables = [
        score(POOL, TARGET, models=SHADOWS, attacks=[name], supplies=supplies, out=tmp_path / str(place))
        for place, supplies in enumerate((GIVEN, GIVEN, others))
    ]
    rule = calibrate(replace(tables[0], labels=np.zeros(len(POOL), np.int8)), name, fpr=0.2)
    flag(tables[1], rule)
    with pytest.raises(CalibrationError, match="shadows sha256 digest 0 there, digest 1 here"):
        flag(tables[2], rule)


def test_scores_of_other_shadows_are_not_mixed_in(tmp_path: Path) -> None:
    for name in ("lira", "loss"):
        score(POOL, TARGET, models=SHADOWS, attacks=[name], supplies=GIVEN, out=tmp_path / "run")
    others = Supplies(shadows=shadow_set(SHADOWS, seed=1))
    with pytest.raises(RunDirectoryError, match=r"holds scores of 'lira' with other evidence .*sha256 digest 0 there"):
        score(POOL, TARGET, models=SHADOWS, attacks=["lira:form=offline"], supplies=others, out=tmp_path / "run")
    again = score(POOL, TARGET, models=SHADOWS, attacks=["lira"], supplies=others, out=tmp_path / "run")
    fresh = score(POOL, TARGET, models=SHADOWS, attacks=["lira"], supplies=others, out=tmp_path / "fresh")
    np.testing.assert_array_equal(again.column("lira"), fresh.column("lira"))


@pytest.mark.parametrize("place", [None, 0, 3])
def test_the_population_is_compared_by_the_shadows_that_are_chosen_for_each_passage(place: int | None) -> None:
    assert GIVEN.shadows is not None
    of_target = means(TARGET, POOL[::2])
    population = GIVEN.shadows.compared(of_target if place is None else None, place=place)
    of_place = of_target if place is None else GIVEN.shadows.population_logprob[:, place]
    np.testing.assert_array_equal(population.target, of_place)
    for row, text in enumerate(POOL[::2]):
        inside = GIVEN.shadows.memberships(text)
        used = np.isin(np.arange(4), choose_shadows(inside, seed=0, text=text, place=place))
        assert (used.sum(), inside[used].sum()) == (2, 1), "a shadow of each kind"
        assert np.isnan(population.shadows[row]).tolist() == (~used).tolist()
        np.testing.assert_array_equal(population.shadows[row][used], GIVEN.shadows.population_logprob[row][used])
        np.testing.assert_array_equal(population.inside[row], inside)
        evidence = GIVEN.shadows.likelihoods(text, GIVEN.shadows.population_logprob[row], place=place)
        np.testing.assert_array_equal(evidence.mean_logprob, population.shadows[row][used])
        np.testing.assert_array_equal(evidence.inside, inside[used])
