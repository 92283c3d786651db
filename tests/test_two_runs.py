"""Two audits side by side: the same passages, what differs, and how certain each difference is."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from llm_mia import Passages, audit
from llm_mia.auditing import Matched, Quantity, compare_runs
from llm_mia.backends.fake import FakeBackend
from llm_mia.cli import main
from llm_mia.errors import ScoresError, UsageError
from llm_mia.records import Standing, TokenSignals
from llm_mia.report import two_runs_details, two_runs_screen, two_runs_summary
from llm_mia.scores import ScoreTable, rows_in_common

from .conftest import sentences

TEXTS = sentences(160, seed=70, longest=12)


class Trained(FakeBackend):
    """Finds some texts likelier by *gain* nats a token, as a model that was trained on them does."""

    def __init__(self, seed: int, texts: list[str], gain: float) -> None:
        super().__init__(seed)
        self.known, self.gain = {text.encode() for text in texts}, gain
        self.info = replace(self.info, id=f"trained-{gain}", weights_sha256=f"gain {gain}")

    def score(self, windows: Any, report: Any = None, *, prefix: Any = None) -> list[TokenSignals]:
        scored = super().score(windows, report, prefix=prefix)
        return [
            replace(signals, logprob=signals.logprob + np.float32(self.gain))
            if bytes(window.tokens.astype(np.uint8)) in self.known
            else signals
            for window, signals in zip(windows, scored, strict=True)
        ]


def passages(texts: list[str], name: str, label: int | None = None) -> Passages:
    rows = [{"id": f"{name}{at}", "document": f"{name} {at // 2}", "text": text} for at, text in enumerate(texts)]
    return Passages.of(rows, name=name, label=label)


def run(out: Path, gain: float, *, candidates: list[str] = TEXTS[120:], **options: Any) -> Path:
    """An audit of a model that was trained on the members and on half of the candidates."""
    audit(
        passages(candidates, "c"),
        members=passages(TEXTS[:40], "m", 1),
        nonmembers=passages(TEXTS[40:120], "n", 0),
        target=Trained(0, TEXTS[:40] + TEXTS[140:], gain),
        reference=FakeBackend(1),
        attacks=["reference"],
        accept_void=True,
        out=out,
        **options,
    )
    return out


@dataclass
class Runs:
    strong: Path
    weak: Path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("runs")
    return Runs(run(folder / "strong", 3.0), run(folder / "weak", 0.0, fpr=0.1))


def printed(result: Any) -> list[str]:
    screen = io.StringIO()
    Console(file=screen, width=80, highlight=False).print(result)
    return screen.getvalue().splitlines()


def test_a_model_that_was_trained_less_differs_in_everything_but_the_nonmembers(runs: Runs) -> None:
    compared = compare_runs(runs.strong, runs.weak)
    assert compared.texts_compared
    assert {role: matched.compared for role, matched in compared.matched.items()} == {
        "candidates": 40, "members": 40, "non-members": 80
    }  # fmt: skip
    differences = {(each.quantity, each.role): each for each in compared.differences}
    assert {key for key, each in differences.items() if each.stated} == {
        (Quantity.AUROC, "known"), (Quantity.LOSS, "candidates"), (Quantity.LOSS, "members")
    }  # fmt: skip
    tpr = differences[Quantity.TPR, "known"].difference
    assert tpr.value < -0.5, "which 20 documents of members do not show at the level that six comparisons leave"
    members, others = differences[Quantity.LOSS, "members"], differences[Quantity.LOSS, "non-members"]
    assert members.difference.value == pytest.approx(3.0, abs=1e-3), "what training on them gained"
    assert (others.difference.value, others.p_value) == (0.0, 1.0)
    auroc = differences[Quantity.AUROC, "known"]
    assert auroc.difference.value == pytest.approx(auroc.second - auroc.first)
    assert auroc.difference.low < auroc.difference.value < auroc.difference.high < 0
    assert compared.flags is not None
    assert compared.flags.both + compared.flags.only_first >= 15
    assert compared.flags_stated
    flagged = [sum(row.flagged for row in each.flags.rows) for each in (compared.first, compared.second)]
    assert flagged == [compared.flags.both + only for only in (compared.flags.only_first, compared.flags.only_second)]


def test_what_differs_besides_what_was_meant_comes_first(runs: Runs) -> None:
    compared = compare_runs(runs.strong, runs.weak)
    names = [setting.name for setting in compared.settings]
    assert names == ["target model", "fpr at most"]
    lines = printed(two_runs_details(compared))
    models = ["    a  trained-3.0, sha256 gain 3.0", "    b  trained-0.0, sha256 gain 0.0"]
    assert lines[:4] == ["What differs between the runs", "  target model", *models]


def test_the_first_screen_is_short_and_no_line_wraps(runs: Runs) -> None:
    lines = printed(two_runs_screen(compare_runs(runs.strong, runs.weak)))
    assert len(lines) <= 15
    assert max(map(len, lines)) <= 80
    assert lines[0] == "40 candidates of 20 documents in both runs, the same by id and text."
    assert any(line.startswith("candidates flagged") and line.endswith("*") for line in lines)
    assert "A difference shows no cause: anything that differs may be the reason." in lines
    assert lines[-1] == "2 settings differ (see --details): target model, fpr at most"


def test_where_a_known_set_is_void_flags_are_not_compared(runs: Runs) -> None:
    compared = compare_runs(runs.strong, runs.weak)
    void = replace(
        compared.second,
        accepted=False,
        validity=replace(compared.second.validity, standing=Standing.VOID),
        flags=replace(compared.second.flags, standing=Standing.VOID),
    )
    lines = printed(two_runs_screen(replace(compared, second=void, flags=None)))
    assert len(lines) <= 15
    assert lines[2].rstrip() == "b  weak    No answer: the known set is void, so no finding may rest on it."
    assert not any(line.startswith("candidates flagged") for line in lines)
    assert "The known set of b can carry no finding: flags are not compared," in lines


def test_a_run_and_its_copy_do_not_differ(runs: Runs, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(runs.strong, tmp_path / "copy"))
    compared = compare_runs(runs.strong, copy)
    assert compared.settings == ()
    assert not any([*(each.stated for each in compared.differences), compared.flags_stated])
    assert {each.difference.value for each in compared.differences} == {0.0}
    assert printed(two_runs_screen(compared))[-1] == "No setting differs between the runs."
    shutil.rmtree(copy / "signals")
    assert not compare_runs(runs.strong, copy).texts_compared
    assert "by id: the signals that" in printed(two_runs_screen(compare_runs(runs.strong, copy)))[0]


def table(ids: list[str], labels: list[int | None]) -> ScoreTable:
    return ScoreTable.of(np.arange(float(len(ids))), labels, ids=ids, name="run")


def test_other_candidates_and_other_texts_are_refused_with_counts(runs: Runs, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is compared with itself"):
        compare_runs(runs.strong, runs.strong)
    first, second = table(["a", "b", "c", "a"], [None, None, 0, 0]), table(["b", "a", "c", "d"], [None, None, 1, 0])
    pairs = rows_in_common(first, second)
    assert [rows.tolist() for rows in pairs["candidates"]] == [[0, 1], [1, 0]]
    assert len(pairs["members"][0]) == len(pairs["non-members"][0]) == 0, "the same id in another role is another"
    with pytest.raises(ScoresError, match=r"1 of 2 passages with an id that run has, too, have another text"):
        rows_in_common(first, second, ["A", "B", "C", "E"], ["B", "other", "C", "D"])
    with pytest.raises(ScoresError, match=r"none of its 1 candidates has the id of any of the 2 candidates of"):
        rows_in_common(first, table(["x", "c"], [None, 0]))
    compared = replace(compare_runs(runs.strong, runs.weak), matched={"candidates": Matched(30, 15, 10, 0)})
    line = " ".join(" ".join(printed(two_runs_screen(compared))[:2]).split())
    assert line.startswith(
        "30 candidates of 15 documents in both runs, the same by id and text; left out: 10 candidate"
    )


def test_the_summary_has_no_number_that_json_lacks(runs: Runs) -> None:
    summary = json.loads(json.dumps(two_runs_summary(compare_runs(runs.strong, runs.weak)), allow_nan=False))
    assert summary["comparisons"] == len(summary["differences"]) + 1 == 6
    assert summary["flags"]["stated"]
    unbounded = [each for each in summary["differences"] if each["role"] == "non-members"]
    assert unbounded[0]["difference"]["low"] is None


def test_the_command_prints_a_screen_json_or_a_page_that_makes_no_request(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both, page = [str(runs.strong), str(runs.weak)], tmp_path / "comparison.html"
    assert main(["report", *both, "-o", str(page)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert (printed[0][:13], printed[-1]) == ("40 candidates", str(page))
    html = page.read_text()
    assert "the runs differ." in html
    assert "<script" not in html
    assert "default-src &#39;none&#39;" in html
    written = page.read_bytes()
    assert main(["report", *both, "-o", str(page), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["comparisons"] == 6
    assert page.read_bytes() == written
    assert main(["report", *both, "--details"]) == 0
    assert capsys.readouterr().out.startswith("What differs between the runs\n  target model\n")
    assert main(["report", both[0], "--json"]) == 2
    assert "--json belongs to two runs, and OTHER names no second" in capsys.readouterr().err
    assert main(["report", *both, "--extraction", both[0]]) == 2
    assert main(["report", *both, "-o", str(runs.strong / "audit.json")]) == 2
