"""A command that reports everything that is wrong with what was typed at once, instead of one fault for each run."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from typer.core import TyperCommand

from ..errors import LlmMiaError, UsageError
from ._checks import faults_of

__all__ = ["BOXES_FROM", "CheckedCommand", "Faults", "TypedError"]

# Some releases of typer contain click, and others use the installed click; this is the base class of every usage error
# in both cases.
TypedError: Any = typer.BadParameter.__base__
MAY_BE_EMPTY = ("_column", "by")
"""Ends of the names of parameters whose empty value means something: no column."""
BOXES_FROM = 80
"""Columns of the terminal from which help texts are in boxes."""
_FAULTS = "llm_mia.faults"


class Faults(Exception):  # noqa: N818 - it holds errors, and is not one itself
    """Everything that is wrong with what was typed; never empty."""

    def __init__(self, errors: Sequence[Exception], path: str) -> None:
        super().__init__(*errors)
        self.errors = tuple(errors)
        self.path = path
        """The command, as typed: ``llm-mia audit``."""

    @property
    def exit_code(self) -> int:
        """2 where a fault is one of usage, else 1: then files or models are at fault."""
        return 2 if any(isinstance(error, (TypedError, UsageError)) for error in self.errors) else 1


class CheckedCommand(TyperCommand):
    """A command whose `Faults` are raised together: missing, malformed, repeated and impossible values."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        for parameter in self.params:
            _collect_faults(parameter)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The help text: in boxes where the terminal is wide enough; they cut the names of options where it is not."""
        if shutil.get_terminal_size().columns < BOXES_FROM:
            self.rich_markup_mode = None
        super().format_help(ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse *args* into ``ctx.params``; `Faults` where anything is wrong with them."""
        if ctx.resilient_parsing:  # for completion, which takes what is typed so far
            return super().parse_args(ctx, args)
        faults: list[Exception] = ctx.meta.setdefault(_FAULTS, [])
        values, _, order = self.make_parser(ctx).parse_args(args=list(args))
        if options_as_values := _options_as_values(self.params, values, args):
            raise Faults(options_as_values, ctx.command_path)  # what follows from them is no fault
        rest: list[str] = []
        surplus: list[Exception] = []
        try:
            rest = super().parse_args(ctx, args)
        except TypedError as error:  # more arguments than the command has
            surplus = [error]
        faults += [*_repeated(order), *_standard_input_twice(self.params, ctx.params)]
        faults += surplus
        faults += faults_of(_typed_name(ctx), {name: value for name, value in ctx.params.items() if value != ""})
        if faults:
            raise Faults(faults, ctx.command_path)
        return rest


def _typed_name(ctx: Any) -> str:
    """The name of the command as it is typed after ``llm-mia``: ``audit``, ``canary make``."""
    return str(ctx.command_path).partition(" ")[2]


def _collect_faults(parameter: Any) -> None:
    """Note what is wrong with a value of *parameter* instead of raising it, so that the others are looked at too."""
    handle = parameter.handle_parse_result

    def handle_parse_result(ctx: Any, opts: Mapping[str, Any], args: list[str]) -> tuple[Any, list[str]]:
        if ctx.resilient_parsing:
            result: tuple[Any, list[str]] = handle(ctx, opts, args)
            return result
        try:
            if opts.get(parameter.name) == "" and not parameter.name.endswith(MAY_BE_EMPTY):
                remedy = "give a value" if parameter.required else "give a value, or leave it out"
                raise UsageError(f"`{parameter.name}` is empty: {remedy}")
            result = handle(ctx, opts, args)
        except (TypedError, LlmMiaError) as error:
            ctx.meta.setdefault(_FAULTS, []).append(_in_percent(parameter, opts.get(parameter.name)) or error)
            return None, args
        return result

    parameter.handle_parse_result = handle_parse_result


def _in_percent(parameter: Any, value: Any) -> UsageError | None:
    """What to type instead of a share in percent; None where *value* is none."""
    if parameter.metavar != "SHARE" or not isinstance(value, str) or not value.rstrip().endswith("%"):
        return None
    try:
        share = float(value.rstrip().removesuffix("%")) / 100
    except ValueError:
        return None
    return UsageError(f"`{parameter.name}` is {value!r}: give a share, as in {share:g}")


def _options_as_values(parameters: Sequence[Any], values: Mapping[str, Any], args: Sequence[str]) -> list[UsageError]:
    """A fault for each option that took the next option for its value, as ``-m`` in ``-m -o run``.

    A value that begins like an option is possible: ``-a -loss`` names a column, and so does ``--attack=-o``.
    """
    # An argument has its name in `opts`: a run directory that is called run is no option.
    options = {spelling for parameter in parameters for spelling in parameter.opts if spelling.startswith("-")}
    spellings = options & set(args)
    return [
        UsageError(f"`{name}` has no value, because the option {value} follows: give the value")
        for name, given in values.items()
        for value in (given if isinstance(given, list) else [given])
        if isinstance(value, str) and value in spellings
    ]


def _repeated(order: Sequence[Any]) -> list[UsageError]:
    """A fault for each option that is given more often than it has values; click would take the last in silence."""
    # Options that may be repeated are `multiple`; a flag that is repeated still means the same.
    times = Counter(
        parameter.name for parameter in order if not (parameter.multiple or getattr(parameter, "is_flag", False))
    )
    return [
        UsageError(f"`{name}` is given {number} times, and only a single value is used: leave out the others")
        for name, number in times.items()
        if number > 1
    ]


def _standard_input_twice(parameters: Sequence[Any], values: Mapping[str, Any]) -> list[UsageError]:
    named = [parameter.name for parameter in parameters if values.get(parameter.name) == "-"]
    if len(named) < 2:
        return []
    names = " and ".join(f"`{name}`" for name in named)
    return [UsageError(f"{names} are -, and standard input can be read only once: name a file for all but one")]
