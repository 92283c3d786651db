"""Validity, confidence, categories, choices, documents and collections, as a user types them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm_mia import read_passages
from llm_mia.demo import language_reference
from llm_mia.store import beginning_of

from .conftest import pretend, sentences
from .test_cli import Cli, cli
from .test_cli_bad_input import Fails, fails, rows

__all__ = ["cli", "fails"]

TEXTS = sentences(200, seed=50)
Write = Callable[..., Path]
SCORES = ("--scores", "gain", "--scores", "noise")


@pytest.fixture
def scores(tmp_path: Path) -> Write:
    """A table of scores: known non-members and members, and candidates half of which are members."""

    def write(name: str = "t.parquet", *, n: int = 400, passages: int = 1, members: int = 60, **more: Any) -> Path:
        rng = np.random.default_rng(len(name))
        labels = np.repeat([0, 1, -1], [n, members, 40])
        strength = np.where(labels == 1, 4.0, 0.0) + 4.0 * ((labels < 0) & (np.arange(len(labels)) % 2 == 0))
        gains = rng.normal(size=len(labels)) + strength
        scored = np.repeat(gains, passages) + 0.1 * rng.normal(size=len(gains) * passages)
        columns = {
            "id": [f"p{i}" for i in range(len(scored))],
            "document": [f"d{i // passages}" for i in range(len(scored))],
            "label": [None if label < 0 else int(label) for label in np.repeat(labels, passages)],
            "gain": scored,
            "noise": rng.normal(size=len(scored)),
            **{key: value(len(scored)) for key, value in more.items()},
        }
        pq.write_table(pa.table(columns), tmp_path / name)
        return tmp_path / name

    return write


def flags_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


# -- may it carry a verdict? ------------------------------------------------------------------------------------------


def test_validate_a_random_split_of_one_corpus(cli: Cli, tmp_path: Path) -> None:
    once = list({p.text: p for p in language_reference(tmp_path / "corpus") if p.n_bytes >= 120}.values())
    texts = [once[i].text for i in np.random.default_rng(1).permutation(len(once))[:300]]
    parts = {"m": texts[:80], "n": texts[80:220], "c": texts[220:]}
    files = [rows(tmp_path / f"{name}.jsonl", part) for name, part in parts.items()]
    typed = ["validate", "--details", "--members", files[0], "--nonmembers", files[1], "--candidates", files[2]]
    ran = cli(*typed)
    assert ran.code == 0
    assert ran.err == (
        "note: this input allows decisions on passages (80 candidates, 140 non-members), on documents (80 documents of "
        "candidates, 140 of non-members), on all candidates together ('llm-mia collection')\n"
    )
    assert re.search(r"blind_words_auroc +0\.\d{3} 0\.\d\d–0\.\d\d +sound +What a classifier that never sees", ran.out)
    assert "The known set is" in ran.out
    validated = cli(*typed, "--json", "--fpr", "0.01", "--confidence", "0.95")
    assert validated.code == 4, "a threshold at 1 % and 95 % takes 299 non-members"
    checks = {check["name"]: check for check in validated.json["checks"]}
    assert checks["size_fpr_0.01_confidence_0.95"]["verdict"] == "void"
    assert checks["size_fpr_0.01_confidence_0.95"]["remedy"].startswith("Add non-members until there are 299")
    assert {"figure", "p_value", "why", "details"} <= checks["blind_words_auroc"].keys()
    assert {"value", "low", "high", "confidence"} == checks["blind_words_auroc"]["figure"].keys()


def test_validate_a_known_set_whose_members_have_another_year(cli: Cli, tmp_path: Path) -> None:
    texts = sentences(240, seed=30)
    files = [
        rows(tmp_path / f"{name}.jsonl", [f"{text} {year}" for text in part])
        for name, part, year in (("members", texts[:120], 2019), ("nonmembers", texts[120:], 2023))
    ]
    ran = cli("validate", "--details", "--members", files[0], "--nonmembers", files[1])
    assert ran.code == 4
    assert "The known set is void: no finding may rest on it." in ran.out
    assert "Remedy: Take members and non-members of the same period" in ran.out


@pytest.fixture
def void_run(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The arguments of an audit of members from another year."""
    pretend(monkeypatch)
    members = rows(tmp_path / "m.jsonl", [f"{text} In 2023." for text in TEXTS[:40]])
    nonmembers = rows(tmp_path / "n.jsonl", [f"{text} In 1999." for text in TEXTS[40:120]])
    candidates = rows(tmp_path / "c.jsonl", [f"{text} In 1999." for text in TEXTS[120:160]])
    known = ["--members", members, "--nonmembers", nonmembers]
    return ["audit", "--details", candidates, *known, "-m", "m", "-r", "other", "-o", tmp_path / "run"]


