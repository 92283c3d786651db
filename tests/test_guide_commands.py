"""Every command that the README and the guides print is run: on small files, by two small models, in their order."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from llm_mia.cli import main
from llm_mia.report.html import write_report

from .conftest import sentences
from .monitored_logs import benign_queries, write_log

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "llm_mia" / "guides").glob("*.md"))]
NOT_RUN = {"demo"}
"""Commands that need no input and take minutes: their tests are others."""
ON_A_CLUSTER = "--on"
"""An option whose commands are not run: they start a cluster, as tests/test_ray.py does."""
MODELS = {
    "MODEL": "model",
    "REFERENCE": "base",
    "OTHER": "base-2",
    "BASE": "base",
    "HuggingFaceTB/SmolLM2-135M": "model",
    "./reference-model": "base",
    "openai:NAME@http://127.0.0.1:8000/v1": "model",
}
"""What the pages call a model, and the folder of a small one."""
AFTER_AN_AUDIT = ("report", "show", "exhibit")
TAKEN_FOR_GRANTED = {"run/": "model", "before/": "model", "after/": "base-2"}
"""Run directories of audits that these commands may name before a page shows how they come about, and the target."""
WITHHELD = {"audit", "validate", "flag", "collection", "report"}
"""Commands that end with 4 where a known set as small as these can carry no finding."""


def printed_commands(text: str) -> list[list[list[str]]]:
    """By section of *text*, the words after ``llm-mia`` of each command that has a line.

    A line with brackets or an ellipsis shows which options there are, and is no command.
    """
    sections = re.split(r"^#+ ", re.sub(r"\\\n\s*", " ", text), flags=re.MULTILINE)
    lines = [
        re.findall(r"^(?: {4}|(?=llm-mia))(?:\$ )?llm-mia ([^\[\]…\n]*)$", each, re.MULTILINE) for each in sections
    ]
    commands = [[shlex.split(line, comments=True) for line in of_section] for of_section in lines]
    return [
        [words for words in of_section if words[0] not in NOT_RUN and ON_A_CLUSTER not in words]
        for of_section in commands
        if of_section
    ]


def test_commands_are_seen_as_they_are_printed() -> None:
    text = "Use\n\n    llm-mia audit a \\\n        -m MODEL  # so\n    llm-mia show run/ [--json]\n\n"
    text += "## Then\n\n```sh\nllm-mia show run/\n```\n"
    assert printed_commands(text) == [[["audit", "a", "-m", "MODEL"]], [["show", "run/"]]]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, tiny: str, tiny_reference: str, tiny_bos: str) -> Path:
    """A folder with everything that the pages name."""
    folder = tmp_path_factory.mktemp("guides")
    # Of like length, so that a band of lengths holds enough non-members.
    texts = iter([text for text in sentences(2000, seed=80, longest=20) if 64 <= len(text.encode()) < 128])

    def rows(name: str, count: int, label: int | None = None) -> list[dict[str, object]]:
        marks = {} if label is None else {"label": label}
        return [{"id": f"{name}-{at}", "text": next(texts), **marks} for at in range(count)]

    files = {
        "known": rows("known", 20),
        "heldout": rows("heldout", 40),
        "candidates": rows("candidates", 20),
        "passages": [*rows("m", 20, 1), *rows("n", 40, 0), *rows("c", 20)],
        "shots": [{"text": "The river bends.", "label": 0}],  # the models read 64 tokens at once
        "others": rows("others", 10),
    }
    for name, lines in files.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    pairs = [json.dumps({"published": next(texts), "withheld": next(texts)}) for _ in range(20)]
    (folder / "pairs.jsonl").write_text("\n".join(pairs) + "\n", encoding="utf-8")
    control = [json.dumps({"published": next(texts), "withheld": next(texts)}) for _ in range(20)]
    (folder / "control.jsonl").write_text("\n".join(control) + "\n", encoding="utf-8")
    pool = [json.dumps({"id": f"pool-{at}", "text": text}) for at, text in enumerate(sentences(60, seed=81))]
    (folder / "pool.jsonl").write_text("\n".join(pool) + "\n", encoding="utf-8")
    for name, count in (("heldout", 40), ("book", 10), ("corpus", 3)):
        (folder / name).mkdir()
        for at in range(count):
            chapter = " ".join(next(texts) for _ in range(4))  # as long as a stretch that is extracted
            (folder / name / f"{at}.txt").write_text(f"{chapter}\n", encoding="utf-8")
    rephrased = [{"document": f"{at}.txt", "text": next(texts)} for at in range(10) for _ in range(2)]
    (folder / "rephrased.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rephrased), encoding="utf-8")
    (folder / "book.txt").write_text("\n\n".join(next(texts) for _ in range(4)), encoding="utf-8")
    for name, queries in (("queries", benign_queries(30, 1)), ("benign", benign_queries(80, 2))):
        write_log(folder / f"{name}.jsonl", queries)
    for name, model in (("model", tiny), ("base", tiny_reference), ("base-2", tiny_bos)):
        (folder / name).symlink_to(model)
    return folder


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_every_command_runs(
    page: Path, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LLM_MIA_DTYPE", "float32")
    sections = printed_commands(page.read_text(encoding="utf-8"))
    if page.stem != "README":  # a guide is read from its beginning, and a section of the README by itself
        sections = [[command for section in sections for command in section]]
    for number, section in enumerate(sections):
        shutil.copytree(inputs, tmp_path / str(number), symlinks=True)
        monkeypatch.chdir(tmp_path / str(number))
        for command in section:
            for folder, model in TAKEN_FOR_GRANTED.items():
                if folder in command[1:2] + command[2:3] and command[0] in AFTER_AN_AUDIT and not Path(folder).exists():
                    known = ["--members", "known.jsonl", "--nonmembers", "heldout.jsonl", "-m", model, "-r", "base"]
                    assert main(["audit", "candidates.jsonl", *known, "-o", folder]) in (0, 4)
            with monkeypatch.context() as patch:
                patch.setattr("llm_mia.report.figures.page_figures", lambda _: [])  # they take seconds
                if command[0] == "report":  # audits in tests write no page
                    patch.setattr("llm_mia.report.write_report", write_report)
                code = main([MODELS.get(word, word) for word in command])
            printed = f"{page.name}: llm-mia {shlex.join(command)}: {capsys.readouterr().err}"
            may_be = {0, *([4] if command[0] in WITHHELD else []), *([3] if command[0] == "gate" else [])}
            assert code in may_be, printed


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", text):
        if re.match("https?://|mailto:", target):
            continue
        other = page if not target else page.parent / target
        assert other.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(other.read_text(encoding="utf-8")), f"{page.name} links to {target}#{anchor}"
    for name in re.findall(r"\[[^\]]+\]\[([^\]]+)\]", text):
        assert re.search(rf"^\[{re.escape(name)}\]: ", text, re.MULTILINE), f"{page.name} has no link named {name!r}"


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of *text*.

    >>> sorted(anchors("# The files of a run\\n\\n## `flags.csv`, read"))
    ['flagscsv-read', 'the-files-of-a-run']
    """
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def test_a_dead_link_is_noticed(tmp_path: Path) -> None:
    for link in ("[a](missing.md)", "[a](#no-such-heading)", "[a][no name]"):
        (tmp_path / "page.md").write_text(f"# A page\n\n{link}\n")
        with pytest.raises(AssertionError):
            test_every_link_leads_somewhere(tmp_path / "page.md")
    (tmp_path / "page.md").write_text("# A page\n\n[a](#a-page) [b](page.md) [c][c]\n\n[c]: https://example.org\n")
    test_every_link_leads_somewhere(tmp_path / "page.md")
