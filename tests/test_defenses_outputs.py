"""Defences of the outputs: what each shows, what an attacker makes of it, and what attacks achieve on a tiny model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_mia import ModelSpec, Passages, Supplies, read_scores, score
from llm_mia.attacks import ShadowSet
from llm_mia.backends.fake import FakeBackend
from llm_mia.defenses import OutputReplay, OutputResult
from llm_mia.defenses.outputs import (
    FIRST_CHOICE_ATTACKS,
    OUTPUT_DEFENSES,
    bounded,
    column_of,
    judge,
    parse_defense,
    replay,
    replay_outputs,
)
from llm_mia.errors import AttackError, RunDirectoryError, UsageError
from llm_mia.metrics import auroc
from llm_mia.records import FIELDS, Interval, TokenSignals, text_sha256
from llm_mia.scores import ScoreTable
from llm_mia.store import from_json, read_signals, to_json
from llm_mia.training import Method, Recipe, train
from tests.conftest import sentences

ATTACKS = ["loss", "reference", "min_k", "min_k++", "ez", "surp", "zlib", "wbc", "lowercase"]
TEMPERATURE, MASKED_TEMPERATURE = "temperature:t=2", "temperature:t=2+logprobs_only"
LISTED_TEMPERATURE = "temperature:t=2+top_k:k=5"


def drawn_signals(n: int = 400, vocabulary: int = 60) -> TokenSignals:
    """The signals of random distributions, from flat to peaked, at tokens that are drawn from them."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(n, vocabulary)) * rng.uniform(0.1, 8, size=(n, 1))
    logp = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    tokens = np.array([rng.choice(vocabulary, p=np.exp(row) / np.exp(row).sum()) for row in logp])
    actual = logp[np.arange(n), tokens]
    mean = (np.exp(logp) * logp).sum(1)
    std = np.sqrt((np.exp(logp) * (logp - mean[:, None]) ** 2).sum(1))
    rank = (logp > actual[:, None]).sum(1)
    return TokenSignals.of(actual, token_ids=tokens, mean=mean, std=std, top=logp.max(1), rank=rank)


def shown_by(spec: str, signals: TokenSignals, text_seed: int = 1) -> TokenSignals:
    return parse_defense(spec).apply(signals, text_seed=text_seed)


@pytest.mark.parametrize("spec", ["top_k:k=5", "no_prompt_logprobs:k=5"])
def test_outside_of_the_list_a_token_has_no_log_probability_and_only_a_least_rank(spec: str) -> None:
    signals = drawn_signals()
    shown = shown_by(spec, signals)
    inside = signals.rank < 5
    assert 0 < inside.sum() < len(signals)
    assert (np.isnan(shown.logprob) == ~inside).all()
    assert (shown.logprob[inside] == signals.logprob[inside]).all()
    assert (shown.rank == np.minimum(signals.rank, 5)).all()
    assert (shown.top == signals.top).all()
    assert np.isnan(shown.mean).all()
    assert np.isnan(shown.std).all()


@pytest.mark.parametrize("k", [1, 3, 20])
def test_the_bound_of_a_hidden_token_is_never_below_it_and_never_above_the_kth(k: int) -> None:
    """It holds for every distribution, and where all but the likeliest of k tokens and the token share the rest."""
    signals = drawn_signals()
    shown = shown_by(f"top_k:k={k}", signals)
    hidden = np.isnan(shown.logprob)
    completed = bounded(shown).logprob
    assert hidden.any()
    # Both sides are rounded to float32.
    assert (completed[hidden] >= signals.logprob[hidden] - 1e-5).all()
    assert (completed[~hidden] == signals.logprob[~hidden]).all()
    assert (completed <= signals.top).all()
    worst = TokenSignals.of([np.log(0.1)], top=[np.log(0.7)], rank=[3])  # 0.7, 0.1, 0.1 and the token: 0.1
    assert bounded(shown_by("top_k:k=3", worst)).logprob[0] == pytest.approx(np.log(0.1), abs=1e-6)
    certain = TokenSignals.of([-50.0], top=[0.0], rank=[1])
    assert np.isfinite(bounded(shown_by("top_k:k=1", certain)).logprob).all()


