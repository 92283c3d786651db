"""Signals on disk: the parts of a pass, each named by the range of passages that it holds."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RunDirectoryError
from ..records import TOKEN_ARRAYS, Passage, TokenSignals
from ._arrow import as_numpy, numbers, strings
from ._atomic import replacing

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Part", "SignalsFolder", "StoredChunk", "StoredSignals", "signals_table", "text_sha256"]

# Columns that show which passages are stored, and the number of tokens of each.
KEYS = ("id", "text_sha256", "rank")
CHUNK = 512
PART_NAME = re.compile(r"part-(\d{9,})-(\d{9,})\.parquet")


@dataclass(frozen=True, slots=True)
class StoredSignals:
    """A stored passage: its id, the digest of its text, and its signals."""

    id: str
    text_sha256: str
    signals: TokenSignals


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """A file with the signals of consecutive passages."""

    first: int
    """Position of its first passage in the input, from 0."""
    last: int
    """Position of its last passage."""
    path: Path

    def __len__(self) -> int:
        return self.last + 1 - self.first


def text_sha256(passage: Passage) -> str:
    """Digest of the passage's text, by which a run notices that its input has changed."""
    return hashlib.sha256(passage.text.encode()).hexdigest()


class StoredChunk:
    """Consecutive passages of a pass, in memory; arrays have shape (passages,)."""

    def __init__(self, table: pa.Table, tokenizer: str, first: int) -> None:
        self.first = first
        """Position of its first passage in the input."""
        self.ids: list[str] = table.column("id").to_pylist()
        self.text_sha256: list[str] = table.column("text_sha256").to_pylist()
        lists = {name: _as_single_array(table, name) for name in TOKEN_ARRAYS if name in table.column_names}
        offsets = as_numpy(lists["rank"].offsets)
        self.n_tokens: NDArray[np.int32] = np.diff(offsets)
        """Scored tokens of each passage."""
        # Python's integers: slicing by numpy's takes three times as long.
        self._ends: list[int] = (offsets - offsets[0]).tolist()
        self._values = {name: as_numpy(column.flatten()) for name, column in lists.items()}
        self._tokenizer = tokenizer

    def __len__(self) -> int:
        return len(self.ids)

    def signals(self, row: int) -> TokenSignals:
        """The signals of the passage in this row, as views of this chunk."""
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
    """The parts of a pass: ``part-000000000-000004095.parquet`` holds the passages 0 to 4095.

    The name of a part shows what it holds, so several processes can write the same pass, and each sees what is missing.
    """

    def __init__(self, path: Path, tokenizer: str, pass_sha256: str = "") -> None:
        self.path = path
        self.tokenizer = tokenizer
        self._pass_sha256 = pass_sha256
        """Digest of what the pass depends on. Each part holds it, so a part of another pass or run is recognised."""

    def __iter__(self) -> Iterator[StoredSignals]:
        for chunk in self.chunks():
            for row, (passage, digest) in enumerate(zip(chunk.ids, chunk.text_sha256, strict=True)):
                yield StoredSignals(passage, digest, chunk.signals(row))

    def parts(self) -> list[Part]:
        """The existing parts, in the order of the input.

        Raises:
            RunDirectoryError: a part has another name than parts have, or two parts hold the same passage.
        """
        parts = []
        for path in self.path.glob("part-*"):
            match = PART_NAME.fullmatch(path.name)
            if match is None or int(match[1]) > int(match[2]):
                raise RunDirectoryError(
                    f"{path}: a part has a name such as part-000000000-000004095.parquet; remove the file, and run "
                    "the same command again"
                )
            parts.append(Part(int(match[1]), int(match[2]), path))
        parts.sort()
        for before, after in pairwise(parts):
            if after.first <= before.last:
                raise RunDirectoryError(
                    f"{after.path}: holds passage {after.first}, which {before.path.name} holds too; remove one of the "
                    "two, and run the same command again"
                )
        return parts

    def missing(self, total: int) -> list[range]:
        """The ranges of passages, of *total*, that no part holds; none where the pass is finished.

        Raises:
            RunDirectoryError: see `parts`.
        """
        gaps, position = [], 0
        for part in self.parts():
            if part.first > position:
                gaps.append(range(position, min(part.first, total)))
            position = part.last + 1
        gaps.append(range(position, total))
        return [gap for gap in gaps if gap]

    def chunks(
        self, rows: int = CHUNK, *, start: int = 0, stop: int | None = None, keys_only: bool = False
    ) -> Iterator[StoredChunk]:
        """The stored passages at the positions from *start* to *stop* (excluded), in order.

        A chunk ends at each multiple of *rows*, where passages are missing, and nowhere else: the chunks of two passes
        that are finished hold the same passages. With *keys_only* a chunk has no `StoredChunk.signals`, and is read in
        a quarter of the time.

        Raises:
            RunDirectoryError: a part is damaged, or holds more or fewer passages than its name states; see also
                `parts`.
        """
        import pyarrow as pa

        waiting: list[pa.RecordBatch] = []
        first = position = 0
        for at, batch in self._batches(rows, start, stop, list(KEYS) if keys_only else None):
            if waiting and at != position:
                yield StoredChunk(pa.Table.from_batches(waiting), self.tokenizer, first)
                waiting = []
            position, left = at, batch
            while len(left):
                if not waiting:
                    first = position
                piece = left.slice(0, rows - position % rows)
                waiting.append(piece)
                position, left = position + len(piece), left.slice(len(piece))
                if position % rows == 0:
                    yield StoredChunk(pa.Table.from_batches(waiting), self.tokenizer, first)
                    waiting = []
        if waiting:
            yield StoredChunk(pa.Table.from_batches(waiting), self.tokenizer, first)

    def _batches(
        self, rows: int, start: int, stop: int | None, columns: list[str] | None
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Batches of at most *rows* passages, each with the position of its first."""
        import pyarrow as pa
        import pyarrow.parquet

        for part in self.parts():
            if part.last < start or (stop is not None and part.first >= stop):
                continue
            try:
                with pyarrow.parquet.ParquetFile(part.path, pre_buffer=False, page_checksum_verification=True) as file:
                    if not file.schema_arrow.equals(_part_schema()):
                        raise pa.ArrowInvalid("its columns are not those of signals")
                    if file.schema_arrow.metadata != _metadata(self._pass_sha256):
                        raise pa.ArrowInvalid("it belongs to another pass, or to another run")
                    if file.metadata.num_rows != len(part):
                        raise pa.ArrowInvalid(
                            f"it holds {file.metadata.num_rows} passages, its name states {len(part)}"
                        )
                    at = part.first
                    for batch in file.iter_batches(rows, columns=columns):
                        n = len(batch)
                        skipped = min(max(start - at, 0), n)
                        kept = n if stop is None else min(stop - at, n)
                        if kept > skipped:
                            yield at + skipped, batch.slice(skipped, kept - skipped)
                        at += n
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                raise RunDirectoryError(
                    f"{part.path}: damaged ({str(error).splitlines()[0]}); remove it, and run the same command again"
                ) from None

    def append(self, first: int, tables: Sequence[pa.Table]) -> None:
        """Write a part with the passages from the position *first* on, completely or not at all.

        Args:
            first: position of the first passage.
            tables: what `signals_table` gives; each becomes a row group, and a reader holds one in memory at a time.
        """
        import pyarrow.parquet

        options: dict[str, Any] = {
            # Without checksums a bit that the disk corrupts would change a score unnoticed.
            "write_page_checksum": True,
            # Signals hardly ever repeat: looking for repeated values takes longer than all the rest.
            "use_dictionary": False,
            "use_byte_stream_split": [f"{name}.list.element" for name in TOKEN_ARRAYS if _is_float(name)],
            "compression": "lz4",
        }
        last = first + sum(map(len, tables)) - 1
        with (
            replacing(self.path / f"part-{first:09d}-{last:09d}.parquet") as temporary,
            pyarrow.parquet.ParquetWriter(
                temporary, _part_schema().with_metadata(_metadata(self._pass_sha256)), **options
            ) as writer,
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
    return pa.table(columns, schema=_part_schema())


def _metadata(pass_sha256: str) -> dict[bytes, bytes]:
    return {b"pass_sha256": pass_sha256.encode()}


def _is_float(name: str) -> bool:
    return np.issubdtype(TOKEN_ARRAYS[name], np.floating)


def _part_schema() -> pa.Schema:
    import pyarrow as pa

    types = {name: pa.from_numpy_dtype(np.dtype(dtype)) for name, dtype in TOKEN_ARRAYS.items()}
    lists = [(name, pa.list_(pa.field("element", kind))) for name, kind in types.items()]
    return pa.schema([("id", "string"), ("text_sha256", "string"), *lists])


def _as_single_array(table: pa.Table, name: str) -> pa.Array:
    import pyarrow as pa

    column = table.column(name).combine_chunks()
    return column if isinstance(column, pa.Array) else pa.concat_arrays(column.chunks)
