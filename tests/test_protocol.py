"""A protocol that is fixed before the scores, and sealed non-members that are decided on as candidates."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_mia import Audit, ScoreTable, audit, read_audit, read_scores
from llm_mia.auditing import sealed_rate
from llm_mia.backends.fake import FakeBackend
from llm_mia.calibration import chance_of_flags, flag_rank
from llm_mia.decision import calibrate
from llm_mia.errors import PassageError, UsageError
from llm_mia.history import FILE, PROTOCOL, History, flag_on_record, protocol_of_run, read_protocol
from llm_mia.passages import read_passages
from llm_mia.records import Standing
from llm_mia.report import audit_details, audit_summary, note_words
from llm_mia.store import read_lines

from .conftest import sentences
from .test_report import rendered

TEXTS = sentences(220, seed=40)
DECISIONS = """
[[decision]]
attack = "loss"
fpr = 0.05

[[decision]]
attack = "zlib"
fpr = 0.1

[[decision]]
kind = "collection"
attack = ["loss", "zlib"]
seed = 3
"""
MODELS = """
[models]
target = "fake-0"
"""
Run = Callable[..., Audit]


def write(path: Path, texts: list[str]) -> Path:
    rows = [json.dumps({"id": f"{path.stem}{i}", "text": text}) + "\n" for i, text in enumerate(texts)]
    path.write_text("".join(rows))
    return path


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """An audit by the loss of a fake model, on passages all of one kind."""

    def run(out: str = "run", **options: Any) -> Audit:
        return audit(
            write(tmp_path / "candidates.jsonl", TEXTS[160:190]),
            nonmembers=write(tmp_path / "nonmembers.jsonl", TEXTS[40:100]),
            target=FakeBackend(0),
            out=tmp_path / out,
            **{"attacks": ["loss"], **options},
        )

    return run


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """A protocol of three decisions on the files of `run`."""
    files = {
        "candidates": write(tmp_path / "candidates.jsonl", TEXTS[160:190]),
        "nonmembers": write(tmp_path / "nonmembers.jsonl", TEXTS[40:100]),
    }
    inputs = "".join(f'{role} = "{read_passages(file).sha256()}"\n' for role, file in files.items())
    path = tmp_path / "plan.toml"
    path.write_text(
        f"finding_level = 0.1\n{MODELS}\n[inputs]\n{inputs}{DECISIONS}".replace("fake-0", FakeBackend(0).info.id)
    )
    return path


def notes_on_protocol(result: Audit) -> list[str]:
    return [note for note in note_texts(result) if "protocol" in note]


def note_texts(result: Audit) -> list[str]:
    return list(audit_summary(result)["notes"])


def test_decisions_of_a_protocol_divide_the_first_share_and_its_digest_is_everywhere(run: Run, plan: Path) -> None:
    first, second = run(protocol=plan), run(protocol=plan, attacks=["zlib"], fpr=0.1)
    for result in (first, second):
        assert result.flags.finding is not None
        assert result.flags.finding.number == 1
        assert result.flags.finding.allowed == pytest.approx(0.1 * 0.9 / 3)
    digest = read_protocol(plan).sha256
    assert read_audit(second.path).protocol == digest
    assert digest in (second.path / "validity.json").read_text()
    assert all(digest in line for line in read_lines(second.path / FILE))
    assert (second.path / PROTOCOL).read_bytes() == plan.read_bytes()
    (note,) = notes_on_protocol(second)
    assert (
        note
        == f"this decision is named in the protocol with the sha256 {digest[:16]}…; its 3 decisions divide the level"
    )
    assert digest[:16] in rendered(audit_details(second))


def test_what_deviates_from_a_protocol_is_named_and_counts_as_a_further_decision(run: Run, plan: Path) -> None:
    result = run(protocol=plan, attacks=["min_k"])
    assert result.flags.finding is not None
    assert result.flags.finding.number == 2, "the protocol has the first place, even before it is carried out"
    (note,) = notes_on_protocol(result)
    assert "deviates" in note
    assert note.endswith("so it counts as a further decision: the attack is min_k and not loss")
    assert any("decision 2 on these candidates (planned decisions come first)" in each for each in note_texts(result))
    planned = run(protocol=plan)
    assert planned.flags.finding is not None
    assert planned.flags.finding.number == 1


@pytest.mark.parametrize(
    ("options", "deviation"),
    [
        ({"fpr": 0.2}, "the rate is fpr 0.2 and not fpr 0.05"),
        ({"confidence": 0.9}, "the confidence is 0.9 and not none"),
        ({"finding_level": 0.05}, "the level of the finding is 0.05 and not 0.1"),
        ({"members": [{"id": f"m{i}", "text": text} for i, text in enumerate(TEXTS[:40])]}, "names no members"),
    ],
)
def test_each_deviation_is_named(run: Run, plan: Path, options: dict[str, Any], deviation: str) -> None:
    result = run(protocol=plan, **options)
    assert deviation in notes_on_protocol(result)[0]
    assert result.flags.finding is not None
    assert result.flags.finding.number == 2


def test_other_inputs_and_models_deviate(run: Run, plan: Path) -> None:
    text = plan.read_text()
    plan.write_text(text.replace(FakeBackend(0).info.id, "another"))
    assert "model is" in notes_on_protocol(run(protocol=plan))[0]
    digest = read_protocol(plan).inputs["candidates"]
    plan.write_text(text.replace(digest, "0" * 64))
    assert "the candidates are not those of the protocol" in notes_on_protocol(run("other", protocol=plan))[0]
    plan.write_text(text.replace("[models]", '[models]\nreference = "base"'))
    assert (
        "there is no reference model, and the protocol names base" in notes_on_protocol(run("third", protocol=plan))[0]
    )


def test_a_decision_of_a_protocol_is_taken_once(run: Run, plan: Path) -> None:
    """Otherwise each category, seed or stand-in would be tried at the share of the first decision."""
    first, other = run("first", protocol=plan, stand_in="none"), run("other", protocol=plan, stand_in="ngram")
    (note,) = notes_on_protocol(other)
    assert "decision 1 of the protocol was taken before, with other settings or other models" in note
    again = run("other", protocol=plan, stand_in="ngram")
    assert notes_on_protocol(again) == [note]
    numbers = [each.flags.finding.number for each in (first, other, again) if each.flags.finding]
    assert numbers == [1, 2, 2]
    second = run("first", protocol=plan, attacks=["zlib"], fpr=0.1, stand_in="none")
    assert second.flags.finding is not None
    assert second.flags.finding.number == 1, "the other decisions keep their share"


def test_the_protocol_of_a_run_stays_in_force_for_its_inputs(run: Run, plan: Path) -> None:
    digest = read_protocol(plan).inputs["candidates"]
    plan.write_text(plan.read_text().replace(digest, "0" * 64))
    result = run(protocol=plan)
    kept = protocol_of_run(result.path)
    assert kept is not None
    assert kept.deviations == ("the candidates are not those of the protocol",)
    assert run().protocol == kept.sha256, "the audit that continues it need not name it again"
    copy = result.path / PROTOCOL
    copy.write_text(copy.read_text() + "# later")
    with pytest.raises(UsageError, match=f"was changed since decisions were taken here .* {kept.sha256}: put that"):
        protocol_of_run(result.path)
    copy.unlink()
    with pytest.raises(UsageError, match="is missing since decisions were taken here"):
        run()


def test_a_protocol_that_comes_after_the_scores_is_refused(run: Run, plan: Path, tmp_path: Path) -> None:
    run()
    with pytest.raises(UsageError, match="a run began here without a protocol, so this protocol was not fixed before"):
        run(protocol=plan)
    run("planned", protocol=plan)
    plan.write_text(plan.read_text().replace("0.1", "0.2"))
    with pytest.raises(UsageError, match="holds another protocol"):
        run("planned", protocol=plan)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("[models]", "[models", r"is no TOML \(.*line 3, column"),
        ("finding_level = 0.1", "level = 0.1", "level is no key here: the keys are decision, models, inputs"),
        ("finding_level = 0.1", "finding_level = 2", "finding_level has to be a number between 0 and 1"),
        ("target =", "reference =", r"models\.target is missing"),
        ("candidates = \"", "candidates = \"x", r"inputs\.candidates is no sha256"),
        ("candidates =", "others =", r"inputs\.others is no key here"),
        ("attack = \"zlib\"", "", "decision 2: attack is missing or no name"),
        ("fpr = 0.1", "fpr = 0.1\nfdr = 0.1", "decision 2: fpr or fdr has to be given, and not both"),
        ("fpr = 0.1", "fpr = 10", "decision 2: fpr has to be a number between 0 and 1"),
        ("attack = \"zlib\"\nfpr = 0.1", "attack = \"loss\"\nfpr = 0.05", "decision is there twice"),
        ("kind = \"collection\"", "kind = \"book\"", "decision 3: kind is none of passages, documents, collection"),
        ("seed = 3", "seed = -3", "decision 3: seed is no number from 0 on"),
        ("kind = \"collection\"", "", "decision 3: seed is for a collection"),
    ],
)  # fmt: skip
def test_a_bad_protocol_is_refused_by_line_or_key(plan: Path, before: str, after: str, message: str) -> None:
    assert before in plan.read_text()
    plan.write_text(plan.read_text().replace(before, after))
    with pytest.raises(UsageError, match=message):
        read_protocol(plan)


# -- sealed non-members -----------------------------------------------------------------------------------------------


def test_sealed_nonmembers_are_decided_on_and_counted_nowhere(run: Run, tmp_path: Path) -> None:
    plain = run("plain", history=tmp_path / "first")
    result = run(control=write(tmp_path / "sealed.jsonl", TEXTS[:40]), history=tmp_path / "second")
    assert [row.id for row in result.flags.rows] == [row.id for row in plain.flags.rows]
    assert result.flags.finding == plain.flags.finding
    assert result.calibration.scores == plain.calibration.scores
    assert set(read_scores(result.path).ids) == set(read_scores(plain.path).ids), "and no later command takes them"
    control = result.control
    assert control is not None
    assert (control.passages, control.documents) == (40, 40)
    flagged = read_scores(result.path / "control").columns["loss"] > result.calibration.threshold
    assert control.flagged == flagged.sum()
    assert control.p_value == pytest.approx(chance_of_flags([(control.flagged, 40, flag_rank(60, 0.05), 60)]))
    assert not control.exceeds
    text = " ".join(rendered(audit_details(result)).split())
    assert text.count(f"of 40 sealed non-members {control.flagged} w") == 1, "beside the flags, and not in a note again"
    assert read_audit(result.path) == result
    assert audit_summary(result)["control"]["exceeds"] is False


def test_sealed_nonmembers_that_are_flagged_too_often_make_the_flags_doubtful(run: Run, tmp_path: Path) -> None:
    many = {f"t{i}": text for i, text in enumerate(sentences(800, seed=41))}
    rows = [{"id": name, "text": text} for name, text in many.items()]
    usual = audit(rows, nonmembers=TEXTS[40:100], target=FakeBackend(0), out=tmp_path / "usual", attacks=["loss"])
    sealed = [many[row.id] for row in usual.flags.rows if row.flagged]
    assert len(sealed) >= 5, "enough that all of them flagged is improbable"
    result = run(control=write(tmp_path / "sealed.jsonl", sealed))
    assert result.control is not None
    assert result.control.exceeds
    assert result.standing is result.flags.standing is result.calibration.standing is Standing.DOUBTFUL
    text = " ".join(rendered(audit_details(result)).split())
    assert "candidates that were not trained on may be flagged too often, too, so the flags are doubtful" in text
    assert "control_rate" in json.loads((result.path / "validity.json").read_text())["checks"][-1]["name"]


def test_known_texts_and_a_false_discovery_rate_are_refused_with_a_control(run: Run, tmp_path: Path) -> None:
    with pytest.raises(PassageError, match="the sealed non-members of `control` may not be among the other passages"):
        run(control=write(tmp_path / "sealed.jsonl", [*TEXTS[:5], TEXTS[50]]))
    with pytest.raises(UsageError, match="`control` checks a false positive rate, and `fdr` fixes none"):
        run(control=write(tmp_path / "sealed.jsonl", TEXTS[:5]), fdr=0.1)


def test_the_interval_and_the_p_value_of_a_control_hold_by_documents() -> None:
    """Documents of six passages that are flagged together: the truth is refuted in at most 5 % of draws."""
    rng, repeats, rate = np.random.default_rng(0), 400, 0.05
    whole = rng.random((repeats, 60)) < rate
    draws = [[[flagged] * 6 for flagged in draw] for draw in whole.tolist()]
    results = [sealed_rate(documents, rate) for documents in draws]
    missed = float(np.mean([not interval.low <= rate <= interval.high for interval, _ in results]))
    refuted = float(np.mean([p_value <= 0.05 for _, p_value in results]))
    limit = 0.05 + 3 * math.sqrt(0.05 * 0.95 / repeats)  # three Monte-Carlo standard errors at the level
    assert missed <= limit
    assert refuted <= limit
    # The fault: each passage as a document by itself.
    apart = [sealed_rate([[flag] for document in documents for flag in document], rate) for documents in draws]
    assert np.mean([p_value <= 0.05 for _, p_value in apart]) > limit


def test_a_run_directory_keeps_its_protocol_for_later_commands(plan: Path, run: Run, tmp_path: Path) -> None:
    result = run(protocol=plan)
    scores, kept = read_scores(result.path), protocol_of_run(result.path)
    history = History(result.path, tmp_path / "shared")
    flags = flag_on_record(scores, calibrate(scores, "loss", fpr=0.05), history, protocol=kept)
    assert flags.finding is not None
    assert flags.finding.number == 1


def test_a_protocol_written_afterwards_comes_after_what_it_follows_from(tmp_path: Path, plan: Path) -> None:
    """Otherwise the best of many decisions is decided once more, as the first decision of a new protocol."""
    rng = np.random.default_rng(0)
    table = ScoreTable.of({name: rng.normal(size=60) for name in ("loss", "zlib")}, [0] * 40 + [None] * 20)
    history, attacks = History(None, tmp_path / "shared"), ("loss", "zlib")
    late = tmp_path / "late.toml"
    late.write_text(plan.read_text().replace("fpr = 0.1", "fpr = 0.2"))
    tried = [flag_on_record(table, calibrate(table, name, fpr=0.05), history) for name in attacks]
    assert [each.finding and each.finding.number for each in tried] == [1, 2]
    protocol = replace(read_protocol(late), models={})  # scores in memory record no model
    calibration = calibrate(table, "zlib", fpr=0.2)
    level = protocol.finding_level
    planned = flag_on_record(table, calibration, history, finding_level=level, protocol=protocol)
    assert planned.finding is not None
    assert planned.finding.number == 3
    assert "but 2 decisions on these candidates came before it" in " ".join(map(note_words, planned.notes))
