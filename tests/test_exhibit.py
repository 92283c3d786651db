"""An exhibit is complete, the same for the same run, refused where it would harm, and every change of it is noticed."""

from __future__ import annotations

import csv
import hashlib
import html
import io
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_mia import audit, extract
from llm_mia.auditing import Audit, read_audit
from llm_mia.backends.fake import FakeBackend
from llm_mia.cli import main
from llm_mia.decision import Finding, FindingTest, rank_documents
from llm_mia.errors import InputError, RunDirectoryError, UsageError
from llm_mia.extraction import Extraction, Proof
from llm_mia.records import Interval, Standing
from llm_mia.report import words
from llm_mia.report.exhibit import Part, Side, State, verify_exhibit, write_exhibit
from llm_mia.store import to_json

from .conftest import sentences, spans_of_bytes

HOSTILE = [
    "=HYPERLINK(0)",
    'a, "b"\nc',
    "</script><img src=x onerror=alert(1)>",
    "../../etc/passwd",
    "'tis",
    "long " * 60,
    "[red]x[/]",
    "\tτ𝔭",
]
SECRET = "Quokka"


class Bytes(FakeBackend):
    """The bigram model as a tokenizer, too: each byte is a token."""

    vocabulary = 257

    def __init__(self) -> None:
        super().__init__(0)
        self.fingerprint = self.info.tokenizer

    def spans(self, text: str) -> NDArray[np.int64]:
        return spans_of_bytes(text)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with an audit and an extraction; its documents have the names that harm most."""
    folder = tmp_path_factory.mktemp("exhibit")
    texts = [f"{SECRET}{i} {text}" for i, text in enumerate(sentences(120, seed=5, longest=12))]
    candidates = [
        {"id": f"c{i}", "text": text, "document": HOSTILE[i % len(HOSTILE)], "source": "@press" if i % 8 < 2 else "b"}
        for i, text in enumerate(texts[:16])
    ]
    known = [{"id": f"n{i}", "text": text, "document": f"n{i}"} for i, text in enumerate(texts[16:80])]

    def write(name: str, rows: list[dict[str, Any]]) -> str:
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(folder / name)

    named = write("candidates.jsonl", candidates)
    audit(
        named,
        nonmembers=write("non-members.jsonl", known),
        members=write("members.jsonl", [{"text": text} for text in texts[80:]]),
        target=Bytes(),
        reference=FakeBackend(1),
        attacks=["min_k", "reference"],
        accept_void=True,
        out=folder / "run",
    )
    extraction = extract(
        write("all.jsonl", [*candidates, *({**row, "label": 0} for row in known[:20])]),
        Bytes(),
        out=folder / "extraction",
        stretch=3,
        probability=1e-7,
    )
    assert extraction.spans
    _with_proof(extraction)
    return folder / "run"


def _with_proof(extraction: Extraction) -> None:
    """Write the extraction again as if the model had been run to prove its first span; these models write no text."""
    span = extraction.spans[0]
    proof = Proof(
        id=span.id, start_token=span.likeliest.start_token, tokens=3, bytes=3, prompt_tokens=2, probability=0.25,
        greedy=False, greedy_tokens=1, greedy_bytes=1, samples=20, matched=4, matched_bytes=4,
        share=Interval(0.2, 0.06, 0.44), prompt="", output="", original="",
    )  # fmt: skip
    bare = replace(extraction, path=Path(), spans=[replace(span, text="") for span in extraction.spans], proofs=[proof])
    (extraction.path / "extraction.json").write_text(to_json(bare))
    titles = ["id", "start_token", "tokens", "prompt_tokens", "greedy_tokens", "greedy_bytes", "samples", "matched"]
    with (extraction.path / "proofs.csv").open("w", newline="") as file:
        texts = ["prompt", "output", "original"]
        rows = [
            [*titles, *texts],
            [*(getattr(proof, name) for name in titles), *(f"<b>{SECRET} {name}" for name in texts)],
        ]
        csv.writer(file, lineterminator="\n").writerows(rows)


@pytest.fixture
def exhibit(run: Path, tmp_path: Path) -> Path:
    return write_exhibit(run, tmp_path / "exhibit", extraction=run.parent / "extraction")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def text_of(page: str) -> str:
    """What a reader of the page sees."""
    body = re.sub(r"<head>.*?</head>", "", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]*>", " ", body))


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))


def test_an_exhibit_is_complete_and_any_computer_can_check_it(exhibit: Path) -> None:
    names = set(contents(exhibit))
    assert {"finding.html", "works.csv", "controls.csv", "controls.html", "README.txt", "manifest.json"} < names
    assert {"spans/spans.csv", "spans/spans-001.html", "spans/controls-001.html"} < names
    assert all(re.fullmatch(r"(spans/)?[A-Za-z0-9-]+(\.[a-z]+)?", name) for name in names), "no name from the input"
    assert verify_exhibit(exhibit).intact
    lines = (exhibit / "SHA256SUMS").read_text().splitlines()
    listed = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    assert listed == {n: hashlib.sha256(b).hexdigest() for n, b in contents(exhibit).items() if n != "SHA256SUMS"}
    program = shutil.which("sha256sum")
    if program is not None:
        subprocess.run([program, "--strict", "--quiet", "-c", "SHA256SUMS"], cwd=exhibit, check=True)


def test_the_same_run_gives_the_same_bytes_wherever_it_lies(
    run: Path, exhibit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(run, moved / "run")
    shutil.copytree(run.parent / "extraction", moved / "other")
    monkeypatch.chdir(moved)
    monkeypatch.setenv("LLM_MIA_CACHE", str(moved / "cache"))
    again = write_exhibit("run", "again", extraction="other")
    assert contents(again) == contents(exhibit)


def test_a_single_changed_byte_is_found_in_every_file(exhibit: Path) -> None:
    for name, content in contents(exhibit).items():
        for at in {0, len(content) // 2, len(content) - 1}:
            changed = bytes([*content[:at], content[at] ^ 1, *content[at + 1 :]])
            (exhibit / name).write_bytes(changed)
            try:
                checked = verify_exhibit(exhibit)
            except InputError:  # a manifest that is no longer JSON
                assert name == "manifest.json"
            else:
                (found,) = checked.differences
                assert name in found.name.split(", "), f"{name}: byte {at}"
                assert found.state is State.CHANGED
        (exhibit / name).write_bytes(content)
    assert verify_exhibit(exhibit).intact


def test_missing_and_added_files_and_links_are_found(exhibit: Path) -> None:
    kept = (exhibit / "works.csv").read_bytes()
    (exhibit / "works.csv").unlink()
    (exhibit / "spans" / "more.html").write_text("x")
    states = {each.name: each.state for each in verify_exhibit(exhibit).differences}
    assert states == {"works.csv": State.MISSING, "spans/more.html": State.ADDED}
    (exhibit / "spans" / "more.html").unlink()
    outside = exhibit.parent / "outside.csv"
    outside.write_bytes(kept)
    (exhibit / "works.csv").symlink_to(outside)
    states = {each.name: each.state for each in verify_exhibit(exhibit).differences}
    assert states == {"works.csv": State.CHANGED}, "whoever has the other file can change it"


def test_only_the_digest_of_the_manifest_shows_that_everything_was_written_anew(run: Path, exhibit: Path) -> None:
    noted = verify_exhibit(exhibit).manifest_sha256
    assert verify_exhibit(exhibit, manifest_sha256=noted.upper() + "\n").intact
    write_exhibit(run, exhibit, side="defence")
    assert verify_exhibit(exhibit).intact
    assert not verify_exhibit(exhibit, manifest_sha256=noted).intact


def test_the_run_and_its_inputs_are_compared_where_they_still_are(run: Path, exhibit: Path, tmp_path: Path) -> None:
    parts = Counter((each.part, each.state) for each in verify_exhibit(exhibit, run=run).files)
    assert parts[Part.INPUT, State.SAME] == 3
    assert {part for part, state in parts if state is not State.SAME} == set()
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    with (copy / "decisions.jsonl").open("a") as file:
        file.write("{}\n")
    (copy / "flags.csv").write_text("id\n")
    (part,) = (copy / "signals" / "reference").glob("part-*")
    part.unlink()
    differing = {each.name: each.state for each in verify_exhibit(exhibit, run=copy).differences}
    assert differing == {
        "decisions.jsonl": State.GROWN,
        "flags.csv": State.CHANGED,
        part.relative_to(copy).as_posix(): State.MISSING,
    }


@pytest.mark.parametrize(
    ("entry", "value", "problem"),
    [
        ("files", {"../../etc/passwd": {"sha256": "0" * 64, "bytes": 1}}, "is no path in the folder"),
        ("files", {"/etc/passwd": {"sha256": "0" * 64, "bytes": 1}}, "is no path in the folder"),
        ("files", {"works.csv": {"sha256": "no digest", "bytes": 1}}, "has no SHA-256"),
        ("files", [], "is damaged"),
        ("inputs", [{}], "is damaged"),
        ("schema_version", 2, "this release reads 1"),
        ("kind", "cake", "not the manifest of an exhibit"),
    ],
)
def test_a_manifest_that_misleads_is_refused(exhibit: Path, entry: str, value: object, problem: str) -> None:
    manifest = json.loads((exhibit / "manifest.json").read_text())
    (exhibit / "manifest.json").write_text(json.dumps({**manifest, entry: value}))
    with pytest.raises(InputError, match=problem):
        verify_exhibit(exhibit)


def test_works_are_those_of_the_flags_and_no_cell_is_a_formula(run: Path, exhibit: Path) -> None:
    done = read_audit(run)
    works = rows_of(exhibit / "works.csv")
    assert sorted(row["document"].removeprefix("'") for row in works) == sorted(HOSTILE)
    assert sum(int(row["flagged"]) for row in works) == done.flags.flagged
    assert sum(int(row["passages"]) for row in works) == len(done.flags.rows)
    assert {row["source"] for row in works} == {"'@press", "b"}
    assert {row["known_set"] for row in works} == {str(done.standing)}
    expected = {each.name: each.p_value for each in rank_documents(done.scores, done.calibration).documents}
    for row in works:
        p_value = expected[row["document"].removeprefix("'")]
        assert row["p"] == ("" if p_value is None else str(p_value))
        assert bool(row["why_no_p"]) == (p_value is None)
    for table in exhibit.rglob("*.csv"):
        with table.open(encoding="utf-8-sig", newline="") as file:
            for cell in (cell for row in csv.reader(file) for cell in row):
                number = re.fullmatch(r"-?[\d.]+(e-?\d+)?", cell)
                assert number or not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")), f"{table}: {cell!r}"


def test_pages_show_hostile_names_as_text_and_allow_no_script(exhibit: Path) -> None:
    pages = {path: path.read_text() for path in exhibit.rglob("*.html")}
    for path, page in pages.items():
        assert "<script" not in page, path
        assert "<img" not in page, path
        (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
        assert html.unescape(policy).startswith("default-src 'none'; style-src 'sha256-")
        assert not re.search(r"""\b(?:src|href)=|url\(|@import|\bstyle=|\bon\w+=["']""", re.sub(r">[^<]*<", "><", page))
    shown = text_of(pages[exhibit / "spans" / "spans-001.html"])
    assert "</script><img src=x onerror=alert(1)>" in shown
    assert f"<b>{SECRET} output" in shown


def test_prompt_output_and_original_are_side_by_side(exhibit: Path) -> None:
    first = rows_of(exhibit / "spans" / "spans.csv")[0]
    assert [first[name] for name in ("prompt", "output", "original")] == [
        f"<b>{SECRET} {name}" for name in ("prompt", "output", "original")
    ]
    assert (first["samples"], first["samples_that_match"], first["greedy_writes_it"]) == ("20", "4", "false")
    controls = text_of((exhibit / "spans" / "controls-001.html").read_text())
    assert "(known non-member)" in controls
    assert "(known non-member)" not in text_of((exhibit / "spans" / "spans-001.html").read_text())


def test_a_redacted_exhibit_holds_no_word_of_a_text(run: Path, exhibit: Path, tmp_path: Path) -> None:
    assert any(SECRET in content.decode() for content in contents(exhibit).values()), "or the test cannot fail"
    redacted = write_exhibit(run, tmp_path / "redacted", extraction=run.parent / "extraction", redact=True)
    for name, content in contents(redacted).items():
        assert SECRET not in content.decode(), name
    assert "text" not in rows_of(redacted / "spans" / "spans.csv")[0]
    assert json.loads((redacted / "manifest.json").read_text())["redacted"] is True
    assert "No file holds a text or a token of a passage." in (redacted / "README.txt").read_text()


FINDING = Finding(
    chance=0.0004, level=0.05, test=FindingTest.COUNT, flagged=9, candidates=16, nonmembers=64, level_share=0.9, least=4
)


def audits_of(done: Audit) -> dict[str, Audit]:
    """The audit as if it had come out otherwise."""
    power = Interval(0.7, 0.55, 0.82)
    sound = replace(done.validity, standing=Standing.SOUND)
    found = replace(
        done,
        validity=sound,
        accepted=False,
        power=power,
        flags=replace(done.flags, finding=FINDING, standing=Standing.SOUND),
    )
    nothing = replace(found, flags=replace(found.flags, finding=replace(FINDING, chance=0.4)))
    void = replace(done, accepted=False, flags=replace(done.flags, standing=Standing.VOID))
    return {
        "a finding": found,
        "no finding": nothing,
        "no finding, no members": replace(nothing, power=None, evaluations=[], confidence_gap=None),
        "withheld": void,
        "as it was": done,
    }


@pytest.mark.parametrize("case", ["a finding", "no finding", "no finding, no members", "withheld", "as it was"])
def test_both_sides_get_the_same_sentences_and_none_claims_more_than_was_measured(run: Path, case: str) -> None:
    done = audits_of(read_audit(run))[case]
    answer = words.answer_of(done)
    told: dict[Side, list[str]] = {}
    for side in Side:
        sections = words.exhibit_sections(done, answer, side)
        told[side] = [
            sentence
            for section in sections
            for sentence in (*section.paragraphs, *section.points, *(f"{n}: {text}" for n, text in section.facts))
        ]
        everything = " ".join(told[side])
        claims = everything.replace("That does not show that the model was not trained on them.", "")
        assert not re.search(r"\bproves?\b|\bare members\b|\bwas not trained on (?:any|them)\.", claims)
    assert sorted(told[Side.CLAIMANT]) == sorted(told[Side.DEFENCE]), "so every figure, too"
    everything = " ".join(told[Side.DEFENCE])
    measured = done.power is not None and not done.withheld
    assert ("100 passages (95\N{NO-BREAK SPACE}% interval 55–82) are flagged" in everything) == (
        measured and done.power == Interval(0.7, 0.55, 0.82)
    )
    assert ("carries no weight in either direction" in everything) == (done.power is None)
    titles = [section.title for section in words.exhibit_sections(done, answer, Side.DEFENCE)]
    first = "What the search gave" if done.flags.significant else "What was not found"
    assert titles[:2] == ["What was looked for", first], "a finding is never below what was not found"


def test_a_withheld_finding_is_the_first_line(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    void = audits_of(read_audit(copy))["withheld"]
    (copy / "audit.json").write_text(to_json(replace(void, path=Path())))
    for side in Side:
        page = text_of((write_exhibit(copy, tmp_path / "out", side=side) / "finding.html").read_text())
        assert page.split()[:5] == ["No", "finding", "is", "stated.", "No"], page[:200]


def test_a_folder_with_anything_else_is_refused(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds files and is no exhibit"):
        write_exhibit(run, other)
    for inside in (run, run.parent):
        with pytest.raises(UsageError, match="is or holds the run directory"):
            write_exhibit(run, inside)
    done = write_exhibit(run, tmp_path / "done")
    (done / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"notes\.txt, which is no part of it"):
        write_exhibit(run, done)
    with pytest.raises(UsageError, match="none of claimant, defence"):
        write_exhibit(run, tmp_path / "new", side="both")
    with pytest.raises(RunDirectoryError):
        write_exhibit(tmp_path, tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["done", "other"]


def test_the_folder_that_the_command_runs_in_is_refused(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for out in (Path(), tmp_path):
        with pytest.raises(UsageError, match="the folder that this command runs in"):
            write_exhibit(run, out)
    assert not any(tmp_path.iterdir())


def test_a_full_disk_leaves_the_exhibit_before_it(run: Path, exhibit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, calls = contents(exhibit), []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunDirectoryError, match="No space left on device"):
        write_exhibit(run, exhibit)
    assert contents(exhibit) == before
    assert [path.name for path in exhibit.parent.iterdir()] == ["exhibit"]


def test_the_command_writes_checks_and_says_what_differs(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "exhibit"

    def command(*arguments: str | Path) -> tuple[int, str, str]:
        code = main(["exhibit", *map(str, arguments)])
        return (code, *capsys.readouterr())

    code, shown, _ = command(run, "-o", out, "--for", "defence")
    digest = hashlib.sha256((out / "manifest.json").read_bytes()).hexdigest()
    assert code == 0
    assert digest in shown
    assert "Worded for the defence" in text_of((out / "finding.html").read_text())
    assert command("--verify", out, "--digest", digest)[0] == 0
    code, shown, _ = command(run, "--verify", out, "--json")
    assert (code, json.loads(shown)["intact"]) == (0, True)
    with (out / "works.csv").open("a") as file:
        file.write("x")
    code, shown, _ = command("--verify", out)
    assert code == 1
    assert shown.startswith("This is not what was written.")
    assert "  works.csv  changed\n" in shown
    (out / "a\x1b[2J\nNothing differs from what was written.").touch()
    _, shown, _ = command("--verify", out)
    assert "  'a\\x1b[2J\\nNothing differs from what was written.'  added" in shown, "a name cannot pose as the result"
    assert command("--verify", out, "--digest", "0")[0] == 1
    for wrong in ([run], ["-o", out], ["--verify", out, "-o", out], [run, "-o", out, "--digest", digest]):
        code, _, problem = command(*wrong)
        assert (code, problem.count("\n")) == (2, 1), problem
    assert command("--verify", tmp_path)[::2] == (
        1,
        f"llm-mia: {tmp_path}: holds no manifest.json, so it is no exhibit: name the folder of an exhibit that "
        "'llm-mia exhibit' wrote\n",
    )


@pytest.fixture
def node_modules() -> Path:
    folder = os.environ.get("LLM_MIA_NODE_MODULES", "")
    if not folder or not shutil.which("node"):
        pytest.skip("LLM_MIA_NODE_MODULES names no folder with npm packages, or there is no node")
    return Path(folder)


def _exhibit_of(run: Path, folder: Path, done: Audit) -> Path:
    """An exhibit of the run as if its audit had come out as *done*."""
    shutil.copytree(run, folder / "run")
    (folder / "run" / "audit.json").write_text(to_json(replace(done, path=Path())))
    return write_exhibit(folder / "run", folder / "out", extraction=run.parent / "extraction", side="defence")


@pytest.mark.browser
def test_pages_are_valid_accessible_and_load_nothing_and_the_finding_prints_on_a_page(
    run: Path, tmp_path: Path, node_modules: Path
) -> None:
    """In Chromium; html-validate and axe-core are npm packages."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if browser_path is None:
        pytest.skip("no Chromium")
    folders = [write_exhibit(run, tmp_path / side, extraction=run.parent / "extraction", side=side) for side in Side]
    folders += [
        _exhibit_of(run, tmp_path / f"case {i}", done) for i, done in enumerate(audits_of(read_audit(run)).values())
    ]
    pages = [path for folder in folders for path in sorted(folder.rglob("*.html"))]
    validate = node_modules / "html-validate" / "bin" / "html-validate.mjs"
    if validate.exists():
        done = subprocess.run(["node", validate, *pages], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stdout
    axe = (node_modules / "axe-core" / "axe.min.js").read_text()
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        for path in pages:
            context = browser.new_context(bypass_csp=True)  # for axe alone: the next page keeps its policy
            page = context.new_page()
            page.goto(path.as_uri())
            page.evaluate(axe)
            found = page.evaluate("axe.run()")["violations"]
            assert not [each["id"] for each in found if each["impact"] in ("serious", "critical")], path
            context.close()
            page = browser.new_page()
            problems: list[str] = []
            loaded: list[str] = []
            page.on("console", lambda message, problems=problems: problems.append(message.text))
            page.on("request", lambda request, loaded=loaded: loaded.append(request.url))
            page.goto(path.as_uri())
            assert (problems, loaded) == ([], [path.as_uri()])
            if path.name == "finding.html":
                printed = page.pdf(format="A4", prefer_css_page_size=True)
                assert len(re.findall(rb"/Type\s*/Page[^s]", printed)) == 1
            page.close()
        browser.close()
