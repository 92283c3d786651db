"""The file of a part: a Parquet table with a row for each passage, its signals or its continuations as lists."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..records import TOKEN_ARRAYS, TokenSignals
from ._arrow import numbers, strings
from ._atomic import replacing

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet

__all__ = ["open_part_file", "samples_table", "signals_table", "write_part_file"]


@contextlib.contextmanager
def open_part_file(path: Path, pass_sha256: str) -> Iterator[pa.parquet.ParquetFile]:
    """The file of a part of the pass with this digest, open for reading.

    Raises:
        pyarrow.ArrowException, OSError, UnicodeDecodeError: it is damaged, has other columns, or is of another pass.
    """
    import pyarrow as pa
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path, pre_buffer=False, page_checksum_verification=True) as file:
        if not any(map(file.schema_arrow.equals, (part_schema(), samples_schema()))):
            raise pa.ArrowInvalid("its columns are not those of signals or of continuations")
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
        "compression": "lz4",
    }
    with (
        replacing(path) as temporary,
        pyarrow.parquet.ParquetWriter(temporary, schema, **options) as writer,
    ):
        for table in tables:
            writer.write_table(table)


def signals_table(ids: Sequence[str], digests: Sequence[str], signals: Sequence[TokenSignals]) -> pa.Table:
    """Passages as rows of a part: 24 bytes a token, a fraction of what an array for each passage would take."""
    import pyarrow as pa

    columns: list[pa.Array] = [strings(ids), strings(digests)]
    offsets = numbers(np.cumsum([0, *map(len, signals)], dtype=np.int32))
    for name, dtype in TOKEN_ARRAYS.items():
        values = np.concatenate([getattr(of_passage, name) for of_passage in signals]).astype(dtype, copy=False)
        columns.append(pa.ListArray.from_arrays(offsets, numbers(values)))
    return pa.table(columns, schema=part_schema())


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


def part_schema() -> pa.Schema:
    import pyarrow as pa

    types = {name: pa.from_numpy_dtype(np.dtype(dtype)) for name, dtype in TOKEN_ARRAYS.items()}
    lists = [(name, pa.list_(pa.field("element", kind))) for name, kind in types.items()]
    return pa.schema([("id", "string"), ("text_sha256", "string"), *lists])


def samples_schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([("id", "string"), ("text_sha256", "string"), ("texts", pa.list_(pa.field("element", "string")))])
