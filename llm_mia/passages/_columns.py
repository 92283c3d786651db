"""The choice of columns, and the check of their values."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ..errors import PassageError
from ..records import Plain
from ._usual import CARRIED_TYPES, USUAL, membership, usual_column

LONGEST_SHOWN = 40
"""Characters of a name or value that a message repeats; of a longer value, maybe a passage, it gives the length."""
LONGEST_ID = 100
"""The same for an id: URLs and digests are shown as a whole."""
MOST_SHOWN = 12
"""Number of columns that a message lists."""


class Draft(NamedTuple):
    """A passage whose id is not yet assigned."""

    text: str
    id: str | None
    document: str | None
    label: int | None
    where: str
    columns: Mapping[str, Plain] = {}
    """The carried columns: what else the input says about it."""


@dataclass(frozen=True, slots=True)
class ChosenColumns:
    """The columns in use of a table, or of a JSON object."""

    text: str
    id: str | None
    label: str | None
    document: str | None
    carried: tuple[str, ...] = ()
    """Columns that mean nothing here, and go unchanged into the results."""

    def names(self) -> list[str]:
        """Their names, without repetition."""
        used = (self.text, self.id, self.label, self.document, *self.carried)
        return list(dict.fromkeys(name for name in used if name is not None))


@dataclass(frozen=True, slots=True)
class NamedColumns:
    """The columns that the user named: None for a choice by usual names, an empty string for no column."""

    text: str | None = None
    id: str | None = None
    label: str | None = None
    document: str | None = None

    def choose(self, names: Sequence[str], where: str, simple: Iterable[str] = ()) -> ChosenColumns:
        """The columns to use among *names*; `PassageError` where a column is missing or two have the same name.

        Those that are *simple* (strings, numbers, true and false) and have no other use are carried.
        """
        twice = [name for name, times in Counter(names).items() if name and times > 1]
        if twice:
            raise PassageError(where, f"two columns are named {quoted(twice[0])}: rename one of them")
        text = _choose("text", self.text or None, names, where)
        if text is None:
            usual = USUAL["text"]
            raise PassageError(where, f"no text column ({', '.join(usual)}); {_alternatives('text', usual, names)}")
        chosen = ChosenColumns(
            text,
            _choose("id", self.id, names, where),
            _choose("label", self.label, names, where),
            _choose("document", self.document, names, where),
        )
        # A second column of texts is no property of the passage; and a column that is not to be read stays unread.
        unread = ["text", *(role for role, name in (("id", self.id), ("label", self.label)) if name == "")]
        others = {*chosen.names(), "", *(name for name in names for role in unread if usual_column(role, [name]))}
        return replace(chosen, carried=tuple(name for name in simple if name not in others))

    def of_document(self, given: Sequence[str]) -> ChosenColumns:
        """The columns of the passages of a loose text, whose folders give it the columns *given*."""

        def choose(role: str, wanted: str | None) -> str | None:
            return _choose(role, wanted if not wanted or wanted in given else None, given, "")

        return ChosenColumns("text", "id", choose("label", self.label), choose("document", self.document) or "document")


def _choose(role: str, wanted: str | None, names: Sequence[str], where: str) -> str | None:
    if wanted:
        if wanted not in names:
            raise PassageError(where, f"no column {quoted(wanted)}; {_alternatives(role, (wanted,), names)}")
        return wanted
    if wanted == "":
        return None
    return usual_column(role, names)


def _alternatives(role: str, wanted: Sequence[str], names: Sequence[str]) -> str:
    """The existing columns, and which of them is closest to a *wanted* name."""
    shown = ", ".join(quoted(name) for name in names[:MOST_SHOWN])
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    existing = f"the columns are {shown}{more}" if names else "there are no columns"
    folded = {name.lower(): name for name in reversed(names)}
    near = [match for name in wanted for match in difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)]
    if near:
        return f"{existing}; did you mean `{role}_column` {quoted(folded[near[0]])}?"
    return f"{existing}; name a column with `{role}_column`"


def make_draft(columns: ChosenColumns, values: Mapping[str, object], where: str) -> Draft:
    """A row as a draft; `PassageError` where a value is not valid in its column."""
    return Draft(
        _text(values[columns.text], columns.text, where),
        None if columns.id is None else _name(values[columns.id], columns.id, where),
        None if columns.document is None else _name(values[columns.document], columns.document, where),
        None if columns.label is None else _label(values[columns.label], columns.label, where),
        where,
        {name: _carried(values[name]) for name in columns.carried} if columns.carried else {},
    )


def _text(value: object, column: str, where: str) -> str:
    if not isinstance(value, str):
        raise PassageError(where, f"column {quoted(column)} holds {_kind(value)}, not text{_REMOVE}")
    if not value or value.isspace():
        state = "only white space" if value else "empty"
        raise PassageError(where, f"the text in column {quoted(column)} is {state}{_REMOVE}")
    _check_unicode(value, column, where)
    return value


_REMOVE = ": remove it, or name another column with `text_column`"


def _check_unicode(value: str, column: str, where: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        code = ord(value[error.start])
        # From None, because the message of the error contains the passage.
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


def _label(value: object, column: str, where: str) -> int | None:
    try:
        return membership(value)
    except ValueError:
        raise PassageError(
            where,
            f"column {quoted(column)} holds {quoted(value)}; a label is 1 or true (member), 0 or false (non-member), "
            "or empty (unknown): correct it, or rename the column if it does not mean membership",
        ) from None


def _carried(value: object) -> Plain:
    """The value of a carried column; None where it is missing, or of a type that is not carried."""
    if not isinstance(value, CARRIED_TYPES) or value != value:
        return None
    return value if not isinstance(value, str) else value.encode(errors="replace").decode()


def quoted(value: object, longest: int = LONGEST_SHOWN) -> str:
    """A name, id or label for a message: on one line; of a long value only the number of characters."""
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
