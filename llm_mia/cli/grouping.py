"""Options that several commands share: a group of them is a dataclass, and a command takes the whole as a parameter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints

__all__ = ["OptionGroup", "with_groups"]

Command = Callable[..., int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionGroup:
    """Base class of the groups. Each field is an option: its annotation is what typer takes, its default too."""


def with_groups(command: Command) -> Command:
    """*command* as typer takes it: each parameter that is a group is replaced by the fields of the group.

    The options of *command* alone come first, then those of the groups, in the order of the parameters; ``--help``
    lists them in this order. Two options of the same name raise `ValueError`.
    """
    hints = get_type_hints(command, include_extras=True)
    groups = {name: kind for name, kind in hints.items() if isinstance(kind, type) and issubclass(kind, OptionGroup)}
    single = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=parameter.default, annotation=hints[name])
        for name, parameter in signature(command).parameters.items()
        if name not in groups
    ]
    shared = [parameter for group in groups.values() for parameter in _parameters(group)]

    def run(**values: Any) -> int | None:
        built = {
            name: group(**{field.name: values.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        return command(**values, **built)

    run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, command.__module__
    run.__signature__ = Signature([*single, *shared])  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in [*single, *shared]}
    return run


def _parameters(group: type[OptionGroup]) -> list[Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        Parameter(
            field.name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]
