"""The command that prints the result in a run directory again, without a model: show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import _options as opt
from ._output import show as print_result, show_json

__all__ = ["show"]


def show(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="A run directory of 'llm-mia audit'.", show_default=False),
    ],
    as_json: opt.Json = False,
) -> None:
    """Print the result of an audit again; loads no model and computes nothing."""
    from ..auditing import read_audit
    from ..report import audit_summary, audit_table

    audit = read_audit(run)
    if as_json:
        show_json(audit_summary(audit))
    else:
        print_result(audit_table(audit))
