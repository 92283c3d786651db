"""The command that writes the page of a run directory again, without a model: report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import RunDirectoryError
from . import _options as opt
from ._checks import refuse_file_of_run
from .output import show as print_result
from .progress import working

__all__ = ["report"]


def report(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="A run directory of 'llm-mia audit'.", show_default=False),
    ],
    extraction: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="A run directory of 'llm-mia extract', whose result becomes part of the page.",
            show_default="RUN, if it holds an extraction",
        ),
    ] = None,
    redact: opt.Redact = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="The file to write.",
            show_default="report.html in RUN",
            rich_help_panel=opt.OUTPUT,
        ),
    ] = None,
) -> None:
    """Write report.html from the results in a run directory; loads no model and decides nothing."""
    from ..report import write_report

    if not run.is_dir():
        raise RunDirectoryError(f"{run}: no such folder")
    if out is not None and out.resolve() != (run / "report.html").resolve():
        refuse_file_of_run(out)
    with working("writing the page"):
        written = write_report(run, extraction=extraction, redact=redact, out=out)
    print_result(str(written))
