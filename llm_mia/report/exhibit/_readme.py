"""``README.txt``: what the files are, and how they are checked."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

from .._results import Results
from ..words.published import PublishedTest

__all__ = ["audit_files", "published_files", "readme"]

Listed = tuple[str, str]
"""The name of a file, or of a folder, and what it holds."""

WIDTH = 80
PLAIN = str.maketrans({"\N{NO-BREAK SPACE}": " "})


def audit_files(results: Results) -> list[Listed]:
    """What the files of an audit are."""
    spans = (
        ("spans/", "what the model writes word for word: prompt, output and original side by side, with spans.csv"),
    )
    return [
        ("finding.html", "the finding, a page; it loads nothing and runs no script"),
        (
            "works.csv",
            "a row for each document: passages, those with a score and those flagged, the largest score, p and q of "
            "the document or the reason why it has none, spans and extractable share where spans were searched, and "
            "whether the known set can carry a finding",
        ),
        ("controls.html", "what would have shown another explanation than training; controls.csv has the same rows"),
        *(spans if results.extraction is not None else ()),
    ]


def published_files(tests: Sequence[PublishedTest], page: str) -> list[Listed]:
    """What the files of *tests* of published texts are; *page* is the name of their page."""
    tables = [
        (f"{each.name}.csv", "a row for each document of the test: what it shows, or why it was left out")
        for each in tests
    ]
    about = "the finding of the tests of published texts, and how the other side checks it"
    return [(page, f"{about}; a page that loads nothing and runs no script"), *tables]


def readme(files: Sequence[Listed], subject: str, redacted: str) -> bytes:
    """The bytes of ``README.txt``.

    Args:
        files: what the files are, those with the digests left out.
        subject: what the exhibit is of.
        redacted: what no file holds, in a sentence; empty where that is not promised.
    """
    files = [
        *files,
        ("manifest.json", "the SHA-256 of models, inputs, code, decisions, of the run directory and of each file here"),
        ("SHA256SUMS", "the same digests of the files here, in the form that sha256sum reads"),
    ]
    parts = [
        f"An exhibit of {subject}: was a language model trained on these texts?",
        *([redacted] if redacted else []),
        "\n".join(_listed(name, text) for name, text in files),
        _wrapped(
            "Cells of the tables that begin with = + - @ or an apostrophe have an apostrophe before them, so that no "
            "spreadsheet runs them: the first apostrophe of a cell is to be removed. The tables are UTF-8."
        ),
        "To check that no file was changed, without any further software, in this folder:\n\n"
        "    sha256sum -c SHA256SUMS        (on macOS: shasum -a 256 -c SHA256SUMS)\n\n"
        + _wrapped("This does not show files that were added. llm_mia shows these, too:")
        + "\n\n    llm-mia exhibit --verify .\n\n"
        + _wrapped(
            "With the run directory before it, as in 'llm-mia exhibit RUN --verify .', it also compares the run "
            "directory, and the inputs where they still are."
        ),
        _wrapped(
            "Whoever changes a file can change the digests, too. So note the SHA-256 of manifest.json when the exhibit "
            "is handed over, in a place that the receiver cannot change (a letter, a signature, a time stamp), and "
            "check by it: 'llm-mia exhibit --verify . --digest SHA256'."
        ),
        _wrapped("Nothing in this folder is legal advice."),
    ]
    return ("\n\n".join(parts) + "\n").translate(PLAIN).encode()


def _wrapped(text: str) -> str:
    return fill(" ".join(text.split()), WIDTH, break_long_words=False, break_on_hyphens=False)


def _listed(name: str, text: str) -> str:
    return fill(
        " ".join(text.split()),
        WIDTH,
        initial_indent=f"{name:<15}",
        subsequent_indent=" " * 15,
        break_long_words=False,
        break_on_hyphens=False,
    )
