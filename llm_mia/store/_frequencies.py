"""Token frequencies on disk: counted once for a corpus and a tokenizer, read by every run that uses them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..records import SCHEMA_VERSION, TokenFrequencies
from ._arrow import as_numpy, numbers
from ._atomic import replacing

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["read_frequencies", "write_frequencies"]

COLUMN = "count"


def write_frequencies(path: str | Path, frequencies: TokenFrequencies) -> None:
    """Write a Parquet file with a column ``count`` (int64), whose rows are token ids; completely, or not at all.

    Its metadata name the tokenizer, the corpus and the schema version.

    Raises:
        RunDirectoryError: it cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet

    metadata = {
        "schema_version": str(SCHEMA_VERSION),
        "tokenizer": frequencies.tokenizer,
        "corpus": frequencies.corpus,
    }
    schema = pa.schema([(COLUMN, "int64")], metadata=metadata)
    table = pa.Table.from_arrays([numbers(frequencies.counts.astype(np.int64, copy=False))], schema=schema)
    with replacing(Path(path)) as temporary:
        pyarrow.parquet.write_table(table, temporary, write_page_checksum=True)


def read_frequencies(path: str | Path) -> TokenFrequencies:
    """The token frequencies in a file of `write_frequencies`.

    Raises:
        InputError: there is no such file, it is damaged, or it holds something else.
    """
    import pyarrow as pa
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
            metadata = file.schema_arrow.metadata or {}
            missing = {b"schema_version", b"tokenizer", b"corpus"} - set(metadata)
            if missing or not file.schema_arrow.equals(pa.schema([(COLUMN, "int64")])):
                raise _refusal(path, "holds no token frequencies")
            version = metadata[b"schema_version"].decode()
            if version != str(SCHEMA_VERSION):
                raise _refusal(path, f"has schema version {version}, and this release reads {SCHEMA_VERSION}")
            counts = file.read().column(COLUMN)
    except FileNotFoundError:
        raise _refusal(path, "no such file") from None
    except (pa.ArrowException, OSError) as error:
        raise _refusal(path, f"cannot be read, or is no Parquet file ({str(error).splitlines()[0]})") from None
    return TokenFrequencies(_checked(path, counts), metadata[b"tokenizer"].decode(), metadata[b"corpus"].decode())


def _checked(path: str | Path, column: pa.ChunkedArray) -> NDArray[np.int64]:
    if column.null_count or not len(column):
        raise _refusal(path, "holds no token frequencies")
    counts = np.concatenate([as_numpy(chunk) for chunk in column.chunks])
    if counts.min() < 0:
        raise _refusal(path, "holds a negative count")
    return counts


def _refusal(path: str | Path, problem: str) -> InputError:
    return InputError(f"{path}: {problem}; count them with `count_frequencies`, and name that file")
