"""Signals on disk: the parts of a pass, each named by the range of passages that it holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import RunDirectoryError
from ..records import TOKEN_ARRAYS, TokenSignals
from ._arrow import as_numpy
from ._part_file import open_part_file, write_part_file

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Part", "SignalsFolder", "StoredChunk", "StoredSignals"]

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


class StoredChunk:
    """Consecutive passages of a pass, in memory; arrays have shape (passages,)."""

    def __init__(self, table: pa.Table, tokenizer: str, first: int) -> None:
        self.first = first
        """Position of its first passage in the input."""
        self.ids: list[str] = table.column("id").to_pylist()
        self.text_sha256: list[str] = table.column("text_sha256").to_pylist()
        lists = {name: _as_single_array(table, name) for name in TOKEN_ARRAYS if name in table.column_names}
        self.holds_texts = "rank" not in lists
        """Whether the pass is of continuations: it has `texts`, and no `signals`."""
        offsets = np.zeros(len(self.ids) + 1, np.int32) if self.holds_texts else as_numpy(lists["rank"].offsets)
        self.n_tokens: NDArray[np.int32] = np.diff(offsets)
        """Scored tokens of each passage."""
        self._texts: list[list[str]] = table.column("texts").to_pylist() if "texts" in table.column_names else []
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

    def texts(self, row: int) -> tuple[str, ...]:
        """The continuations of the passage in this row."""
        return tuple(self._texts[row])


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

    def text_digests(self) -> list[str]:
        """The digest of the text of each passage that is stored, in the order of the input.

        Raises:
            RunDirectoryError: see `parts`; or a part is damaged.
        """
        import pyarrow as pa

        digests: list[str] = []
        for part in self.parts():
            try:
                with open_part_file(part.path, self._pass_sha256) as file:
                    digests += file.read(columns=["text_sha256"]).column("text_sha256").to_pylist()
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                raise RunDirectoryError(
                    f"{part.path}: cannot be read ({error}); remove the file, and run the same command again"
                ) from None
        return digests

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

        for part in self.parts():
            if part.last < start or (stop is not None and part.first >= stop):
                continue
            try:
                with open_part_file(part.path, self._pass_sha256) as file:
                    if file.metadata.num_rows != len(part):
                        raise pa.ArrowInvalid(
                            f"it holds {file.metadata.num_rows} passages, its name states {len(part)}"
                        )
                    at = part.first
                    there = columns and [name for name in columns if name in file.schema_arrow.names]
                    for batch in file.iter_batches(rows, columns=there):
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
            tables: what `signals_table` or `samples_table` gives; each becomes a row group, and a reader holds one in
                memory at a time.
        """
        last = first + sum(map(len, tables)) - 1
        write_part_file(self.path / f"part-{first:09d}-{last:09d}.parquet", tables, self._pass_sha256)
        self.remove_unfinished(first, last)

    def write_unfinished(self, first: int, table: pa.Table) -> None:
        """Replace what is kept of the block that begins at *first*: a row for each of its finished windows."""
        write_part_file(self._unfinished(first), [table], self._pass_sha256)

    def read_unfinished(self, first: int) -> StoredChunk | None:
        """What `write_unfinished` kept; None where there is nothing, or nothing that can be read."""
        import pyarrow as pa

        if not self._unfinished(first).exists():
            return None
        try:
            with open_part_file(self._unfinished(first), self._pass_sha256) as file:
                return StoredChunk(file.read(), self.tokenizer, first)
        except (pa.ArrowException, OSError, UnicodeDecodeError):
            return None  # its windows are computed again

    def remove(self) -> None:
        """Remove every signal, because it is of another model than the record says."""
        self.remove_unfinished()
        for path in self.path.glob("part-*.parquet"):
            path.unlink(missing_ok=True)

    def remove_unfinished(self, first: int = 0, last: int | None = None) -> None:
        """Remove what is kept of blocks that begin at the positions from *first* to *last*, which are finished."""
        for path in self.path.glob("unfinished-*.parquet"):
            number = path.stem.partition("-")[2]
            if number.isdecimal() and first <= int(number) and (last is None or int(number) <= last):
                path.unlink(missing_ok=True)

    def _unfinished(self, first: int) -> Path:
        return self.path / f"unfinished-{first:09d}.parquet"


def _as_single_array(table: pa.Table, name: str) -> pa.Array:
    import pyarrow as pa

    column = table.column(name).combine_chunks()
    return column if isinstance(column, pa.Array) else pa.concat_arrays(column.chunks)