def test_rounding_and_the_names_of_the_likeliest_tokens() -> None:
    signals = drawn_signals()
    for digits in (0, 2):
        shown = shown_by(f"rounding:d={digits}", signals)
        np.testing.assert_allclose(shown.logprob, signals.logprob, atol=0.5 * 10.0**-digits + 1e-6)
        # Whole numbers of the last digit, but for float32: log-probabilities here are above −64, so 2⁻¹⁸ is its step.
        steps = shown.logprob.astype(np.float64) * 10**digits
        np.testing.assert_allclose(steps, np.round(steps), atol=10**digits * 2.0**-18)
        assert (shown.rank == np.minimum(signals.rank, 1)).all()
    listed = shown_by("top_k:k=5+rounding:d=1", signals)
    assert (listed.rank == np.minimum(signals.rank, 5)).all(), "the list has five tokens, whatever is rounded"
    assert (np.isnan(listed.logprob) == (signals.rank >= 5)).all()


@pytest.mark.parametrize("kind", ["gaussian", "laplace"])
def test_noise_has_its_standard_deviation_and_is_the_same_for_the_same_text(kind: str) -> None:
    n, spec = 40_000, f"noise:sd=0.5,kind={kind}"
    signals = TokenSignals.of(np.full(n, -20.0), top=np.full(n, -15.0), rank=np.arange(n) % 2)
    first = shown_by(spec, signals)
    noise = first.logprob.astype(np.float64) + 20
    # The standard error of a mean is sd/√n, of a variance sd²·√((kurtosis − 1)/n), 6 − 1 for Laplace; four of each.
    assert abs(noise.mean()) < 4 * 0.5 / n**0.5
    assert abs(noise.var() - 0.25) < 4 * 0.25 * (5 / n) ** 0.5
    assert (shown_by(spec, signals).logprob == first.logprob).all()
    assert (shown_by(spec, signals, text_seed=2).logprob != first.logprob).mean() > 0.99
    assert (shown_by(f"{spec},seed=1", signals).logprob != first.logprob).mean() > 0.99
    likeliest = TokenSignals.of(np.full(9, -0.5), top=np.full(9, -0.5), rank=0)
    shown = shown_by("noise:sd=3", likeliest)
    assert (shown.logprob == shown.top).all()
    assert (shown.logprob <= 0).all()