def test_a_void_audit_is_stored_without_a_finding_and_exits_with_4(
    cli: Cli, void_run: list[Any], tmp_path: Path
) -> None:
    ran = cli(*void_run)
    assert ran.code == 4
    possible, *lines = ran.err.splitlines()
    assert possible.startswith("note: this input allows decisions on passages (40 candidates, 80 non-members), on doc")
    assert lines[0].startswith("note: the known set is void (blind_words_auroc, ")
    assert lines[0].endswith("so no finding may rest on it; the scores are computed nevertheless")
    assert lines[-1].startswith("llm-mia: the known set is void (")
    assert lines[-1].endswith(": improve the known set, or use --accept-void to state findings nevertheless")
    assert "no finding: the known set is void" in ran.out
    assert "consistent with" not in ran.out
    shown = cli("show", tmp_path / "run", "--details")
    # Only show lists the attacks beyond ten, so the audit names the command with the option.
    same = " ".join(ran.out.split()).replace("--all-attacks of 'llm-mia show'", "--all-attacks")
    assert (shown.code, " ".join(shown.out.split())) == (0, same), "the same again, without a model"
    report = cli("show", tmp_path / "run", "--json").json
    assert (report["standing"], report["flags"]["withheld"]) == ("void", True)
    beginnings = {row["id"]: row["text"] for row in flags_of(tmp_path / "run" / "flags.csv")}
    assert beginnings == {p.id: beginning_of(p.text) for p in read_passages(void_run[void_run.index("--details") + 1])}
    calibration, flags = tmp_path / "run" / "calibration.json", tmp_path / "f.csv"
    ran = cli("flag", "--details", tmp_path / "run", "-c", calibration, "-o", flags)
    assert ran.code == 4
    assert "no finding: the known set is void" in ran.out
    assert "candidates flagged" not in ran.out
    assert {row["id"]: row["text"] for row in flags_of(flags)} == beginnings
    assert cli("flag", "--details", tmp_path / "run", "-c", calibration, "-o", flags, "--accept-void").code == 0
    assert flags_of(flags)[0]["known_set"] == "accepted"
    ran = cli("collection", "--details", tmp_path / "run")
    assert ran.code == 4
    assert "p =" not in ran.out
    assert cli("collection", "--details", tmp_path / "run", "--accept-void").code == 0
    ran = cli("evaluate", "--details", tmp_path / "run")
    assert ran.code == 0
    assert ran.err.startswith(
        "note: the known set is void: what separates members from non-members may not be membership\n"
    )


def test_a_void_audit_that_is_accepted(cli: Cli, void_run: list[Any], tmp_path: Path) -> None:
    ran = cli(*void_run, "--accept-void", "--json", "-q")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["standing"] == "accepted"
    assert ran.json["finding"].startswith(f"{ran.json['flags']['flagged']} of 40 candidates flagged")
    ran = cli("flag", "--details", tmp_path / "run", "-c", tmp_path / "run/calibration.json", "-o", tmp_path / "f.csv")
    assert ran.code == 0
    warning = (
        "note: the known set is void or untestable, accepted by the user: its faults alone may explain a finding, "
        "without any training (see validity.json)"
    )
    assert warning in ran.err.splitlines(), "the acceptance came with an earlier command"
    ran = cli("collection", "--details", tmp_path / "run")
    assert (ran.code, warning in ran.err.splitlines()) == (0, True)


