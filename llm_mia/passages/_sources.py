"""Whatever passages can be read from, as `Passages`: paths, uris, standard input, data in memory."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol, TypeAlias

from ..errors import PassageError, UsageError
from ._columns import NamedColumns
from ._drafts import label_words
from ._files import InputFile, find_files, spool_stdin, spool_stream
from ._folders import readable
from ._formats import SUPPORTED, classify
from ._hub import SCHEME
from ._passages import Passages, check_label
from ._readers import FileReader, hub_reader

__all__ = ["PassageSource", "read_passages", "to_passages", "to_sources"]


def read_passages(
    source: str | Path,
    *,
    text_column: str | None = None,
    id_column: str | None = None,
    label_column: str | None = None,
    document_column: str | None = None,
    passage_tokens: int = 128,
    label: int | None = None,
    labels: Mapping[str, int | None] | None = None,
    skip_empty: bool = False,
    delimiter: str | None = None,
    stream: IO[bytes] | None = None,
) -> Passages:
    """The passages of a file, a folder, ``hf://name?config=…&split=…`` or ``-`` (standard input).

    Files are jsonl, ndjson, json, csv, tsv, parquet, arrow, txt and md; all but parquet and arrow also as gz, bz2, xz
    and zst. A txt or md file is one document, cut into passages of about *passage_tokens* tokens (4 UTF-8 bytes a
    token, whatever the model). Of a folder the tables are read, and where there are none, the texts; `Passages.notes`
    says which, and what was left out. Standard input is jsonl where it opens with ``{``, else one document.
    `Passages.of` takes data in memory.

    Args:
        source: a path, a uri of a dataset, or ``-``.
        text_column: the column of the text; None: chosen by its usual names.
        id_column: the column of the id; an empty string: there is none, and ids follow from the texts.
        label_column: the column of the label; an empty string: there is none.
        document_column: the column of the document; an empty string: each passage is a document.
        passage_tokens: see above.
        label: given to every passage (1 member, 0 non-member); a row that has the opposite label is refused. A column
            that is not named by *label_column* and holds other values than labels, such as topics, is not read.
        labels: what words in the column of labels mean, as in ``{"held-out": 0, "known-train": 1}``; None: unknown.
        skip_empty: leave out rows without text, and count them, instead of refusing them.
        delimiter: what divides the fields of a csv or tsv file; None: a comma or a tab.
        stream: the bytes of the file, where *source* is only its name; they are copied to a temporary file.

    Raises:
        PassageError: here for what does not exist or is not supported, and while iterating for what is inside.
    """
    check_label(label)
    if passage_tokens < 1:
        raise UsageError(f"`passage_tokens` is {passage_tokens}: it must be at least 1")
    by_role = label is not None and label_column is None and labels is None
    columns = NamedColumns(
        text_column,
        id_column,
        label_column,
        document_column,
        by_role,
        label_words(labels),
        skip_empty,
        _delimiter(delimiter),
    )
    name = readable(source)
    if stream is not None:
        return _of_spooled(*_spooled(stream, name), columns, passage_tokens, label)
    if name.startswith(SCHEME):
        return Passages(name, hub_reader(name, columns), label)
    if name != "-":
        files, notes = find_files(source)
        reader = FileReader(files, columns, passage_tokens, folder=files[0].shown != name)
        return Passages(name, reader, label, notes)
    return _of_spooled(*spool_stdin(), columns, passage_tokens, label)


def _spooled(stream: IO[bytes], name: str) -> tuple[InputFile, IO[bytes]]:
    short = name.rpartition("/")[2]
    what = classify(Path(short))
    if not what.format:
        raise PassageError(name, f"its ending is not supported; supported are {SUPPORTED}")
    return spool_stream(stream, short, name, what)


def _of_spooled(
    file: InputFile, spool: IO[bytes], columns: NamedColumns, passage_tokens: int, label: int | None
) -> Passages:
    passages = Passages(file.shown, FileReader([file], columns, passage_tokens, folder=False), label)
    weakref.finalize(passages, spool.close)
    return passages


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


def _delimiter(delimiter: str | None) -> str | None:
    if delimiter is None:
        return None
    character = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
    if len(character) != 1 or character in '"\r\n':
        raise UsageError(f"`delimiter` is {delimiter!r}: it must be a single character, such as ';', or tab")
    return character
