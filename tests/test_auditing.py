"""Audits whose known set is fair, void, small or large: what is decided, what is withheld, and what says so."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from llm_mia import Audit, Validity, audit, read_audit, read_scores, score, validate
from llm_mia.auditing import KnownTexts, read
from llm_mia.backends.fake import FakeBackend
from llm_mia.calibration import fpr_threshold
from llm_mia.decision import NoteKind, Shortage, ShortageKind, Unit, Wanted, flag, read_calibration
from llm_mia.errors import CalibrationError, PassageError, RunDirectoryError, UsageError
from llm_mia.records import SCHEMA_VERSION, Standing
from llm_mia.report import audit_details, audit_screen, audit_summary
from llm_mia.validity import RequestedRates

from .conftest import sentences
from .test_report import rendered

TEXTS = sentences(200, seed=40)
Run = Callable[..., Audit]


def write(path: Path, texts: Sequence[str], **more: object) -> Path:
    rows = [{"id": f"{path.stem}{i}", "text": text, **more} for i, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """An audit of passages all of one kind, whose members may be given another year than the rest."""

    def run(year: str = "", members: int = 40, nonmembers: int = 80, **options: Any) -> Audit:
        known, others = TEXTS[:members], TEXTS[members : members + nonmembers]
        return audit(
            write(tmp_path / "candidates.jsonl", TEXTS[160:]),
            members=write(tmp_path / "members.jsonl", [f"{text}{year}" for text in known]),
            nonmembers=write(tmp_path / "nonmembers.jsonl", others),
            target=FakeBackend(0),
            reference=FakeBackend(1),
            out=tmp_path / "run",
            **options,
        )

    return run


def csv_rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


def test_a_fair_known_set_is_validated_with_its_texts_and_with_its_scores(run: Run, tmp_path: Path) -> None:
    heard: list[Validity] = []
    result = run(report_validity=heard.append, accept_void=True)  # there is nothing to accept
    assert result.standing in (Standing.SOUND, Standing.DOUBTFUL)
    assert not result.withheld
    texts, everything = ({check.name for check in validity.checks} for validity in (heard[0], result.validity))
    assert texts < everything
    assert {"blind_words_auroc", "shift_words_auroc", "size_fpr_0.05"} <= texts
    by_reference = {f"reference_{known}_loss_auroc" for known in ("members", "candidates")}
    assert {"placebo_attack_reference_auroc", *by_reference} <= everything - texts
    assert heard[0].standing in (Standing.NOT_CHECKED, Standing.DOUBTFUL), "no other model has scored the texts yet"
    # `reference` with another reference would take the target too, which may know the candidates.
    assert not [name for name in everything if name.startswith("reference_candidates_reference")]
    files = [tmp_path / f"{name}.jsonl" for name in ("members", "nonmembers", "candidates")]
    assert validate(*files, rates=RequestedRates(0.05)) == heard[0], "what llm-mia validate says"
    stored = json.loads((result.path / "validity.json").read_text())
    assert (stored["standing"], stored["accepted"]) == (result.standing, False)
    assert [check["name"] for check in stored["checks"]] == [check.name for check in result.validity.checks]
    assert read_scores(result.path).standing == result.standing == result.calibration.standing
    text = rendered(audit_details(result))
    assert "words, without the model" in text
    assert "Known set: " in text
    assert "known only with hindsight" in " ".join(text.split()), "as several attacks are shown"
    assert "candidates flagged by reference" in text


def test_a_void_known_set_is_reported_before_scoring_and_gives_no_finding(run: Run) -> None:
    heard: list[Validity] = []

    def record_validity(validity: Validity) -> None:
        heard.append(validity)
        steps.append("validity")

    steps: list[str] = []
    result = run(" 2023", report_validity=record_validity, progress=lambda step: steps.append(step.name))
    assert heard[0].standing is result.standing is Standing.VOID
    assert steps.index("validity") < steps.index("target")
    assert result.withheld
    assert result.flags.withheld
    summary = audit_summary(result)
    assert (summary["standing"], summary["flags"]["withheld"]) == ("void", True)
    assert summary["flags"]["finding"] is None
    assert not result.flags.significant
    assert summary["finding"].startswith("no finding: the known set is void")
    assert {"blind_words_auroc", "blind_counts_auroc"} <= {check["name"] for check in summary["not_sound"]}
    text = rendered(audit_details(result))
    for word in ("consistent with", "candidates flagged", "power:", "with 95 % confidence at least", "Confidence gap"):
        assert word not in text
    assert "no finding: the known set is void" in text
    rows = csv_rows(result.path / "flags.csv")
    assert len(rows) == 40
    assert all(row["p_value"] and row["known_set"] == "void" for row in rows), "stored all the same"
    calibration = read_calibration(result.path / "calibration.json")
    assert calibration.standing is Standing.VOID
    assert flag(read_scores(result.path), calibration).withheld, "and no later stage words it either"


def test_a_void_known_set_that_is_accepted_marks_everything(run: Run) -> None:
    result = run(" 2023", accept_void=True)
    assert result.standing is Standing.ACCEPTED
    assert not result.withheld
    assert audit_summary(result)["standing"] == "accepted"
    assert json.loads((result.path / "validity.json").read_text())["accepted"] is True
    assert read_calibration(result.path / "calibration.json").standing is Standing.ACCEPTED
    assert all(row["known_set"] == "accepted" for row in csv_rows(result.path / "flags.csv"))
    text = rendered(audit_details(result))
    assert "void or untestable, accepted by the user" in text
    assert "candidates flagged by reference" in text


def test_auto_chooses_on_one_part_and_counts_only_the_other(run: Run) -> None:
    result = run(attacks=["auto", "loss", "min_k", "zlib"])
    split = result.calibration.split
    assert split is not None
    assert result.decider == result.calibration.attack in ("loss", "min_k", "zlib")
    aurocs = result.calibration.selection.aurocs
    assert result.decider == max(aurocs, key=aurocs.__getitem__)
    assert set(aurocs) == {"loss", "min_k", "zlib"} == set(result.scores.columns)
    assert (split.fit_passages, split.calibration_passages, result.calibration.n) == (60, 60, 40)
    assert {(evaluation.n_members, evaluation.n_nonmembers) for evaluation in result.evaluations} == {(20, 40)}
    figures = {"attack": result.decider, "stack": False, "passages": 60, "documents": 60}
    assert (result.notes[0].kind, result.notes[0].figures) == (NoteKind.DECIDER_FITTED, figures)
    assert f"{result.decider} was selected on 60 known passages of 60 documents" in rendered(audit_details(result))


def test_auto_falls_back_to_the_attack_named_beforehand_and_says_why(run: Run) -> None:
    result = run(attacks=["auto"], members=12)
    assert (result.decider, result.calibration.split) == ("reference", None)
    assert result.calibration.n == 80, "nothing was kept apart"
    shortage = Shortage(ShortageKind.FIT_PART, Unit.PASSAGES, 6, 40, 10, 8, 0)
    assert (result.calibration.selection.wanted, result.calibration.selection.shortage) == (Wanted.AUTO, shortage)
    why = "the fit part has 6 passages of members and 40 of non-members, and 10 of each are needed"
    assert (
        f"no attack could be selected, so reference decides, by a fixed rule: {why}: add 8 passages of members to the "
        "known set (the fit part is half of the known set)" in rendered(audit_details(result))
    )
    assert NoteKind.DECIDER_BY_DEFAULT in [note.kind for note in result.notes]


def test_the_stack_decides_a_large_known_set_and_a_note_explains_a_small_set(tmp_path: Path, run: Run) -> None:
    texts = sentences(640, seed=41)
    files = [
        write(tmp_path / f"{name}.jsonl", texts[start:end])
        for name, start, end in (("big_m", 0, 200), ("big_n", 200, 440), ("big_c", 440, 480))
    ]
    result = audit(
        files[2], members=files[0], nonmembers=files[1], target=FakeBackend(0), reference=FakeBackend(1),
        out=tmp_path / "large",
    )  # fmt: skip
    assert (result.decider, result.calibration.n) == ("stack", 120)
    assert {(evaluation.n_members, evaluation.n_nonmembers) for evaluation in result.evaluations} == {(100, 120)}, (
        "never the fit part"
    )
    assert [evaluation.attack for evaluation in result.evaluations] == [*read_scores(result.path).columns, "stack"]
    fitted = {"attack": "stack", "stack": True, "passages": 220, "documents": 220}
    assert (result.notes[0].kind, result.notes[0].figures) == (NoteKind.DECIDER_FITTED, fitted)
    assert read_audit(result.path) == result, "a stack and all"
    assert result.power is not None
    assert {row["attack"] for row in csv_rows(result.path / "flags.csv")} == {"stack"}
    again = flag(read_scores(result.path), read_calibration(result.path / "calibration.json"))
    assert again.rows == result.flags.rows, "scored again by the record alone"
    assert "stack ◂ decides" in rendered(audit_details(result))
    small = run()
    assert (small.decider, small.calibration.split, small.calibration.n) == ("reference", None, 80)
    shortage = small.calibration.selection.shortage
    assert shortage == Shortage(ShortageKind.FIT_PART, Unit.DOCUMENTS, 20, 40, 100, 160, 120)
    assert "no stack could be fitted, so reference decides, by a fixed rule: the fit part has 20 documents" in rendered(
        audit_details(small)
    )
    named = run(attacks=["loss"])
    assert NoteKind.DECIDER_BY_DEFAULT not in [note.kind for note in named.notes], "a named attack wants no stack"


def test_a_stack_decides_wherever_it_is_named_and_is_refused_before_a_model_runs(run: Run) -> None:
    result = run(attacks=["zlib", "loss", "stack"])
    assert result.decider == "stack"
    assert result.calibration.stack is not None
    assert [column.name for column in result.calibration.stack.columns] == ["loss", "zlib"]
    with pytest.raises(UsageError, match="auto and stack cannot both decide: name only auto or stack"):
        run(attacks=["stack", "auto"])
    heard: list[Any] = []
    with pytest.raises(CalibrationError, match=r"the known set: no stack can be fitted: the fit part has 6 documents"):
        run(attacks=["stack"], members=12, progress=heard.append)
    assert not any(step.total_bytes for step in heard), "no pass has begun"


def test_confidence_sets_the_threshold_and_the_words(run: Run) -> None:
    result = run(confidence=0.9)
    assert result.calibration.confidence == 0.9
    assert result.calibration.threshold > fpr_threshold(result.calibration.scores, 0.05)
    assert "size_fpr_0.05_confidence_0.9" in {check.name for check in result.validity.checks}
    text = rendered(audit_details(result))
    assert (
        "with 90 % confidence the rate with this calibration set is at most 5 %, if the known non-members are "
        "independent" in text
    )
    assert "with 90 % confidence, on average no more than 2 would look so" in text
    assert audit_summary(result)["calibration"]["realised_fpr_at_most_with_95_confidence"] is None


def test_a_single_document_is_refused_before_a_model_runs(tmp_path: Path) -> None:
    members, nonmembers = (
        write(tmp_path / "m.jsonl", TEXTS[:40]),
        write(tmp_path / "n.jsonl", TEXTS[40:120], document="one book"),
    )
    candidates = write(tmp_path / "c.jsonl", TEXTS[160:])
    with pytest.raises(CalibrationError, match=r"n.jsonl: 1 document of non-members, with 80 passages, .*least 19 doc"):
        audit(candidates, members=members, nonmembers=nonmembers, target="no/model", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_audit_is_read_back_equal_and_displayed(run: Run) -> None:
    audited = run()
    again = read_audit(audited.path)
    assert again == audited
    assert again.flags.rows == audited.flags.rows
    assert len(repr(again)) < 300
    assert "\n" not in repr(again)
    assert again.scores.columns.keys() == read_scores(audited.path).columns.keys(), "read when they are wanted"
    assert rendered(again) == rendered(audit_screen(audited)), "without a model"
    assert "Was fake-0 trained on these 40 passages?" in again._repr_html_()


def test_a_folder_without_an_audit_is_refused_in_a_line(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"audit\.json: no such file; run the audit again"):
        read_audit(tmp_path)
    path = run().path / "audit.json"
    text = json.loads(path.read_text())
    for change, problem in (
        ({"schema_version": 1}, f"has schema version 1, and this release reads {SCHEMA_VERSION}"),
        ({"flags": {}}, "is damaged"),
        ({"power": "high"}, "'high'"),
        ({"more": 1}, "more"),
    ):
        path.write_text(json.dumps({**text, **change}))
        with pytest.raises(RunDirectoryError, match=problem):
            read_audit(path.parent)
    path.write_text(json.dumps(text))
    rows = path.with_name("flags.parquet")
    rows.write_bytes(rows.read_bytes()[:-1])
    with pytest.raises(RunDirectoryError, match=r"flags\.parquet: is not what the audit wrote; run the audit again"):
        read_audit(path.parent)
    rows.unlink()
    with pytest.raises(RunDirectoryError, match=r"flags\.parquet: cannot be read \(No such file or directory\); run"):
        read_audit(path.parent)


def test_a_known_set_that_was_not_checked_has_no_standing(run: Run, tmp_path: Path) -> None:
    result = run()
    assert read_scores(result.path).standing is result.standing is not None
    rows = [json.loads(line) for name in ("members", "nonmembers", "candidates") for line in
            (tmp_path / f"{name}.jsonl").read_text().splitlines()]  # fmt: skip
    exchanged = [{**row, "label": 1 if row["id"].startswith("non") else 0} for row in rows]
    score(exchanged, FakeBackend(0), attacks=["loss"], out=result.path)  # the same texts with other labels
    assert read_scores(result.path).standing is None
    assert read_audit(result.path) == result, "what the audit has decided stays"


# -- sets that hold the same texts -------------------------------------------------------------------------------------

SAME = [*TEXTS[:60]]
OTHER = [*TEXTS[60:160]]


def spaced(texts: Sequence[str]) -> list[str]:
    return [f" {text.replace(' ', chr(10) + '  ')} " for text in texts]


@pytest.mark.parametrize(
    ("candidates", "members", "nonmembers", "message"),
    [
        (
            SAME,
            None,
            SAME,
            r"c\.jsonl: 60 of 60 candidates have the text of a non-member in .*n\.jsonl \(white space and",
        ),
        (spaced(SAME), None, SAME, "60 of 60 candidates have the text of a non-member"),
        ([text.upper() for text in SAME], None, SAME, "60 of 60 candidates have the text of a non-member"),
        (SAME[:40] + OTHER[:30], None, SAME, "40 of 70 candidates have the text of a non-member"),
        (SAME + OTHER[:80], None, SAME, "60 of 60 non-members have the text of a candidate .* from the candidates"),
        (SAME, SAME, OTHER, "60 of 60 candidates have the text of a member"),
        (SAME[:10], SAME, OTHER, "10 of 10 candidates have the text of a member .*: give other candidates"),
        (OTHER[:50], SAME, SAME, "60 of 60 members have the text of a non-member .* and one of the labels is false"),
        (OTHER[:50], spaced(SAME), SAME, "60 of 60 members have the text of a non-member .* one of the labels is"),
        (OTHER[:50], [*SAME[:1], *OTHER[60:]], SAME, "1 text occurs both among members and among non-members"),
    ],
    ids=["copy", "white space", "case", "most", "superset", "members", "subset", "labels", "labels spaced", "a text"],
)
def test_sets_of_the_same_texts_are_refused_before_a_model_is_loaded(
    candidates: list[str], members: list[str] | None, nonmembers: list[str], message: str, tmp_path: Path
) -> None:
    names = (("c", candidates), ("m", members), ("n", nonmembers))
    files = {name: write(tmp_path / f"{name}.jsonl", texts) for name, texts in names if texts}
    with pytest.raises(PassageError, match=message):
        audit(files["c"], members=files.get("m"), nonmembers=files["n"], target="no/model", out=tmp_path / "run")
    with pytest.raises(PassageError, match=message):
        validate(files.get("m"), files["n"], files["c"])
    assert not (tmp_path / "run").exists()


def test_a_file_that_is_given_twice_is_named_and_a_link_to_it_is_the_same_texts(tmp_path: Path) -> None:
    path, other = write(tmp_path / "n.jsonl", SAME), write(tmp_path / "o.jsonl", OTHER)
    with pytest.raises(PassageError, match=r"n\.jsonl: is given both as candidates and as non-members: give different"):
        audit(path, nonmembers=path, target="no/model", out=tmp_path / "run")
    with pytest.raises(PassageError, match="is given both as members and as non-members"):
        validate(path, path, other)
    link = tmp_path / "link.jsonl"
    link.symlink_to(path)
    with pytest.raises(PassageError, match=r"link\.jsonl: 60 of 60 candidates have the text of a non-member"):
        audit(link, nonmembers=path, target="no/model", out=tmp_path / "run")
    with pytest.raises(PassageError, match="60 of 60 candidates have the text of a non-member"):
        audit(SAME, nonmembers=path, target="no/model", out=tmp_path / "run")


def test_a_shuffled_copy_is_refused_where_only_samples_of_the_texts_are_held(tmp_path: Path) -> None:
    sources = [read(texts, label) for texts, label in ((OTHER[:40], 0), (OTHER[39::-1], None))]
    rates = RequestedRates(0.05)
    sampled = KnownTexts.read(sources, most=4)
    assert len(sampled.passages) == 8
    with pytest.raises(PassageError, match="candidates: 40 of 40 candidates have the text of a non-member in non-memb"):
        sampled.refuse_repeats(rates)
    different = [read(texts, label) for texts, label in ((OTHER[:40], 0), (OTHER[40:], None))]
    KnownTexts.read(different).refuse_repeats(rates)


def test_a_few_shared_texts_are_noted_and_do_not_stop_an_audit(tmp_path: Path) -> None:
    files = write(tmp_path / "c.jsonl", SAME[:2] + OTHER[:40]), write(tmp_path / "n.jsonl", SAME)
    result = audit(files[0], nonmembers=files[1], target=FakeBackend(0), attacks=["loss"], out=tmp_path / "run")
    assert len(result.flags.rows) == 42
    assert any("2 texts occur both among the candidates and in the known set" in note.figures.get("text", "")
               for note in result.notes)  # fmt: skip


def test_repeated_texts_do_not_make_non_members_enough(tmp_path: Path) -> None:
    repeated = write(tmp_path / "n.jsonl", SAME[:15] * 3)
    with pytest.raises(CalibrationError, match="its 45 non-members have only 15 different texts, which cannot certify"):
        audit(OTHER, nonmembers=repeated, target="no/model", out=tmp_path / "run")
    enough = write(tmp_path / "n.jsonl", SAME[:19] * 3)
    assert audit(OTHER, nonmembers=enough, target=FakeBackend(0), attacks=["loss"], out=tmp_path / "run").flags.rows
