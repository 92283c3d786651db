"""The file of a part: a Parquet table with a row for each passage, its signals or its continuations as lists."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..records import TOKEN_ARRAYS, TokenSignals
from ._arrow import numbers, strings
from ._atomic import replacing

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet

__all__ = [
    "KEYS",
    "N_TOKENS",
    "TEXTS",
    "columns_read",
    "holds_only",
    "length_column",
    "open_part_file",
    "samples_table",
    "signals_table",
    "with_lengths",
    "write_part_file",
]

KEYS = ("id", "text_sha256")
TEXTS = "texts"
N_TOKENS = "n_tokens"
"""The column of a part that holds no array of signals: the number of scored tokens."""


@contextlib.contextmanager
def open_part_file(
    path: Path, pass_sha256: str, kept: Collection[str] | None = None
) -> Iterator[pa.parquet.ParquetFile]:
    """The file of a part of the pass with this digest, open for reading.

    Args:
        path: of the file.
        pass_sha256: the digest of the pass.
        kept: the arrays of `TokenSignals` that it must hold, and may hold others besides; None: it holds all, or
            continuations.

    Raises:
        pyarrow.ArrowException, OSError, UnicodeDecodeError: it is damaged, has other columns, or is of another pass.
    """
    import pyarrow as pa
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path, pre_buffer=False, page_checksum_verification=True) as file:
        names = file.schema_arrow.names
        fields = [name for name in TOKEN_ARRAYS if name in names]
        schemas = [part_schema(fields), *([] if fields else [samples_schema()])]
        if not any(map(file.schema_arrow.equals, schemas)):
            raise pa.ArrowInvalid("its columns are not those of signals or of continuations")
        lacking = [name for name in (TOKEN_ARRAYS if kept is None else kept) if name not in fields]
        if lacking and TEXTS not in names:
            raise pa.ArrowInvalid(f"it lacks the columns {', '.join(lacking)}")
        if file.schema_arrow.metadata != _metadata(pass_sha256):
            raise pa.ArrowInvalid("it belongs to another pass, or to another run")
        yield file


def write_part_file(path: Path, tables: Sequence[pa.Table], pass_sha256: str) -> None:
    """Write *tables* of `signals_table` or `samples_table`, completely or not at all; each becomes a row group.

    Raises:
        RunDirectoryError: the file cannot be written.
    """
    import pyarrow.parquet

    schema = tables[0].schema.with_metadata(_metadata(pass_sha256))
    floats = [f"{name}.list.element" for name in TOKEN_ARRAYS if _is_float(name) and name in schema.names]
    options: dict[str, Any] = {
        # Without checksums a bit that the disk corrupts would change a score unnoticed.
        "write_page_checksum": True,
        # Signals hardly ever repeat: looking for repeated values takes longer than all the rest.
        "use_dictionary": False,
        "use_byte_stream_split": floats,
        # Of digests, the slower compression takes half of the space.
        "compression": "zstd" if N_TOKENS in schema.names else "lz4",
    }
    with (
        replacing(path) as temporary,
        pyarrow.parquet.ParquetWriter(temporary, schema, **options) as writer,
    ):
        for table in tables:
            writer.write_table(table)


def signals_table(
    ids: Sequence[str],
    digests: Sequence[str],
    signals: Sequence[TokenSignals],
    kept: Collection[str] | None = None,
) -> pa.Table:
    """Passages as rows of a part: 4 bytes for each array of a token, a fraction of what a NumPy array would take.

    *kept* are the arrays that are written; None: all.
    """
    import pyarrow as pa

    columns: list[pa.Array] = [strings(ids), strings(digests)]
    lengths = np.array([len(of_passage) for of_passage in signals], dtype=np.int32)
    offsets = numbers(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    fields = [name for name in TOKEN_ARRAYS if kept is None or name in kept]
    for name in fields:
        values = np.concatenate([getattr(of_passage, name) for of_passage in signals])
        columns.append(pa.ListArray.from_arrays(offsets, numbers(values.astype(TOKEN_ARRAYS[name], copy=False))))
    if not fields:
        columns.append(numbers(lengths))
    return pa.table(columns, schema=part_schema(fields))


def with_lengths(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The passages of *batch* with the number of scored tokens of each, in place of their signals."""
    import pyarrow as pa
    import pyarrow.compute as pc

    name = length_column(batch.schema.names)
    if name is None:
        lengths = numbers(np.zeros(len(batch), np.int32))
    else:
        lengths = batch.column(name) if name == N_TOKENS else pc.list_value_length(batch.column(name))
    return pa.record_batch([*(batch.column(key) for key in KEYS), lengths], schema=part_schema(()))


def columns_read(names: Collection[str], reads: Collection[str]) -> list[str]:
    """Of the columns *names* of a part those that show its passages, and the arrays that it *reads*, or the texts.

    Where it reads nothing, there is a column that shows how many tokens each passage has, if the part has one.
    """
    length = length_column(names)
    arrays = [name for name in (*TOKEN_ARRAYS, TEXTS) if name in names and (name in reads or (name == TEXTS and reads))]
    return [*KEYS, *(arrays or ([length] if length else []))]


def holds_only(names: Collection[str], kept: Collection[str]) -> bool:
    """Whether a part with the columns *names* holds the arrays that are *kept* and no others, nor texts."""
    return not any(name in names and name not in kept for name in (*TOKEN_ARRAYS, TEXTS))


def length_column(names: Collection[str]) -> str | None:
    """The column that shows how many tokens each passage has; None where there are continuations alone."""
    # Ranks are the quickest to read, because most are small.
    return next((name for name in (N_TOKENS, "rank", *TOKEN_ARRAYS) if name in names), None)


def samples_table(ids: Sequence[str], digests: Sequence[str], texts: Sequence[Sequence[str]]) -> pa.Table:
    """Passages as rows of a part of continuations: the *texts* of each."""
    import pyarrow as pa

    offsets = numbers(np.cumsum([0, *map(len, texts)], dtype=np.int32))
    values = strings([text for of_passage in texts for text in of_passage])
    columns: list[pa.Array] = [strings(ids), strings(digests), pa.ListArray.from_arrays(offsets, values)]
    return pa.table(columns, schema=samples_schema())


def _metadata(pass_sha256: str) -> dict[bytes, bytes]:
    return {b"pass_sha256": pass_sha256.encode()}


def _is_float(name: str) -> bool:
    return np.issubdtype(TOKEN_ARRAYS[name], np.floating)


def part_schema(fields: Collection[str] = tuple(TOKEN_ARRAYS)) -> pa.Schema:
    import pyarrow as pa

    types = {name: pa.from_numpy_dtype(np.dtype(TOKEN_ARRAYS[name])) for name in fields}
    lists = [(name, pa.list_(pa.field("element", kind))) for name, kind in types.items()]
    return pa.schema([*((name, "string") for name in KEYS), *(lists or [(N_TOKENS, "int32")])])


def samples_schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([*((name, "string") for name in KEYS), (TEXTS, pa.list_(pa.field("element", "string")))])
