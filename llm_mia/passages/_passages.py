"""The input as a stream of passages that can be read again."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ..errors import PassageError
from ..records import Passage
from ._columns import LONGEST_ID, Columns, Draft, Found, draft, quoted
from ._cutting import cut_document
from ._files import InputFile, decoded_lines, digest, find_files, first_character, is_empty, readable, spool_stdin
from ._hub import SCHEME, parse_uri, read_hub
from ._ids import Ids
from ._tables import Row, Tally, read_csv, read_json, read_jsonl, read_parquet


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
    input is jsonl where it opens with ``{``, else one document.

    Columns are found by themselves where their names are usual; an empty string says that there is none, as for a
    ``label`` column that does not mean membership. *label* is given to every passage (1 member, 0 non-member); a row
    that says the opposite is refused.

    Raises `PassageError` here for what does not exist or is not supported, and while iterating for what is inside.
    """
    if label not in (None, 0, 1):
        raise ValueError(f"label is 1, 0 or None, not {label!r}")
    if passage_tokens < 1:
        raise PassageError(
            readable(source), f"passages of {passage_tokens} tokens: --passage-tokens must be at least 1"
        )
    columns = Columns(text_column, id_column, label_column, document_column)
    name = readable(source)
    if name.startswith(SCHEME):
        parse_uri(name)
        return Passages(name, [], columns, passage_tokens, label)
    if name != "-":
        return Passages(name, find_files(source), columns, passage_tokens, label)
    file, spool = spool_stdin()
    passages = Passages("stdin", [file], columns, passage_tokens, label)
    weakref.finalize(passages, spool.close)
    return passages


class Passages:
    """Passages in input order. Every iteration reads the input afresh; see `read_passages`, which makes it.

    Memory does not grow with the input, but for 16 to 32 bytes an id; a txt document, a json list and a Parquet batch
    are held whole while they are read.
    """

    def __init__(
        self, name: str, files: list[InputFile], columns: Columns, passage_tokens: int, label: int | None
    ) -> None:
        self.name = name
        """The source as the user gave it, or ``stdin``."""
        self.blank_lines = 0
        """Blank lines skipped in the last whole iteration."""
        self._files = files
        self._columns = columns
        self._passage_tokens = passage_tokens
        self._label = label

    def __repr__(self) -> str:
        return f"<Passages {self.name!r}>"

    def __iter__(self) -> Iterator[Passage]:
        tally, ids = Tally(), Ids()
        for position, (text, name, document, label, where) in enumerate(self._drafts(tally)):
            if name is None:
                name = ids.derive(text)
            elif not ids.add(name):
                self._refuse_duplicate(name, where, position)
            yield Passage(name, text, name if document is None else document, self._agree(label, where), where)
        self.blank_lines = tally.blank_lines

    def sha256(self) -> str:
        """Hex digest: of a file its bytes, of a folder the digests and names of its files, of hf:// the uri itself."""
        if not self._files:
            return hashlib.sha256(self.name.encode()).hexdigest()
        return digest(self._files, folder=self._files[0].shown != self.name)

    def _agree(self, found: int | None, where: str) -> int | None:
        """The label of the whole input, or else the row's own; a row that says the opposite is refused."""
        if self._label is None:
            return found
        if found is not None and found != self._label:
            kinds = ("non-members", "members")
            raise PassageError(
                where,
                f"its label is {found} but the whole input was given as {kinds[self._label]}: move the row, "
                "or name another --label-column",
            )
        return self._label

    def _refuse_duplicate(self, name: str, where: str, position: int) -> None:
        """Raise, naming both places; but not where only the digests of two ids are alike."""
        for earlier in islice(self, position):
            if earlier.id == name:
                shown = quoted(name, LONGEST_ID)
                raise PassageError(where, f"the id {shown} stands twice, first at {earlier.where}: ids must differ")

    def _drafts(self, tally: Tally) -> Iterator[Draft]:
        if not self._files:
            yield from self._of_rows(read_hub(self.name, self._columns), self.name)
        for file in self._files:
            if is_empty(file):
                raise PassageError(file.shown, "the file is empty")
            if (kind := file.format) == "stdin":
                kind = "jsonl" if first_character(file) == "{" else "text"
            if kind == "text":
                yield from self._of_document(file)
            else:
                yield from self._of_rows(self._rows(file, kind, tally), file.shown)

    def _rows(self, file: InputFile, kind: str, tally: Tally) -> Iterator[Row]:
        match kind:
            case "jsonl":
                return read_jsonl(file, tally)
            case "json":
                return read_json(file, tally)
            case "parquet":
                return read_parquet(file, self._columns)
            case _:
                return read_csv(file, tally, self._columns, "\t" if kind == "tsv" else ",")

    def _of_rows(self, rows: Iterator[Row], shown: str) -> Iterator[Draft]:
        found: Found | None = None
        names: tuple[str, ...] = ()
        for where, values in rows:
            # Objects of one jsonl may differ in their keys, but seldom do.
            if found is None or tuple(values) != names:
                names = tuple(values)
                found = self._columns.find(names, where)
            yield draft(found, values, where)
        if found is None:
            raise PassageError(shown, "no passage in it: only blank lines, or a header without rows")

    def _of_document(self, file: InputFile) -> Iterator[Draft]:
        text = "".join(line for _, line in decoded_lines(file))
        if not text or text.isspace():
            raise PassageError(file.shown, "no text in it, or only white space")
        line = 1
        for number, passage in enumerate(cut_document(text, self._passage_tokens), start=1):
            yield Draft(passage, f"{file.name}#{number}", file.name, None, f"{file.shown} line {line}")
            line += passage.count("\n")
