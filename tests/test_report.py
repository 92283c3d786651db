"""What people and machines read: the figures as they are, names unchanged, and no more claimed than was measured."""

from __future__ import annotations

import io
import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from llm_mia import Audit, Calibration, ScoreTable, audit
from llm_mia.attacks import ATTACKS, LoadedSupplies, parse_attack
from llm_mia.backends.fake import FakeBackend
from llm_mia.decision import (
    NoteKind,
    OtherFlags,
    Sensitivity,
    Shortage,
    ShortageKind,
    Unit,
    calibrate,
    evaluate,
    flag,
)
from llm_mia.records import Interval, Note, Standing
from llm_mia.report import (
    attack_details,
    attacks_table,
    audit_details,
    audit_summary,
    calibration_summary,
    evaluation_summary,
    evaluation_table,
    flags_summary,
    flags_table,
    note_words,
)
from llm_mia.report.words import finding, notes_words
from llm_mia.scoring import attacks_for
from tests.conftest import sentences

HOSTILE = "[red]x[/]"


def rendered(renderable: Any, width: int = 400) -> str:
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


@pytest.fixture
def audited(tmp_path: Path) -> Audit:
    """An audit whose folder, model, ids and documents are all called by what could be taken for markup."""
    folder = tmp_path / "[red]x[" / "]"
    folder.mkdir(parents=True)

    def write(name: str, texts: list[str], documents: int = 0) -> Path:
        rows = [{"id": f"{HOSTILE} {name} {i}", "text": text} for i, text in enumerate(texts)]
        rows = [
            {**row, "document": f"book {HOSTILE} {i % documents}"} if documents else row for i, row in enumerate(rows)
        ]
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
        return folder / name

    texts = sentences(70, seed=3)
    target = FakeBackend(0)
    target.info = replace(target.info, id=f"model {HOSTILE}")
    return audit(
        write("candidates.jsonl", [*texts[:10], texts[0], "x"]),
        nonmembers=write("non.jsonl", [*texts[10:40], "x"], documents=20),
        members=write("members.jsonl", texts[40:]),
        target=target,
        reference=FakeBackend(1),
        accept_void=True,  # two documents of non-members are too few for any check
        out=folder / "run",
    )


def test_the_summary_is_json_without_nan_and_says_what_the_audit_holds(audited: Audit) -> None:
    summary = json.loads(json.dumps(audit_summary(audited), allow_nan=False))
    assert summary["decider"] == "reference"
    assert summary["calibration"]["threshold"] == audited.calibration.threshold
    assert summary["calibration"]["guarantee"]["kind"] == "marginal"
    assert summary["calibration"]["guarantee"]["sentence"].startswith("marginal: a passage of a new document")
    assert (summary["calibration"]["n"], summary["calibration"]["n_documents"]) == (30, 20)
    flagged = sum(row.flagged for row in audited.flags.rows)
    finding = audited.flags.finding
    assert finding is not None
    assert summary["flags"] == {
        "rule": {"rate": "fpr", "level": 0.05, "confidence": None},
        "candidates": 12,
        "flagged": flagged,
        "expected_by_chance": pytest.approx(0.6),
        "unscored": 1,
        "unit": "passages",
        "q_values": "benjamini_yekutieli",
        "categories": {},
        "standing": audited.flags.standing,
        "withheld": False,
        "finding": json.loads(json.dumps(asdict(finding)))
        | {"p_value": finding.p_value, "allowed": finding.allowed, "significant": False, "resists": None},
        "trained_on_at_least": None,
    }
    # 11 scored candidates, of which two have the same text and so share a document, against 20 documents.
    assert (finding.test, finding.documents, finding.arrangements) == ("exchange", 30, 1999)
    chance = ", chance alone may flag as many" if flagged else ""
    assert summary["finding"] == (
        f"{flagged} of 12 candidates flagged by reference at FPR ≤ 5 %: no finding{chance} (p = {finding.p_value:.2g})"
    )
    assert list(summary["evaluation"]["attacks"]) == [
        entry.name for entry in attacks_for((), LoadedSupplies(("target", "reference"))).attacks
    ]
    loss = summary["evaluation"]["attacks"]["loss"]
    assert (loss["n_members"], loss["n_nonmembers"], loss["unscored"]) == (30, 30, 1)
    assert set(loss["tpr_at_fpr"]) == {"0.1", "0.05", "0.01", "0.001"}
    assert set(loss["auroc"]) == {"value", "low", "high", "confidence"}
    assert summary["evaluation"]["confidence_gap"]["gap"]["value"] == pytest.approx(0, abs=0.1)
    assert [source["passages"] for source in summary["inputs"]] == [30, 31, 12]
    assert summary["passes"]["target"]["model"]["id"] == f"model {HOSTILE}"
    assert any("has no score" in note or "have no score" in note for note in summary["notes"])