def test_too_few_documents_withhold_the_finding_and_the_message_names_how_many_are_enough(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch)
    (tmp_path / "m").mkdir()
    (tmp_path / "n").mkdir()
    for book in range(1, 8):
        folder = tmp_path / ("m" if book <= 3 else "n")
        rows(folder / f"{book}.jsonl", TEXTS[10 * book : 10 * book + 10], document=f"book {book}")
    known = ["--members", tmp_path / "m", "--nonmembers", tmp_path / "n", "--fpr", "0.25"]
    ran = cli("validate", "--details", *known)
    assert ran.code == 4
    assert "The known set is untestable: no finding may rest on it, because it has too few documents" in ran.out
    candidates = rows(tmp_path / "c.jsonl", TEXTS[80:100])
    typed = ["audit", "--details", candidates, *known, "-m", "m", "-r", "other", "-o", tmp_path / "run"]
    ran = cli(*typed)
    assert ran.code == 4
    assert "no finding: the known set is untestable" in ran.out
    assert ran.err.splitlines()[-1].startswith(
        "llm-mia: the known set is untestable (3 and 4 documents: too few to distinguish any difference from chance; "
        "at least 9 of each are needed), so no finding may rest on it: "
    )
    calibration, flags = tmp_path / "run" / "calibration.json", tmp_path / "f.csv"
    assert cli("flag", "--details", tmp_path / "run", "-c", calibration, "-o", flags).code == 4
    assert cli("flag", "--details", tmp_path / "run", "-c", calibration, "-o", flags, "--accept-void").code == 0
    assert flags_of(flags)[0]["known_set"] == "accepted"


# -- findings and exit codes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flagged", "options", "code", "says"),
    [
        (
            6,
            [],
            0,
            "6 of 140 candidates flagged by gain at FPR ≤ 5 %: no finding, chance alone may flag as many (p = 0.59)",
        ),
        (49, [], 3, "49 of 140 candidates flagged by gain at FPR ≤ 5 %: consistent with training on them (p = 1e-09)"),
        (49, ["--finding-level", "1e-9"], 0, "no finding, chance alone may flag as many (p = 1e-09)"),
        (14, [], 0, "(p = 0.065)"),
        (14, ["--finding-level", "0.1"], 3, "with 91 % confidence, at least 2 of these 140 candidates were trained on"),
        (
            49,
            ["--fdr", "0.2"],
            3,
            "the smallest q-value (Simes' test): p = 0.028 level a finding needs p ≤ 0.045",
        ),
        (20, ["--fdr", "0.2"], 0, "20 of 140 candidates flagged by gain at FDR ≤ 20 %: no finding"),
        (49, ["--documents"], 3, "49 of 140 candidate documents flagged"),
        (0, [], 0, "0 of 140 candidates flagged by gain at FPR ≤ 5 %: no finding (p = 1)"),
    ],
)
def test_fail_if_flagged_fails_on_a_finding_and_not_by_chance(
    flagged: int, options: list[str], code: int, says: str, cli: Cli, tmp_path: Path
) -> None:
    table, rule = tmp_path / "t.csv", tmp_path / "c.json"
    known = [f"n{i},0,{37 * i % 100}" for i in range(100)]
    candidates = [f"c{i},,{999.5 + i if i < flagged else -i - 1.5}" for i in range(140)]
    table.write_text("\n".join(["id,label,gain", *known, *candidates]))
    assert cli("calibrate", table, "-a", "gain", "-o", rule).code == 0
    typed = ["flag", "--details", table, "-c", rule, "-o", tmp_path / "f.csv", *options]
    ran = cli(*typed, "--fail-if-flagged")
    assert (ran.code, says in " ".join(ran.out.split())) == (code, True), ran.out
    assert cli(*typed).code == 0, "without --fail-if-flagged"
    summary = cli(*typed, "--json").json
    assert summary["finding"]["significant"] == (code == 3)
    assert summary["finding"]["level"] == float(options[1] if "--finding-level" in options else 0.05)


def test_a_finding_on_labelled_rows_and_a_level_that_is_none_are_refused(fails: Fails, scores: Write, cli: Cli,
                                                                         tmp_path: Path) -> None:  # fmt: skip
    table, rule = scores(), tmp_path / "c.json"
    assert cli("calibrate", table, "-a", "gain", "-o", rule).code == 0
    typed = ("flag", "--details", table, "-c", rule, "-o", tmp_path / "f.csv")
    message = fails(*typed, "--labelled", "--fail-if-flagged", code=2)
    assert message == "--labelled decides on labelled rows too, which gives no finding: leave out --fail-if-flagged"
    ran = cli(*typed, "--labelled")
    assert "note: no finding is possible: labelled rows are among the flags" in ran.err
    assert "flagged by gain at FPR ≤ 5 %: no finding, because no p-value can be computed (see the notes)" in ran.out
    assert (
        fails(*typed, "--finding-level", "0", code=2)
        == "--finding-level must lie between 0 and 1, both excluded: got 0"
    )


