"""The command line: parse, call, render, exit code. The only place that prints.

stdout is the result, stderr is progress and errors. Exit codes: 0 ran · 1 expected failure, one line says what to do ·
2 usage · 3 flagged and ``--fail-if-flagged`` · 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import typer

from ..errors import LlmMiaError, UsageError
from . import _commands

__all__ = ["app", "main"]

INTERRUPTED = 130
# Some releases of typer bring a click of their own and some use the one that is installed; this is the base class of
# every error in what was typed, whichever it is.
_UsageError: Any = typer.BadParameter.__base__

app = typer.Typer(
    name="llm-mia",
    help="Was this language model trained on these texts? Decisions with a stated error rate.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_commands.register(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; what a user can mend becomes one line, never a traceback."""
    typed = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code: int | None = typer.main.get_command(app).main(typed or ["--help"], "llm-mia", standalone_mode=False)
        sys.stdout.flush()  # here, where it may still fail
    except _UsageError as error:
        path = error.ctx.command_path if error.ctx else "llm-mia"
        return _failed(f"{error.format_message()} (see '{path} --help')", error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except LlmMiaError as error:
        return _failed(str(error), 2 if isinstance(error, UsageError) else 1)
    except BrokenPipeError:
        # Whoever reads our output left ('| head'); nothing may be flushed at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if code == INTERRUPTED:  # raised, or by some releases of typer returned
        return _failed("interrupted; what is finished is kept, and the same command continues", INTERRUPTED)
    return code or 0


def _failed(message: str, code: int) -> int:
    print("llm-mia: " + " ".join(message.split()), file=sys.stderr)
    return code