def test_the_terminal_shows_names_unchanged(audited: Audit) -> None:
    text = rendered(audit_details(audited))
    assert f"model {HOSTILE}" in text
    assert str(audited.path) in text
    assert "[red]x[/]/candidates.jsonl" in text
    assert f"{HOSTILE} candidates.jsonl 0" in text, "the twice-given passage, in a note"
    assert "loss: 1 known passage has no score, and no figure counts them" in text
    assert "reference ◂ decides" in text
    for note in audited.notes:
        assert note_words(note).removeprefix("The error rate holds if ").removesuffix(".") in text
    assert "candidate that was not trained on could as well have been among the known non-members" in text


def table_of(attack: str, known: Any, members: Any, candidates: Any) -> ScoreTable:
    scores = np.array([*known, *members, *candidates], dtype=np.float64)
    labels = np.repeat([0, 1, -1], [len(known), len(members), len(candidates)]).astype(np.int8)
    ids = [f"{HOSTILE} {i}" for i in range(len(scores))]
    return ScoreTable(f"{HOSTILE}.csv", ids, ids, labels, {attack: scores})


@pytest.mark.parametrize("attack", [HOSTILE, "[bold]", "\\[red]", "[/]", "[link=a]b[/link]"])
def test_a_column_may_be_called_anything(attack: str) -> None:
    table = table_of(attack, range(19), range(25, 30), [99, 1])
    flags = flag(table, calibrate(table, attack, fpr=0.05))
    assert f"flagged by {attack} at FPR" in rendered(flags_table(flags))
    evaluations = evaluate(table)
    assert f"{attack} ◂ decides" in rendered(evaluation_table(evaluations, None, decider=attack))
    assert attack in rendered(evaluation_table(evaluations, None))
    renamed = replace(ATTACKS["min_k"], name=attack, paper=attack)
    for renderable in (attacks_table([renamed]), attack_details(renamed)):
        assert rendered(renderable).count(attack) >= 2


def test_the_figures_in_the_table_are_those_of_the_evaluation() -> None:
    table = table_of("loss", range(100), range(90, 110), [])
    (evaluation,) = evaluate(table)
    text = rendered(evaluation_table([evaluation], None))
    assert "Known set: 20 members, 100 non-members (95 % intervals)" in text
    # 10 of 20 members lie above 99; AUROC (90.5 + … + 99.5 + 10 · 100) / 2000
    assert f"{evaluation.auroc.value:.3f} {evaluation.auroc.low:.2f}–{evaluation.auroc.high:.2f}" in text
    assert evaluation.auroc.value == pytest.approx(0.975)
    assert "55.0 " in text, "TPR at 1 % FPR: 11 of 20 members lie above 98"
    assert "–: FPR 0.1 % cannot be measured with fewer than 999 non-members" in text
    assert "50.0 " not in text, "TPR at no false positive at all is no TPR at 0.1 %"
    assert "set its threshold with non-members that are not in it" in text
    assert "no score" not in text


def test_a_narrow_terminal_cuts_no_interval() -> None:
    rng = np.random.default_rng(0)
    table = table_of("camia:signal=below_previous", rng.normal(size=120), rng.normal(1, size=80), [])
    (evaluation,) = evaluate(table)
    wide, narrow = (rendered(evaluation_table([evaluation], None), width=width) for width in (120, 80))
    assert max(map(len, narrow.splitlines())) <= 80
    assert "…" not in narrow
    auroc = evaluation.auroc
    assert f"{auroc.value:.3f} {auroc.low:.2f}–{auroc.high:.2f}" in wide
    for figure in (f"{auroc.value:.3f}", f"{auroc.low:.2f}–{auroc.high:.2f}"):
        assert f" {figure} " in narrow