def test_a_void_known_set_exits_with_4_and_never_with_3(cli: Cli, void_run: list[Any]) -> None:
    assert cli(*void_run, "--fail-if-flagged").code == 4


# -- thresholds -------------------------------------------------------------------------------------------------------


def test_calibrate_with_confidence_and_flag(cli: Cli, scores: Write, tmp_path: Path) -> None:
    table, rule, flags = scores(), tmp_path / "c.json", tmp_path / "f.csv"
    ran = cli("calibrate", table, "--attack", "gain", "--fpr", "0.01", "--confidence", "0.95", "-o", rule)
    assert ran.code == 0
    assert re.fullmatch(r"note: not validated: a table holds no texts[^\n]+\n", ran.err)
    assert re.fullmatch(r"threshold \S+ on gain \(400 non-members, FPR ≤ 1 % with 95 % confidence\): \S+\n", ran.out)
    ran = cli("flag", "--details", table, "-c", rule, "-o", flags)
    assert (
        "with 95 % confidence the rate with this calibration set is at most 1 %, if the known non-members are "
        "independent" in " ".join(ran.out.split())
    )
    assert "it holds on average" not in ran.out
    (bound,) = re.findall(r"with 95\.5 % confidence, at least (\d+) of these 40 candidates were trained on", ran.out)
    assert 10 <= int(bound) <= 20
    assert re.search(r"were trained on, \d+\.\d % or more, if the assumption holds", ran.out)
    summary = cli("flag", "--details", table, "-c", rule, "-o", flags, "--json").json
    assert summary["trained_on_at_least"]["number"] == int(bound)
    assert summary["trained_on_at_least"]["share"]["low"] == pytest.approx(int(bound) / 40)
    ran = cli("flag", "--details", table, "-c", rule, "-o", flags, "--fdr", "0.2")
    assert "q-values by Benjamini–Hochberg" in ran.out


def test_calibrate_by_length_and_by_a_column(cli: Cli, scores: Write, tmp_path: Path) -> None:
    kinds: dict[str, Callable[[int], list[Any]]] = {
        "n_bytes": lambda n: [100 + 100 * (i % 2) for i in range(n)],
        "language": lambda n: ["de" if i % 2 else "en" for i in range(n)],
    }
    table, rule, flags = scores("kinds.parquet", **kinds), tmp_path / "c.json", tmp_path / "f.csv"
    ran = cli("calibrate", table, "-a", "gain", "--by", "length", "-o", rule)
    assert ran.code == 0
    assert ran.out.startswith("a threshold for each length on gain (400 non-members, FPR ≤ 5 %): ")
    assert re.search(r"\n  64-127 bytes: threshold \S+ \(200 non-members\)\n", ran.out)
    assert json.loads(rule.read_text())["by"] == "length"
    ran = cli("flag", "--details", table, "-c", rule, "-o", flags, "--fdr", "0.2")
    assert "q-values by Benjamini–Yekutieli" in ran.out
    assert "each category has a separate calibration set" in ran.err
    ran = cli("flag", "--details", table, "-c", rule, "-o", flags)
    assert "it holds on average over calibration sets, in each category separately" in ran.out
    ran = cli(
        "calibrate", table, "-a", "gain", "--by", "language", "--pool", "de", "--pool", "en", "-o", rule, "--json"
    )
    assert ran.json["categories"]["other"]["pooled"] == ["de", "en"]
    assert cli("flag", "--details", table, "-c", rule, "-o", flags).code == 0


def test_calibrate_auto(cli: Cli, scores: Write, tmp_path: Path) -> None:
    table, rule = scores(), tmp_path / "c.json"
    ran = cli("calibrate", table, "--attack", "auto", "--fit-share", "0.25", "--seed", "3", "-o", rule, *SCORES)
    assert ran.code == 0
    assert " on gain (300 non-members, FPR ≤ 5 %)" in ran.out
    assert "columns used: gain, noise" in ran.out
    assert "attack selected on 115 known passages of 115 documents; other non-members set the threshold" in ran.out
    split = json.loads(rule.read_text())["split"]
    assert (split["fit_share"], split["seed"], split["fit_passages"]) == (0.25, 3, 115)
    assert cli("flag", "--details", table, "-c", rule, "-o", tmp_path / "f.csv", "--documents").code == 0


