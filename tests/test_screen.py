"""The answer on a screen: short at any result, in words that say no more than the record."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from llm_mia import Audit, audit, read_audit
from llm_mia.auditing import Control
from llm_mia.backends import ngram
from llm_mia.backends.fake import FakeBackend
from llm_mia.calibration import CountBound
from llm_mia.decision import DocumentObstacle, ErrorRate, NoteKind, Obstacle, OtherFlags, Rule, Sensitivity
from llm_mia.records import STAND_IN, Interval, Note, Standing
from llm_mia.report import audit_details, audit_screen
from llm_mia.report.words import Answer, Outcome, answer_of, unbroken
from llm_mia.validity import Check, Validity, Verdict

from .conftest import sentences

LINES, WIDTH = 15, 80
LONG = "a-model-with-a-long-name-of-a-hub-account/and-a-long-name-of-its-size-and-of-its-training-9B-instruct"


def rendered(renderable: Any, width: int = WIDTH) -> str:
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    texts = sentences(120, seed=5)
    return audit(
        texts[:30],
        nonmembers=texts[30:90],
        members=texts[90:],
        target=FakeBackend(0),
        reference=FakeBackend(1),
        attacks=["reference", "loss"],
        out=tmp_path_factory.mktemp("screen") / "run",
    )


def with_flags(audited: Audit, number: int, **changes: Any) -> Audit:
    rows = [replace(row, flagged=at < number) for at, row in enumerate(audited.flags.rows)]
    return replace(audited, flags=replace(audited.flags, rows=rows, **changes))


def finding(audited: Audit, chance: float, **changes: Any) -> Any:
    assert audited.flags.finding is not None
    given: dict[str, Any] = {"chance": chance, "references": (), "others": ()} | changes
    return replace(audited.flags.finding, **given)


def other(p_value: float, high: float) -> OtherFlags:
    return OtherFlags("reference", "loss", p_value, 9, 3, 30, 60, Interval(0.5, 0.45, high), Interval(0.1, 0.02, high))


def validity(audited: Audit, standing: Standing | None) -> Validity:
    """Checks with the verdict that this standing follows from."""
    if standing is None:
        return Validity(None, tuple(replace(check, verdict=Verdict.SKIPPED) for check in audited.validity.checks))
    sound = [replace(check, verdict=Verdict.SOUND) for check in audited.validity.checks]
    fault = {Standing.DOUBTFUL: Verdict.DOUBTFUL, Standing.UNTESTABLE: Verdict.UNTESTABLE}.get(standing, Verdict.VOID)
    if standing in (Standing.SOUND, Standing.NOT_CHECKED):
        return Validity(standing, tuple(sound))
    return Validity(Standing(fault.value), tuple(replace(check, verdict=fault) for check in sound))


FINDINGS: dict[str, dict[str, Any]] = {
    "resists": {"others": (other(0.0001, 0.55),), "sensitivity": Sensitivity(9, 0.9, 0.9, 0.93)},
    "does not resist": {"others": (other(0.0001, 0.55),), "sensitivity": Sensitivity(1, 0.1, 0.06, 0.505)},
    "explained": {"others": (other(0.4, 0.55),)},
    "alone": {},
    "third decision": {"number": 3, "level_share": 0.05},
}


def all_audits(audited: Audit) -> Iterator[tuple[str, Audit]]:
    standings = [*Standing, None]
    for standing, flagged, kind in product(standings, (0, 1, 12), FINDINGS):
        accepted = standing is Standing.ACCEPTED
        changed = replace(audited, validity=validity(audited, standing), accepted=accepted)
        changed = with_flags(changed, flagged, finding=finding(audited, 0.0005, **FINDINGS[kind]), standing=standing)
        yield f"{standing}, {flagged} flagged, {kind}", changed
    for obstacle in Obstacle:
        note = Note(NoteKind.FINDING_IMPOSSIBLE, {"why": obstacle})
        changed = with_flags(audited, 12, finding=None, members=None, share=None)
        yield f"impossible: {obstacle}", replace(changed, notes=[*audited.notes, note])
    for reason in (None, *DocumentObstacle):
        figures = {"obstacle": reason, "documents": 20, "first": "a" * 300}
        note = Note(NoteKind.MEMBERS_UNBOUNDED_DOCUMENTS, figures)
        yield f"no bound: {reason}", replace(with_flags(audited, 12, members=None, share=None), notes=[note])
    fdr = Rule(ErrorRate.FALSE_DISCOVERIES, 0.1)
    yield "FDR", replace(with_flags(audited, 12, rule=fdr, finding=finding(audited, 0.01)), power=None)
    yield "no members", replace(with_flags(audited, 12), power=None, evaluations=[])
    for exceeds in (0.001, 0.5):
        control = Control(50, 9, 50, Interval(0.18, 0.08, 0.31), 0.05, exceeds)
        yield f"control {exceeds}", replace(with_flags(audited, 12, finding=finding(audited, 0.0005)), control=control)
    model = replace(audited.passes["target"].model, id=LONG)
    named = replace(audited, passes={**audited.passes, "target": replace(audited.passes["target"], model=model)})
    yield "long names", replace(named, path=Path("/" + "a-long-name/" * 9))


def test_every_answer_is_at_most_fifteen_lines_of_eighty_columns(audited: Audit) -> None:
    number = 0
    for name, each in all_audits(audited):
        text = rendered(audit_screen(each))
        lines = text.rstrip("\n").splitlines()
        assert len(lines) <= LINES, (name, text)
        assert max(map(len, lines)) <= WIDTH, (name, text)
        answer = answer_of(each)
        flat = " ".join(text.split())
        for sentence in (answer.headline, answer.error_rate, answer.change.rstrip("."), *answer.trust):
            assert " ".join(sentence.split()) in flat, (name, text)
        assert "llm-mia show" in flat, name
        number += 1
    assert number > 120


def test_a_narrow_screen_loses_nothing_and_breaks_no_figure(audited: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(audited.path.parent)  # a path that is longer than a line would be broken
    for name, of_path in all_audits(audited):
        each = replace(of_path, path=Path(audited.path.name))
        wide, narrow = rendered(audit_screen(each)), rendered(audit_screen(each), width=60)
        assert max(map(len, narrow.splitlines())) <= 60, name
        if name != "long names":
            assert narrow.split() == wide.split(), name
        for line in narrow.splitlines():
            assert not line.rstrip().endswith((" p", " =", " ≤", "AUROC")), (name, line)
            assert not line.lstrip().startswith(("%", "= ", "≤ ")), (name, line)


def test_no_answer_claims_more_than_the_record(audited: Audit) -> None:
    for name, each in all_audits(audited):
        answer, found = answer_of(each), each.flags.finding
        words = " ".join((answer.headline, answer.error_rate, *(text for _, text in answer.facts), *answer.trust))
        assert "prove" not in words, name
        assert "are members" not in words.replace("no members are known", ""), name
        if each.withheld:
            assert (answer.outcome, answer.error_rate) == (Outcome.WITHHELD, ""), name
            assert "look" not in answer.headline, name
            assert answer.change, name
        elif found is None or not found.significant:
            assert answer.outcome is Outcome.NO_FINDING, name
            assert answer.headline.startswith("No finding: ") or "no finding is possible" in answer.headline, name
        else:
            sure = found.resists and each.standing is Standing.SOUND
            assert answer.outcome is (Outcome.FINDING if sure else Outcome.DOUBTFUL), name
            assert (", but " in answer.headline) == (not sure), name


def answer_with(audited: Audit, flagged: int, kind: str, standing: Standing | None = Standing.SOUND) -> Answer:
    changed = replace(audited, validity=validity(audited, standing))
    changed = with_flags(changed, flagged, finding=finding(audited, 0.0005, **FINDINGS[kind]), standing=standing)
    return answer_of(changed)


def answer_by_ngram(audited: Audit) -> Answer:
    """The answer where an n-gram model stands in for the reference, as by default."""
    compared = (replace(other(0.0001, 0.55), role=STAND_IN),)
    of_ngram = finding(audited, 0.0005, others=compared, sensitivity=Sensitivity(9, 0.9, 0.9, 0.93))
    model = replace(audited.passes["reference"].model, id=ngram.NAME)
    changed = replace(
        with_flags(audited, 12, finding=of_ngram, standing=Standing.NOT_CHECKED),
        passes={"target": audited.passes["target"], STAND_IN: replace(audited.passes["reference"], model=model)},
    )
    return answer_of(changed)


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_the_sentences_of_a_finding(audited: Audit) -> None:
    answer = answer_with(audited, 12, "resists")
    assert answer.question == "Was fake-0 trained on these 30 passages?"
    assert plain(answer.headline) == "12 of 30 passages look as if the model was trained on them."
    # 30 · 5 %
    assert plain(answer.error_rate) == "If it had seen none, on average no more than 1.5 would look so (p = 0.0005)."
    assert plain(answer_with(audited, 1, "resists").headline) == (
        "1 of 30 passages looks as if the model was trained on it."
    )
    doubtful = answer_with(audited, 12, "does not resist").headline
    assert doubtful.endswith("but a difference between the texts may explain it.")
    assert answer_with(audited, 12, "alone").headline.endswith("but no other model was compared.")
    assert answer_with(audited, 12, "resists", Standing.NOT_CHECKED).headline.endswith(
        "but no other language model was compared."
    )
    assert answer_by_ngram(audited).headline.endswith("but only an n-gram model was compared.")
    explained = answer_with(audited, 12, "explained")
    assert plain(explained.headline).startswith("No finding: 12 of 30 passages look as if")
    assert "(p = 0.4 over all comparisons; a finding needs p ≤ " in plain(explained.error_rate)
    assert plain(answer_with(audited, 0, "explained").headline).startswith("No finding: none of the 30 passages looks")


def test_the_figures_of_an_answer_are_those_of_the_record(audited: Audit) -> None:
    power, blind = Interval(0.675, 0.511, 0.849), Interval(0.6, 0.43, 0.75)
    checks = (Check("blind_words_auroc", blind, Verdict.SOUND, detectable=0.8),)
    changed = replace(with_flags(audited, 12), power=power, validity=Validity(Standing.SOUND, checks))
    facts = {name: plain(text) for name, text in answer_of(changed).facts}
    auroc = next(each.auroc for each in audited.evaluations if each.attack == "reference")
    assert facts["finds"] == "68 % of the known members (95 % interval 51–85 %)"
    assert facts["wrongly"] == "at most 5 of 100 that it never saw, on average"
    assert facts["AUROC"].startswith(f"{auroc.value:.2f} ({auroc.low:.2f}–{auroc.high:.2f})")
    assert facts["AUROC"].endswith("; a classifier of the text alone 0.60 (0.43–0.75)")
    assert plain(answer_of(changed).trust[0]) == (
        "No check shows a fault; a difference with an AUROC below 0.80 may be missed."
    )
    bound = changed.flags.members
    assert isinstance(bound, CountBound)
    bounded = with_flags(changed, 12, members=replace(bound, members=4), finding=finding(audited, 0.0005))
    # The first decision on these candidates has 90 % of the level.
    assert plain(dict(answer_of(bounded).facts)["at least"]) == (
        "4 of 30 were trained on, with 95.5 % confidence (its errors are 4.5 of the 5 % for all decisions on these "
        "candidates)"
    )


def test_the_known_members_that_are_recognised_are_counted(audited: Audit) -> None:
    counted = dict(answer_of(replace(with_flags(audited, 12), power=Interval(0.3, 0.147, 0.494))).facts)
    assert plain(counted["finds"]) == "9 of 30 known members (30 %, 95 % interval 14–50 %)"


def test_the_larger_blind_baseline_has_its_interval(audited: Audit) -> None:
    words, counts = Interval(0.604, 0.43, 0.75), Interval(0.605, 0.44, 0.74)
    checks = tuple(
        Check(f"blind_{name}_auroc", figure, Verdict.SOUND, detectable=0.8)
        for name, figure in (("words", words), ("counts", counts))
    )
    changed = replace(with_flags(audited, 12), validity=Validity(Standing.SOUND, checks))
    assert plain(dict(answer_of(changed).facts)["AUROC"]).endswith("a classifier of the text alone 0.60 (0.44–0.74)")


def test_documents_on_both_sides_limit_the_promise_and_the_least_number(audited: Audit) -> None:
    note = Note(NoteKind.MEMBERS_UNBOUNDED_DOCUMENTS, {"obstacle": DocumentObstacle.ON_BOTH_SIDES, "documents": 2})
    changed = replace(with_flags(audited, 12, members=None, share=None), notes=[note])
    assert dict(answer_of(changed).facts)["at least"] == (
        "no number can be given, because 2 of the 30 documents also hold known non-members, so they are not new; "
        "separate these and run again"
    )


def test_another_model_in_the_place_of_the_target_is_compared_by_scores(audited: Audit) -> None:
    facts = dict(answer_with(audited, 12, "resists").facts)
    assert plain(facts["compared"]) == (
        "with the reference model in the target's place, 3 of 30, not 9; so large a difference of the scores by "
        "chance: p = 0.0001"
    )


def test_a_withheld_answer_names_the_worst_check_and_what_would_change_it(audited: Audit) -> None:
    changed = replace(with_flags(audited, 3, standing=Standing.VOID), validity=validity(audited, Standing.VOID))
    answer = answer_of(changed)
    assert answer.headline == "No answer: the known set is void, so no finding may rest on it."
    assert dict(answer.facts)["void"].startswith("blind_words_auroc, ")
    assert answer.change.startswith("Draw members and non-members at random from the same pool")


def test_the_details_hold_every_fact_that_the_screen_left_out(audited: Audit) -> None:
    read = read_audit(audited.path)
    details = " ".join(rendered(audit_details(read), width=400).split())
    for _, sentence in answer_of(read).facts:
        assert plain(sentence) in details
    assert "the first decision" not in details
    assert str(audited.path) in details
    assert "reference ◂ decides" in details


def test_the_screen_names_the_facts_that_it_leaves_out(audited: Audit) -> None:
    each = replace(audited, path=Path("run"))
    many = with_flags(each, 12, finding=finding(each, 0.0005, **FINDINGS["resists"]), standing=Standing.SOUND)
    note = Note(NoteKind.SENTENCE, {"text": "any"})
    doubtful = replace(many, flags=replace(many.flags, standing=Standing.DOUBTFUL), notes=[note] * 12)
    assert rendered(audit_screen(doubtful)).rstrip().endswith("--details  (also AUROC, compared; 12 caveats)")
    without_room = replace(doubtful, path=Path("a-folder-of-19-char"))
    assert rendered(audit_screen(without_room)).rstrip().endswith("--details  (2 more facts; 12 caveats)")


def test_without_known_members_the_screen_says_that_no_auroc_is_computed(audited: Audit) -> None:
    without = replace(audited, power=None, evaluations=[])
    assert dict(answer_of(without).facts)["finds"].startswith("unknown, and no AUROC is computed, because no known")


def test_a_folder_reads_as_a_folder(audited: Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    Path("run/flags.csv").touch()
    lines = [" ".join(line.split()) for line in rendered(audit_screen(replace(audited, path=Path("run")))).splitlines()]
    assert "files run/: flags.csv" in lines
    assert any(line.startswith("details llm-mia show run/ --details") for line in lines)


def test_no_figure_leaves_its_unit() -> None:
    assert unbroken("p = 0.03, at FPR ≤ 5 % and p ≤ 0.05") == (
        "p\u00a0=\u00a00.03, at FPR\u00a0≤\u00a05\u00a0% and p\u00a0≤\u00a00.05"
    )
