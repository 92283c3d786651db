"""A source of passages, which can be read any number of times."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from ..errors import PassageError, UsageError
from ..records import Passage
from ._columns import LONGEST_ID, NamedColumns, quoted
from ._contents import Contents, Reading
from ._files import find_files, spool_stdin
from ._folders import readable
from ._hub import SCHEME
from ._ids import Ids
from ._readers import FileReader, Reader, hub_reader, reader_of
from ._tables import Tally

if TYPE_CHECKING:
    from ._check import InputCheck

__all__ = ["PassageSource", "Passages", "read_passages", "to_passages", "to_sources"]

IN_MEMORY = "passages in memory"


def read_passages(
    source: str | Path,
    *,
    text_column: str | None = None,
    id_column: str | None = None,
    label_column: str | None = None,
    document_column: str | None = None,
    passage_tokens: int = 128,
    label: int | None = None,
) -> Passages:
    """The passages of a file, a folder, ``hf://name?config=…&split=…`` or ``-`` (standard input).

    Files are jsonl, ndjson, json, csv, tsv, parquet, txt and md; the text formats also gzipped. A txt or md file is one
    document, cut into passages of about *passage_tokens* tokens (4 UTF-8 bytes a token, whatever the model). Standard
    input is jsonl where it opens with ``{``, else one document. `Passages.of` takes data in memory.

    Args:
        source: a path, a uri of a dataset, or ``-``.
        text_column: the column of the text; None: chosen by its usual names.
        id_column: the column of the id; an empty string: there is none, and ids follow from the texts.
        label_column: the column of the label; an empty string: there is none.
        document_column: the column of the document; an empty string: each passage is a document.
        passage_tokens: see above.
        label: given to every passage (1 member, 0 non-member); a row that has the opposite label is refused.

    Raises:
        PassageError: here for what does not exist or is not supported, and while iterating for what is inside.
    """
    _check_label(label)
    if passage_tokens < 1:
        raise UsageError(f"`passage_tokens` is {passage_tokens}: it must be at least 1")
    columns = NamedColumns(text_column, id_column, label_column, document_column)
    name = readable(source)
    if name.startswith(SCHEME):
        return Passages(name, hub_reader(name, columns), label)
    if name != "-":
        files, notes = find_files(source)
        reader = FileReader(files, columns, passage_tokens, folder=files[0].shown != name)
        return Passages(name, reader, label, notes)
    file, spool = spool_stdin()
    passages = Passages("stdin", FileReader([file], columns, passage_tokens, folder=False), label)
    weakref.finalize(passages, spool.close)
    return passages


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
        self.reader = reader
        """Reads the rows."""
        self.last_check: tuple[tuple[Contents, ...], InputCheck] | None = None
        """What `check_inputs` gave when this was the first of its sources, and the contents that it compared."""
        self._label = label
        self._contents: Contents | None = None
        self._version: object = None
        """Version of the source when its contents were noted."""

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
            label: given to every passage (1 member, 0 non-member); a row that has the opposite label is refused.
            name: how messages and records call the source.

        Raises:
            UsageError: *data* is of a type that cannot hold passages.
            PassageError: a passage is refused, while iterating; the place is ``row 17``, counted from 1.

        >>> passages = Passages.of([{"text": "A river.", "member": True}, {"text": "A bridge."}])
        >>> [(passage.text, passage.label) for passage in passages]
        [('A river.', 1), ('A bridge.', None)]
        """
        _check_label(label)
        columns = NamedColumns(text_column, id_column, label_column, document_column)
        place = f"{name} row" if name else "row"
        return cls(name or IN_MEMORY, reader_of(data, columns, name or IN_MEMORY, place), label)

    def __repr__(self) -> str:
        return f"<Passages {self.name!r}{self._counted()}>"

    def _repr_html_(self) -> str:
        return f"<p><b>{escape(self.name)}</b>{escape(self._counted())}</p>"

    def __iter__(self) -> Iterator[Passage]:
        tally, ids = Tally(), Ids()
        version, reading = self.reader.version(), Reading() if self._known() is None else None
        for position, (text, name, document, label, where, columns) in enumerate(self.reader.drafts(tally)):
            if name is None:
                name = ids.derive(text)
            elif not ids.add(name):
                self._refuse_duplicate(name, where, position)
            document, label = name if document is None else document, self._agree(label, where)
            passage = Passage(name, text, document, label, where, columns)
            if reading is not None:
                reading.add(passage)
            yield passage
        self.blank_lines = tally.blank_lines
        if reading is not None:
            self._contents, self._version = reading.contents(self.name, tally.blank_lines, self.notes), version

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
        """Hex digest: of a file its bytes, of a folder its files' digests and names, else of what the rows hold."""
        return self.reader.sha256()

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

    def _agree(self, given: int | None, where: str) -> int | None:
        """The label of the whole input if it has a label, else that of the row; the opposite label is refused."""
        if self._label is None:
            return given
        if given is not None and given != self._label:
            kinds = ("non-members", "members")
            raise PassageError(
                where,
                f"its label is {given} but the whole input was given as {kinds[self._label]}: move the row, "
                "or rename its label column if that does not mean membership",
            )
        return self._label

    def _refuse_duplicate(self, name: str, where: str, position: int) -> None:
        """Raises `PassageError` with both places, unless only the digests of two different ids are equal."""
        for earlier in islice(self, position):
            if earlier.id == name:
                shown = quoted(name, LONGEST_ID)
                raise PassageError(where, f"the id {shown} occurs twice, first at {earlier.where}: ids must differ")


class ArrowColumns(Protocol):
    """What libraries of tables offer: pandas, polars, pyarrow, DuckDB."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """A capsule with an Arrow stream."""


PassageSource: TypeAlias = Passages | str | Path | Iterable[object] | ArrowColumns
"""`Passages`, a path or uri for `read_passages`, or data for `Passages.of`."""


def to_passages(
    source: PassageSource, *, label: int | None = None, label_column: str | None = None, name: str = ""
) -> Passages:
    """The passages of *source*, whatever it is; `Passages` are returned unchanged, with their labels.

    Args:
        source: `Passages`, a path or uri, or data.
        label: given to every passage of a path or of data.
        label_column: the column of the label; an empty string: there is none.
        name: how messages call data.
    """
    if isinstance(source, Passages):
        return source
    if isinstance(source, str | Path):
        return read_passages(source, label=label, label_column=label_column)
    return Passages.of(source, label=label, label_column=label_column, name=name)


def to_sources(sources: PassageSource) -> list[Passages]:
    """The sources as a list: a sequence of `Passages` as it is; anything else as the single source of `to_passages`."""
    if isinstance(sources, Sequence) and sources and all(isinstance(source, Passages) for source in sources):
        return list(sources)
    return [to_passages(sources)]


def _check_label(label: int | None) -> None:
    if label not in (None, 0, 1):
        raise UsageError(f"`label` is 1, 0 or None, not {label!r}")