# -- documents and collections ----------------------------------------------------------------------------------------


def test_flag_documents(cli: Cli, scores: Write, tmp_path: Path) -> None:
    table, rule, flags = scores("grouped.parquet", n=60, passages=3), tmp_path / "c.json", tmp_path / "f.csv"
    assert cli("calibrate", table, "-a", "gain", "-o", rule).code == 0
    ran = cli("flag", "--details", table, "-c", rule, "-o", flags)
    assert "trained on, " not in ran.out
    assert (
        "the number of members among the candidates has no lower bound here, because passages of the same document are"
        in ran.err
    )
    ran = cli("flag", "--details", table, "-c", rule, "-o", flags, "--documents")
    assert (ran.code, len(flags_of(flags))) == (0, 40)
    assert re.search(r"1\d|2\d of 40 candidate documents flagged by gain at FPR ≤ 5 %: consistent with", ran.out)
    assert re.search(r"at least \d+ of these 40 candidate documents were trained on", ran.out)
    assert "from 60 documents of known non-members; a document" in ran.out
    assert "q-values" not in ran.out, "which nothing was decided by"
    assert "a document that is not flagged may still have been trained on" in ran.out
    assert {row["id"] for row in flags_of(flags) if row["flagged"] == "true"} >= {"d120", "d122"}


def test_collection(cli: Cli, scores: Write) -> None:
    table = scores("grouped.parquet", n=60, passages=3)
    ran = cli("collection", "--details", table, "-a", "gain")
    assert (ran.code, ran.err) == (0, "")
    assert "40 candidate documents against 60 of known non-members: consistent with training on the collec" in ran.out
    assert "placebo, half of the known non-members against the other half: p = " in ran.out
    assert "separates them, too: give its scores as --other" in " ".join(ran.out.split())
    ran = cli("collection", "--details", table, "-a", "gain", "-a", "noise", "--json")
    assert ran.json["documents"] == {"candidates": 40, "nonmembers": 60}
    assert len(ran.json["statistics"]) == 3
    assert (ran.json["others"], ran.json["resists"]) == ([], None)
    assert ran.json["p_value"] < 0.05
    ran = cli("collection", "--details", table, "-a", "gain", "--other", "noise", "--json")
    assert "agree too little" in ran.json["finding"]
    assert ran.json["others"][0]["statistic"] is None, "JSON has no -Infinity"
    assert "give its scores as --other" in " ".join(cli("collection", "--details", table, "-a", "gain").out.split())


# -- evaluation -------------------------------------------------------------------------------------------------------


def test_evaluate_compares_attacks_and_tests_a_threshold_on_other_passages(
    cli: Cli, scores: Write, tmp_path: Path
) -> None:
    table, other, rule = scores(), scores("others.parquet"), tmp_path / "c.json"
    assert cli("calibrate", table, "-a", "gain", "-o", rule).code == 0
    ran = cli("evaluate", "--details", table, "--compare", "gain", "noise", "-c", rule)
    assert ran.code == 0
    assert ran.err.startswith("note: not validated: a table holds no texts, so it is unknown whether a classifier that")
    assert ran.err.endswith("separates them, too: evaluate its scores too\n")
    assert re.search(
        r"AUROC of gain minus AUROC of noise: \+0\.\d{3} \[\+0\.\d{3}, \+0\.\d{3}\], p . (?:0\.000\d+|\de-\d+), on",
        " ".join(ran.out.split()),
    )
    assert "some or all non-members of the table set this threshold" in ran.out
    assert "ε below" not in ran.out
    ran = cli("evaluate", "--details", other, "-c", rule)
    assert re.search(r"At the threshold of the calibration for gain: TPR \S+ \S+ %, FPR \S+ \S+ %", ran.out)
    assert "ε below" not in ran.out
    assert "before the training, state that with --randomised" in " ".join(ran.out.split())
    ran = cli("evaluate", "--details", other, "-c", rule, "--randomised")
    assert re.search(r"the training is not ε-differentially private for any ε below [3456]\.\d\d", ran.out)
    evaluated = cli(
        "evaluate", "--details", other, "-c", rule, "--randomised", "--compare", "gain", "noise", "--json"
    ).json
    assert evaluated["at_threshold"]["epsilon"] > 1
    assert evaluated["comparison"]["auroc_difference"]["low"] > 0
    assert cli("evaluate", "--details", table, "--compare", "gain").code == 2


