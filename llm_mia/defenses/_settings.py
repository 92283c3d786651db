"""The settings of defences: what each may be, and what it is by default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ..errors import UsageError
from ..settings import Numbers, Value, Words, read_settings

__all__ = ["Given", "Setting", "canonical_name", "settings_of"]

Given: TypeAlias = Mapping[str, Value | None]
"""All settings of a defence with their values; None: it is chosen when the defence is applied."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of a defence."""

    default: Value | None
    values: Numbers | Words
    """What it may be."""


def settings_of(spec: str, settings: Mapping[str, Setting]) -> dict[str, Value | None]:
    """All *settings* of the defence that *spec* names, with the values that it gives or their defaults.

    Raises:
        UsageError: no such setting, or a value that it cannot have.
    """
    given = read_settings("defence", spec, {key: each.values for key, each in settings.items()}, UsageError)
    return {key: given.get(key, each.default) for key, each in settings.items()}


def canonical_name(name: str, settings: Given) -> str:
    """The same name for the same defence, however it was typed.

    >>> canonical_name("dp", {"epsilon": 8.0, "delta": None}), canonical_name("deduplication", {})
    ('dp:epsilon=8', 'deduplication')
    """
    values = [
        f"{key}={value:.12g}" if isinstance(value, int | float) else f"{key}={value}"
        for key, value in settings.items()
        if value is not None
    ]
    return f"{name}:{','.join(values)}" if values else name
