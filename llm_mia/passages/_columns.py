"""The choice of columns, and how messages show names and values."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..errors import PassageError
from ._usual import USUAL, folded, other_labels, usual_column

LONGEST_SHOWN = 40
"""Characters of a name or value that a message repeats; of a longer value, maybe a passage, it gives the length."""
LONGEST_ID = 100
"""The same for an id: URLs and digests are shown as a whole."""
MOST_SHOWN = 12
"""Number of columns that a message lists."""


@dataclass(frozen=True, slots=True)
class ChosenColumns:
    """The columns in use of a table, or of a JSON object."""

    text: str
    id: str | None
    label: str | None
    document: str | None
    words: Mapping[str, int | None] = field(default_factory=dict)
    """What words in the column of labels mean, see `_drafts.normal_word`."""
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
    """What words in the column of labels mean, see `_drafts.normal_word`."""
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


def quoted(value: object, longest: int = LONGEST_SHOWN) -> str:
    """A name, id or label for a message: on one line; of a long value only the number of characters."""
    if isinstance(value, (list, dict, bytes)):
        return kind_of(value)
    shown = repr(value)
    return shown if len(shown) <= longest + 2 else f"<{len(str(value))} characters>"


def kind_of(value: object) -> str:
    """What *value* is, for a message that does not repeat it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    kinds = {int: "a number", float: "a number", list: "a list", dict: "an object", bytes: "bytes"}
    return kinds.get(type(value), f"a {type(value).__name__}")
