"""Which column is what, and what may stand in it."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import PassageError

USUAL = {
    "text": ("text", "input", "passage", "content", "snippet"),
    "id": ("id",),
    "label": ("label", "member"),
    "document": ("document", "book", "doc_id", "title"),
}
"""Names that are found by themselves, the likeliest first."""

LONGEST_SHOWN = 40
"""Characters of a name or value that a message repeats; what is longer may be a passage and is only counted."""
LONGEST_ID = 100
"""The same for an id: urls and digests are shown whole."""
MOST_SHOWN = 12
"""Columns that a message lists."""


class Draft(NamedTuple):
    """A passage before its id is settled."""

    text: str
    id: str | None
    document: str | None
    label: int | None
    where: str


@dataclass(frozen=True, slots=True)
class Found:
    """The columns of one table, or of one json object."""

    text: str
    id: str | None
    label: str | None
    document: str | None

    def names(self) -> list[str]:
        """Those in use, each once."""
        return list(dict.fromkeys(name for name in (self.text, self.id, self.label, self.document) if name is not None))


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that the user named: None finds one by itself, an empty string wants none."""

    text: str | None = None
    id: str | None = None
    label: str | None = None
    document: str | None = None

    def find(self, names: Sequence[str], where: str) -> Found:
        """The columns among *names*; one that is missing or stands twice raises `PassageError`."""
        twice = [name for name, times in Counter(names).items() if name and times > 1]
        if twice:
            raise PassageError(where, f"two columns are named {quoted(twice[0])}: rename one of them")
        text = _find("text", self.text or None, names, where)
        if text is None:
            usual = USUAL["text"]
            raise PassageError(where, f"no text column ({', '.join(usual)}); {_found_instead('text', usual, names)}")
        return Found(
            text,
            _find("id", self.id, names, where),
            _find("label", self.label, names, where),
            _find("document", self.document, names, where),
        )


def _find(role: str, wanted: str | None, names: Sequence[str], where: str) -> str | None:
    if wanted:
        if wanted not in names:
            raise PassageError(where, f"no column {quoted(wanted)}; {_found_instead(role, (wanted,), names)}")
        return wanted
    if wanted == "":
        return None
    folded = {name.strip().lower(): name for name in reversed(names)}
    for usual in USUAL[role]:
        if usual in names:
            return usual
        if usual in folded:
            return folded[usual]
    return None


def _found_instead(role: str, wanted: Sequence[str], names: Sequence[str]) -> str:
    """What there is, and which of it comes nearest to what was wanted."""
    shown = ", ".join(quoted(name) for name in names[:MOST_SHOWN])
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    found = f"columns found: {shown}{more}" if names else "no columns at all"
    folded = {name.lower(): name for name in reversed(names)}
    near = [match for name in wanted for match in difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)]
    if near:
        return f"{found}; did you mean `{role}_column` {quoted(folded[near[0]])}?"
    return f"{found}; name the right one with `{role}_column`"


def draft(found: Found, values: Mapping[str, object], where: str) -> Draft:
    """One row as a draft; a value that cannot be what its column says raises `PassageError`."""
    return Draft(
        _text(values[found.text], found.text, where),
        None if found.id is None else _name(values[found.id], found.id, where),
        None if found.document is None else _name(values[found.document], found.document, where),
        None if found.label is None else _label(values[found.label], found.label, where),
        where,
    )


def _text(value: object, column: str, where: str) -> str:
    if not isinstance(value, str):
        raise PassageError(where, f"column {quoted(column)} holds {_kind(value)}, not text{_REMOVE}")
    if not value or value.isspace():
        what = "only white space" if value else "empty"
        raise PassageError(where, f"the text in column {quoted(column)} is {what}{_REMOVE}")
    _check_unicode(value, column, where)
    return value


_REMOVE = ": remove it, or name another column with `text_column`"


def _check_unicode(value: str, column: str, where: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        code = ord(value[error.start])
        # From None: the error holds the passage.
        raise PassageError(
            where,
            f"column {quoted(column)} holds a lone surrogate (\\u{code:04x}, character {error.start + 1}), "
            "which is not valid Unicode: write it again from the source",
        ) from None


def _name(value: object, column: str, where: str) -> str | None:
    """An id or document as a string; None where it is null or blank."""
    if value is None:
        return None
    if isinstance(value, (list, dict, bytes)):
        raise PassageError(where, f"column {quoted(column)} holds {_kind(value)}, not a name or number")
    name = str(value)
    _check_unicode(name, column, where)
    return name if name.strip() else None


_LABELS = {"": None, "0": 0, "1": 1, "0.0": 0, "1.0": 1, "true": 1, "false": 0}


def _label(value: object, column: str, where: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, (bool, int, float)) and value in (0, 1):
        return int(value)
    if isinstance(value, str) and value.strip().lower() in _LABELS:
        return _LABELS[value.strip().lower()]
    raise PassageError(
        where,
        f"column {quoted(column)} holds {quoted(value)}; a label is 1 or true (member), 0 or false (non-member), "
        "or empty (unknown): correct it, or rename the column if it does not mean membership",
    )


def quoted(value: object, longest: int = LONGEST_SHOWN) -> str:
    """A name, id or label for a message: one line, and counted rather than repeated where it is long."""
    if isinstance(value, (list, dict, bytes)):
        return _kind(value)
    shown = repr(value)
    return shown if len(shown) <= longest + 2 else f"<{len(str(value))} characters>"


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    kinds = {int: "a number", float: "a number", list: "a list", dict: "an object", bytes: "bytes"}
    return kinds.get(type(value), f"a {type(value).__name__}")
