"""The composition of ``report.html``: what each section shows, and how the sections become a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...store import write_text
from .. import figures
from .._digests import code_sha256
from .._results import Results, read_results
from ..words import answer_of, compliance as compliance_words, entry_words, notes_words, page as page_words
from ..words.method import again_words, deciding_rows, input_rows, model_rows, run_rows
from ._documents import documents_section
from ._passages import passages_section
from ._policy import content_security_policy
from ._published import published_sections
from ._templates import render
from ._trust import trust_of

__all__ = ["report_html", "write_report"]

FOLDER = Path(__file__).parent
FILE = "report.html"
UNLESS_TESTED = {"canary", "paired"}
"""The sections of tests of published texts, which are there where the folder holds such a test."""
WITH_CHECKS = "baselines"
"""The figure of the second section: what a classifier that never saw the model can do."""


def write_report(
    run: str | Path, extraction: str | Path | None = None, redact: bool = False, out: str | Path | None = None
) -> Path:
    """Write the page of the audit in the run directory *run*, completely or not at all; no model is needed.

    The same run directory gives the same bytes.

    Args:
        run: the run directory of an audit.
        extraction: a run directory of `extract`; None: *run*, if it holds an extraction.
        redact: show no text and no token.
        out: the file; None: ``report.html`` in *run*.

    Returns:
        The file.

    Raises:
        RunDirectoryError: a directory holds no result, or a damaged one; or the page cannot be written.
    """
    html = report_html(read_results(run, extraction=extraction, redact=redact))
    path = Path(run) / FILE if out is None else Path(out)
    write_text(path, html)
    return path


def report_html(results: Results) -> str:
    """The page; every text in it is escaped, and it makes no request."""
    style, script = _asset("page.css") + _asset("passages.css"), _asset("page.js")
    drawings = figures.page_figures(results)
    answer = answer_of(results.audit)
    documents, passages = documents_section(results), passages_section(results)
    parts = {"figures": drawings, "documents": documents, "passages": passages}
    shown = {*(anchor for anchor in page_words.SECTIONS if parts.get(anchor, True))}
    shown -= UNLESS_TESTED - {each.name for each in results.published.shown}
    page = render(
        "page.html",
        style=style,
        script=script,
        policy=content_security_policy(style, script),
        words=page_words,
        shown=[anchor for anchor in page_words.SECTIONS if anchor in shown],
        title=page_words.title_words(results.audit, answer.outcome),
        redacted=results.redact,
        withheld=page_words.below_withheld(results.audit),
        answer=answer,
        notes=notes_words(results.audit.notes),
        trust=trust_of(results.audit),
        baselines=[figure for figure in drawings if figure.name == WITH_CHECKS],
        figures=[figure for figure in drawings if figure.name != WITH_CHECKS],
        documents=documents,
        passages=passages,
        published=published_sections(results.published),
        method=_method(results),
    )
    # A name of a file may hold bytes that are no text.
    return page.encode("utf-8", "backslashreplace").decode()


def _method(results: Results) -> dict[str, Any]:
    """What the section on how the audit was done shows."""
    audit, run = results.audit, results.run
    return {
        "models": [model_rows(name, record) for name, record in audit.passes.items()],
        "inputs": input_rows(audit, run),
        "deciding": deciding_rows(audit, run),
        "run": run_rows(run, code_sha256()),
        "decisions": [entry_words(entry) for entry in results.decisions],
        "again": again_words(audit),
        "limits": page_words.limits_words(audit),
        "compliance": compliance_words.COMPLIANCE,
        "no_legal_advice": compliance_words.NO_LEGAL_ADVICE,
    }


def _asset(name: str) -> str:
    """A style sheet or a script of this package, as it is put into the page."""
    return (FOLDER / name).read_text(encoding="utf-8")
