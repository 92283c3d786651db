"""``guard.toml``: how a policy is read from it, and the file with every setting and its default."""

from __future__ import annotations

import difflib
import json
import textwrap
import tomllib
from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

from ..errors import UsageError
from ._policy import About, Policy, settings_of

__all__ = ["policy_text", "read_policy"]

WIDTH = 100
EXAMPLES = {"digits": 2, "requests_per_minute": 600, "tokens_per_minute": 100_000}
"""A value of each setting that has none by default."""

SECTIONS = get_type_hints(Policy)


def read_policy(path: str | Path) -> Policy:
    """The policy in the TOML file *path*; what it leaves out has its default.

    Raises:
        UsageError: it cannot be read, is no TOML, or holds an unknown section or key, or a value that is not possible.
    """
    try:
        entries = tomllib.loads(Path(path).read_bytes().decode())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}): name a TOML file as `policy`") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: is no TOML ({error}): correct it; the guide 'guard' shows the format") from None
    try:
        _refuse_unknown(entries, SECTIONS, "section", "")
        return Policy(**{name: _section(name, value) for name, value in entries.items()})
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def _section(name: str, entries: Any) -> Any:
    """The section *name* of a policy, from its *entries* in TOML."""
    if not isinstance(entries, dict):
        raise UsageError(f"{name!r} is no section: write [{name}] on a line of its own, and its settings below")
    section = SECTIONS[name]
    kinds = get_type_hints(section)
    _refuse_unknown(entries, kinds, "key", f"[{name}] ")
    return section(**{key: _value(f"[{name}] {key}", value, kinds[key]) for key, value in entries.items()})


def _refuse_unknown(entries: dict[str, Any], known: dict[str, Any], what: str, where: str) -> None:
    for name in entries:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            meant = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
            raise UsageError(f"{where}has the {what} {name!r}, which does not exist; {meant}")


def _value(where: str, value: Any, kind: Any) -> Any:
    """The value of a setting of the type *kind* from that in TOML."""
    (kind,) = [each for each in get_args(kind) or (kind,) if each not in (NoneType, Ellipsis)]
    if kind is str:
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return tuple(value)
        raise UsageError(f'{where} is {_written(value)}: give a list of texts, as in ["a", "b"]')
    if issubclass(kind, StrEnum):
        if isinstance(value, str) and value in list(kind):
            return kind(value)
        raise UsageError(f"{where} is {_written(value)}: give {_choices(kind)}")
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        raise UsageError(f"{where} is {_written(value)}: give a {'whole ' if kind is int else ''}number")
    try:
        return kind(value)
    except OverflowError:
        raise UsageError(f"{where} is too large a number: give a smaller number") from None


def _choices(kind: type[StrEnum]) -> str:
    words = [f'"{each}"' for each in kind]
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _written(value: Any) -> str:
    """*value* as TOML writes it, cut off where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"


def policy_text(policy: Policy | None = None) -> str:
    """The file of *policy*, or of the default: every setting below a comment; one without a value is commented out."""
    policy = policy or Policy()
    lines = ["# The policy of a guard. A setting that is left out has its default."]
    for section in fields(policy):
        rules = getattr(policy, section.name)
        lines += ["", f"[{section.name}]"]
        for name, about in settings_of(type(rules)).items():
            lines += _setting_lines(name, about, getattr(rules, name))
    return "\n".join(lines) + "\n"


def _setting_lines(name: str, about: About, value: Any) -> list[str]:
    comment = textwrap.wrap(about.text, WIDTH - 2, break_on_hyphens=False)
    written = f"# {name} = {EXAMPLES[name]}" if value is None else f"{name} = {json.dumps(value, ensure_ascii=False)}"
    return [*(f"# {line}" for line in comment), written]
