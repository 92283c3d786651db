"""The page of two runs side by side."""

from __future__ import annotations

from pathlib import Path

from ...auditing import TwoRuns
from ...store import write_text
from ..words import comparison_rows, matched_words, perplexity_words, run_words, two_runs_lines
from ..words.two_runs_page import COLUMNS, CONTENTS, DIFFERS, LIMITS, NOT_SHOWN, headline_words
from ._policy import content_security_policy
from ._templates import render

__all__ = ["comparison_html", "write_comparison"]


def write_comparison(runs: TwoRuns, out: str | Path) -> Path:
    """Write the page of two runs to the file *out*, completely or not at all; it shows no text.

    Raises:
        RunDirectoryError: it cannot be written.
    """
    path = Path(out)
    write_text(path, comparison_html(runs))
    return path


def comparison_html(runs: TwoRuns) -> str:
    """The page; every name in it is escaped, and it makes no request and runs no script."""
    style = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    page: str = render(
        "comparison.html",
        style=style,
        policy=content_security_policy(style, ""),
        contents=CONTENTS,
        headline=headline_words(runs),
        size=matched_words(runs),
        answers=run_words(runs),
        settings=runs.settings,
        columns=COLUMNS,
        rows=[(*row, DIFFERS if mark else NOT_SHOWN) for *row, mark in comparison_rows(runs)],
        lines=two_runs_lines(runs, DIFFERS),
        perplexities=list(perplexity_words(runs)),
        limits=LIMITS,
    )
    return page.encode("utf-8", "backslashreplace").decode()
