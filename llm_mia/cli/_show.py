"""The command that prints the result in a run directory again, without a model: show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import RunDirectoryError
from . import _options as opt
from .output import show as print_result, show_json

__all__ = ["show"]


def show(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN", help="A run directory of 'llm-mia audit' or 'llm-mia extract'.", show_default=False
        ),
    ],
    as_json: opt.Json = False,
) -> None:
    """Print the stored result of an audit or an extraction again; loads no model and computes nothing."""
    if not run.is_dir():
        raise RunDirectoryError(f"{run}: no such folder")
    if (run / "audit.json").is_file():
        _show_audit(run, as_json)
    elif (run / "extraction.json").is_file():
        _show_extraction(run, as_json)
    else:
        raise RunDirectoryError(
            f"{run}: holds no audit.json and no extraction.json, so there is no result: repeat the command that began "
            "this run, or name the folder of a finished run of 'llm-mia audit' or 'llm-mia extract'"
        )


def _show_audit(run: Path, as_json: bool) -> None:
    from ..auditing import read_audit
    from ..report import audit_summary, audit_table

    audit = read_audit(run)
    if as_json:
        show_json(audit_summary(audit))
    else:
        print_result(audit_table(audit))


def _show_extraction(run: Path, as_json: bool) -> None:
    from ..extraction import read_extraction
    from ..report import extraction_summary, extraction_table

    extraction = read_extraction(run)
    if as_json:
        show_json(extraction_summary(extraction))
    else:
        print_result(extraction_table(extraction))
