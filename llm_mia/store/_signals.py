"""Signals on disk: the parts of a pass, each named by the range of passages that it holds."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RunDirectoryError
from ..records import TOKEN_ARRAYS
from ._chunk import StoredChunk, StoredSignals
from ._part_file import columns_read, holds_only, open_part_file, with_lengths, write_part_file

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Part", "SignalsFolder"]

CHUNK = 512
PART_NAME = re.compile(r"part-(\d{9,})-(\d{9,})\.parquet")


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


class SignalsFolder:
    """The parts of a pass: ``part-000000000-000004095.parquet`` holds the passages 0 to 4095.

    The name of a part shows what it holds, so several processes can write the same pass, and each sees what is missing.
    """

    def __init__(
        self,
        path: Path,
        tokenizer: str,
        pass_sha256: str = "",
        kept: Collection[str] | None = None,
        reads: Collection[str] = tuple(TOKEN_ARRAYS),
    ) -> None:
        self.path = path
        self.tokenizer = tokenizer
        self._pass_sha256 = pass_sha256
        """Digest of what the pass depends on. Each part holds it, so a part of another pass or run is recognised."""
        self._kept = kept
        """The arrays of `TokenSignals` that each part holds; None: all, or continuations."""
        self.reads = reads
        """Of these the arrays that chunks give; where there are none, chunks give no continuations either."""

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

    def text_digests(self) -> Iterator[str]:
        """The digest of the text of each passage that is stored, in the order of the input; those of a part at a time.

        Raises:
            RunDirectoryError: see `parts`; or a part is damaged.
        """
        import pyarrow as pa

        for part in self.parts():
            try:
                with open_part_file(part.path, self._pass_sha256, self._kept) as file:
                    digests = file.read(columns=["text_sha256"]).column("text_sha256").to_pylist()
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                raise RunDirectoryError(
                    f"{part.path}: cannot be read ({error}); remove the file, and run the same command again"
                ) from None
            yield from digests

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
        that are finished hold the same passages. With *keys_only*, or where no array is to be read, a chunk has no
        `StoredChunk.signals`, and is read in a quarter of the time.

        Raises:
            RunDirectoryError: a part is damaged, or holds more or fewer passages than its name states; see also
                `parts`.
        """
        import pyarrow as pa

        waiting: list[pa.RecordBatch] = []
        first = position = 0
        reads = () if keys_only else self.reads
        for at, batch in self._batches(rows, start, stop, reads):
            if waiting and at != position:
                yield StoredChunk(pa.Table.from_batches(waiting), self.tokenizer, first, reads)
                waiting = []
            position, left = at, batch
            while len(left):
                if not waiting:
                    first = position
                piece = left.slice(0, rows - position % rows)
                waiting.append(piece)
                position, left = position + len(piece), left.slice(len(piece))
                if position % rows == 0:
                    yield StoredChunk(pa.Table.from_batches(waiting), self.tokenizer, first, reads)
                    waiting = []
        if waiting:
            yield StoredChunk(pa.Table.from_batches(waiting), self.tokenizer, first, reads)

    def _batches(
        self, rows: int, start: int, stop: int | None, reads: Collection[str]
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Batches of at most *rows* passages, each with the position of its first; of all parts the same columns."""
        import pyarrow as pa

        for part in self.parts():
            if part.last < start or (stop is not None and part.first >= stop):
                continue
            try:
                with open_part_file(part.path, self._pass_sha256, self._kept) as file:
                    if file.metadata.num_rows != len(part):
                        raise pa.ArrowInvalid(
                            f"it holds {file.metadata.num_rows} passages, its name states {len(part)}"
                        )
                    at = part.first
                    for batch in file.iter_batches(rows, columns=columns_read(file.schema_arrow.names, reads)):
                        n = len(batch)
                        batch = batch if reads else with_lengths(batch)
                        skipped = min(max(start - at, 0), n)
                        kept = n if stop is None else min(stop - at, n)
                        if kept > skipped:
                            yield at + skipped, batch.slice(skipped, kept - skipped)
                        at += n
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                raise self._damaged(part, error) from None

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

    def keep_less(self) -> None:
        """Write each part that holds other arrays than those that are kept again without these, one after another.

        Raises:
            RunDirectoryError: a part is damaged, or cannot be written.
        """
        import pyarrow as pa

        assert self._kept is not None, "a pass that keeps everything has nothing to remove"
        self.remove_unfinished()
        for part in self.parts():
            try:
                with open_part_file(part.path, self._pass_sha256, self._kept) as file:
                    if holds_only(file.schema_arrow.names, self._kept):
                        continue
                    columns = columns_read(file.schema_arrow.names, self._kept)
                    tables = [file.read_row_group(at, columns) for at in range(file.num_row_groups)]
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                raise self._damaged(part, error) from None
            if not self._kept:
                tables = [
                    pa.Table.from_batches(map(with_lengths, table.to_batches())) for table in tables if len(table)
                ]
            write_part_file(part.path, tables, self._pass_sha256)

    def _damaged(self, part: Part, error: Exception) -> RunDirectoryError:
        return RunDirectoryError(
            f"{part.path}: damaged ({str(error).splitlines()[0]}); remove it, and run the same command again"
        )

    def write_unfinished(self, first: int, table: pa.Table) -> None:
        """Replace what is kept of the block that begins at *first*: a row for each of its finished windows."""
        write_part_file(self._unfinished(first), [table], self._pass_sha256)

    def read_unfinished(self, first: int) -> StoredChunk | None:
        """What `write_unfinished` kept; None where there is nothing, or nothing that can be read."""
        import pyarrow as pa

        if not self._unfinished(first).exists() or not self.reads:
            return None
        try:
            with open_part_file(self._unfinished(first), self._pass_sha256, self._kept) as file:
                table = file.read()
                return StoredChunk(table, self.tokenizer, first, table.column_names)
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
