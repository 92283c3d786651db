"""report.html: what it shows, that it shows every name as text, and that it makes no request."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import pytest

from llm_mia.auditing import read_audit
from llm_mia.cli import main
from llm_mia.errors import RunDirectoryError
from llm_mia.records import Standing
from llm_mia.report import read_results
from llm_mia.report.html import report_html, write_report

from .conftest import pretend, sentences

HOSTILE = "</script><img src=x onerror=alert(1)>"
FILE_NAME = "<img src=x onerror=alert(2)>.jsonl"
NO_CLOSING = {"meta", "input", "img", "br", "link", "hr"}


class Run(NamedTuple):
    folder: Path
    arguments: list[str]


class Elements(HTMLParser):
    """The elements of a page with their attributes, its text, and the content of its style sheets and scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.sheets, self.inside = "", dict[str, str](), ""
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inside = ""
        if tag in ("style", "script"):  # a script with a type is data, which no browser runs
            self.inside = "data" if "type" in dict(attrs) else tag
        if tag not in NO_CLOSING:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.sheets[self.inside] = self.sheets.get(self.inside, "") + data
        else:
            self.text += data

    def attributes(self, name: str) -> list[str]:
        return [str(attributes[name]) for _, attributes in self.elements if name in attributes]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An audit by the command line, whose passages, documents and files have hostile names."""
    folder = tmp_path_factory.mktemp("page")
    texts = sentences(180, seed=40)
    # Members that non-members repeat are a fault of the known set, whose sentence names the passages.
    repeated = [" ".join(texts[first : first + 3]) for first in range(0, 36, 3)]
    known = {"members": repeated, "nonmembers": [*texts[40:140], *(f"{text} Again." for text in repeated)]}
    sets = {**known, FILE_NAME: [*texts[140:], HOSTILE * 3]}
    for name, passages in sets.items():
        rows = [
            {
                "text": text,
                "id": f"{name}-{number}{HOSTILE}",
                "document": f"{name} {number} {HOSTILE}",
                "source": HOSTILE,
            }
            for number, text in enumerate(passages)
        ]
        path = folder / (name if name == FILE_NAME else f"{name}.jsonl")
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    arguments = ["audit", str(folder / FILE_NAME), "--members", str(folder / "members.jsonl")]
    arguments += ["--nonmembers", str(folder / "nonmembers.jsonl"), "-m", "a<b>&", "--stand-in", "none", "-q"]
    arguments += ["-a", "min_k", "-a", "loss", "-o", str(folder / "run"), "--accept-void"]
    with pytest.MonkeyPatch.context() as patch:
        pretend(patch)
        patch.setattr("llm_mia.report.write_report", write_report)
        assert main(arguments) == 0
    return Run(folder / "run", arguments)


@pytest.fixture(scope="module")
def html(run: Run) -> str:
    return (run.folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html: str) -> Elements:
    return Elements(html)


def test_the_same_run_gives_the_same_bytes(
    run: Run, html: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llm_mia.report.write_report", write_report)
        assert main(["report", str(run.folder), "-o", str(tmp_path / "again.html")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'again.html'}\n"
    assert (tmp_path / "again.html").read_bytes() == html.encode()


def test_hostile_names_are_text(page: Elements) -> None:
    assert HOSTILE in page.text
    assert FILE_NAME in page.text
    assert "a<b>&" in page.text
    assert page.open == []
    assert "img" not in {tag for tag, _ in page.elements}
    assert [name for _, attributes in page.elements for name in attributes if name.startswith("on")] == []


def test_the_policy_names_the_style_and_the_script_and_nothing_else(page: Elements) -> None:
    (policy,) = [str(attributes["content"]) for _, attributes in page.elements if "http-equiv" in attributes]
    digests = {
        name: base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        for name, content in page.sheets.items()
    }
    assert policy.split("; ") == [
        "default-src 'none'",
        f"script-src 'sha256-{digests['script']}'",
        f"style-src 'sha256-{digests['style']}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert page.attributes("style") == []


def test_links_go_to_anchors_of_the_page_or_wait_for_a_click(page: Elements) -> None:
    ids = page.attributes("id")
    assert len(set(ids)) == len(ids)
    links = [attributes for tag, attributes in page.elements if tag == "a"]
    anchors = {str(link["href"])[1:] for link in links if str(link["href"]).startswith("#")}
    assert {"answer", "trust", "method"} <= anchors <= set(ids)
    outside = [link for link in links if not str(link["href"]).startswith("#")]
    assert len(outside) == 7
    assert all(str(link["href"]).startswith("https://") and "noreferrer" in str(link["rel"]) for link in outside)
    assert page.attributes("src") == []


def test_every_check_is_there_and_faults_come_first(run: Run, page: Elements, html: str) -> None:
    checks = read_audit(run.folder).validity.checks
    assert set(re.findall(r"<code>([^<]*)</code>", html)) >= {check.name for check in checks}
    faults = [check for check in checks if check.is_fault]
    assert faults
    before, _, after = page.text.partition("Every check")
    for check in faults:
        assert check.name in before
        assert check.remedy in before
        assert check.name in after


def test_a_withheld_finding_is_withheld_below_the_checks_too(run: Run, page: Elements) -> None:
    results = read_results(run.folder)
    assert results.audit.standing is Standing.ACCEPTED
    flags = replace(results.audit.flags, standing=Standing.VOID)
    withheld = Elements(report_html(replace(results, audit=replace(results.audit, accepted=False, flags=flags))))
    warning = "no conclusion may rest on them"
    assert warning in withheld.text
    assert warning not in page.text
    assert "No answer is given" in withheld.text


def test_the_command_that_was_typed_is_there_and_the_record_without_it_says_so(run: Run, page: Elements) -> None:
    assert read_audit(run.folder).command == tuple(run.arguments)
    assert "--accept-void" in page.text
    assert f"'{run.folder.parent / FILE_NAME}'" in page.text
    assert "Put together from the record" not in page.text


def test_digests_of_models_and_inputs_are_there(run: Run, page: Elements) -> None:
    record = json.loads((run.folder / "run.json").read_text(encoding="utf-8"))
    for source in record["inputs"]:
        assert source["sha256"] in page.text
    for made in record["passes"].values():
        assert made["model"]["weights_sha256"] in page.text


def test_a_report_that_fails_leaves_the_audit(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> None:
        raise RunDirectoryError("report.html: cannot be written (no space)")

    arguments = [*run.arguments[:-3], "-o", str(tmp_path / "run")]
    with pytest.MonkeyPatch.context() as patch:
        pretend(patch)
        patch.setattr("llm_mia.report.write_report", fail)
        assert main(arguments) == 1
        assert capsys.readouterr().err == "llm-mia: report.html: cannot be written (no space)\n"
        first = read_audit(tmp_path / "run")
        (tmp_path / "run" / "report.html").write_text("of an earlier audit", encoding="utf-8")
        main([*arguments, "--no-report"])
    assert not (tmp_path / "run" / "report.html").exists(), "a page beside another audit would contradict it"
    assert read_audit(tmp_path / "run") == first


def test_a_page_replaces_only_a_page(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = run.folder.parent / FILE_NAME
    part = next((run.folder / "signals").glob("*/part-*.parquet"))
    for path, problem in (
        (texts, "is no page, and would be replaced by one"),
        (part, "is among the signals of a run"),
        (run.folder / "texts.parquet", "belongs to the audit in this folder"),
    ):
        before = path.read_bytes()
        assert main(["report", str(run.folder), "-o", str(path)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"llm-mia: {path}: {problem}")
        assert "--out" in line
        assert path.read_bytes() == before
    page = tmp_path / "page.html"
    page.write_text("<!DOCTYPE html>an older page", encoding="utf-8")
    assert main(["report", str(run.folder), "-o", str(page)]) == 0
    itself = ["report", str(run.folder), str(run.folder), "-o", str(run.folder / "report.html")]
    assert main(itself) == 2, "a comparison is not the page of a single run"


def test_a_folder_without_an_audit_has_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path / "nowhere")]) == 1
    assert "no such folder" in capsys.readouterr().err
    with pytest.raises(RunDirectoryError, match="no such file"):
        write_report(tmp_path)
