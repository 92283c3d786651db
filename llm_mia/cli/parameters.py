"""Messages of the library, which name parameters and functions between backticks, in the words of the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

__all__ = ["FUNCTIONS", "options_of", "running", "spelled"]

FUNCTIONS = {
    "calibrate": "'llm-mia calibrate'",
    "count_frequencies": "'llm-mia frequencies'",
    "flag_documents": "'llm-mia flag --documents'",
    "score_to_disk": "'llm-mia score'",
}
"""The command that does what a function of the library does."""
_NAME = re.compile(r"`([A-Za-z_][A-Za-z0-9_]*)(\[[^`]*\])?`")
_options: ContextVar[Mapping[str, str] | None] = ContextVar("options", default=None)


def options_of(command: Any) -> dict[str, str]:
    """By parameter of *command* (click's): the first long spelling of its option; arguments have none."""
    spellings = {parameter.name: [name for name in parameter.opts if name[:2] == "--"] for parameter in command.params}
    return {name: long[0] for name, long in spellings.items() if long}


@contextmanager
def running(options: Mapping[str, str]) -> Iterator[None]:
    """For as long as it is open, messages are spelled for the command that has these *options*."""
    token = _options.set(options)
    try:
        yield
    finally:
        _options.reset(token)


def spelled(message: str) -> str:
    """*message* with the option of the running command for each parameter that it names.

    A parameter that the command does not have keeps its name.

    >>> with running({"window_tokens": "--window-tokens"}):
    ...     spelled("ask for shorter windows by `window_tokens`, or for a smaller `block`")
    'ask for shorter windows by --window-tokens, or for a smaller block'
    """
    options = _options.get() or {}

    def spelling(match: re.Match[str]) -> str:
        return (options.get(match[1]) or FUNCTIONS.get(match[1], match[1])) + (match[2] or "")

    return _NAME.sub(spelling, message)
