"""Columns of a table in pieces, which are read from a large Parquet file only when they are needed."""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

import numpy as np
from numpy.typing import NDArray

from ..errors import ScoresError
from ..records import SharedNames, values_at
from ..store import as_numpy

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Columns", "StoredScores", "StoredValues", "filled", "taken"]

T = TypeVar("T")
Floats = NDArray[np.float64]
IN_MEMORY = 1 << 26
"""A Parquet file of at most so many bytes is read as a whole."""
BLOCK = 1 << 16
"""Largest number of values that are Python objects at the same time."""
HELD = 1 << 23
"""Largest number of scores in memory at the same time, unless a single column has more."""


class Columns:
    """The columns of a table of scores in pieces; the pieces of all columns have the same rows."""

    def __init__(
        self, source: Path, schema: pa.Schema, lengths: Sequence[int], read: Callable[[str, int], pa.Array]
    ) -> None:
        """*source* is the file; *lengths* are the rows of each piece; *read* gives a column's values in a piece."""
        self._source = source
        self.schema = schema
        self.names: list[str] = schema.names
        self.starts = [0, *accumulate(lengths)]
        """The first row of each piece, and last the number of rows."""
        self._read = read
        self._checked: set[tuple[str, int]] = set()

    @classmethod
    def of(cls, source: Path, table: pa.Table) -> Columns:
        """The columns of a table in memory, which was read from the file *source*, in a single piece."""
        whole = table.combine_chunks()

        def read(name: str, _: int) -> pa.Array:
            chunks = whole.column(name).chunks
            return chunks[0] if len(chunks) == 1 else whole.column(name).combine_chunks()

        return cls(source, table.schema, [table.num_rows], read)

    @classmethod
    def of_parquet(cls, path: Path) -> Columns:
        """The columns of a Parquet file; of a large file, at most one row group is in memory."""
        from pyarrow import parquet

        file = parquet.ParquetFile(path)
        if path.stat().st_size <= IN_MEMORY:
            return cls.of(path, file.read())
        lengths = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]

        def read(name: str, piece: int) -> pa.Array:
            with _readable(path):
                column = file.read_row_group(piece, columns=[name]).column(name)
                return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()

        return cls(path, file.schema_arrow, lengths, read)

    def __len__(self) -> int:
        return self.starts[-1]

    def piece(self, name: str, number: int) -> pa.Array:
        """The values of a column in a piece.

        Raises:
            ScoresError: they cannot be read, or they are strings that are not UTF-8.
        """
        import pyarrow as pa

        piece = self._read(name, number)
        if (name, number) not in self._checked and _are_strings(piece.type):
            try:
                piece.validate(full=True)  # there are programs that write other bytes as strings
            except pa.ArrowInvalid:
                message = f"{self._source}: column {name!r} is not UTF-8 text: write the file again as UTF-8"
                raise ScoresError(message) from None
            self._checked.add((name, number))
        return piece

    def pieces(self, name: str) -> Iterator[pa.Array]:
        """The values of a column, piece by piece."""
        return (self.piece(name, number) for number in range(len(self.starts) - 1))

    def numbers(self, name: str) -> Floats:
        """The values of a column of numbers; NaN where there is none."""
        values, start = np.empty(len(self)), 0
        for piece in self.pieces(name):
            values[start : start + len(piece)] = filled(piece.cast("float64", safe=False), np.nan)
            start += len(piece)
        return values


def _are_strings(kind: pa.DataType) -> bool:
    import pyarrow.types

    values = kind.value_type if pyarrow.types.is_dictionary(kind) else kind
    kinds = (pyarrow.types.is_string, pyarrow.types.is_large_string, pyarrow.types.is_string_view)
    return any(is_kind(values) for is_kind in kinds)


def filled(piece: pa.Array, missing: float) -> NDArray[Any]:
    """The numbers of a piece, with *missing* in the place of nulls; `fill_null` of Arrow imports pandas."""
    if not piece.null_count:
        return as_numpy(piece)
    values: NDArray[Any] = as_numpy(piece).copy()
    values[as_numpy(piece.is_null().cast("int8")) > 0] = missing
    return values


