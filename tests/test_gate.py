"""A gate on small models: one that was trained on the members, and one that was not."""

from __future__ import annotations

import hashlib
import html
import io
import json
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from llm_mia.cli import main
from llm_mia.decision import notes_of_sentences
from llm_mia.errors import CalibrationError, ModelError, PassageError, RunDirectoryError
from llm_mia.gate import (
    GateResult,
    GateRow,
    Limits,
    Obstacle,
    Quantity,
    RowVerdict,
    TprLimit,
    gate,
    read_gate,
)
from llm_mia.passages import check_inputs, to_passages
from llm_mia.records import Interval, Note, RunRecord, Standing, WrittenTokens
from llm_mia.report import gate_details, gate_html, gate_junit, gate_screen, gate_summary
from llm_mia.report.words import limit_words
from llm_mia.report.words.gate_page import gate_next
from llm_mia.scores import read_scores
from llm_mia.signals import written_token_notes
from llm_mia.store import to_json, write_text
from llm_mia.training import Method, Privacy, Recipe, read_training, train
from llm_mia.validity import Check, Verdict

from .conftest import sentences
from .junit import faults_of_junit

DOCUMENTS = 60
LIMITS = Limits(max_epsilon=2.0)


@dataclass(frozen=True)
class Scene:
    """A folder with ``members.jsonl`` and ``heldout.jsonl``, and a model that was trained on the members."""

    folder: Path
    model: str
    base: str

    @property
    def inputs(self) -> dict[str, Any]:
        return {"members": self.folder / "members.jsonl", "nonmembers": self.folder / "heldout.jsonl"}

    def command(self, model: str, out: Path, *options: str) -> list[str]:
        known = [str(self.folder / name) for name in ("members.jsonl", "heldout.jsonl")]
        names = ["--members", known[0], "--nonmembers", known[1], "-r", self.base, "-q"]
        return ["gate", "-m", model, *names, "-a", "loss", "-a", "min_k", "-a", "reference", "-o", str(out), *options]