def test_what_vanishes_is_not_a_number() -> None:
    signals = drawn_signals()
    for spec in OUTPUT_DEFENSES:
        defense = parse_defense(spec)
        shown = defense.apply(signals, text_seed=0)
        assert (shown.token_ids == signals.token_ids).all(), "the attacker has the text"
        for field in FIELDS:
            values = getattr(shown, field)
            missing = values < 0 if field == "rank" else np.isnan(values)
            assert missing.all() == (field not in defense.offers), (spec, field)
    assert shown_by("none", signals) == signals
    assert (shown_by("sampled_text", signals).rank == np.minimum(signals.rank, 1)).all()
    assert parse_defense("sampled_text:queries=one").offers == frozenset()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("topk", "no defence of the outputs is named 'topk': did you mean 'top_k'"),
        ("firewall", "there are none, logprobs_only, top_k"),
        ("top_k:k=0", "defence 'top_k': k=0 is out of range; it must be a whole number from 1 to 1,000,000"),
        ("top_k:k=2.5", "k=2.5 is not a whole number"),
        ("rounding:d=-1", "d=-1 is out of range; it must be a whole number from 0 to 6"),
        ("temperature:t=0", "t=0 is out of range; it must be from 0.01 to 100"),
        ("noise:sd=nan", "sd=nan is out of range; it must be from 0 to 100"),
        ("noise:kind=uniform", "kind=uniform is not among the choices: gaussian, laplace"),
        ("noise:p=1", "defence 'noise' has no setting 'p'; it has: sd, kind, seed"),
        ("none:k=1", "it has: none"),
        ("top_k:k=1,k=2", "setting 'k' is given twice"),
        ("top_k:k=1+top_k:k=2", "'top_k' is named twice: remove the second"),
    ],
)
def test_a_name_or_a_setting_that_does_not_exist(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        parse_defense(spec)


def test_a_combination_has_the_settings_of_both_and_the_fields_that_both_leave() -> None:
    both = parse_defense("temperature:t=1.5+top_k:k=3")
    assert both.settings == {"temperature.t": 1.5, "top_k.k": 3}
    assert (both.temperature, both.needs_second_pass, both.hides) == (1.5, True, True)
    assert both.offers == parse_defense("top_k").offers
    assert both.variants() == ("bounded", "omitted")
    assert both.variants(matched=True) == (
        "bounded, direct", "bounded, matched", "omitted, direct", "omitted, matched",
    )  # fmt: skip
    assert parse_defense(TEMPERATURE).variants(matched=True) == ("direct", "inverted")
    assert parse_defense(MASKED_TEMPERATURE).variants() == (), "what is hidden cannot be inverted"


@pytest.fixture(scope="module")
def known() -> Passages:
    texts = dict.fromkeys(sentences(80, seed=31))
    return Passages.of([{"id": f"p{i}", "text": text, "label": int(i % 2 == 0)} for i, text in enumerate(texts)])


@pytest.fixture(scope="module")
def runs(known: Passages, tiny: str, tmp_path_factory: pytest.TempPathFactory) -> dict[float, Path]:
    """By temperature: the run of a model that has memorised the members, with the model before as its reference."""
    folder = tmp_path_factory.mktemp("memorised")
    members = [passage.text for passage in known if passage.label]
    train(tiny, members, folder / "model", Recipe(Method.FULL, epochs=8, batch_size=4, learning_rate=3e-3))
    for t in (1.0, 2.0):
        target = ModelSpec(folder / "model", dtype="float32", temperature=t)
        reference = ModelSpec(tiny, dtype="float32", temperature=t)
        score(known, target, reference, attacks=ATTACKS, out=folder / f"{t:g}")
    return {t: folder / f"{t:g}" for t in (1.0, 2.0)}


def replayed(known: Passages, runs: dict[float, Path], *specs: str) -> dict[str, dict[str, OutputResult]]:
    second = dict.fromkeys((TEMPERATURE, MASKED_TEMPERATURE, LISTED_TEMPERATURE), runs[2.0])
    done = replay_outputs(known, runs[1.0], specs, second_passes=second)
    return {each.defense: {result.attack: result for result in each.results} for each in done}


def area(result: OutputResult) -> Interval:
    assert result.auroc is not None, result.reason
    return result.auroc


def test_without_a_defence_the_scores_are_those_of_the_run(known: Passages, runs: dict[float, Path]) -> None:
    table, replayed_table = read_scores(runs[1.0]), replay(known, runs[1.0], "none")
    for attack in ATTACKS:
        assert np.array_equal(table.column(attack), replayed_table.column(attack)), attack
    assert table.ids == replayed_table.ids
    assert table.labels.tolist() == replayed_table.labels.tolist()
    assert list(table.documents) == list(replayed_table.documents)
    assert replayed_table.no_scores == {}


def test_a_temperature_does_not_stop_attacks_on_the_whole_distribution(
    known: Passages, runs: dict[float, Path]
) -> None:
    """The scores are the same once the temperature is undone; where it is not, the reference still separates members.

    It can be undone where the whole distribution is shown.
    """
    cells = replayed(known, runs, "none", TEMPERATURE, MASKED_TEMPERATURE)
    for attack in ATTACKS:
        assert cells[TEMPERATURE][attack].by_variant["inverted"] == cells["none"][attack].auroc
        assert area(cells[TEMPERATURE][attack]).value >= area(cells["none"][attack]).value
    direct = cells[TEMPERATURE]["reference"].by_variant["direct"]
    assert direct.low > 0.9
    masked = cells[MASKED_TEMPERATURE]["reference"].by_variant
    assert masked["direct"] == direct
    at_two = read_scores(runs[2.0])
    assert masked["matched"] == auroc(at_two.column("reference"), at_two.labels)
    for attack, result in cells[MASKED_TEMPERATURE].items():
        assert result.computable == (attack not in ("min_k++", "surp"))


def test_the_temperature_of_a_replay_is_that_of_a_score_at_it(known: Passages, runs: dict[float, Path]) -> None:
    table = replay(known, runs[1.0], TEMPERATURE, ["loss", "min_k++"], second_pass=runs[2.0])
    at_two, at_one = read_scores(runs[2.0]), read_scores(runs[1.0])
    for attack in ("loss", "min_k++"):
        assert np.array_equal(table.column(column_of(attack, "direct")), at_two.column(attack))
        assert np.array_equal(table.column(column_of(attack, "inverted")), at_one.column(attack))


def test_which_masks_blind_which_attacks(known: Passages, runs: dict[float, Path]) -> None:
    """Attacks on moments go blind by every mask; text alone leaves only which tokens are the model's first choice."""
    cells = replayed(known, runs, "none", "logprobs_only", "top_k:k=5", "rounding:d=1", "sampled_text")
    undefended = cells["none"]
    assert all(area(result).low > 0.5 for result in undefended.values())
    for spec in ("logprobs_only", "top_k:k=5", "rounding:d=1"):
        assert [name for name, cell in cells[spec].items() if not cell.computable] == ["min_k++", "surp"]
        assert cells[spec]["min_k++"].reason == f"reads mean, std of each token, which {spec} does not show"
        assert cells[spec]["min_k++"].blinded(undefended["min_k++"])
        assert not cells[spec]["loss"].blinded(undefended["loss"])
    assert [name for name, cell in cells["sampled_text"].items() if cell.computable] == list(FIRST_CHOICE_ATTACKS)
    assert area(cells["sampled_text"]["first_choice"]) == area(undefended["first_choice"])
    for attack in ("loss", "reference", "zlib"):  # they read nothing that this API hides
        assert area(cells["logprobs_only"][attack]) == area(undefended[attack])
    one_query = replayed(known, runs, "no_prompt_logprobs:queries=one")["no_prompt_logprobs:queries=one"]
    assert not any(cell.computable for cell in one_query.values())


def test_the_attacker_has_the_better_way_with_hidden_tokens(known: Passages, runs: dict[float, Path]) -> None:
    cells = replayed(known, runs, "top_k:k=1", "no_prompt_logprobs")
    variants = set()
    for attack, cell in cells["top_k:k=1"].items():
        if cell.computable:
            assert area(cell) == cell.by_variant[cell.variant]
            assert area(cell).value == max(each.value for each in cell.by_variant.values())
            variants.add(cell.variant)
            patient = cells["no_prompt_logprobs"][attack]
            assert (patient.auroc, patient.by_variant) == (cell.auroc, cell.by_variant), "a query for each token"
    assert variants == {"bounded", "omitted"}


def test_hidden_tokens_at_a_temperature_are_compared_with_the_base_at_it(
    known: Passages, runs: dict[float, Path]
) -> None:
    """With the base at temperature 1 alone, the mask would seem to protect more than it does."""
    ways = replayed(known, runs, LISTED_TEMPERATURE)[LISTED_TEMPERATURE]["reference"].by_variant
    assert {*ways} == {f"{hidden}, {base}" for hidden in ("bounded", "omitted") for base in ("direct", "matched")}
    table = replay(known, runs[1.0], LISTED_TEMPERATURE, ["reference"], second_pass=runs[2.0])
    passes = zip(*(read_signals(runs[2.0], name) for name in ("target", "reference")), strict=True)
    for row, (target, reference) in enumerate(passes):
        shown = target.signals.rank < 5
        gains = (target.signals.logprob - reference.signals.logprob)[shown]
        expected = float(gains.mean(dtype=np.float64)) if len(gains) else -np.inf
        assert table.column("reference (omitted, matched)")[row] == expected


def test_tokens_are_omitted_in_both_models_and_a_passage_without_tokens_scores_lowest(
    known: Passages, runs: dict[float, Path]
) -> None:
    table = replay(known, runs[1.0], "top_k:k=1", ["reference", "loss"])
    passes = zip(*(read_signals(runs[1.0], name) for name in ("target", "reference")), strict=True)
    for row, (target, reference) in enumerate(passes):
        first = target.signals.rank < 1
        gains = (target.signals.logprob - reference.signals.logprob)[first]
        expected = float(gains.mean(dtype=np.float64)) if len(gains) else -np.inf
        assert table.column("reference (omitted)")[row] == expected
    assert np.isinf(table.column("loss (omitted)")).any(), "some passage has no first choice of the model"
    assert np.isfinite(table.column("loss (bounded)")).all()


def test_the_way_that_is_best_on_the_half_that_chooses_is_measured_on_the_other() -> None:
    choosing, labels = np.arange(40) % 4 < 2, np.arange(40) % 2
    # On the half that chooses, the first way is perfect; on the half that measures, the second.
    first, second = (np.where(choosing == where, labels, 0.5) for where in (True, False))
    table = ScoreTable.of({"loss (bounded)": first, "loss (omitted)": second}, labels)
    (result,) = judge(table, "top_k", ["loss"], ["bounded", "omitted"], fprs=(), choosing=choosing)
    assert (result.variant, area(result).value) == ("bounded", 0.5)
    assert {way: each.value for way, each in result.by_variant.items()} == {"bounded": 0.5, "omitted": 1.0}


def test_the_half_that_chooses_is_not_measured(known: Passages, runs: dict[float, Path]) -> None:
    choosing = np.arange(80) % 4 < 2
    (done,) = replay_outputs(known, runs[1.0], ["top_k:k=5"], ["loss"], fprs=(0.1, 0.001), choosing=choosing)
    (result,) = done.results
    assert (result.members, result.nonmembers) == (20, 20)
    assert result.tpr_at_fpr[0.001] is None, "of 20 non-members none has a false positive rate of 0.1 %"
    assert result.tpr_at_fpr[0.1] is not None
    assert from_json(OutputReplay, to_json(done)) == done


def test_what_a_benign_client_loses(known: Passages, runs: dict[float, Path]) -> None:
    specs = ("none", "logprobs_only", "rounding:d=1", "noise:sd=0.5", "top_k:k=5", "sampled_text", TEMPERATURE)
    done = replay_outputs(known, runs[1.0], specs, ["loss"], second_passes={TEMPERATURE: runs[2.0]})
    of = {each.defense: each.utility for each in done}
    for spec in ("none", "logprobs_only"):
        assert (of[spec].hidden.value, of[spec].logprob_error, of[spec].perplexity_error) == (
            0.0,
            Interval(0.0, 0.0, 0.0),
            Interval(0.0, 0.0, 0.0),
        )
    rounded, noisy, listed, text, hot = (of[spec] for spec in specs[2:])
    assert rounded.logprob_error is not None
    assert noisy.logprob_error is not None
    assert listed.perplexity_error is not None
    assert hot.perplexity_error is not None
    # Rounding to a digit is off by up to 0.05, spread evenly: 0.025 on average. Noise is off by sd·√(2/π).
    assert rounded.logprob_error.low < 0.025 < rounded.logprob_error.high
    assert noisy.logprob_error.low < 0.5 * (2 / np.pi) ** 0.5 < noisy.logprob_error.high
    assert 0 < listed.hidden.low < listed.hidden.value < listed.hidden.high < 1
    assert listed.logprob_error == Interval(0.0, 0.0, 0.0)
    assert listed.perplexity_error.low > 0.1, "the likely tokens alone make the text look likely"
    assert (text.hidden, text.logprob_error, text.perplexity_error) == (Interval(1.0, 1.0, 1.0), None, None)
    assert hot.perplexity_error.low > 0
    assert all(each.passages == 40 for each in of.values()), "the non-members"


def test_a_population_is_masked_as_the_passages_are(tiny: str, tiny_reference: str, tmp_path: Path) -> None:
    others = Passages.of(sentences(12, seed=41))
    texts = Passages.of([{"id": str(i), "text": t, "label": i % 2} for i, t in enumerate(sentences(20, seed=42))])
    supplies = Supplies(population=others)
    models = [ModelSpec(name, dtype="float32") for name in (tiny, tiny_reference)]
    score(texts, *models, attacks=["rmia"], supplies=supplies, out=tmp_path / "run")
    run = tmp_path / "run"
    same, masked = (replay(texts, run, spec, supplies=supplies) for spec in ("none", "top_k:k=40"))
    assert np.array_equal(same.column("rmia"), read_scores(run).column("rmia"))
    assert not np.array_equal(masked.column("rmia (bounded)"), same.column("rmia"))
    assert np.isfinite(masked.column("rmia (bounded)")).all()
    assert replay(texts, run, "none", ["rmia"]).no_scores["rmia"].startswith("needs passages from the same source")


def test_what_cannot_be_replayed_is_refused(known: Passages, runs: dict[float, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="write the signals of the target at `temperature` 2 to another run"):
        replay(known, runs[1.0], TEMPERATURE)
    with pytest.raises(UsageError, match="holds signals at `temperature` 1, and defence 'temperature:t=2' needs them"):
        replay(known, runs[1.0], TEMPERATURE, second_pass=runs[1.0])
    with pytest.raises(UsageError, match="holds signals at `temperature` 2, and defence 'none' needs them at 1"):
        replay(known, runs[2.0], "none")
    with pytest.raises(AttackError, match="no attack is named 'los'"):
        replay(known, runs[1.0], "none", ["los"])
    with pytest.raises(RunDirectoryError, match="not a run directory"):
        replay(known, tmp_path, "none")
    with pytest.raises(RunDirectoryError, match="holds signals of"):
        replay(["another text"], runs[1.0], "none")
    absent = replay(known, runs[1.0], "none", ["recall"])
    assert absent.no_scores["recall"].startswith("needs known non-members")
    reason = replay(known, runs[1.0], "none", ["neighbour"]).no_scores["neighbour"]
    assert "lacks signals of the pass 'neighbour" in reason


def test_signals_without_ranks_cannot_be_listed(fake: Any, tmp_path: Path) -> None:
    fake.offers = frozenset({"logprob"})
    fake.info = replace(fake.info, offers=("logprob",))
    texts = Passages.of([{"id": str(i), "text": t, "label": i % 2} for i, t in enumerate(sentences(8))])
    score(texts, fake, attacks=["loss"], out=tmp_path / "run")
    with pytest.raises(UsageError, match="defence 'top_k' reads rank, top, which the target does not give"):
        replay(texts, tmp_path / "run", "top_k", ["loss"])
    assert replay(texts, tmp_path / "run", "none", ["loss", "min_k++"]).no_scores == {
        "min_k++": "reads mean, std, top of each token, which the target model does not give"
    }


def test_shadow_models_are_the_attackers_and_are_not_masked(tmp_path: Path) -> None:
    """Without a defence the scores are those of the run; with all tokens hidden a passage has a score nonetheless."""
    pool = Passages.of([{"id": str(i), "text": t, "label": i % 2} for i, t in enumerate(sentences(24, seed=43))])
    roles = tuple(f"shadow-0{number}" for number in range(4))
    rng = np.random.default_rng(0)
    inside = {
        text_sha256(passage.text): tuple(rng.permutation([True, True, False, False]).tolist()) for passage in pool
    }
    population = Passages.of([passage.text for passage in pool][:6])
    shadows = ShadowSet(roles, inside, 0.1, 0.1, population, rng.normal(-4, 0.1, (6, 4)), "digest")
    models = {role: FakeBackend(number) for number, role in enumerate(roles, start=1)}
    attacks, supplies = ["lira", "shadow_rmia"], Supplies(shadows=shadows)
    score(pool, FakeBackend(0), models=models, attacks=attacks, supplies=supplies, out=tmp_path / "run")
    same, masked = (replay(pool, tmp_path / "run", spec, supplies=supplies) for spec in ("none", "top_k:k=1"))
    for attack in attacks:
        assert np.array_equal(same.column(attack), read_scores(tmp_path / "run").column(attack), equal_nan=True)
        assert np.isfinite(same.column(attack)).all()
        assert not np.isnan(masked.column(column_of(attack, "bounded"))).any()
        assert not np.isnan(masked.column(column_of(attack, "omitted"))).any()


def test_parts_of_a_run_follow_each_other_and_repeated_texts_share_a_document(fake: Any, tmp_path: Path) -> None:
    """More passages than are read at once, of which some have the same text."""
    texts = sentences(600, seed=45, longest=4)
    rows = [{"id": f"p{i}", "text": text, "label": int(text > "M")} for i, text in enumerate(texts)]
    assert len(set(texts)) < len(texts)
    score(Passages.of(rows), fake, attacks=["loss", "min_k++"], out=tmp_path / "run")
    stored, same = read_scores(tmp_path / "run"), replay(Passages.of(rows), tmp_path / "run", "none")
    for attack in ("loss", "min_k++"):
        assert np.array_equal(stored.column(attack), same.column(attack))
    assert (list(stored.ids), list(stored.documents)) == (list(same.ids), list(same.documents))
