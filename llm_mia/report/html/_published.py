"""The page of tests of published texts: of canaries, and of published and withheld versions."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from ...store import write_text
from .. import figures
from .._published import PublishedResults, read_published_alone
from ..words import page as page_words, published as words
from ._policy import content_security_policy
from ._templates import render

__all__ = ["published_html", "published_sections", "write_published_report"]

FILE = "report.html"


def write_published_report(run: str | Path, redact: bool = False, out: str | Path | None = None) -> Path:
    """Write the page of the tests in the run directory *run*, completely or not at all; gives its path.

    The same run directory gives the same bytes.

    Args:
        run: the run directory of ``canary test`` or ``paired``.
        redact: name documents by numbers.
        out: the file; None: ``report.html`` in *run*.

    Raises:
        RunDirectoryError: the folder holds no such test, or a damaged one; or the page cannot be written.
    """
    html = published_html(read_published_alone(run, redact=redact))
    path = Path(run) / FILE if out is None else Path(out)
    write_text(path, html)
    return path


def published_html(results: PublishedResults) -> str:
    """The page; every name in it is escaped, and it makes no request and runs no script."""
    style = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    tests = results.shown
    page: str = render(
        "published.html",
        style=style,
        policy=content_security_policy(style, ""),
        words=words,
        page_words=page_words,
        title=words.title_words(tests),
        contents=words.contents_of(tests),
        redacted=results.redacted,
        tests=tests,
        drawings=_drawings(results),
    )
    return page.encode("utf-8", "backslashreplace").decode()


def published_sections(results: PublishedResults) -> Markup:
    """A section for each test, for the page of an audit in the same run directory; empty where there is none."""
    if not results.shown:
        return Markup()
    return render("published_sections.html", page_words=page_words, tests=results.shown, drawings=_drawings(results))


def _drawings(results: PublishedResults) -> dict[str, figures.Figure]:
    return {each.name: each for each in figures.published_figures(results.canary, results.paired)}
