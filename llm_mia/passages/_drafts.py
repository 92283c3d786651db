"""The check of the values of a row, which becomes a passage without an id."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from ..errors import PassageError, UsageError
from ..records import Plain
from ._columns import ChosenColumns, kind_of, quoted
from ._usual import CARRIED_TYPES, membership

NOT_A_LABEL = -1
"""The label of a draft whose label column holds something that means no membership."""


class Draft(NamedTuple):
    """A passage whose id is not yet assigned."""

    text: str
    id: str | None
    document: str | None
    label: int | None
    where: str
    columns: Mapping[str, Plain] = {}
    """The carried columns: what else the input says about it."""


def make_draft(columns: ChosenColumns, values: Mapping[str, object], where: str, *, by_role: bool = False) -> Draft:
    """A row as a draft; `PassageError` where a value is not valid in its column.

    With *by_role* a value that is no label is not refused, and the label is `NOT_A_LABEL`.
    """
    read_label = _label_or_other if by_role else _label
    return Draft(
        _text(values[columns.text], columns.text, where),
        None if columns.id is None else _name(values[columns.id], columns.id, where),
        None if columns.document is None else _name(values[columns.document], columns.document, where),
        None if columns.label is None else read_label(values[columns.label], columns.label, columns.words, where),
        where,
        {name: _carried(values[name]) for name in columns.carried} if columns.carried else {},
    )


def _text(value: object, column: str, where: str) -> str:
    if not isinstance(value, str):
        skip = SKIP if value is None else ""
        raise PassageError(where, f"column {quoted(column)} holds {kind_of(value)}, not text{_REMOVE}{skip}")
    if is_blank(value):
        state = "only white space" if value else "empty"
        raise PassageError(where, f"the text in column {quoted(column)} is {state}{_REMOVE}{SKIP}")
    _check_unicode(value, column, where)
    return value


def is_blank(value: object) -> bool:
    """Whether *value* is missing, empty, or white space alone."""
    return value is None or (isinstance(value, str) and (not value or value.isspace()))


_REMOVE = ": remove it, or name another column with `text_column`"
SKIP = "; `skip_empty` leaves out whatever has no text"


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
    if value is None or (isinstance(value, float | Decimal) and value != value):
        return None
    if isinstance(value, (list, dict, bytes)):
        raise PassageError(where, f"column {quoted(column)} holds {kind_of(value)}, not a name or number")
    name = str(value)
    _check_unicode(name, column, where)
    return name if name.strip() else None


def normal_word(value: object) -> str:
    """*value* as a word of a column of labels: capitals and blanks around it do not count, and 1.0 is 1.

    >>> normal_word(" Held-out "), normal_word(2.0), normal_word(True)
    ('held-out', '2', 'true')
    """
    return str(int(value) if isinstance(value, float) and value.is_integer() else value).strip().lower()


def label_words(labels: Mapping[str, int | None] | None) -> dict[str, int | None]:
    """*labels*, by `normal_word`; `UsageError` where a meaning is no label."""
    words = {} if labels is None else {normal_word(word): meaning for word, meaning in labels.items()}
    for word, meaning in words.items():
        if meaning not in (0, 1, None):
            raise UsageError(f"`labels` gives {word!r} the meaning {meaning!r}: it must be 1, 0 or None (unknown)")
    return words


def refuse_unread_words(
    columns: ChosenColumns, values: Mapping[str, object], words: Mapping[str, int | None], where: str
) -> None:
    """Raise `PassageError` where a row without a column of labels holds one of the *words* in another column."""
    for name in columns.carried:
        if normal_word(values[name]) in words:
            raise PassageError(
                where,
                f"column {quoted(name)} holds {quoted(values[name])}, a word of `labels`, and is not read as labels: "
                "name it with `label_column`, or read no labels with `label_column` ''",
            )


def _label(value: object, column: str, words: Mapping[str, int | None], where: str) -> int | None:
    if words and (word := normal_word(value)) in words:
        return words[word]
    try:
        return membership(value)
    except ValueError:
        raise PassageError(
            where,
            f"column {quoted(column)} holds {quoted(value)}; a label is 1 or true (member), 0 or false (non-member), "
            "or empty (unknown): correct it, give the meaning of such words with `labels`, or, if the column does not "
            "mean membership, read no labels with `label_column` ''",
        ) from None


def _carried(value: object) -> Plain:
    """The value of a carried column; None where it is missing, or of a type that is not carried."""
    if not isinstance(value, CARRIED_TYPES) or value != value:
        return None
    return value if not isinstance(value, str) else value.encode(errors="replace").decode()


def _label_or_other(value: object, column: str, words: Mapping[str, int | None], where: str) -> int | None:
    try:
        return _label(value, column, words, where)
    except PassageError:
        return NOT_A_LABEL
