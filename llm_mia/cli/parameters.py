"""Messages of the library, which name parameters and functions between backticks, in the words of the command line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

__all__ = [
    "FUNCTIONS",
    "commands_by_name",
    "named_in",
    "options_elsewhere",
    "options_of",
    "reading_input",
    "running",
    "running_options",
    "spelled",
    "typed_arguments",
    "with_slashes",
]

FUNCTIONS = {
    "calibrate": "'llm-mia calibrate'",
    "count_frequencies": "'llm-mia frequencies'",
    "draw_canaries": "'llm-mia canary draw'",
    "flag_documents": "'llm-mia flag TABLE --documents'",
    "make_canaries": "'llm-mia canary make'",
    "score_to_disk": "'llm-mia score'",
}
"""The command that does what a function of the library does."""
_NAME = re.compile(r"`([A-Za-z_][A-Za-z0-9_]*)(\[[^`]*\])?`")
_COLUMN = re.compile(r"`((?:text|id|label|document)_column)`( '[^']*')?")
_elsewhere: ContextVar[Mapping[str, str] | None] = ContextVar("elsewhere", default=None)
_options: ContextVar[Mapping[str, str] | None] = ContextVar("options", default=None)
_typed: ContextVar[Sequence[str]] = ContextVar("typed", default=())
_inputs: ContextVar[dict[str, str] | None] = ContextVar("inputs", default=None)


def commands_by_name(group: Any) -> dict[str, Any]:
    """The commands of *group* (click's) by what is typed for them; those of a group in it, such as ``canary make``."""
    named: dict[str, Any] = {}
    for name, command in group.commands.items():
        inner = commands_by_name(command) if hasattr(command, "commands") else {}
        named |= {f"{name} {each}": of_group for each, of_group in inner.items()} or {name: command}
    return named


def options_of(command: Any) -> dict[str, str]:
    """By parameter of *command* (click's): the first long spelling of its option, or of an argument its name."""
    spellings = {}
    for parameter in command.params:
        long = [name for name in parameter.opts if name[:2] == "--"]
        spellings[parameter.name] = long[0] if long else (parameter.metavar or parameter.name.upper()).strip("[]")
    return spellings


def options_elsewhere(commands: Mapping[str, Any]) -> dict[str, str]:
    """By parameter that a single command has: its option there, for messages of other commands about what to repeat."""
    of_each = {name: options_of(command) for name, command in commands.items()}
    times = Counter(parameter for options in of_each.values() for parameter in options)
    return {
        parameter: f"{option} of 'llm-mia {name}'"
        for name, options in of_each.items()
        for parameter, option in options.items()
        if times[parameter] == 1 and option.startswith("--")
    }


@contextmanager
def running(
    options: Mapping[str, str], elsewhere: Mapping[str, str] | None = None, typed: Sequence[str] = ()
) -> Iterator[None]:
    """For as long as it is open, messages are spelled for the command that has these *options*.

    Args:
        options: by parameter, of the running command.
        elsewhere: by parameter, of other commands.
        typed: what was typed after ``llm-mia``.
    """
    tokens = [_options.set(options), _elsewhere.set(elsewhere or {})]
    token_of_inputs, token_of_typed = _inputs.set({}), _typed.set(typed)
    try:
        yield
    finally:
        _typed.reset(token_of_typed)
        _options.reset(tokens[0])
        _elsewhere.reset(tokens[1])
        _inputs.reset(token_of_inputs)


def running_options() -> Mapping[str, str]:
    """By parameter: the option of the running command, else of another; none where no command is running."""
    return {**(_elsewhere.get() or {}), **(_options.get() or {})}


def typed_arguments() -> tuple[str, ...]:
    """What was typed after ``llm-mia``; empty where no command is running."""
    return tuple(_typed.get())


def named_in(message: str) -> list[str]:
    """The parameters and functions that *message* names.

    >>> named_in("give `shots`, as `count_frequencies` does; no column `a b`")
    ['shots', 'count_frequencies']
    """
    return [name for name, _ in _NAME.findall(message)]


def with_slashes(message: str) -> str:
    """*message*, with a slash after each folder that a colon follows and that was typed with a slash.

    >>> with running({}, typed=["score", "a.txt", "-o", "run/"]):
    ...     with_slashes("run: holds another run"), with_slashes("my-run: holds another run")
    ('run/: holds another run', 'my-run: holds another run')
    """
    folders = {argument.rpartition("=")[2] for argument in _typed.get() if argument.endswith("/")}
    for bare in {str(Path(folder)) for folder in folders}:
        message = re.sub(rf"(?<![\w./-])({re.escape(bare)})(?=: )", r"\1/", message)
    return message


def reading_input(name: str, source: str) -> None:
    """Note that the running command reads *source* as the input *name*, for messages about its columns."""
    inputs = _inputs.get()
    if inputs is not None:
        inputs["stdin" if source == "-" else source] = name


def spelled(message: str) -> str:
    """*message* with the option of the running command for each parameter that it names.

    A parameter that the command lacks, and a single other command has, becomes the option of that command. The name of
    any other parameter stays.

    >>> with running({"window_tokens": "--window-tokens"}):
    ...     spelled("ask for shorter windows by `window_tokens`, or for a smaller `block`")
    'ask for shorter windows by --window-tokens, or for a smaller block'
    >>> with running({}, {"by": "--by of 'llm-mia calibrate'"}):
    ...     spelled("calibrate again without `by`")
    "calibrate again without --by of 'llm-mia calibrate'"

    Where the command reads several inputs, a column is that of the input with which the message begins.

    >>> with running({"text_column": "--text-column"}):
    ...     reading_input("members", "a.csv"); reading_input("nonmembers", "b.csv")
    ...     spelled("a.csv line 1: no text column; did you mean `text_column` 'body'?")
    "a.csv line 1: no text column; did you mean --text-column 'members=body'?"
    """
    options, inputs = running_options(), _inputs.get() or {}
    # The longest source, because the name of another may be its beginning.
    sources = sorted((source for source in inputs if message.startswith(source)), key=len)
    of_input = f"{inputs[sources[-1]]}=" if sources and len(inputs) > 1 else ""

    def spelling_of_column(match: re.Match[str]) -> str:
        if match[1] not in options or not of_input:
            return match[0]
        return f"{options[match[1]]} '{of_input}{match[2][2:-1] if match[2] else 'NAME'}'"

    def spelling(match: re.Match[str]) -> str:
        return (options.get(match[1]) or FUNCTIONS.get(match[1], match[1])) + (match[2] or "")

    return _NAME.sub(spelling, _COLUMN.sub(spelling_of_column, message))
