"""The command that prints the result in a run directory again, without a model: show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import RunDirectoryError
from . import _options as opt
from .output import say, show as print_result, show_json
from .parameters import spelled

__all__ = ["show"]


def show(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN", help="A run directory of 'llm-mia audit' or 'llm-mia extract'.", show_default=False
        ),
    ],
    decisions: Annotated[
        bool,
        typer.Option(
            "--decisions",
            help="List every decision on the candidates of this run directory, the first decision first.",
        ),
    ] = False,
    details: opt.Details = False,
    as_json: opt.Json = False,
) -> None:
    """Print the stored result of an audit or an extraction again; loads no model and computes nothing."""
    if not run.is_dir():
        raise RunDirectoryError(f"{run}: no such folder")
    if decisions:
        _show_decisions(run, as_json)
    elif (run / "audit.json").is_file():
        _show_audit(run, as_json)
    elif (run / "extraction.json").is_file():
        _show_extraction(run, details, as_json)
    else:
        raise RunDirectoryError(
            f"{run}: holds no audit.json and no extraction.json, so there is no result: repeat the command that began "
            "this run, or name the folder of a finished run of 'llm-mia audit' or 'llm-mia extract'"
        )


def _show_decisions(run: Path, as_json: bool) -> None:
    from ..history import History
    from ..report import decisions_summary, decisions_table

    history = History(run)
    entries = history.of_run()
    for problem in history.problems:
        say(f"note: {problem}")
    if as_json:
        show_json(decisions_summary(entries))
    else:
        print_result(decisions_table(entries))


def _show_audit(run: Path, as_json: bool) -> None:
    from ..auditing import read_audit
    from ..report import audit_summary, audit_table

    audit = read_audit(run)
    if as_json:
        show_json(audit_summary(audit))
    else:
        print_result(audit_table(audit))


def _show_extraction(run: Path, details: bool, as_json: bool) -> None:
    from ..extraction import read_extraction
    from ..report import extraction_screen, extraction_summary, extraction_table

    extraction = read_extraction(run)
    if as_json:
        show_json(extraction_summary(extraction))
    else:
        print_result(extraction_table(extraction, spelled) if details else extraction_screen(extraction, spelled))