@pytest.mark.parametrize(
    ("candidates", "fdr", "says", "not_says"),
    [
        # P(3 or more of 10 above the highest of 19) = 10 · 9 · 8 / (29 · 28 · 27), 2 or more: 10 · 9 / (29 · 28) = 0.11
        (
            [99, 98, 97, *range(-7, 0)],
            None,
            [
                "3 of 10 candidates flagged by loss at FPR ≤ 5 %: consistent with training on them (p = 0.033), "
                "not validated, not compared with another model"
            ],
            ["no finding"],
        ),
        (
            [99, 98, *range(-8, 0)],
            None,
            [
                "2 of 10",
                ": no finding, chance alone may flag as many (p = 0.11)",
                "at most 0.5 flags are expected; as many as here or more: p = 0.11",
                "a finding needs p ≤ 0.05",
                "cannot be stated",
            ],
            ["consistent with"],
        ),
        ([1] * 10, None, ["0 of 10 candidates flagged", ": no finding (p = 1)"], ["consistent with"]),
        ([1], None, ["0 of 1 candidate flagged", ": no finding (p = 1)"], ["candidates flagged"]),
        ([99] + [1] * 39, None, ["1 of 40", "no finding, chance alone", "at most 2.0 flags"], ["consistent with"]),
        # The smallest q-value: 1/20 · 10/3, and 1/20
        (
            [99, 98, 97, *range(-7, 0)],
            0.5,
            ["at FDR ≤ 50 %: no finding, chance alone may flag as many (p = 0.17)", "from 19 known"],
            ["threshold", "consistent with"],
        ),
        ([99] * 10, 0.5, ["at FDR ≤ 50 %: consistent with training on them (p = 0.05)"], ["threshold"]),
        ([1] * 10, 0.5, ["0 of 10", "at FDR ≤ 50 %: no finding (p = 0.95)"], ["consistent with", "threshold"]),
    ],
)
def test_no_more_is_claimed_than_was_measured(
    candidates: list[float], fdr: float | None, says: list[str], not_says: list[str]
) -> None:
    table = table_of("loss", range(19), [], candidates)
    text = rendered(flags_table(flag(table, calibrate(table, "loss", fpr=0.05), fdr=fdr)))
    assert "a passage that is not flagged may still have been trained on" in text
    for part in says:
        assert part in text
    for part in [*not_says, "prove", "are members"]:
        assert part not in text
    for line in text.splitlines():
        assert "was trained on" not in line or line.rstrip().endswith("if the assumption holds")


def test_a_finding_names_what_is_wrong_with_its_known_set() -> None:
    table = table_of("loss", range(19), [], [99, 98, 97, *range(-7, 0)])
    flags = flag(table, calibrate(table, "loss", fpr=0.05))
    assert flags.finding is not None
    compared = OtherFlags("reference", "loss", 0.01, 3, 0, 10, 19, Interval(0.5, 0.4, 0.6))
    resisting = replace(flags.finding, others=(compared,), sensitivity=Sensitivity(9, 0.9, 0.9, 0.9))
    for standing, end in (
        (Standing.SOUND, "(p = 0.033)"),
        (Standing.DOUBTFUL, ", but the known set is doubtful"),
        (Standing.ACCEPTED, ", but the known set is void or untestable"),
        (Standing.NOT_CHECKED, ", not compared with another language model"),
        (None, ", not validated"),
    ):
        assert finding(replace(flags, finding=resisting, standing=standing)).endswith(end)


def test_of_many_attacks_ten_are_shown_the_deciding_attack_first() -> None:
    rng = np.random.default_rng(0)
    (evaluation,) = evaluate(table_of("loss", rng.normal(size=40), rng.normal(1, size=40), []))
    names = ["min_k:k=0.1", *(f"a{i}" for i in range(9)), "min_k:k=0.5"]
    of_audit = [replace(evaluation, attack=name) for name in reversed(names)]
    text = rendered(evaluation_table(of_audit, None, decider="min_k:k=0.1", most=10))
    rows = [line.split()[0] for line in text.splitlines() if line.strip().startswith(("a", "min_k"))][1:]
    assert rows == ["min_k:k=0.1", *(f"a{i}" for i in reversed(range(9)))], "attacks with settings are left out first"
    assert "1 further attack: shown with `all_attacks`." in text
    whole = rendered(evaluation_table(of_audit, None, decider="min_k:k=0.1"))
    assert all(f"\n {name} " in whole for name in names)
    assert "further attack:" not in whole


def test_scores_that_are_lower_for_members_share_a_note() -> None:
    figures = {"auroc": 0.2, "low": 0.1, "high": 0.3, "foreign": False}
    lower = [Note(NoteKind.SCORE_REVERSED, {"attack": name, **figures}) for name in ("loss", "zlib")]
    assert notes_words([lower[0], Note(NoteKind.SENTENCE, {"text": "another"}), lower[1]]) == [
        "another",
        "members have lower scores than non-members by loss (AUROC 0.200 [0.100, 0.300]), zlib (AUROC 0.200 [0.100, "
        "0.300]); check that members and non-members, or target and reference model, are not exchanged",
    ]


