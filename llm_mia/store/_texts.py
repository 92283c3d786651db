"""``texts.parquet``: the texts of passages, for what people read; no stage computes from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import RunDirectoryError
from ..records import SCHEMA_VERSION
from ._arrow import numbers, strings
from ._atomic import replacing

__all__ = ["StoredText", "read_texts", "remove_texts", "write_texts"]

FILE = "texts.parquet"
ROWS = 1_000
"""Texts that are held at once while they are written."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredText:
    """A passage as people read it."""

    id: str
    position: int
    """In the input of the run, from 0: the passage's place in the signals of each pass."""
    text: str
    ends: NDArray[np.int32] | None
    """Where each token of the target ends, in characters, shape (tokens,); None where this is not known.

    A token begins where the token before it ends. Where the model reads nothing before a text, its first token has no
    signals, so there is one token more than there are signals."""


def write_texts(path: Path, texts: Iterable[StoredText]) -> None:
    """Write ``texts.parquet`` into the run directory *path*, completely or not at all.

    Raises:
        RunDirectoryError: it cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet

    schema = pa.schema(
        [("id", "string"), ("position", "int64"), ("text", "string"), ("ends", pa.list_(pa.int32()))],
        metadata={"schema_version": str(SCHEMA_VERSION)},
    )
    rest = iter(texts)
    with (
        replacing(path / FILE) as temporary,
        pyarrow.parquet.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        while rows := list(islice(rest, ROWS)):
            columns = [
                strings([row.id for row in rows]),
                numbers(np.array([row.position for row in rows], dtype=np.int64)),
                strings([row.text for row in rows]),
                pa.array([row.ends for row in rows], pa.list_(pa.int32())),
            ]
            writer.write_table(pa.table(columns, schema=schema))


def remove_texts(path: Path) -> None:
    """Remove the texts from the run directory *path*, if there are any."""
    (path / FILE).unlink(missing_ok=True)


def read_texts(path: Path) -> Sequence[StoredText]:
    """The texts in the run directory *path*, in the order of the input; none where there is no ``texts.parquet``.

    Raises:
        RunDirectoryError: the file is damaged, or another release of llm_mia wrote it.
    """
    import pyarrow as pa
    import pyarrow.parquet

    file = path / FILE
    if not file.exists():
        return []
    try:
        table = pyarrow.parquet.read_table(file)
        metadata = table.schema.metadata or {}
        if metadata.get(b"schema_version") != str(SCHEMA_VERSION).encode():
            raise pa.ArrowInvalid("another release of llm_mia wrote it")
        columns = [table.column(name).to_pylist() for name in ("id", "position", "text")]
        ends = [None if row is None else np.asarray(row, dtype=np.int32) for row in table.column("ends").to_pylist()]
    except (pa.ArrowException, OSError, KeyError) as error:
        raise RunDirectoryError(
            f"{file}: cannot be read ({error}); remove it, and run the same command again"
        ) from None
    return [StoredText(*row) for row in zip(*columns, ends, strict=True)]
