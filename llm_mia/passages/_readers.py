"""Readers: each gives the rows of a kind of source as drafts of passages, any number of times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from ..errors import PassageError
from ._columns import ChosenColumns, NamedColumns
from ._compressed import reading
from ._csv_rows import read_csv
from ._cutting import cut_document
from ._disguised import refuse_table
from ._drafts import SKIP, Draft, is_blank, make_draft, refuse_unread_words
from ._files import InputFile, decoded_lines, digest, first_character, is_empty, verify
from ._hub import dataset_rows, parse_uri, read_hub
from ._in_memory import RowsOf, rows_in_memory
from ._json_rows import read_json
from ._spool import SpooledReader, drafts_sha256
from ._streamed import is_of_ray, streamed_rows
from ._tables import Row, Tally, read_arrow, read_parquet, with_partition

__all__ = ["FileReader", "MemoryReader", "Reader", "hub_reader", "reader_of"]


class Reader(Protocol):
    """A source that can be read again and again."""

    def drafts(self, tally: Tally) -> Iterator[Draft]:
        """All rows, from the first; *tally* counts what is skipped."""

    def sha256(self) -> str:
        """Hex digest of the contents."""

    def version(self) -> object:
        """Compares equal as long as the contents have not changed, as far as that can be known without reading."""


class FileReader:
    """A file, the files of a folder, or standard input in a temporary file."""

    def __init__(self, files: Sequence[InputFile], columns: NamedColumns, passage_tokens: int, *, folder: bool) -> None:
        self.files = files
        self._columns, self._passage_tokens, self._folder = columns, passage_tokens, folder

    def drafts(self, tally: Tally) -> Iterator[Draft]:
        """The rows of the tables and the pieces of the documents, file after file."""
        for file in self.files:
            if is_empty(file):
                if not self._columns.skip_empty:
                    raise PassageError(file.shown, f"the file is empty{SKIP}")
                tally.empty_texts += 1
                continue
            if (kind := file.format) == "stdin":
                kind = "jsonl" if first_character(file) == "{" else "text"
            try:
                if kind == "text":
                    yield from self._of_document(file, tally)
                else:
                    rows = self._rows(file, kind, tally)
                    if file.partition:
                        rows = with_partition(rows, file, tally)
                    yield from _drafts(rows, self._columns, file.shown, tally)
            except PassageError:
                if file.compression is not None:
                    verify(file)  # what cannot be read may be damage, which is known only at the end of the file
                raise

    def sha256(self) -> str:
        """Hex digest: of a file its bytes, of a folder the digests and names of its files."""
        return digest(list(self.files), folder=self._folder)

    def version(self) -> object:
        """Size and time of change of each file."""
        states = []
        for file in self.files:
            with reading(file.shown):
                state = file.path.stat()
            states.append((state.st_size, state.st_mtime_ns))
        return states

    def _rows(self, file: InputFile, kind: str, tally: Tally) -> Iterator[Row]:
        match kind:
            case "json" | "jsonl":
                return read_json(file, tally, self._columns)
            case "parquet":
                return read_parquet(file, self._columns)
            case "arrow":
                return read_arrow(file, self._columns)
            case _:
                return read_csv(file, tally, self._columns)

    def _of_document(self, file: InputFile, tally: Tally) -> Iterator[Draft]:
        text = "".join(line for _, line in decoded_lines(file))
        if is_blank(text):
            if self._columns.skip_empty:
                tally.empty_texts += 1
            else:
                tally.faults.add(file.shown, f"no text in it, or only white space{SKIP}")
            return
        refuse_table(text, self._columns, file.shown, stdin=file.format == "stdin")
        columns, given = self._columns.of_document([name for name, _ in file.partition]), dict(file.partition)
        line = 1
        for number, passage in enumerate(cut_document(text, self._passage_tokens), start=1):
            values = {"text": passage, "id": f"{file.name}#{number}", "document": file.name, **given}
            yield make_draft(columns, values, f"{file.shown} line {line}")
            line += passage.count("\n")


class MemoryReader:
    """Rows in memory."""

    def __init__(self, rows: RowsOf, columns: NamedColumns, name: str) -> None:
        self._rows, self._columns, self._name = rows, columns, name

    def drafts(self, tally: Tally) -> Iterator[Draft]:
        """All rows."""
        return _drafts(self._rows(), self._columns, self._name, tally)

    def sha256(self) -> str:
        """Hex digest of the texts, ids, documents and labels."""
        tally = Tally()
        digest_of_rows = drafts_sha256(self.drafts(tally))
        tally.faults.refuse(self._name)
        return digest_of_rows

    def version(self) -> object:
        """Always the same: data that change while they are used are not expected."""
        return None


def hub_reader(uri: str, columns: NamedColumns) -> Reader:
    """A reader of ``hf://…``; the rows come over the network only once.

    Raises:
        PassageError: *uri* is not of that form.
    """
    parse_uri(uri)
    return SpooledReader(lambda tally: _drafts(read_hub(uri, columns), columns, uri, tally), uri, f"{uri} row")


def reader_of(data: object, columns: NamedColumns, name: str, place: str) -> Reader:
    """A reader of *data* in memory; *name* and *place* are for messages: ``{place} 17``.

    Raises:
        UsageError: *data* is of a type that cannot hold passages.
    """
    dataset: Any = data
    if is_of_ray(data):
        streamed = (dataset, columns, name, place)
        return SpooledReader(lambda tally: _drafts(streamed_rows(*streamed), columns, name, tally), name, place)
    if type(data).__module__.partition(".")[0] == "datasets" and not isinstance(data, Mapping):

        def rows() -> Iterator[Row]:
            return dataset_rows(dataset, columns, name, place)

        if not hasattr(data, "__len__"):  # it is streamed
            return SpooledReader(lambda tally: _drafts(rows(), columns, name, tally), name, place)
        return MemoryReader(rows, columns, name)
    return MemoryReader(rows_in_memory(data, columns, name, place), columns, name)


def _drafts(rows: Iterator[Row], columns: NamedColumns, shown: str, tally: Tally) -> Iterator[Draft]:
    """The *rows* as drafts; *tally* takes those that cannot be passages, and those without text if they are skipped."""
    chosen: ChosenColumns | None = None
    names: tuple[str, ...] = ()
    for where, values in rows:
        # The objects of a JSON Lines file may differ in their keys, but seldom do.
        if chosen is None or tuple(values) != names:
            names = tuple(values)
            chosen = columns.choose(names, where, names)
            if columns.words and chosen.label is None and columns.label is None:
                tally.without_labels = names
        if columns.skip_empty and is_blank(values[chosen.text]):
            tally.empty_texts += 1
            continue
        try:
            if tally.without_labels:
                refuse_unread_words(chosen, values, columns.words, where)
            draft = make_draft(chosen, values, where, by_role=columns.by_role)
        except PassageError as error:
            tally.faults.add(error.where, error.problem)
            continue
        yield draft
    if chosen is None and not tally.faults.count:
        raise PassageError(shown, "no passage in it: only blank lines, or a header without rows")
