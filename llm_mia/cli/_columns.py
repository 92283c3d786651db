"""Columns that are named for all inputs of a command (``body``) or for a single input (``members=body``)."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from ..errors import UsageError

__all__ = ["INPUTS", "column_of", "refuse_columns"]

INPUTS = ("candidates", "members", "nonmembers", "passages", "shots", "population", "texts", "rephrased")
"""Parameters of commands that name an input of passages."""
ALIKE = 0.75
"""From this likeness to the name of an input, what precedes '=' is taken for a misspelt input."""


def column_of(name: str, named: Sequence[str] | None) -> str | None:
    """The column that *named*, the values of an option, give for the input *name*; None where they give none.

    >>> column_of("members", ["text", "members=body"]), column_of("shots", ["text", "members=body"])
    ('body', 'text')
    >>> column_of("members", ["members="]), column_of("members", ["shots=text"])
    ('', None)
    """
    single = [column for of_input, column in map(_split, named or ()) if of_input == name]
    general = [column for of_input, column in map(_split, named or ()) if of_input is None]
    return next(iter(single or general), None)


def refuse_columns(option: str, named: Sequence[str], inputs: Sequence[str]) -> None:
    """Raise `UsageError` where the values of the parameter *option* contradict each other, or the *inputs* given."""
    split = [_split(value) for value in named]
    for of_input in {of_input for of_input, _ in split if of_input is not None} - {*inputs}:
        raise UsageError(
            f"`{option}` names a column of `{of_input}`, which is not given: leave out that column, or give "
            f"`{of_input}`"
        )
    named_inputs = [of_input for of_input, _ in split]
    for repeated in named_inputs:
        if named_inputs.count(repeated) > 1:
            which = "all inputs" if repeated is None else f"`{repeated}`"
            raise UsageError(f"`{option}` names two columns for {which}: name only the right column")
    for value in named:
        before, sign, _ = value.partition("=")
        near = difflib.get_close_matches(before, INPUTS, n=1, cutoff=ALIKE)
        if sign and before not in INPUTS and near:
            raise UsageError(f"`{option}` is {value!r}, and no input is named {before!r}: did you mean {near[0]!r}?")


def _split(value: str) -> tuple[str | None, str]:
    """The input that *value* is for, None for all, and the column."""
    before, sign, column = value.partition("=")
    return (before, column) if sign and before in INPUTS else (None, value)
