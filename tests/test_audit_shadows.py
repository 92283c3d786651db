"""Audits whose threshold shadow models set: real tiny models, and the finding's allowance for the spread of models."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import t

from llm_mia.auditing import LIKENESS, Audit, Likeness, audit, likeness_of, read_audit
from llm_mia.backends import ModelSpec
from llm_mia.calibration import chance_of_flags, fpr_threshold
from llm_mia.cli import main
from llm_mia.decision import (
    ShadowRate,
    add_decider_column,
    calibrate,
    flag,
    flag_documents,
    further_model,
    judge_collection,
    shadow_rates,
    spread_of_models,
)
from llm_mia.errors import AttackError, CalibrationError, PassageError, RunDirectoryError, ScoresError, UsageError
from llm_mia.passages import Passages
from llm_mia.records import Standing
from llm_mia.report import audit_details, audit_screen, audit_summary, by_shadows, read_results, report_html
from llm_mia.report.words import Side, answer_of, exhibit_sections
from llm_mia.scores import SHADOW_SCORES, ScoreTable, read_scores
from llm_mia.shadow import Shadows, train_shadows
from llm_mia.training import Method, Recipe, train
from llm_mia.validity import Validity, Verdict
from tests.conftest import sentences

RECIPE = Recipe(Method.FULL, epochs=8, batch_size=8, learning_rate=1e-2)
DOCUMENTS = 32
FPR = 0.2


def rows(seed: int = 30, documents: int = DOCUMENTS) -> list[dict[str, str]]:
    texts = iter(sentences(documents, seed=seed))
    return [{"id": f"p{at}", "document": f"doc {at}", "text": next(texts)} for at in range(documents)]


@pytest.fixture(scope="module")
def shadows(tiny: str, tmp_path_factory: pytest.TempPathFactory) -> Shadows:
    pool = Passages.of(rows(), name="pool")
    return train_shadows(pool, tiny, out=tmp_path_factory.mktemp("shadows"), shadows=4, recipe=RECIPE)


@pytest.fixture(scope="module")
def target(tiny: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Trained as the shadows were, on the half of the pool with an even number."""
    folder = tmp_path_factory.mktemp("target") / "model"
    train(tiny, [row["text"] for row in rows()[::2]], folder, replace(RECIPE, seed=100))
    return str(folder)


