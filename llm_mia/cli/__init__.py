"""The command line: parse, call, render, exit code. The only place that prints.

stdout is the result, stderr is progress and errors. Exit codes: 0 ran · 1 expected failure, with a line that says what
to do · 2 usage · 3 a finding, and ``--fail-if-flagged`` · 4 a void known set withholds the finding · 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import typer

from ..errors import LlmMiaError, UsageError
from . import _commands
from .parameters import options_of, running, spelled

__all__ = ["app", "main"]

INTERRUPTED = 130
CONTINUED = ("audit", "score", "extract", "perplexity", "demo")
"""Commands that continue where they were stopped."""
# Some releases of typer contain click, and others use the installed click; this is the base class of every usage error
# in both cases.
_UsageError: Any = typer.BadParameter.__base__

app = typer.Typer(
    name="llm-mia",
    help="Was this language model trained on these texts? Decisions with a stated error rate. "
    "Begin with 'llm-mia demo' or 'llm-mia audit --help'.",
    epilog="Exit codes: 0 ran · 1 expected failure, with a line that says what to do · 2 usage · 3 a finding, with "
    "--fail-if-flagged · 4 a void known set withholds the finding · 130 interrupted",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_commands.register(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; an expected failure is a line on stderr, never a traceback."""
    typed = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    commands: Any = typer.main.get_command(app)
    command = commands.commands.get(typed[0])
    with running({} if command is None else options_of(command)):
        code = _exit_code(commands, typed)
    if code == INTERRUPTED:
        kept = "; all finished work is kept, and the same command continues it" if typed[0] in CONTINUED else ""
        return _failed(f"interrupted{kept}", INTERRUPTED)
    return code


def _exit_code(commands: Any, typed: list[str]) -> int:
    """The exit code of the command that is *typed*; 130, without a message, where it was interrupted."""
    try:
        code: int | None = commands.main(typed, "llm-mia", standalone_mode=False)
        sys.stdout.flush()  # here, where it may still fail
    except _UsageError as error:
        path = error.ctx.command_path if error.ctx else "llm-mia"
        return _failed(f"{error.format_message()} (see '{path} --help')", error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED  # some releases of typer return it instead
    except LlmMiaError as error:
        return _failed(spelled(str(error)), 2 if isinstance(error, UsageError) else 1)
    except BrokenPipeError:
        # Whoever reads our output left ('| head'); nothing may be flushed at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code or 0


def _failed(message: str, code: int) -> int:
    print("llm-mia: " + " ".join(message.split()), file=sys.stderr)
    return code
