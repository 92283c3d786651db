"""Pages and exhibits of tests of canaries and of pairs: what they show, what they hide, and how they are checked."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from llm_mia.backends.fake import FakeBackend
from llm_mia.canary import read_canary_test, read_paired, run_canary_test, run_paired_test
from llm_mia.cli import main
from llm_mia.errors import RunDirectoryError, UsageError
from llm_mia.report import write_exhibit, write_published_report, write_report
from llm_mia.report.exhibit import verify_exhibit

from .canary_folders import rephrased, seal
from .pages import audited_run
from .test_page import Elements

HOSTILE = "</script><img src=x onerror=alert(1)>"
NAMES = (HOSTILE, "=HYPERLINK(0)", "letters, 1931")


class Runs(NamedTuple):
    canary: Path
    paired: Path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """A test of canaries, and one of pairs with two placebos; in each a text is too short, and names are hostile."""
    folder = tmp_path_factory.mktemp("published")
    texts = dict(zip((*NAMES, *(f"letter-{at}" for at in range(9))), rephrased(12, 4).values(), strict=True))
    canaries = seal(folder / "canaries", {**texts, f"short {HOSTILE}": ("a", "bb bb", "cc cc", "dd dd")})
    run_canary_test(canaries, FakeBackend(0), FakeBackend(1), out=folder / "tested")
    rows = [
        {"document": name, "published": published, "withheld": withheld}
        for name, (published, withheld, *_) in texts.items()
    ]
    rows.append({"id": f"short {HOSTILE}", "document": "short", "published": "a", "withheld": "b"})
    file = folder / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run_paired_test(file, FakeBackend(0), FakeBackend(1), placebo=FakeBackend(2), out=folder / "paired")
    return Runs(folder / "tested", folder / "paired")


def page_of(run: Path, out: Path, *options: str) -> Elements:
    assert main(["report", str(run), "-o", str(out), *options]) == 0
    return Elements(out.read_text())


def texts_of(page: Elements) -> str:
    return re.sub(r"\s", " ", page.text)


def test_the_page_of_canaries_has_the_answer_first_and_every_fact(runs: Runs, tmp_path: Path) -> None:
    page, result = page_of(runs.canary, tmp_path / "page.html"), read_canary_test(runs.canary)
    text = texts_of(page)
    places = [
        "p-value, corrected for all tests",
        f"p = {result.corrected_p:.2g}",
        "Tests of these canaries so far",
        "Only that the choice was random",
        "Bars: the same sum for 20,000 other draws",
        "Its rank",
        "letter-8",
        "Left out",
        f"short {HOSTILE}",
        "A large p-value does not show absence",
        result.root,
        "llm-mia canary verify DIR --secret FILE",
        "llm-mia canary test DIR --secret FILE -m fake-0 -r fake-1 -a reference -o OUT",
        result.passes["target"].model.weights_sha256,
    ]
    answer, _, rest = text.partition("In numbers")
    assert (
        f"No finding: the model prefers the published variants no more than chance may (p = {result.corrected_p:.2g}"
        in answer
    )
    at = [rest.find(each) for each in places]
    assert min(at) >= 0, places[at.index(-1)]
    assert at == sorted(at)
    check_page(page)


def test_the_page_of_pairs_has_the_answer_first_and_every_fact(runs: Runs, tmp_path: Path) -> None:
    page, result = page_of(runs.paired, tmp_path / "page.html"), read_paired(runs.paired)
    text = texts_of(page)
    for each in (
        f"p = {result.test.p_value:.2g}, the largest of 2 placebos",
        "It rests on the placebo",
        "random signs",
        "llm-mia paired PAIRS -m fake-0 -r fake-1 --placebo fake-2 -o OUT",
        f"short {HOSTILE}",
    ):
        assert each in text, each
    assert text.index("No finding") < text.index("In numbers") < text.index("What is assumed")
    check_page(page)


def check_page(page: Elements) -> None:
    """Refuse a page that requests or runs anything, or has an element that a name brought in."""
    assert page.open == []
    tags = [tag for tag, _ in page.elements]
    assert not {"img", "script"} & set(tags)
    assert (tags.count("svg"), tags.count("h1")) == (1, 1)
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert all(link.startswith("#") for link in page.attributes("href"))
    assert page.attributes("style") == []
    ids = page.attributes("id")
    assert len(set(ids)) == len(ids)
    assert {link[1:] for link in page.attributes("href")} <= set(ids)


def test_a_redacted_page_and_exhibit_name_no_document(runs: Runs, tmp_path: Path) -> None:
    for run in runs:
        text = texts_of(page_of(run, tmp_path / "page.html", "--redact"))
        assert "names no document" in text
        assert "document 1" in text
        shown = [text]
        folder = write_exhibit(run, tmp_path / f"exhibit of {run.name}", redact=True)
        shown += [path.read_text(encoding="utf-8-sig") for path in folder.iterdir()]
        for each in shown:
            assert not any(name in each for name in (*NAMES, "letter-1", "onerror"))
        assert "Documents are named by numbers" in " ".join((folder / "README.txt").read_text().split())


def test_the_same_run_gives_the_same_bytes_and_both_tests_may_lie_in_a_folder(runs: Runs, tmp_path: Path) -> None:
    both = tmp_path / "both"
    shutil.copytree(runs.canary, both)
    shutil.copy(runs.paired / "paired.json", both)
    first = write_published_report(both).read_bytes()
    assert write_published_report(both).read_bytes() == first
    page = Elements(first.decode())
    assert [tag for tag, _ in page.elements].count("svg") == 2
    assert {"answer", "canary", "paired"} <= set(page.attributes("id"))
    exhibit = write_exhibit(both, tmp_path / "exhibit")
    assert {"canary.csv", "paired.csv"} < {path.name for path in exhibit.iterdir()}
    with pytest.raises(RunDirectoryError, match=r"holds no canary\.json and no paired\.json"):
        write_published_report(tmp_path)


def test_the_page_and_the_exhibit_of_an_audit_show_the_tests_of_its_folder(runs: Runs, tmp_path: Path) -> None:
    texts = {f"plain-{at}": versions[0] for at, versions in enumerate(rephrased(12, 2, seed=3).values())}
    run = audited_run(tmp_path / "run", texts)
    before = write_report(run).read_text()
    assert 'href="#canary"' not in before
    for source in (runs.canary / "canary.json", runs.paired / "paired.json"):
        shutil.copy(source, run)
    page = Elements(write_report(run).read_text())
    assert {"#canary", "#paired"} <= set(page.attributes("href"))
    assert read_canary_test(run).root in page.text
    assert HOSTILE in page.text
    assert HOSTILE not in Elements(write_report(run, redact=True).read_text()).text
    exhibit = write_exhibit(run, tmp_path / "exhibit")
    assert {"finding.html", "published.html", "canary.csv", "works.csv"} < {path.name for path in exhibit.iterdir()}
    assert verify_exhibit(exhibit, run=run).intact


def test_an_exhibit_has_the_facts_and_what_the_other_side_checks_them_by(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = read_canary_test(runs.canary)
    assert main(["exhibit", str(runs.canary), "-o", str(tmp_path / "exhibit")]) == 0
    finding = Elements((tmp_path / "exhibit" / "finding.html").read_text())
    check_exhibit_page(finding)
    for each in (
        result.root,
        "drand 4791",
        "llm-mia canary verify DIR --secret FILE",
        "What would overturn it",
        result.passes["target"].model.weights_sha256,
        "What this does not show",
    ):
        assert each in finding.text, each
    rows = list(csv.DictReader(io.StringIO((tmp_path / "exhibit" / "canary.csv").read_text("utf-8-sig"))))
    assert [float(row["Difference in spreads"]) for row in rows[:-1]] == [row.difference for row in result.rows]
    assert rows[-1]["Left out"]
    assert rows[1]["Document"] == "'=HYPERLINK(0)"
    verified = verify_exhibit(tmp_path / "exhibit", run=runs.canary)
    assert verified.intact
    assert "canary.json" in verified.manifest.run
    capsys.readouterr()
    defence = write_exhibit(runs.paired, tmp_path / "defence", side="defence")
    text = Elements((defence / "finding.html").read_text()).text
    assert text.index("What was not found") < text.index("What the search gave")
    # Whoever changes a result is noticed.
    (tmp_path / "copy").mkdir()
    shutil.copytree(runs.canary, tmp_path / "copy" / "run")
    with (tmp_path / "copy" / "run" / "canary.json").open("a") as file:
        file.write(" ")
    assert not verify_exhibit(tmp_path / "exhibit", run=tmp_path / "copy" / "run").intact


def check_exhibit_page(page: Elements) -> None:
    assert not {"img", "script", "svg"} & {tag for tag, _ in page.elements}
    assert page.attributes("href") == page.attributes("src") == []


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["report", "{run}", "--extraction", "{run}"], "--extraction belongs to the page of an audit"),
        (["report", "{run}", "--figures"], "--figures belongs to an audit: the test has left its figure in"),
        (["report", "{run}", "--details"], "--details belongs to two runs"),
        (["report", "{run}", "-o", "{run}/canary.json"], "belongs to the run in this folder"),
        (["exhibit", "{run}", "-o", "{run}/x", "--extraction", "{run}"], "--extraction belongs to an audit"),
    ],
)
def test_options_that_belong_to_audits_are_refused(
    command: list[str], why: str, runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (runs.canary / "canary.json").read_bytes()
    assert main([each.replace("{run}", str(runs.canary)) for each in command]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert why in line
    assert (runs.canary / "canary.json").read_bytes() == before
    with pytest.raises(UsageError, match="belongs to an audit"):
        write_exhibit(runs.canary, tmp_path / "exhibit", extraction=runs.canary)


def test_the_screens_fit_whatever_the_path_and_the_number_of_tests(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / ("long " * 12) / ("path " * 9)
    shutil.copytree(runs.canary, folder)
    name = folder / "canary.json"
    record: dict[str, Any] = json.loads(name.read_text())
    record |= {"tests": 12_345, "beacon": "8f3a60c1d2" * 4, "beacon_source": "the randomness of drand round 4791000"}
    name.write_text(json.dumps(record))
    check_screen(folder, capsys)
    shutil.copy(runs.paired / "paired.json", folder)
    name.unlink()
    check_screen(folder, capsys)


def check_screen(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 15, "\n".join(lines)
    assert max(map(len, lines)) <= 80
