"""The command that writes the page of a run directory again, or sets two runs side by side, without a model: report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from . import _options as opt
from ._checks import refuse_without_audit
from .output import show as print_result, show_json
from .progress import working

__all__ = ["report"]


def report(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="A run directory of 'llm-mia audit', 'gate', 'canary test' or 'paired'.",
            show_default=False,
        ),
    ],
    other: Annotated[
        Path | None,
        typer.Argument(
            metavar="OTHER",
            help="A run directory of another audit of the same candidates, such as one of another model, or after a "
            "defence. Both runs are then set side by side.",
            show_default=False,
        ),
    ] = None,
    extraction: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="A run directory of 'llm-mia extract', whose result becomes part of the page.",
            show_default="RUN, if it holds an extraction",
        ),
    ] = None,
    redact: Annotated[
        bool,
        typer.Option(
            "--redact",
            help="Show no text and no token of a passage on the page. The other files of the run stay as they are.",
            rich_help_panel=opt.OUTPUT,
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="The file to write.",
            show_default="report.html in RUN; of two runs, only the terminal shows the comparison",
            rich_help_panel=opt.OUTPUT,
        ),
    ] = None,
    figures: Annotated[
        bool,
        typer.Option(
            "--figures",
            help="Write each figure of the page, too: as SVG and as PNG of 300 dots per inch, into RUN/figures.",
            rich_help_panel=opt.OUTPUT,
        ),
    ] = False,
    details: Annotated[
        bool, typer.Option("--details", help="Of two runs: show also each setting that differs, and all answers.")
    ] = False,
    as_json: opt.Json = False,
) -> None:
    """Write report.html from the results in a run directory, or set two runs side by side; loads no model."""
    if other is None and extraction is None and not (figures or details or as_json) and _is_gate(run):
        _write_page_of_gate(run, redact, out)
        return
    if other is None and _is_test(run):
        _refuse_of_two(details, as_json)
        _write_page_of_test(run, extraction, redact, out, figures=figures)
        return
    for folder in [run, *([] if other is None else [other])]:
        refuse_without_audit(folder)
    if other is not None:
        if extraction is not None:
            raise UsageError("`extraction` belongs to the page of a single run: leave it out, or name a single run")
        if figures:
            raise UsageError("`figures` belongs to a single run: leave it out, or name a single run")
        _compare(run, other, out, details, as_json)
        return
    _refuse_of_two(details, as_json)
    _write_page(run, extraction, redact, out)
    if figures:
        _write_figures(run, redact)


def _refuse_of_two(details: bool, as_json: bool) -> None:
    """Raise `UsageError` where an option for two runs is given for a single run."""
    if details or as_json:
        raise UsageError(
            f"`{'details' if details else 'as_json'}` belongs to two runs, and `other` names no second: name it, or "
            "show this run with 'llm-mia show'"
        )


def _is_gate(run: Path) -> bool:
    return (run / "gate.json").is_file() and not (run / "audit.json").is_file()


def _is_test(run: Path) -> bool:
    return not any((run / name).is_file() for name in ("audit.json", "gate.json")) and any(
        (run / name).is_file() for name in ("canary.json", "paired.json")
    )


def _write_page_of_test(run: Path, extraction: Path | None, redact: bool, out: Path | None, *, figures: bool) -> None:
    """Write the page of a test of canaries or of pairs, whose documents are named unless *redact*."""
    from ..report import write_published_report

    if extraction is not None:
        raise UsageError(f"`extraction` belongs to the page of an audit, and {run} holds none: leave it out")
    if figures:
        raise UsageError(f"`figures` belongs to an audit: the test has left its figure in {run}, so leave it out")
    with working("writing the page"):
        written = write_published_report(run, redact, out)
    print_result(str(written))


def _write_page_of_gate(run: Path, redact: bool, out: Path | None) -> None:
    """Write the page of a gate, whose passages and documents that leaked are named unless *redact*."""
    from ..gate import read_gate
    from ..report import write_gate_report

    result = read_gate(run)
    print_result(str(write_gate_report(result.without_names() if redact else result, out)))


def _compare(run: Path, other: Path, out: Path | None, details: bool, as_json: bool) -> None:
    """Print two runs side by side, and write the page that shows them to *out*."""
    from ..auditing import compare_runs
    from ..report import two_runs_details, two_runs_screen, two_runs_summary, write_comparison

    with working("comparing the runs"):
        runs = compare_runs(run, other)
        written = None if out is None else write_comparison(runs, out)
    if as_json:
        show_json(two_runs_summary(runs))
        return
    print_result(two_runs_details(runs) if details else two_runs_screen(runs))
    if written is not None:
        print_result(str(written))


def _write_page(run: Path, extraction: Path | None, redact: bool, out: Path | None) -> None:
    from ..report import write_report

    with working("writing the page"):
        written = write_report(run, extraction=extraction, redact=redact, out=out)
    print_result(str(written))


def _write_figures(run: Path, redact: bool) -> None:
    from ..report import read_results
    from ..report.figures import write_figures

    with working("drawing the figures"):
        written = write_figures(read_results(run, redact=redact), run / "figures")
    print_result(f"{written[0].parent}: {len(written)} files" if written else "no figure can be drawn")