class StoredValues(Sequence[T], Generic[T]):
    """The values of a column; at any time, only values of a single piece are Python objects."""

    __slots__ = ("_columns", "_convert", "_held", "_name")

    def __init__(self, columns: Columns, name: str, convert: Callable[[pa.Array, int], list[T]]) -> None:
        """*convert* takes values, and the row of the first of them."""
        self._columns, self._name, self._convert = columns, name, convert
        self._held: tuple[int, pa.Array] | None = None

    def blocks(self) -> Iterator[list[T]]:
        """The values in order, at most `BLOCK` at a time."""
        for number, start in enumerate(self._columns.starts[:-1]):
            piece = self._piece(number)
            for first in range(0, len(piece), BLOCK):
                yield self._convert(piece[first : first + BLOCK], start + first)

    def stored(self, number: int) -> pa.Array:
        """The values of a piece as they are stored."""
        return self._columns.piece(self._name, number)

    def _piece(self, number: int) -> pa.Array:
        if self._held is None or self._held[0] != number:
            self._held = number, self._columns.piece(self._name, number)
        return self._held[1]

    def __len__(self) -> int:
        return len(self._columns)

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[T]: ...
    def __getitem__(self, at: int | slice) -> T | Sequence[T]:
        if isinstance(at, slice):
            return self.at(np.arange(*at.indices(len(self))))
        row = range(len(self))[at]
        return self._range(bisect_right(self._columns.starts, row) - 1, row, row + 1)[0]

    def at(self, places: NDArray[np.integer[Any]]) -> list[T]:
        """The values in these rows; where the rows ascend, each piece is read once."""
        if len(places) < 2 or (np.diff(places) < 0).any():
            return [self[row] for row in places.tolist()]
        values: list[T] = []
        ends = np.searchsorted(places, self._columns.starts).tolist()
        for number, (start, end) in enumerate(pairwise(ends)):
            if start < end:
                rows = places[start:end]
                of_range = self._range(number, int(rows[0]), int(rows[-1]) + 1)
                dense = len(of_range) == len(rows) and (np.diff(rows) == 1).all()
                values += of_range if dense else [of_range[place] for place in (rows - rows[0]).tolist()]
        return values

    def _range(self, number: int, start: int, end: int) -> list[T]:
        """The values from row *start* to before *end*, which lie in the piece *number*."""
        first = self._columns.starts[number]
        return self._convert(self._piece(number)[start - first : end - first], start)

    def __iter__(self) -> Iterator[T]:
        for block in self.blocks():
            yield from block

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(other) != len(self):
            return False
        return all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]


class _Taken(Sequence[T], Generic[T]):
    """The values in some rows of a column."""

    __slots__ = ("_rows", "_values")

    def __init__(self, values: Sequence[T], rows: NDArray[np.intp]) -> None:
        self._values, self._rows = values, rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[T]: ...
    def __getitem__(self, at: int | slice) -> T | Sequence[T]:
        if isinstance(at, slice):
            return values_at(self._values, self._rows[at])
        return self._values[int(self._rows[at])]

    def at(self, places: NDArray[np.integer[Any]]) -> list[T]:
        """The values at these places."""
        return values_at(self._values, self._rows[places])

    def __iter__(self) -> Iterator[T]:
        for start in range(0, len(self._rows), BLOCK):
            yield from self[start : start + BLOCK]


def taken(values: Sequence[T], rows: NDArray[np.intp]) -> Sequence[T]:
    """The values in these *rows*: a list, unless there are too many for a list of Python objects."""
    if isinstance(values, SharedNames):
        return cast("Sequence[T]", values.take(rows))
    if len(rows) > BLOCK and isinstance(values, StoredValues | _Taken):
        return _Taken(values, rows)
    return values_at(values, rows)


class StoredScores(Mapping[str, Floats]):
    """Scores by attack, which are read when they are needed; a large table keeps in memory only those read last."""

    def __init__(self, rows: int, read: Mapping[str, Callable[[], Floats]]) -> None:
        """*read* gives the scores of each attack, shape (*rows*,)."""
        self._rows, self._read = rows, dict(read)
        self._held: dict[str, Floats] = {}

    @classmethod
    def of(
        cls,
        columns: Columns,
        names: Mapping[str, str],
        convert: Mapping[str, Callable[[Floats], Floats]] | None = None,
    ) -> StoredScores:
        """*names*: the column of each attack; *convert*: what gives scores from the values of a column, by its name."""

        def read(name: str) -> Floats:
            values = columns.numbers(name)
            return convert[name](values) if convert and name in convert else values

        return cls(len(columns), {attack: partial(read, name) for attack, name in names.items()})

    def with_scores(self, attack: str, scores: Floats) -> StoredScores:
        """The same scores, and those of *attack*."""
        self._make_room()
        return StoredScores(self._rows, {**self._read, attack: lambda: scores})

    def only(self, kept: NDArray[np.bool_]) -> StoredScores:
        """The scores of the passages where *kept*, shape (rows,), is true."""
        return StoredScores(int(kept.sum()), {attack: partial(self._kept, attack, kept) for attack in self})

    def _kept(self, attack: str, kept: NDArray[np.bool_]) -> Floats:
        return self[attack][kept]

    def __getitem__(self, attack: str) -> Floats:
        if attack not in self._held:
            self._make_room()
            self._held[attack] = self._read[attack]()
        return self._held[attack]

    def _make_room(self) -> None:
        if self._rows * (len(self._held) + 1) > HELD:
            self._held.clear()

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raises a `ScoresError` of a single line in place of an error of Arrow."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise ScoresError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None