# -- what is refused --------------------------------------------------------------------------------------------------


def test_known_sets_that_cannot_be_validated(fails: Fails, tmp_path: Path) -> None:
    members, single_document = (
        rows(tmp_path / "m.jsonl", TEXTS[:20]),
        rows(tmp_path / "n.jsonl", TEXTS[20:60], document="book"),
    )
    message = fails("validate", "--details", "--members", members, "--nonmembers", single_document)
    assert message.startswith("non-members: all 40 come from a single document, 'book', whose properties cannot be")
    good = rows(tmp_path / "g.jsonl", TEXTS[60:100])
    message = fails("validate", "--details", "--nonmembers", good)
    assert message == "members: no passage is given: give members, or candidates, to compare non-members with"
    assert fails("validate", "--details", "--members", members, "--nonmembers", good, "--fpr", "2", code=2).startswith(
        "--fpr must lie between"
    )
    assert "'--nonmembers'" in fails("validate", "--details", "--members", members, code=2)


def test_scores_that_cannot_be_decided_on(fails: Fails, scores: Write, tmp_path: Path, cli: Cli) -> None:
    table, out = scores("t.parquet", n=60), ("-o", tmp_path / "c.json")
    assert "60 non-members cannot certify FPR ≤ 0.01: at least 99" in fails(
        "calibrate", table, "-a", "gain", "--fpr", "0.01", *out
    )
    assert "60 non-members cannot certify FPR ≤ 0.01 at 95 % confidence: at least 299 are needed" in fails(
        "calibrate", table, "-a", "gain", "--fpr", "0.01", "--confidence", "0.95", *out
    )
    message = fails("calibrate", table, "-a", "gain", "--fit-share", "0.5", *out, code=2)
    assert "--attack gain names an attack: leave out --fit-share, or name auto, stack or default" in message
    message = fails("calibrate", table, "-a", "gain", "--pool", "x", *out, code=2)
    assert message == "--pool joins categories, and there are none: give --by, or leave out --pool"
    assert "no column of numbers 'n_bytes' or 'length'" in fails(
        "calibrate", table, "-a", "gain", "--by", "length", *out
    )
    assert "no column 'langauge'" in fails("calibrate", table, "-a", "gain", "--by", "langauge", *out)
    few = scores("few.parquet", n=60, language=lambda n: ["de" if i < 5 else "en" for i in range(n)])
    message = fails("calibrate", few, "-a", "gain", "--by", "language", *out)
    assert message == (
        "5 of category 'de' (14 more needed) cannot certify FPR ≤ 0.05: each category needs at least 19 non-members: "
        "add non-members, or leave out --by, because only all categories together have as many"
    )
    lone = scores("lone.parquet", n=60, members=1)
    assert "no attack can be selected (the members come from 1 document, and each part of the split needs" in fails(
        "calibrate", lone, "-a", "auto", *out, *SCORES
    )
    for bad, expected in ((np.inf, "1 of 60 scores of known non-members are infinite ('p7'): search for the cause"),):
        values = pq.read_table(table).column("gain").to_pylist()
        values[7] = bad
        odd = tmp_path / "odd.parquet"
        pq.write_table(pq.read_table(table).set_column(3, "gain", pa.array(values)), odd)
        assert expected in fails("calibrate", odd, "-a", "gain", *out)
    equal = tmp_path / "equal.parquet"
    pq.write_table(pq.read_table(table).set_column(3, "gain", pa.array([7.0] * 160)), equal)
    message = fails("calibrate", equal, "-a", "gain", *out)
    assert message.startswith("all 60 scores of known non-members equal 7, so gain")


