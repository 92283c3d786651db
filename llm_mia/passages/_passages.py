"""A source of passages, which can be read any number of times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import PassageError, UsageError
from ..records import Passage
from ._columns import LONGEST_ID, NamedColumns, quoted
from ._contents import Contents, Reading
from ._drafts import NOT_A_LABEL, label_words
from ._ids import Ids
from ._readers import FileReader, Reader, reader_of
from ._tables import Tally

if TYPE_CHECKING:
    from ._check import InputCheck

__all__ = ["Passages", "check_label"]

IN_MEMORY = "passages in memory"
MANY = 0.1
"""Share of values that are no labels, from which a column of an input with a role is not a label column."""
ROLES = ("non-members", "members")
"""What an input is given as, by its label."""


class Passages:
    """Passages in input order, from `read_passages` or `Passages.of`. Every iteration reads the source.

    The first whole iteration also notes what `check_inputs` has to know, so a source is never read only to be checked.
    Memory does not grow with the input, but for 33 to 49 bytes a passage; a txt document, a json list and a Parquet
    batch are held whole while they are read.
    """

    def __init__(self, name: str, reader: Reader, label: int | None, notes: tuple[str, ...] = ()) -> None:
        self.name = name
        """The source as the user gave it, or ``stdin``."""
        self.notes = notes
        """What is known before it is read: which files of a folder are read, and which are left out and why."""
        self.blank_lines = 0
        """Blank lines skipped in the last whole iteration."""
        self.label_note = ""
        """Why the label column is not read; empty where it is read, or there is none, and before it is reached."""
        self.reader = reader
        """Reads the rows."""
        self.last_check: tuple[tuple[Contents, ...], InputCheck] | None = None
        """What `check_inputs` gave when this was the first of its sources, and the contents that it compared."""
        self._label = label
        self._contents: Contents | None = None
        self._version: object = None
        """Version of the source when its contents were noted."""
        self._digest: tuple[object, str] | None = None
        """Version of the source when its digest was computed, and the digest."""

    @classmethod
    def of(
        cls,
        data: object,
        *,
        text_column: str | None = None,
        id_column: str | None = None,
        label_column: str | None = None,
        document_column: str | None = None,
        label: int | None = None,
        labels: Mapping[str, int | None] | None = None,
        skip_empty: bool = False,
        name: str = "",
    ) -> Passages:
        """The passages of *data* in memory, checked like those of a file.

        Args:
            data: strings, dictionaries or `Passage` records in a list or another iterable; a DataFrame of pandas or
                polars; a ``datasets.Dataset``; an Arrow table, or anything else with ``__arrow_c_stream__``. What can
                be iterated only once is held in memory.
            text_column: the column of the text; None: chosen by its usual names.
            id_column: the column of the id; an empty string: there is none, and ids follow from the texts.
            label_column: the column of the label; an empty string: there is none.
            document_column: the column of the document; an empty string: each passage is a document.
            label: as for `read_passages`.
            labels: what words in the column of labels mean, as in ``{"held-out": 0}``; None: unknown.
            skip_empty: leave out rows without text, and count them, instead of refusing them.
            name: how messages and records call the source.

        Raises:
            UsageError: *data* is of a type that cannot hold passages.
            PassageError: a passage is refused, while iterating; the place is ``row 17``, counted from 1.

        >>> passages = Passages.of([{"text": "A river.", "member": True}, {"text": "A bridge."}])
        >>> [(passage.text, passage.label) for passage in passages]
        [('A river.', 1), ('A bridge.', None)]
        """
        check_label(label)
        by_role = label is not None and label_column is None and labels is None
        words = label_words(labels)
        columns = NamedColumns(text_column, id_column, label_column, document_column, by_role, words, skip_empty)
        place = f"{name} row" if name else "row"
        return cls(name or IN_MEMORY, reader_of(data, columns, name or IN_MEMORY, place), label)

    def __repr__(self) -> str:
        return f"<Passages {self.name!r}{self._counted()}>"

    def _repr_html_(self) -> str:
        return f"<p><b>{escape(self.name)}</b>{escape(self._counted())}</p>"

    def __iter__(self) -> Iterator[Passage]:
        tally, ids, passage = Tally(), Ids(), None
        version, reading = self.reader.version(), Reading() if self._known() is None else None
        for position, (text, name, document, label, where, columns) in enumerate(self.reader.drafts(tally)):
            if name is None:
                name = ids.derive(text)
            elif not ids.add(name) and self._repeats(name, where, position, tally):
                continue
            if self._contradicts(label, where, tally):
                continue
            given = label if self._label is None else self._label
            passage = Passage(name, text, name if document is None else document, given, where, columns)
            if reading is not None:
                reading.add(passage)
            yield passage
        tally.faults.refuse(self.name)
        if passage is None:
            raise PassageError(
                self.name, f"no passage in it: all rows or files ({tally.empty_texts:,}) are without text"
            )
        self.blank_lines = tally.blank_lines
        if reading is not None:
            label_note = [self.label_note] if self.label_note else []
            self._contents, self._version = reading.contents(self.name, tally, (*self.notes, *label_note)), version

    def contents(self) -> Contents:
        """Counts, digests and roles of all passages; the source is read where no whole iteration has come before."""
        if self._known() is None:
            for _ in self:
                pass
        assert self._contents is not None
        return self._contents

    def check(self) -> InputCheck:
        """What `check_inputs` gives for this source alone."""
        from ._check import check_inputs

        return check_inputs([self])

    def sha256(self) -> str:
        """Hex digest: of a file its bytes, of a folder its files' digests and names, else of what the rows hold.

        The source is read for it only where it has changed since the last call.
        """
        version = self.reader.version()
        if self._digest is None or self._digest[0] != version:
            self._digest = version, self.reader.sha256()
        return self._digest[1]

    def refuse_output(self, out: str | Path, parameter: str = "out") -> None:
        """Refuse to write to *out* where that would change what this source reads.

        Raises:
            UsageError: *out* is the file that is read, or lies in the folder that is read.
        """
        path, folder = Path(out).resolve(), Path(self.name)
        read = self.reader.files if isinstance(self.reader, FileReader) else ()
        if any(file.path.resolve() == path for file in read):
            raise UsageError(f"{out}: `{parameter}` is the file that is read, and would replace it: name another file")
        if read and folder.is_dir() and path.is_relative_to(folder.resolve()):
            inside = path.relative_to(folder.resolve()).parts
            if not any(part.startswith(".") for part in inside):
                raise UsageError(
                    f"{out}: `{parameter}` lies in the folder that is read, {self.name}, so what is written there "
                    "would be read as passages: name another folder"
                )

    def _known(self) -> Contents | None:
        """The contents as noted; None where there are none, or the source has changed since."""
        return self._contents if self._contents is not None and self._version == self.reader.version() else None

    def _counted(self) -> str:
        if self._contents is None:
            return ""
        counts = self._contents.counts
        candidates = counts.passages - counts.members - counts.nonmembers
        kinds = ((counts.members, "member"), (counts.nonmembers, "non-member"), (candidates, "candidate"))
        shown = ", ".join(f"{n:,} {kind}{'' if n == 1 else 's'}" for n, kind in kinds if n)
        return f": {counts.passages:,} passages ({shown})"

    def _contradicts(self, given: int | None, where: str, tally: Tally) -> bool:
        """Whether a row has another label than the whole input; a column that holds no labels is not read."""
        if self._label is None or given in (None, self._label) or self.label_note:
            return False
        if not tally.labels_judged:
            tally.labels_judged, self.label_note = True, self._why_unread()
            if self.label_note:
                return False
        role = ROLES[self._label]
        if given == NOT_A_LABEL:
            problem = "its label is not 1 or true, 0 or false, or empty: correct it, give its meaning with `labels`"
        else:
            problem = f"its label is {given} but the whole input was given as {role}: move the row"
        unread = "or, if the column does not mean membership, read no labels with `label_column` ''"
        tally.faults.add(where, f"{problem}, {unread}")
        return True

    def _why_unread(self) -> str:
        """Why the label column of an input with a role is not read; empty where it is read.

        A column with many values that are no labels holds something else, such as topics. Otherwise a label that
        differs from the role is a contradiction, or is misspelt.
        """
        values = [draft for draft in self.reader.drafts(Tally()) if draft.label is not None]
        others = [draft.where for draft in values if draft.label == NOT_A_LABEL]
        if len(others) < MANY * len(values):
            return ""
        return (
            f"{self.name}: its label column is not read, because it holds other values than labels (the first at "
            f"{others[0]}); all passages count as {ROLES[self._label or 0]}, because the input was given as these"
        )

    def _repeats(self, name: str, where: str, position: int, tally: Tally) -> bool:
        """Whether the id *name* has occurred before, and not only an id with the same digest."""
        if tally.repeated_ids:
            tally.faults.add(where, "its id has occurred before: ids must differ")
            return True
        ids = Ids()
        for draft in islice(self.reader.drafts(Tally()), position):
            earlier = ids.derive(draft.text) if draft.id is None else draft.id
            if draft.id is not None:
                ids.add(earlier)
            if earlier == name:
                shown = quoted(name, LONGEST_ID)
                tally.faults.add(where, f"the id {shown} occurs twice, first at {draft.where}: ids must differ")
                tally.repeated_ids = True
                return True
        return False


def check_label(label: int | None) -> None:
    """Raise `UsageError` where *label* is not that of an input."""
    if label not in (None, 0, 1):
        raise UsageError(f"`label` is 1, 0 or None, not {label!r}")
