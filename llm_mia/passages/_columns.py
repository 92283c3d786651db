"""The choice of columns, and the check of their values."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import NamedTuple

from ..errors import PassageError, UsageError
from ..records import Plain
from ._usual import CARRIED_TYPES, USUAL, folded, membership, other_labels, usual_column

LONGEST_SHOWN = 40
"""Characters of a name or value that a message repeats; of a longer value, maybe a passage, it gives the length."""
LONGEST_ID = 100
"""The same for an id: URLs and digests are shown as a whole."""
MOST_SHOWN = 12
"""Number of columns that a message lists."""
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


@dataclass(frozen=True, slots=True)
class ChosenColumns:
    """The columns in use of a table, or of a JSON object."""

    text: str
    id: str | None
    label: str | None
    document: str | None
    words: Mapping[str, int | None] = field(default_factory=dict)
    """What words in the column of labels mean, see `normal_word`."""
    carried: tuple[str, ...] = ()
    """Columns that mean nothing here, and go unchanged into the results."""

    def names(self) -> list[str]:
        """Their names, without repetition."""
        used = (self.text, self.id, self.label, self.document, *self.carried)
        return list(dict.fromkeys(name for name in used if name is not None))


@dataclass(frozen=True, slots=True)
class NamedColumns:
    """How a table is to be read. A column that is None is chosen by its usual names; an empty string means none."""

    text: str | None = None
    id: str | None = None
    label: str | None = None
    document: str | None = None
    by_role: bool = False
    """The whole input has a label, so a column that seems to hold labels may hold something else, such as topics."""
    words: Mapping[str, int | None] = field(default_factory=dict)
    """What words in the column of labels mean, see `normal_word`."""
    skip_empty: bool = False
    """Whether rows without text are left out, and counted."""
    delimiter: str | None = None
    """What divides the fields of a csv or tsv file; None: a comma or a tab."""

    def has_text(self, names: Sequence[str]) -> bool:
        """Whether there is a text column among *names*."""
        return self.text in names if self.text else usual_column("text", names) is not None

    def choose(self, names: Sequence[str], where: str, simple: Iterable[str] = ()) -> ChosenColumns:
        """The columns to use among *names*; `PassageError` where a column is missing or two have the same name.

        Those that are *simple* (strings, numbers, true and false) and have no other use are carried.
        """
        twice = [name for name, times in Counter(names).items() if name and times > 1]
        if twice:
            raise PassageError(where, f"two columns are named {quoted(twice[0])}: rename one of them")
        text, pair = _choose("text", self.text or None, names, where), _texts_by_class(names)
        if text is None:
            usual = USUAL["text"]
            if pair is not None:
                members, nonmembers = map(quoted, pair)
                raise PassageError(
                    where,
                    f"column {members} holds texts of members, and column {nonmembers} texts of non-members: read the "
                    "file twice, and name one of them with `text_column` each time",
                )
            raise PassageError(where, f"no text column ({', '.join(usual)}); {_alternatives('text', usual, names)}")
        texts = pair if pair is not None and text in pair else (text,)
        others = [name for name in names if name not in texts]  # the column of texts of members may be named 'member'
        chosen = ChosenColumns(
            text,
            _choose("id", self.id, names, where),
            _choose("label", self.label, names if self.label else others, where),
            _choose("document", self.document, names, where),
            self.words,
        )
        if chosen.label is not None and self.label is None and not self.by_role:
            _refuse_other_labels(chosen.label, others, where)
        # A second column of texts is no property of the passage; and a column that is not to be read stays unread.
        unread = ["text", *(role for role, name in (("id", self.id), ("label", self.label)) if name == "")]
        used = {*chosen.names(), "", *texts, *(name for name in names for role in unread if usual_column(role, [name]))}
        return replace(chosen, carried=tuple(name for name in simple if name not in used))

    def of_document(self, given: Sequence[str]) -> ChosenColumns:
        """The columns of the passages of a loose text, whose folders give it the columns *given*."""

        def choose(role: str, wanted: str | None) -> str | None:
            return _choose(role, wanted if not wanted or wanted in given else None, given, "")

        document = choose("document", self.document) or "document"
        label = choose("label", self.label)
        carried = tuple(name for name in given if name not in ("text", "id", label, document))
        return ChosenColumns("text", "id", label, document, self.words, carried)


def _choose(role: str, wanted: str | None, names: Sequence[str], where: str) -> str | None:
    if wanted:
        if wanted not in names:
            raise PassageError(where, f"no column {quoted(wanted)}; {_alternatives(role, (wanted,), names)}")
        return wanted
    if wanted == "":
        return None
    chosen = usual_column(role, names)
    if chosen is not None:
        _refuse_alike(role, chosen, names, where)
    return chosen


def _refuse_alike(role: str, chosen: str, names: Sequence[str], where: str) -> None:
    """Refuse a column that was chosen by its name where another column has almost the same name."""
    for name in names:
        if name != chosen and folded(name) == folded(chosen):
            raise PassageError(
                where,
                f"the columns {quoted(chosen)} and {quoted(name)} differ only in capitals, blanks or hyphens: name "
                f"the right column with `{role}_column`",
            )


def _refuse_other_labels(chosen: str, names: Sequence[str], where: str) -> None:
    """Refuse a column of labels that was chosen by its name where another column may hold the labels."""
    for name in other_labels(chosen, names):
        raise PassageError(
            where,
            f"the columns {quoted(chosen)} and {quoted(name)} may both hold the labels: name the right column with "
            "`label_column`",
        )


def _texts_by_class(names: Sequence[str]) -> tuple[str, str] | None:
    """A column named like texts of members, and another like texts of non-members, as MIMIR has; None without both."""
    stems = {re.sub(r"[ _-]|s$|texts?$", "", name.lower()): name for name in reversed(names)}
    return (stems["member"], stems["nonmember"]) if "member" in stems and "nonmember" in stems else None


def _alternatives(role: str, wanted: Sequence[str], names: Sequence[str]) -> str:
    """The existing columns, and which of them is closest to a *wanted* name."""
    shown = ", ".join(quoted(name) for name in names[:MOST_SHOWN])
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    existing = f"the columns are {shown}{more}" if names else "there are no columns"
    folded = {name.lower(): name for name in reversed(names)}
    near = [match for name in wanted for match in difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)]
    if near:
        return f"{existing}; did you mean `{role}_column` {quoted(folded[near[0]])}?"
    # The name may be meant for another input of the command, and every passage has a text.
    none = "" if role == "text" else f", or none with `{role}_column` ''"
    return f"{existing}; name a column with `{role}_column`{none}"


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
        raise PassageError(where, f"column {quoted(column)} holds {_kind(value)}, not text{_REMOVE}{skip}")
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
        raise PassageError(where, f"column {quoted(column)} holds {_kind(value)}, not a name or number")
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
