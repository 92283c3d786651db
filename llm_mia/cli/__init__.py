"""The command line: parse, call, render, exit code. The only place that prints.

stdout is the result, stderr is progress and errors. Exit codes: 0 ran · 1 expected failure, with a line that says what
to do · 2 usage · 3 a finding, with ``--fail-if-flagged``, or a gate that fails · 4 a void or untestable known set,
or a target unlike its shadow models, withholds the finding · 130 interrupted (by another signal: 128 + its number).
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from .. import __version__
from ..distributed import launched_rank, started_alone
from ..errors import LlmMiaError, UsageError
from ._parsing import BOXES_FROM, Faults, TypedError
from ._ranks import as_rank
from ._registering import register
from .interrupts import ending_signals, interrupts_first
from .output import carry_any_text, say
from .parameters import commands_by_name, options_elsewhere, options_of, running, spelled, with_slashes
from .progress import kept_words, noting_steps

__all__ = ["app", "main"]

INTERRUPTED = 130
CONTINUED = (
    *("audit", "score", "extract", "gate", "perplexity", "demo", "defend", "shadow", "paired", "canary plan"),
    "canary test",
)
"""Commands that continue where they were stopped."""
COMPLETING = "_LLM_MIA_COMPLETE"
"""The environment variable by which a shell asks for completions."""
app = typer.Typer(
    name="llm-mia",
    help="Was this language model trained on these texts? Decisions with a stated error rate. "
    "Begin with 'llm-mia demo', 'llm-mia guide book' or 'llm-mia audit --help'.",
    epilog="Exit codes: 0 ran · 1 expected failure, with a line that says what to do · 2 usage · 3 a finding, with "
    "--fail-if-flagged, or a gate that fails · 4 a void or untestable known set, or a target unlike its shadow models, "
    "withholds the finding · 130 interrupted",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"llm-mia {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version of llm-mia."),
    ] = False,
) -> None:
    """Options that need no command; those of the shell's completion are typer's."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; an expected failure is a line on stderr, never a traceback."""
    typed = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    rank = launched_rank()
    if rank is None:
        if started_alone():
            say("note: accelerate started a single process: where there is no CUDA device, give it --multi_gpu too")
        return _run(typed)
    return as_rank(rank, typed, lambda problem: _run(typed, problem))


def _run(typed: list[str], problem: Callable[[], str] | None = None) -> int:
    """Run the command that is *typed*; *problem* says which other process has ended, where several run it."""
    commands: Any = typer.main.get_command(app)
    named = commands_by_name(commands)
    command = named.get(typed[0]) or named.get(" ".join(typed[:2]))
    if typed[0] in ("--install-completion", "--show-completion") and len(typed) > 1:
        # typer would install it for the running shell, whatever shell is named.
        return _failed(f"{typed[0]} takes no value: run it, without a value, in the shell that it is for", 2)
    carry_any_text()
    groups = {name: each for name, each in commands.commands.items() if hasattr(each, "commands")}
    if len(typed) == 1 and typed[0] in groups:
        typed = [*typed, "--help"]
    if shutil.get_terminal_size().columns < BOXES_FROM:
        for group in (commands, *groups.values()):
            group.rich_markup_mode = None
    if COMPLETING in os.environ:
        os.environ["COLUMNS"] = "10000"  # a description on two lines would be two completions
    options = {} if command is None else options_of(command)
    elsewhere = options_elsewhere(named)
    with (
        running(options, elsewhere, typed),
        noting_steps() as steps,
        ending_signals(once=problem is not None) as signals,
    ):
        code = _exit_code(commands, typed, signals)
    if code == INTERRUPTED:
        kept = f"; {kept_words(steps)}" if {typed[0], " ".join(typed[:2])} & {*CONTINUED} else ""
        if problem is not None and (other := problem()):
            return _failed(other, 1)  # the launcher ends all processes when one dies
        return _failed(f"interrupted{kept}", 128 + signals[0] if signals else INTERRUPTED)
    return code


def _exit_code(commands: Any, typed: list[str], signals: Sequence[int]) -> int:
    """The exit code of the command that is *typed*; 130, without a message, where one of *signals* interrupted it."""
    try:
        with interrupts_first(signals):
            code: int | None = commands.main(typed, "llm-mia", standalone_mode=False)
        sys.stdout.flush()  # here, where it may still fail
    except Faults as faults:
        typed_errors = [error for error in faults.errors if isinstance(error, TypedError)]
        if typed_errors:
            _failed(_malformed(typed_errors, faults.path), 2)
        for fault in faults.errors:
            if fault not in typed_errors:
                _failed(spelled(str(fault)), 1)
        return faults.exit_code
    except TypedError as error:
        return _failed(_malformed([error], error.ctx.command_path if error.ctx else "llm-mia"), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED  # some releases of typer return it instead
    except LlmMiaError as error:
        return _failed(spelled(str(error)), 2 if isinstance(error, UsageError) else 1)
    except BrokenPipeError:
        # Whoever reads our output left ('| head'); nothing may be flushed at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # a full disk, a folder without permission: what no package has checked
        place = f"{error.filename}: " if error.filename else ""
        return _failed(f"{place}{error.strerror or error}: remove the cause, and run the same command again", 1)
    return code or 0


def _malformed(errors: Sequence[Any], path: str) -> str:
    """A line about what typer refuses; *path* is the command."""
    return f"{' '.join(error.format_message() for error in errors)} (see '{path} --help')"


def _failed(message: str, code: int) -> int:
    print("llm-mia: " + " ".join(with_slashes(message).split()), file=sys.stderr)
    return code