@pytest.fixture(scope="module")
def done(shadows: Shadows, target: str, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    folder = tmp_path_factory.mktemp("run")
    candidates = Passages.of(rows(), name="candidates")
    return audit(candidates, target=target, shadows=shadows, fpr=FPR, out=folder, history=folder / "history")


def test_the_threshold_is_set_by_the_candidates_texts_under_the_shadows(done: Audit, shadows: Shadows) -> None:
    assert read_audit(done.path) == done
    assert done.decider == "lira"
    table = read_scores(done.path)
    assert len(table) == DOCUMENTS * 5
    assert table.places == [*[""] * DOCUMENTS, *[f"shadow-0{j}" for _ in range(DOCUMENTS) for j in range(4)]]
    assert table.ids[DOCUMENTS : DOCUMENTS + 2] == ["p0@shadow-00", "p0@shadow-01"]
    labels = table.labels[DOCUMENTS:].reshape(DOCUMENTS, 4)
    assert (labels.sum(axis=1) == 2).all(), "each passage is in half of the shadows"
    again = calibrate(table, "lira", fpr=FPR)
    assert again.threshold == done.calibration.threshold
    assert (again.n, again.n_documents) == (2 * DOCUMENTS, DOCUMENTS)
    members = {row["id"] for row in rows()[::2]}
    flagged = {row.id for row in done.flags.rows if row.flagged}
    # These models separate their members from other texts by AUROC 1.00, as `done.evaluations` shows.
    assert members <= flagged
    assert done.evaluations[0].auroc.value > 0.99
    assert done.standing is Standing.SOUND
    assert flag(table, again).flagged == done.flags.flagged, "the finished directory is a run like any other"


def test_each_shadow_is_left_out(done: Audit) -> None:
    check = done.shadows
    assert check is not None
    assert check.same_texts
    assert check.same_base
    table = read_scores(done.path)
    places, scores = np.array(table.places), table.column("lira")
    for rate in check.rates:
        here, others = places == rate.role, (places != rate.role) & (places != "") & (table.labels == 0)
        groups = [table.documents[row] for row in np.flatnonzero(others).tolist()]
        without = calibrate(ScoreTable.of(scores[others], [0] * len(groups), documents=groups), "score", fpr=FPR)
        above = scores > without.threshold
        assert rate.flagged_nonmembers == int((above & here & (table.labels == 0)).sum())
        assert rate.flagged_members == int((above & here & (table.labels == 1)).sum())
        assert rate.nonmembers + rate.members == DOCUMENTS
    assert check.range == (min(each.fpr for each in check.rates), max(each.fpr for each in check.rates))
    assert check.fpr.low <= check.fpr.value <= check.fpr.high
    finding = done.flags.finding
    assert finding is not None
    assert finding.shadows is not None
    assert finding.shadows.shadows == check.rates
    assert finding.p_value == max(finding.chance, finding.shadows.p_value)
    assert [each.name for each in done.validity.checks] == [LIKENESS]


def test_the_words_state_the_assumption_and_how_it_was_tested(done: Audit) -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(audit_screen(done))
    screen = console.export_text()
    assert len(screen.splitlines()) <= 15
    assert "the target was trained as the shadows were" in screen
    assert "Known set" not in screen
    console.print(audit_details(done))
    details = " ".join(console.export_text().split())
    assert "4 models left out in turn" in details
    assert "Student's t, 3 degrees of freedom" in details
    page = report_html(read_results(done.path))
    for role in ("shadow-00", "shadow-03"):
        assert f'<th scope="row">{role}</th>' in page
    assert "as the shadow models were" in page
    summary = json.loads(json.dumps(audit_summary(done)))
    assert len(summary["shadows"]["rates"]) == 4


def test_no_finding_rests_on_shadows_that_the_target_is_unlike(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    once, model = replace(RECIPE, epochs=1), tmp_path / "model"
    shadows = train_shadows(Passages.of(rows(), name="pool"), tiny, out=tmp_path / "shadows", shadows=8, recipe=once)
    train(tiny, [row["text"] for row in rows()], model, replace(RECIPE, epochs=4))
    given = tmp_path / "candidates.jsonl"
    given.write_text("".join(json.dumps(row) + "\n" for row in rows()), "utf-8")
    options = ["-m", str(model), "--shadows", str(shadows.path), "--fpr", str(FPR), "-o", str(tmp_path / "run"), "-q"]
    assert main(["audit", str(given), *options]) == 4
    screen, why = capsys.readouterr()
    assert len(screen.splitlines()) <= 15
    words = " ".join(screen.split())
    assert "No answer: the target is unlike the shadow models, so their threshold does not hold for it." in words
    assert "unknown for this target; 8 models left out in turn: on average" in words
    assert "at most" not in words
    assert "known set" not in (words + why).lower()
    assert "train shadow models as the target was trained (epochs, learning rate, share of the pool)" in why
    assert "--nonmembers" in why

    run = read_audit(tmp_path / "run")
    assert run.standing is Standing.VOID
    assert run.validity[LIKENESS].verdict is Verdict.VOID
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(audit_details(run))
    page = report_html(read_results(run.path))
    exhibit = " ".join(
        text
        for part in exhibit_sections(run, answer_of(run), Side.DEFENCE)
        for text in (*part.paragraphs, *part.points)
    )
    for shown in (console.export_text(), page, exhibit, json.dumps(audit_summary(run))):
        plain = " ".join(shown.replace("\u00a0", " ").split())
        assert "the target is unlike the shadow models" in plain.lower()
        assert "The known set is" not in plain
        assert "the known set is" not in plain

    flags = [str(tmp_path / "run"), "--calibration", str(tmp_path / "run" / "calibration.json")]
    flags += ["-o", str(tmp_path / "flags.csv")]
    assert main(["flag", *flags]) == 4
    assert "the threshold of the shadow models does not hold for this target" in " ".join(
        capsys.readouterr().out.split()
    )
    assert main(["audit", str(given), *options, "--accept-void"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "but the threshold of the shadow models does not hold here" in words
    assert "If it were like the shadow models and had seen none" in words
    assert "unknown for this target" in words


def test_a_stack_is_learned_from_the_shadows_alone(done: Audit, tmp_path: Path) -> None:
    # Models of these tests know too few documents for a stack, so the rows are drawn: members score 2 higher.
    rng = np.random.default_rng(0)
    table = _drawn(rng, passages=120, k=8, spread=0.1, known=2.0, target=2.0)
    stacked = replace(table, columns={**table.columns, "noise": rng.normal(size=len(table))})
    calibration = calibrate(stacked, "stack", fpr=0.05)
    flags = flag(stacked, calibration)
    assert calibration.stack is not None
    assert flags.significant
    rates = shadow_rates(add_decider_column(stacked, calibration), calibration)
    assert len(rates) == 8
    assert sum(each.nonmembers for each in rates) == calibration.n, "the part that fitted the stack is left out"


def test_other_texts_are_compared_with_the_whole_pool(shadows: Shadows, target: str, tmp_path: Path) -> None:
    candidates = [*rows(seed=77, documents=6), {**rows()[1], "id": "of the pool"}]
    run = audit(
        Passages.of(candidates, name="others"),
        target=target,
        shadows=str(shadows.path),
        attacks=["lira", "loss"],
        fpr=FPR,
        out=tmp_path / "run",
        history=tmp_path,
        report=False,
    )
    assert run.decider == "lira:form=offline"
    assert run.shadows is not None
    assert not run.shadows.same_texts
    assert run.calibration.n_documents == DOCUMENTS
    assert run.flags.rows[-1].score is not None, "a mixture is scored as other texts are"
    assert any(check.name.startswith("shift_") for check in run.validity.checks), "texts are compared"
    assert "candidates resemble their pool" in " ".join(answer_of(run).trust)
    with pytest.raises(UsageError, match="form=offline"):
        audit(
            Passages.of(candidates, name="others"),
            target=target,
            shadows=shadows,
            attacks=["lira:form=online"],
            fpr=FPR,
            out=tmp_path / "other",
        )


def test_with_a_known_set_the_shadows_are_evidence(shadows: Shadows, target: str, tmp_path: Path) -> None:
    run = audit(
        Passages.of(rows()[:8], name="candidates"),
        nonmembers=Passages.of([{**row, "label": 0} for row in rows()[9::2]], name="known"),
        target=target,
        shadows=shadows,
        attacks=["lira", "shadow_rmia"],
        stand_in="none",
        fpr=FPR,
        out=tmp_path / "run",
        history=tmp_path,
        report=False,
        accept_void=True,
    )
    assert run.shadows is None
    assert run.calibration.n == len(rows()[9::2])
    assert not (run.path / SHADOW_SCORES).exists()
    assert {"lira", "shadow_rmia"} == set(run.scores.columns)


def test_a_known_set_outside_the_pool_has_the_offline_form(shadows: Shadows, target: str, tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "nonmembers": Passages.of([{**row, "label": 0} for row in rows(seed=78, documents=12)], name="known"),
        "target": target,
        "shadows": shadows,
        "stand_in": "none",
        "fpr": FPR,
        "history": tmp_path,
        "report": False,
        "accept_void": True,
    }
    candidates = Passages.of(rows()[:8], name="candidates")
    run = audit(candidates, attacks=["lira"], out=tmp_path / "run", **given)
    assert run.decider == "lira:form=offline"
    assert not np.isnan(run.scores.columns["lira:form=offline"]).any()
    with pytest.raises(UsageError, match="form=offline"):
        audit(candidates, attacks=["lira:form=online"], out=tmp_path / "other", **given)
    assert not (tmp_path / "other").exists()


def test_what_cannot_be_decided_is_refused(
    shadows: Shadows, target: str, tiny_reference: str, tiny_bos: str, tmp_path: Path, done: Audit
) -> None:
    candidates = Passages.of(rows(), name="candidates")

    def refused(error: type[Exception], pattern: str, **given: object) -> None:
        arguments = {"target": target, "shadows": shadows, "fpr": FPR, "out": tmp_path / "run", **given}
        with pytest.raises(error, match=pattern):
            audit(candidates, **arguments)  # type: ignore[arg-type]
        assert not (tmp_path / "run" / "audit.json").exists()

    refused(UsageError, "`nonmembers`.*`shadows`", shadows=None)
    refused(UsageError, "`members`.*`nonmembers`", members=Passages.of(rows()[:4]))
    refused(UsageError, "`confidence`", confidence=0.9)
    refused(UsageError, "`control`", control=Passages.of(rows()[:4]))
    refused(UsageError, "'all'", attacks=["all"])
    refused(CalibrationError, "32 documents.*`fpr`", fpr=0.01)
    refused(UsageError, "`window_tokens`.*windows of 4 tokens.*new folder", window_tokens=4)
    assert not (tmp_path / "run" / "signals").exists(), "the target read nothing"
    refused(CalibrationError, "half fit 'stack'", fpr=0.05, attacks=["stack"])
    refused(AttackError, "another tokenizer", target=tiny_bos)
    refused(UsageError, "without a template: leave out `templated`", target=ModelSpec(target, templated=True))
    remote = replace(shadows.record, plan=replace(shadows.record.plan, trust_remote_code=True))
    refused(UsageError, "run Python code.*`trust_remote_code`", shadows=Shadows(shadows.path, remote))
    refused(RunDirectoryError, "no shadow models", shadows=tmp_path)
    (tmp_path / "split.json").write_text("{}")
    refused(RunDirectoryError, "not finished; run the command that trains them again", shadows=tmp_path)
    other = tmp_path / "other-base"
    train(tiny_reference, [row["text"] for row in rows()[:4]], other, replace(RECIPE, epochs=1))
    refused(AttackError, "another base", target=str(other))
    table = read_scores(done.path)
    with pytest.raises(ScoresError, match="documents under the same model"):
        flag_documents(table, done.calibration)
    with pytest.raises(ScoresError, match="known non-members"):
        judge_collection(table, ["lira"])
    with pytest.raises(ScoresError, match="`by`"):
        read_scores(done.path, by="length")
    labelled = Passages.of([{**row, "label": 1} for row in rows()], name="labelled")
    with pytest.raises(PassageError, match="label"):
        audit(labelled, target=target, shadows=shadows, fpr=FPR, out=tmp_path / "run")


@pytest.mark.parametrize(
    ("shift", "verdict"), [(0.0, Verdict.SOUND), (0.2, Verdict.DOUBTFUL), (0.6, Verdict.VOID), (-0.6, Verdict.SOUND)]
)
def test_a_target_that_knows_the_texts_better_than_any_shadow_is_unlike_them(shift: float, verdict: Verdict) -> None:
    rng = np.random.default_rng(3)
    inside = np.array([rng.permutation(8) < 4 for _ in range(200)])
    base, own = rng.normal(-3, 1, size=(200, 1)), rng.normal(0, 0.05, size=9)
    shadows = base + 0.5 * inside + own[:8] + rng.normal(0, 0.2, size=(200, 8))
    member = rng.random(200) < 0.5
    target = base[:, 0] + 0.5 * member + own[8] + 0.25 + shift + rng.normal(0, 0.2, size=200)
    compared = likeness_of(target, shadows, inside, members=True)
    assert compared is not None
    assert compared.verdict == verdict
    assert compared.unlike == (verdict != Verdict.SOUND)
    assert 0 < compared.limit < compared.void_limit
    # Half of the passages are members, and members are 0.5 nats more likely: 5 standard errors of 0.55/√200.
    assert compared.target == pytest.approx(shift + own[8] - own[:8].mean(), abs=0.2)


def test_few_shadows_say_how_many_would_refuse_the_target(done: Audit) -> None:
    """By Student's t: with 4 models the limits are 5.1 and 11.4 standard deviations away, with 8 models 5.07."""
    deviations = (-0.3, -0.1, 0.1, 0.3)
    spread = float(np.std(deviations, ddof=1))
    limit, void = (float(t.isf(level, 3)) * math.sqrt(5 / 4) * spread for level in (0.01, 0.001))
    doubtful = Likeness("members", 40, 5.1 * spread, deviations, limit, void)
    assert doubtful.verdict is Verdict.DOUBTFUL
    assert doubtful.shadows_needed == 8
    assert float(t.isf(0.001, 7)) * math.sqrt(9 / 8) < 5.1
    assert replace(doubtful, comparisons=2).shadows_needed == 10
    assert replace(doubtful, target=0.0).shadows_needed is None
    assert replace(doubtful, target=12 * spread).shadows_needed is None
    assert done.shadows is not None
    seen = replace(done, shadows=replace(done.shadows, likeness=(doubtful,)))
    seen = replace(seen, validity=Validity.of(seen.shadows.checks, compared=True) if seen.shadows else seen.validity)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(audit_screen(seen))
    screen = console.export_text()
    assert len(screen.splitlines()) <= 15
    sentence = "With 8 shadow models that differ as these 4 do, so large a difference would withhold the answer."
    assert sentence in " ".join(screen.split())


def test_two_comparisons_share_their_errors() -> None:
    inside = np.array([[True, True, False, False], [False, False, True, True]])
    shadows = np.array([[1.0, 2.0, 0.0, 0.3], [0.1, 0.2, 2.0, 2.5]])
    once, shared = (
        likeness_of(np.array([2.0, 2.0]), shadows, inside, members=True, comparisons=number) for number in (1, 2)
    )
    assert once is not None
    assert shared is not None
    mean, spread = float(np.mean(once.shadows)), float(np.std(once.shadows, ddof=1))
    for level, here, halved in ((0.01, once.limit, shared.limit), (0.001, once.void_limit, shared.void_limit)):
        for of_each, found in ((level, here), (level / 2, halved)):
            assert found == pytest.approx(mean + float(t.isf(of_each, 3)) * math.sqrt(5 / 4) * spread)


def test_shadows_set_the_threshold_also_where_there_is_no_finding(done: Audit) -> None:
    table = read_scores(done.path)
    flags = flag(table, done.calibration, labelled=True)
    assert flags.finding is None
    assert by_shadows(flags)
    by_known_set = ScoreTable.of([*map(float, range(40)), 7.5], [*[0] * 40, None])
    assert not by_shadows(flag(by_known_set, calibrate(by_known_set, "score", fpr=0.1)))


@pytest.mark.parametrize("members", [True, False])
def test_a_target_like_the_shadows_is_rarely_doubtful_and_hardly_ever_void(members: bool) -> None:
    """Of audits of a fair target 1 % are doubtful or worse, and 0.1 % void, at most; a planted fault is seen."""
    rng, draws, k = np.random.default_rng(5), 1000, 4
    inside = np.array([[True, True, False, False], [False, False, True, True]])

    def verdict(shift: float) -> Verdict:
        of_model = rng.normal(size=k + 1)
        target = np.full(2, (3.0 if members else 1.5) + of_model[k])
        # Trained on a passage, a model finds it 3 nats more likely.
        compared = likeness_of(target + shift, 3 * inside + of_model[:k], inside, members=members)
        assert compared is not None
        return compared.verdict

    fair = [verdict(0.0) for _ in range(draws)]
    # Binomial with 0.01: more than 19 of 1000 have a probability of 0.3 %; with 0.001, more than 4 of 0.4 %.
    assert sum(each != Verdict.SOUND for each in fair) <= 19
    assert fair.count(Verdict.VOID) <= 4
    assert {verdict(1000.0 if members else -1000.0) for _ in range(50)} == {Verdict.VOID}


def _drawn(
    rng: np.random.Generator, *, passages: int, k: int, spread: float, known: float = 0.0, target: float = 0.0
) -> ScoreTable:
    """Scores of *passages* under *k* shadows and a target that differ by a normal amount each."""
    of_model = spread * rng.normal(size=k + 1)
    inside = np.array([rng.permutation(k) < k // 2 for _ in range(passages)])
    scores = of_model[:k] + known * inside + rng.normal(size=(passages, k))
    candidates = of_model[k] + target + rng.normal(size=passages)
    names, documents = [f"p{at}" for at in range(passages)], [f"d{at}" for at in range(passages)]
    roles = [f"shadow-{j:02}" for j in range(k)]
    table = ScoreTable.of(
        {"lira": [*candidates, *scores.ravel()]},
        [*[None] * passages, *inside.ravel().astype(int).tolist()],
        ids=[*names, *(f"{name}@{role}" for name in names for role in roles)],
        documents=[*documents, *(document for document in documents for _ in roles)],
    )
    return replace(table, places=[*[""] * passages, *roles * passages])


def test_a_finding_needs_more_flags_than_the_spread_of_models_explains() -> None:
    """Without members, models that differ by half the spread of passages give a finding in 5 of 100 audits at most.

    The chance of so many flags alone, which takes passages for independent, gives more than 15 of 100.
    """
    rng, k, passages, audits = np.random.default_rng(1), 8, 200, 400
    naive, found = 0, 0
    for _ in range(audits):
        of_model = 0.5 * rng.normal(size=k + 1)
        inside = np.array([rng.permutation(k) < k // 2 for _ in range(passages)])
        scores = of_model[:k] + rng.normal(size=(passages, k))
        target = of_model[k] + rng.normal(size=passages)
        rates = []
        for j in range(k):
            others = ~inside.copy()
            others[:, j] = False
            out = scores[~inside[:, j], j]
            rates.append(ShadowRate(str(j), len(out), int((out > fpr_threshold(scores[others], 0.05)).sum()), 0, 0))
        outside = scores[~inside]
        flagged = int((target > fpr_threshold(outside, 0.05)).sum())
        n = len(outside)
        chance = chance_of_flags([(flagged, passages, int(0.05 * (n + 1)), n)])
        naive += chance <= 0.05
        found += max(chance, spread_of_models(flagged, passages, rates)) <= 0.05
    # Of 400 audits, 5 % are 20, and with a standard error of 4.4 at most 34 by 3 of these.
    assert found <= 34
    assert naive > 60


def test_members_are_a_finding_all_the_same() -> None:
    table = _drawn(np.random.default_rng(2), passages=60, k=8, spread=0.2, known=2.0, target=2.0)
    flags = flag(table, calibrate(table, "lira", fpr=0.05))
    assert flags.significant
    assert flags.members is None, "passages under the same model are not independent"


@pytest.mark.parametrize("flagged", [0, 1, 40])
def test_shadows_without_a_flag_give_a_p_value(flagged: int) -> None:
    none = [ShadowRate(str(j), 50, 0, 0, 0) for j in range(8)]
    p_value = spread_of_models(flagged, 100, none)
    assert 0 < p_value < 1
    assert (p_value <= 0.05) == (flagged == 40)


@pytest.mark.parametrize(("models", "shift"), [(8, 0.3), (4, 0.3), (8, 0.0)])
def test_the_interval_of_a_further_model_holds_the_rate_of_the_target(models: int, shift: float) -> None:
    """An interval of the mean over models holds it in 61 % of draws with 8 models, and in 85 % with 4."""
    rng, draws, passages, held = np.random.default_rng(0), 400, 100, 0
    for _ in range(draws):
        scores = rng.normal(size=(models + 1, passages)) + shift * rng.normal(size=(models + 1, 1))
        shadows, target = scores[:-1], scores[-1]
        others = [np.quantile(np.delete(shadows, j, 0), 0.95) for j in range(models)]
        interval = further_model([float((shadows[j] > others[j]).mean()) for j in range(models)])
        held += interval.low <= float((target > np.quantile(shadows, 0.95)).mean()) <= interval.high
    # Binomial with 0.95: fewer than 369 of 400 have a probability of 0.7 %.
    assert held >= 369