@pytest.fixture(scope="module")
def scene(tiny: str, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("gate")
    texts = list(dict.fromkeys(sentences(2 * DOCUMENTS + 20, seed=31, longest=20)))[: 2 * DOCUMENTS]
    for name, of_set in (("members", texts[:DOCUMENTS]), ("heldout", texts[DOCUMENTS:])):
        rows = [{"id": f"{name}-{at}", "text": text} for at, text in enumerate(of_set)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    train(tiny, texts[:DOCUMENTS], folder / "model", Recipe(Method.FULL, 10, 4, 3e-3))
    return Scene(folder, str(folder / "model"), tiny)


@pytest.fixture(scope="module")
def leaking(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> GateResult:
    out = tmp_path_factory.mktemp("leaking") / "run"
    attacks = ["loss", "min_k", "reference"]
    return gate(scene.model, reference=scene.base, **scene.inputs, attacks=attacks, out=out)


def rendered(renderable: Any) -> str:
    console = Console(record=True, width=80, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def row(result: GateResult, quantity: Quantity) -> Any:
    return next(each for each in result.rows if each.quantity is quantity)


def test_a_model_that_was_trained_on_its_members_fails(leaking: GateResult) -> None:
    assert not leaking.passed
    auroc = row(leaking, Quantity.AUROC)
    assert auroc.verdict is RowVerdict.FAILED
    assert auroc.interval.low > 0.6
    assert auroc.attack in ("loss", "min_k", "reference")
    assert (auroc.members, auroc.nonmembers) == (30, 30), "half of the documents measure the attack"
    assert set(leaking.aurocs) == {"loss", "min_k", "reference"}, "confidence only measures the gap"
    gap = row(leaking, Quantity.GAP)
    assert (gap.members, gap.nonmembers) == (60, 60)
    assert gap.interval.low > 0
    assert leaking.members_flagged > 15
    assert leaking.leaked_passages[0].id.startswith("members-")
    assert leaking.leaked_passages[0].p_value <= 0.05


def test_the_result_is_read_again_as_it_was(leaking: GateResult) -> None:
    assert read_gate(leaking.path) == leaking
    with pytest.raises(RunDirectoryError, match=r"gate\.json: no such file"):
        read_gate(leaking.path / "signals")


def test_a_gate_that_is_repeated_loads_no_model(
    scene: Scene, leaking: GateResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise ModelError("a model was loaded")

    monkeypatch.setattr("llm_mia.backends.loading.load_model", refuse)
    attacks = ["loss", "min_k", "reference"]
    again = gate(scene.model, reference=scene.base, **scene.inputs, attacks=attacks, out=leaking.path)
    assert again == leaking
    looser = gate(
        scene.model,
        reference=scene.base,
        **scene.inputs,
        attacks=attacks,
        limits=Limits(max_auroc=1.0),
        out=leaking.path,
    )
    assert row(looser, Quantity.AUROC).verdict is RowVerdict.PASSED
    assert gate(scene.model, reference=scene.base, **scene.inputs, attacks=attacks, out=leaking.path) == leaking


def test_the_command_fails_with_3_and_passes_with_0(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    junit = tmp_path / "gate.xml"
    assert main(scene.command(scene.model, tmp_path / "a", "--junit", str(junit))) == 3
    out = capsys.readouterr().out
    assert "The gate fails: gap" in out
    assert "leaked most" in out
    assert faults_of_junit(junit.read_text()) == []
    assert main(["show", str(tmp_path / "a")]) == 0
    assert capsys.readouterr().out == out
    known = ["--members", str(scene.inputs["members"]), "--nonmembers", str(scene.inputs["nonmembers"])]
    assert main(["gate", "-m", scene.base, *known, "-a", "loss", "-q", "-o", str(tmp_path / "b")]) == 0
    assert "The gate passes: 2 of 5 limits judged, and none is exceeded." in capsys.readouterr().out


def test_a_limit_without_enough_data_ends_with_1_before_a_model_is_loaded(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_mia.backends.loading.load_model", lambda *_, **__: pytest.fail("a model was loaded"))
    assert main(scene.command(scene.model, tmp_path / "run", "--max-tpr", "0.02@0.01")) == 1
    assert "--max-tpr 0.02@0.01 needs at least 874 documents of non-members" in capsys.readouterr().err
    assert main(scene.command(scene.model, tmp_path / "run", "--max-tpr", "0.005@0.01")) == 2
    assert main(scene.command(scene.model, tmp_path / "run", "--junit", str(tmp_path / "run" / "gate.json"))) == 2
    assert str(capsys.readouterr().err).endswith("name another file\n")
    assert not (tmp_path / "run").exists()


def test_junit_that_is_wrong_is_noticed(leaking: GateResult) -> None:
    text = gate_junit(leaking)
    assert faults_of_junit(text) == []
    for before, after, fault in (
        ('failures="2"', 'failures="1"', "failures is 1"),
        ("<failure", "<broken", "broken is no element"),
        ("classname=", "class=", "testcase has class"),
        ('name="known set" ', "", "testcase lacks name"),
    ):
        changed = (
            text.replace(before, after).replace("</failure", "</broken")
            if "broken" in after
            else text.replace(before, after)
        )
        assert fault in faults_of_junit(changed)


def test_junit_holds_what_no_xml_may(leaking: GateResult) -> None:
    odd = replace(
        leaking.rows[1], verdict=RowVerdict.NOT_APPLICABLE, obstacle=Note(Obstacle.NOT_SEARCHED, {"why": 'a\x00<b>&"'})
    )
    assert faults_of_junit(gate_junit(replace(leaking, rows=(odd,)))) == []


def test_a_screen_has_15_lines_of_80_columns_and_the_verdict_first(leaking: GateResult) -> None:
    lines = rendered(gate_screen(leaking)).rstrip().splitlines()
    assert len(lines) <= 15
    assert max(map(len, lines)) <= 80
    assert next(line for line in lines[1:] if line).startswith("The gate fails: gap")
    details = rendered(gate_details(leaking))
    for word in (
        "OWASP AISVS 11.3.1",
        "OWASP AISVS 11.3.3",
        "EDPB Opinion 28/2024",
        "(default limit)",
        "not applicable",
    ):
        assert word in details, word


def test_a_passage_without_an_id_is_named_by_its_line(scene: Scene, tmp_path: Path) -> None:
    inputs = {}
    for name in ("members", "heldout"):
        rows = [json.loads(line) for line in (scene.folder / f"{name}.jsonl").read_text().splitlines()]
        inputs[name] = tmp_path / f"{name}.jsonl"
        inputs[name].write_text("".join(json.dumps({"text": row["text"]}) + "\n" for row in rows))
    known: dict[str, Any] = {"members": inputs["members"], "nonmembers": inputs["heldout"]}
    result = gate(scene.model, reference=scene.base, **known, attacks=["loss"], out=tmp_path / "run")
    most = result.leaked_passages[0]
    line = int(most.name.removeprefix(f"{tmp_path / 'members.jsonl'} line "))
    text = json.loads(inputs["members"].read_text().splitlines()[line - 1])["text"]
    assert most.id == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert f"members.jsonl line {line}" in " ".join(rendered(gate_screen(result)).split())
    assert f"members.jsonl line {line}" in gate_html(result)
    assert most.id not in gate_html(result)


def test_a_gate_leaves_a_page(leaking: GateResult, tmp_path: Path) -> None:
    page = (leaking.path / "report.html").read_text()
    assert page == gate_html(leaking)
    assert "The gate fails: gap" in page
    for each in leaking.rows:
        assert limit_words(each) in page, each
    assert leaking.leaked_passages[0].id in page
    assert main(["report", str(leaking.path), "--redact", "-o", str(tmp_path / "page.html")]) == 0
    assert leaking.leaked_passages[0].id not in (tmp_path / "page.html").read_text()


def test_the_page_says_what_to_do_next_by_the_verdict(leaking: GateResult) -> None:
    page = html.unescape(gate_html(leaking))
    assert page.index("What to do next") < page.index("The limits")
    failed = gate_next(leaking)
    assert all(step in page for step in failed)
    assert failed[0].startswith("Read below which texts leaked most.")
    assert "'llm-mia defend'" in failed[1]
    tested = [f"{limit_words(each)} was not tested: " for each in leaking.rows if each.obstacle is not None]
    assert len(tested) == 3
    assert all(any(step.startswith(each) for step in failed) for each in tested)
    assert "give at least 874 documents of non-members" in " ".join(failed)

    judged = tuple(replace(each, verdict=RowVerdict.PASSED) for each in leaking.rows if each.obstacle is None)
    passed = replace(leaking, rows=judged)
    assert [step.partition(",")[0] for step in gate_next(passed)] == ["Keep gate.json with the release"]
    alone = replace(passed, passes={"target": passed.passes["target"]})
    assert "with a reference model" in gate_next(alone)[1]

    auroc = row(leaking, Quantity.AUROC)
    wide = replace(auroc, value=0.55, interval=Interval(0.55, 0.45, 0.65), verdict=RowVerdict.FAILED)
    strict = gate_next(replace(leaking, rows=(wide,), strict=True))
    assert strict[0].endswith("more documents may decide.")
    assert not any("defend" in step for step in strict)
    documented = GateRow(Quantity.EPSILON_DOCUMENTED, 2.0, True, RowVerdict.FAILED, 4.0)
    assert "train with DP-SGD at an ε of at most 2." in gate_next(replace(leaking, rows=(documented,)))[0]

    void = replace(leaking.validity, standing=Standing.VOID, checks=(Check("leak_bytes", 0.9, Verdict.VOID),))
    repair = gate_next(replace(leaking, validity=void))
    assert repair[0].startswith("Repair the known set first")
    assert repair[1] == void.checks[0].remedy


def test_a_redacted_gate_names_no_passage_that_leaked(scene: Scene, leaking: GateResult, tmp_path: Path) -> None:
    shutil.copytree(leaking.path, tmp_path / "run")
    attacks = ["loss", "min_k", "reference"]
    hidden = gate(scene.model, reference=scene.base, **scene.inputs, attacks=attacks, out=tmp_path / "run", redact=True)
    assert (hidden.leaked_passages, hidden.leaked_documents) == ((), ())
    assert hidden.members_flagged == leaking.members_flagged
    shown = [rendered(gate_screen(hidden)), rendered(gate_details(hidden)), gate_junit(hidden)]
    shown += [json.dumps(gate_summary(hidden)), (tmp_path / "run" / "gate.json").read_text()]
    shown += [(tmp_path / "run" / "report.html").read_text()]
    assert leaking.leaked_passages[0].id in (leaking.path / "gate.json").read_text()
    assert not any(re.search(r"(members|heldout)-\d", text) for text in shown)


def test_a_redacted_gate_names_no_passage_and_no_document_in_its_checks_and_notes(leaking: GateResult) -> None:
    named = {
        "scores_attack_loss": Note("not_finite", {"count": 2, "ids": ["quillon-1", "quillon-2"]}),
        "near_duplicates": Note("repeats", {"count": 9, "total": 60, "set": "members", "ids": ["quillon-3"]}),
        "reference_known_text": Note("passages", {"count": 1, "ids": ["quillon-4"]}),
        "documents_in_both_classes": Note("shared_documents", {"count": 1, "ids": ["quillon-5"]}),
    }
    checks = [Check(name, 0.5, Verdict.DOUBTFUL, notes=(note,)) for name, note in named.items()]
    repeated = [{"id": f"quillon-{at}", "text": "The same text twice.", "label": 0} for at in (6, 7)]
    notes = notes_of_sentences(check_inputs([to_passages(repeated)]).notes)
    with_names = replace(leaking, validity=replace(leaking.validity, checks=tuple(checks)), notes=notes)

    def shown(result: GateResult) -> list[str]:
        texts = [rendered(gate_screen(result)), rendered(gate_details(result)), gate_html(result), gate_junit(result)]
        return [*texts, json.dumps(gate_summary(result)), to_json(result)]

    assert all(f"quillon-{at}" in "".join(shown(with_names)) for at in range(1, 8))
    hidden = shown(with_names.without_names())
    assert not any("quillon" in text for text in hidden)
    assert "9 of 60 members: ids left out (redacted)" in " ".join(hidden[1].split())
    assert "1 text occurs more than once among the non-members: all are kept" in " ".join(hidden[1].split())


def test_the_page_without_names_names_no_special_token_that_a_passage_holds(leaking: GateResult) -> None:
    target = replace(leaking.passes["target"], written_tokens=WrittenTokens(2, "<|zorquim|>", "members.jsonl line 3"))
    notes = notes_of_sentences(written_token_notes(RunRecord(passes={"target": target})))
    held = replace(leaking, passes={**leaking.passes, "target": target}, notes=notes)
    assert "zorquim" in gate_html(held)
    assert "zorquim" not in gate_html(held.without_names())
    assert "members.jsonl line 3" in gate_html(held.without_names())


@pytest.mark.parametrize("epsilon", [1.5, 4.0, None])
def test_a_documented_epsilon_is_read_from_the_training(
    scene: Scene, leaking: GateResult, tmp_path: Path, epsilon: float | None
) -> None:
    shutil.copytree(scene.model, tmp_path / "model")
    record = read_training(scene.model)
    private = replace(record, recipe=replace(record.recipe, privacy=Privacy(8.0)), epsilon=epsilon, delta=1e-3)
    write_text(tmp_path / "model" / "training.json", to_json(private))
    result = gate(
        str(tmp_path / "model"), **scene.inputs, attacks=["loss"], limits=LIMITS, out=tmp_path / "run", stand_in="none"
    )
    documented = row(result, Quantity.EPSILON_DOCUMENTED)
    if epsilon is None:
        assert documented.verdict is RowVerdict.NOT_APPLICABLE
        assert documented.obstacle.figures == {"training": True}
    else:
        assert documented.verdict is (RowVerdict.FAILED if epsilon > 2 else RowVerdict.PASSED)
        assert (documented.value, documented.interval) == (epsilon, None)


def test_a_void_known_set_fails_and_is_the_first_reason(scene: Scene, tmp_path: Path) -> None:
    later = [
        {"text": f"{json.loads(line)['text']} Written in {2020 + at % 4}."}
        for at, line in enumerate((scene.folder / "heldout.jsonl").read_text().splitlines())
    ]
    inputs = {"members": scene.inputs["members"], "nonmembers": later}
    heard: list[Any] = []
    result = gate(scene.base, **inputs, attacks=["loss"], out=tmp_path / "run", report_validity=heard.append)
    assert heard[0].standing is result.standing is Standing.VOID
    assert result.withheld
    assert not result.passed
    screen = rendered(gate_screen(result))
    assert "The gate fails: the known set is void" in screen
    assert f'failures="{1 + len(result.failed)}"' in gate_junit(result)
    accepted = gate(scene.base, **inputs, attacks=["loss"], out=tmp_path / "run", accept_void=True)
    assert accepted.standing is Standing.ACCEPTED
    assert accepted.passed == (not accepted.failed)
    assert read_gate(tmp_path / "run").accepted


def test_an_attack_that_takes_no_part_in_the_verdict_casts_no_doubt_on_it(scene: Scene, tmp_path: Path) -> None:
    constant = "camia:signal=below_1"
    attacks = ["loss", "min_k", constant]
    result = gate(scene.base, **scene.inputs, attacks=attacks, out=tmp_path / "run", stand_in="none")
    scores = read_scores(tmp_path / "run").columns[constant]
    assert scores.min() == scores.max(), "this attack distinguishes no passage of such a model"
    checked = {check.name for check in result.validity.checks if check.name.startswith("scores_attack_")}
    assert checked == {"scores_attack_loss", "scores_attack_min_k", "scores_attack_confidence"}
    assert not any(constant in check.name for check in result.validity.checks)


def test_bad_input_is_refused_before_anything_is_scored(scene: Scene, tmp_path: Path) -> None:
    known = scene.inputs
    with pytest.raises(PassageError, match="members"):
        gate(scene.base, members=known["members"], nonmembers=known["members"], out=tmp_path / "run")
    with pytest.raises(CalibrationError, match=r"`max_epsilon` 6 needs at least .* documents"):
        gate(scene.base, **known, limits=Limits(max_epsilon=6.0), out=tmp_path / "run")
    with pytest.raises(CalibrationError, match=r"`max_extractable` 0\.001 needs at least 2,995 documents of members"):
        gate(scene.base, **known, limits=Limits(max_tpr=(TprLimit(1.0, 0.01),)), strict=True, out=tmp_path / "run")
    labelled = [{"text": "A river.", "label": 0}, {"text": "A stone.", "label": 1}]
    with pytest.raises(PassageError, match="label"):
        gate(scene.base, members=labelled, nonmembers=known["nonmembers"], out=tmp_path / "run")
    few = [{"text": text} for text in sentences(18, seed=90, longest=20)]
    with pytest.raises(CalibrationError, match="`nonmembers` has 18 passages, and a gate needs at least 19"):
        gate(scene.base, members=known["members"], nonmembers=few, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_gate_of_another_model_in_the_folder_is_refused_and_its_verdict_kept(
    scene: Scene, leaking: GateResult, tmp_path: Path
) -> None:
    there = Path(shutil.copytree(leaking.path, tmp_path / "run"))
    with pytest.raises(RunDirectoryError, match="another run"):
        gate(scene.base, **scene.inputs, stand_in="none", attacks=["loss", "min_k"], out=there)
    assert replace(read_gate(there), path=leaking.path) == leaking
