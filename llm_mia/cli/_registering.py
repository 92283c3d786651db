"""The list of all commands."""

from __future__ import annotations

import typer

from ._audit import audit, demo, validate
from ._canary import draw, make, verify
from ._canary_plan import plan
from ._collection import collection
from ._commands import calibrate, evaluate, flag
from ._defend import defend
from ._exhibit import exhibit
from ._extract import extract
from ._gate import gate
from ._guard import guard
from ._guide import guide
from ._monitor import monitor, registry
from ._paired import canary_test, paired
from ._parsing import CheckedCommand
from ._perplexity import perplexity
from ._report import report
from ._schema import schema
from ._score import attacks, frequencies, score
from ._shadow import shadow
from ._show import show
from .grouping import with_groups

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add every command, in the order in which '--help' lists them."""
    for command in (audit, validate, score, calibrate, flag, collection, evaluate, extract, shadow, defend, gate):
        app.command(cls=CheckedCommand)(with_groups(command))
    for of_run in (show, report, exhibit):
        app.command(cls=CheckedCommand)(of_run)
    app.command(cls=CheckedCommand)(guard)
    for of_log in (monitor, registry):
        app.command(cls=CheckedCommand)(with_groups(of_log))
    canary = typer.Typer(
        name="canary",
        help="Evidence by design: of each document publish a variant that is drawn at random, for an exact p-value.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for of_texts in (plan, make):
        canary.command(cls=CheckedCommand)(with_groups(of_texts))
    canary.command(cls=CheckedCommand)(draw)
    canary.command("test", cls=CheckedCommand)(with_groups(canary_test))
    canary.command(cls=CheckedCommand)(verify)
    app.add_typer(canary)
    app.command(cls=CheckedCommand)(guide)
    app.command(cls=CheckedCommand)(schema)
    app.command(cls=CheckedCommand)(with_groups(paired))
    for other in (perplexity, attacks, frequencies, demo):
        app.command(cls=CheckedCommand)(with_groups(other))