def test_documents_that_cannot_be_decided_on(fails: Fails, scores: Write, tmp_path: Path, cli: Cli) -> None:
    rule, flags = tmp_path / "c.json", ("-o", tmp_path / "f.csv", "--documents")
    few = scores("few.parquet", n=10, passages=3)
    message = fails("calibrate", few, "-a", "gain", "-o", rule)
    assert message.startswith("10 documents of non-members, with 30 passages, cannot certify FPR ≤ 0.05: at least 19 ")
    grouped = scores("grouped.parquet", n=60, passages=3, which=lambda n: [f"d{i // 60}" for i in range(n)])
    message = fails("calibrate", grouped, "-a", "gain", "-o", rule, "--document-column", "which")
    assert "documents of non-members, with 180 passages, cannot certify" in message
    both = scores("both.parquet", n=60, which=lambda n: [f"d{i % 50}" for i in range(n)])
    assert cli("calibrate", both, "-a", "gain", "-o", rule, "--document-column", "which").code == 0
    message = fails("flag", "--details", both, "-c", rule, *flags, "--document-column", "which")
    assert re.match(r"40 documents are both among the candidates and in the calibration set, the first 'd\d+'", message)
    assert "documents are both among the candidates and among the non-members" in fails(
        "collection", "--details", both, "-a", "gain", "--document-column", "which"
    )
    assert "--documents decides on candidates alone, not on labelled rows: leave out --labelled" in fails(
        "flag", "--details", both, "-c", rule, *flags, "--labelled", code=2
    )


def test_artefacts_of_other_runs_are_refused(
    fails: Fails, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch)
    passages = tmp_path / "p.jsonl"
    labelled = [{"id": f"p{i}", "text": text, "label": 0 if i < 100 else None} for i, text in enumerate(TEXTS)]
    passages.write_text("".join(json.dumps(row) + "\n" for row in labelled))
    for model in ("m", "mm"):
        assert cli("score", passages, "-m", model, "-a", "loss", "-q", "-o", tmp_path / model).code == 0
    rule = tmp_path / "c.json"
    assert cli("calibrate", tmp_path / "m", "-a", "loss", "-o", rule).code == 0
    written = json.loads(rule.read_text())
    out = ("-o", tmp_path / "f.csv")
    message = fails("flag", "--details", tmp_path / "mm", "-c", rule, *out)
    assert "target model weights_sha256 seed 1 there, seed 2 here): calibrate scores of the same" in message
    run = json.loads((tmp_path / "m/run.json").read_text())
    for part, key, value in (("model", "dtype", "bfloat16"), ("model", "tokenizer", "x"), ("window", "tokens", 64)):
        edited = json.loads(json.dumps(run))
        before = edited["passes"]["target"][part][key]
        edited["passes"]["target"][part][key] = value
        (tmp_path / "m/run.json").write_text(json.dumps(edited))
        assert f"target {part} {key} {before} there, {value} here" in fails(
            "flag", "--details", tmp_path / "m", "-c", rule, *out
        )
    for change, expected in (
        ({"threshold": -1e9}, "c.json: was edited (threshold should be "),
        ({"standing": "sound"}, "c.json: was edited after it was written: calibrate again"),
        (
            {"schema_version": 7},
            "c.json: cannot be read as a calibration, because it has schema version 7",
        ),
        ({"extra": 1}, "c.json: cannot be read as a calibration, because it "),
    ):
        rule.write_text(json.dumps({**written, **change}))
        assert fails("flag", "--details", tmp_path / "m", "-c", rule, *out).startswith(expected)
    (tmp_path / "m/validity.json").write_text("[]")
    assert fails("collection", "--details", tmp_path / "m").endswith("is not what an audit wrote; run the audit again")


def test_a_folder_without_a_result_is_not_shown(fails: Fails, tmp_path: Path) -> None:
    assert fails("show", tmp_path).endswith(
        "or name the folder of a finished run of 'llm-mia audit', 'extract', 'gate', 'shadow', 'defend', 'monitor', "
        "'canary plan', 'canary test' or 'paired'"
    )
    (tmp_path / "scores.parquet").touch()
    assert "holds scores (scores.parquet), and no decision: go on with 'llm-mia evaluate'" in fails("show", tmp_path)


def test_no_output_replaces_what_is_read(fails: Fails, scores: Write, cli: Cli, tmp_path: Path) -> None:
    table, calibration = scores("t.parquet", n=60), tmp_path / "c.json"
    assert cli("calibrate", table, "-a", "gain", "-o", calibration).code == 0
    before = Path(table).read_bytes()
    assert "--out is a file that is read" in fails("calibrate", table, "-a", "gain", "-o", table, code=2)
    for out in (table, calibration):
        assert "--out is a file that is read" in fails("flag", "--details", table, "-c", calibration, "-o", out, code=2)
    assert Path(table).read_bytes() == before