def test_many_candidates_are_counted_in_plain_figures() -> None:
    table = table_of("loss", range(19), [], [1.0] * 24_680)
    text = rendered(flags_table(flag(table, calibrate(table, "loss", fpr=0.05))))
    assert "0 of 24,680" in text
    assert "at most 1,234.0 flags" in text


def test_summaries_of_a_table_of_another_program() -> None:
    table = table_of("theirs", range(19), [30, math.nan], [99, math.nan])
    calibration: Calibration = calibrate(table, "theirs", fpr=0.05)
    described = {"attack", "fpr", "threshold", "guarantee", "n", "n_documents", "confidence", "categories", "selection"}
    assert set(calibration_summary(calibration)) == described | {
        "realised_fpr_at_most_with_95_confidence",
        "columns_used",
        "notes",
        "stack_columns",
        "standing",
    }
    flags = flags_summary(flag(table, calibration, fdr=0.2))
    rule = {"rate": "fdr", "level": 0.2, "confidence": None}
    decided = {"rule": rule, "candidates": 2, "flagged": 1, "expected_by_chance": None, "unscored": 1}
    assert decided.items() <= flags.items()
    assert flags["trained_on_at_least"]["candidates"] == 2, "the candidate without a score counts as the lowest"
    json.dumps(flags, allow_nan=False)
    summary = evaluation_summary(evaluate(table), None)
    json.dumps(summary, allow_nan=False)
    assert summary["attacks"]["theirs"]["unscored"] == 1
    assert summary["confidence_gap"] is None


def test_the_catalogue_shows_what_every_attack_needs() -> None:
    text = rendered(attacks_table(ATTACKS.values()))
    for entry in ATTACKS.values():
        (line,) = [line for line in text.splitlines() if line.strip().startswith((f"{entry.name} ", f"{entry.name}:"))]
        assert ", ".join(entry.evidence) in line
        assert entry.paper in line
    assert "min_k++:k=0.2" in text
    details = rendered(attack_details(parse_attack("min_k:k=0.1")))
    assert "as in -a min_k:k=0.1" in details
    assert "k=0.1:k" not in details


FIGURES = {
    "above": 9, "among": "members", "attack": "loss", "auroc": 0.2, "low": 0.1, "high": 0.3, "foreign": True,
    "correlation": 0.9, "checked": 5, "count": 7, "documents": 3, "fpr": 0.05, "ids": ["a", "b", "c", "d", "e"],
    "by_shadows": False, "candidates": 40, "confidence": 0.95, "flagged": 2, "level": 0.05, "rate": "fpr",
    "least": 2, "n": 19, "needed": 19, "passages": 40, "problem": "too few", "selected": True, "source": "c.jsonl",
    "trained_on": 4,
    "stack": False, "text": "a sentence", "unit": "passages", "wanted": "auto", "why": "labelled",
    "nonmembers": 40, "candidate_documents": 2, "nonmember_documents": 3, "compared": 3,
    "on_both_sides": 0, "first": None, "collection": False, "collection_needs": 3,
    "others": [], "evaluated": False, "shadows": 8, "same_texts": True, "same_base": None, "classifier": True,
    "role": "candidate", "rows": 500,
    "of_nonmembers": 90, "of_candidates": 50, "with": 0.4, "without": 0.01,
    "number": 2, "allowed": 0.01, "sha256": "0" * 64, "deviations": [], "before": 1, "decisions": 2,
    "p_value": 0.3, "smallest_p": 0.01, "requested": 0.05, "realised": 0.04, "exceeds": False,
    "names": ["se"], "categories": ["en", "sv"],
    "skipped": "", "tokens": 512, "token_median": 0.02, "token_largest": 0.5, "passage_median": 0.003,
    "passage_largest": 0.01, "dtype": "bfloat16", "change": 0.01, "most": 3, "finding_depends": False,
    "shortage": asdict(Shortage(ShortageKind.FIT_PART, Unit.DOCUMENTS, 3, 4, 20, 34, 32)),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(NoteKind))
def test_every_note_has_a_sentence(kind: NoteKind) -> None:
    sentence = note_words(Note(kind, FIGURES))
    assert len(sentence) > 8
    assert "{" not in sentence
    assert note_words(Note(kind.value, json.loads(json.dumps(FIGURES)))) == sentence, "also where it was read back"
