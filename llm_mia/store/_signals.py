"""Signals on disk: the parts of one pass, read back in chunks of columns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RunDirectoryError
from ..records import Passage, TokenSignals
from ._arrow import as_numpy, numbers, strings
from ._files import replacing

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LISTS", "SignalsFolder", "StoredChunk", "StoredSignals", "packed", "text_sha256"]

LISTS = {
    "token_ids": "int32",
    "logprob": "float32",
    "mean": "float32",
    "std": "float32",
    "top": "float32",
    "rank": "int32",
}
# Enough to say which passages are there, and how long each is.
KEYS = ("id", "text_sha256", "rank")
CHUNK = 512


@dataclass(frozen=True, slots=True)
class StoredSignals:
    """One row of a part."""

    id: str
    text_sha256: str
    signals: TokenSignals


def text_sha256(passage: Passage) -> str:
    """Digest of the passage as given; lets a run notice that its input has changed."""
    return hashlib.sha256(passage.text.encode()).hexdigest()


class StoredChunk:
    """Consecutive passages of one pass; shapes (passages,)."""

    def __init__(self, table: pa.Table, tokenizer: str) -> None:
        self.ids: list[str] = table.column("id").to_pylist()
        self.text_sha256: list[str] = table.column("text_sha256").to_pylist()
        lists = {name: _whole(table, name) for name in LISTS if name in table.column_names}
        offsets = as_numpy(lists["rank"].offsets)
        self.n_tokens: NDArray[np.int32] = np.diff(offsets)
        """Scored tokens of each passage."""
        # Python's own integers: a million slices by numpy's take three times as long.
        self._ends: list[int] = (offsets - offsets[0]).tolist()
        self._values = {name: as_numpy(column.flatten()) for name, column in lists.items()}
        self._tokenizer = tokenizer

    def __len__(self) -> int:
        return len(self.ids)

    def signals(self, row: int) -> TokenSignals:
        """The signals of one passage, as views of this chunk."""
        values, here = self._values, slice(self._ends[row], self._ends[row + 1])
        return TokenSignals(
            token_ids=values["token_ids"][here],
            logprob=values["logprob"][here],
            mean=values["mean"][here],
            std=values["std"][here],
            top=values["top"][here],
            rank=values["rank"][here],
            tokenizer=self._tokenizer,
        )


class SignalsFolder:
    """The parts of one pass: ``part-00000.parquet``, ``part-00001.parquet``, … in input order."""

    def __init__(self, path: Path, tokenizer: str) -> None:
        self.path = path
        self.tokenizer = tokenizer

    def parts(self) -> list[Path]:
        """The finished parts, in order."""
        return sorted(self.path.glob("part-*.parquet"))

    def __iter__(self) -> Iterator[StoredSignals]:
        for chunk in self.chunks():
            for row, (passage, digest) in enumerate(zip(chunk.ids, chunk.text_sha256, strict=True)):
                yield StoredSignals(passage, digest, chunk.signals(row))

    def chunks(self, rows: int = CHUNK, *, start: int = 0, keys_only: bool = False) -> Iterator[StoredChunk]:
        """All passages from the position *start* on, *rows* at a time wherever the parts end; the last may be fewer.

        Where *keys_only*, a chunk has no `StoredChunk.signals`, and is read in a quarter of the time.

        Raises:
            RunDirectoryError: a part is damaged.
        """
        import pyarrow as pa

        waiting: list[pa.RecordBatch] = []
        for batch in self._batches(rows, start, list(KEYS) if keys_only else None):
            waiting.append(batch)
            if sum(map(len, waiting)) >= rows:
                table = pa.Table.from_batches(waiting)
                yield StoredChunk(table.slice(0, rows), self.tokenizer)
                waiting = table.slice(rows).to_batches()
        if waiting:
            yield StoredChunk(pa.Table.from_batches(waiting), self.tokenizer)

    def _batches(self, rows: int, start: int, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
        """At most *rows* passages each."""
        import pyarrow as pa
        import pyarrow.parquet

        for part in self.parts():
            try:
                with pyarrow.parquet.ParquetFile(part, pre_buffer=False, page_checksum_verification=True) as file:
                    if not file.schema_arrow.equals(_part_schema()):
                        raise pa.ArrowInvalid("its columns are not those of signals")
                    if start >= file.metadata.num_rows:
                        start -= file.metadata.num_rows
                        continue
                    for batch in file.iter_batches(rows, columns=columns):
                        if start < len(batch):
                            yield batch.slice(start)
                        start = max(0, start - len(batch))
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                raise RunDirectoryError(
                    f"{part}: damaged ({str(error).splitlines()[0]}); remove this and all later parts"
                ) from None

    def append(self, tables: Sequence[pa.Table]) -> None:
        """Write the next part, of what `packed` has made: as many row groups, for whoever reads holds one at a time."""
        import pyarrow.parquet

        how: dict[str, Any] = {
            # Checksums, or a bit that a disk loses would change a score and nobody would know.
            "write_page_checksum": True,
            # Figures hardly repeat: to look for those that do takes longer than all the rest, and finds nothing.
            "use_dictionary": False,
            "use_byte_stream_split": [f"{name}.list.element" for name, kind in LISTS.items() if kind == "float32"],
            "compression": "lz4",
        }
        with (
            replacing(self.path / f"part-{len(self.parts()):05d}.parquet") as beside,
            pyarrow.parquet.ParquetWriter(beside, _part_schema(), **how) as writer,
        ):
            for table in tables:
                writer.write_table(table)


def packed(ids: Sequence[str], digests: Sequence[str], signals: Sequence[TokenSignals]) -> pa.Table:
    """Passages as rows of a part: 24 bytes a token, where arrays of their own take several times that."""
    import pyarrow as pa

    columns: list[pa.Array] = [strings(ids), strings(digests)]
    offsets = numbers(np.cumsum([0, *map(len, signals)], dtype=np.int32))
    for name, dtype in LISTS.items():
        values = np.concatenate([getattr(one, name) for one in signals]).astype(dtype, copy=False)
        columns.append(pa.ListArray.from_arrays(offsets, numbers(values)))
    return pa.table(columns, schema=_part_schema())


def _part_schema() -> pa.Schema:
    import pyarrow as pa

    lists = ((name, pa.list_(pa.field("element", dtype))) for name, dtype in LISTS.items())
    return pa.schema([("id", "string"), ("text_sha256", "string"), *lists])


def _whole(table: pa.Table, name: str) -> pa.Array:
    """A column in one piece."""
    import pyarrow as pa

    column = table.column(name).combine_chunks()
    return column if isinstance(column, pa.Array) else pa.concat_arrays(column.chunks)
