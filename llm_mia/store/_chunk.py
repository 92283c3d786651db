"""What was read of a part: consecutive passages with their signals, or with continuations."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..records import TOKEN_ARRAYS, TokenSignals
from ._arrow import as_numpy
from ._part_file import N_TOKENS, TEXTS, length_column

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["StoredChunk", "StoredSignals"]

MISSING: Mapping[str, NDArray[np.generic]] = {
    name: np.array(np.nan if np.issubdtype(dtype, np.floating) else -1, dtype) for name, dtype in TOKEN_ARRAYS.items()
}
"""What `StoredChunk.signals` gives of an array that is not read."""


@dataclass(frozen=True, slots=True)
class StoredSignals:
    """A stored passage: its id, the digest of its text, and its signals."""

    id: str
    text_sha256: str
    signals: TokenSignals


class StoredChunk:
    """Consecutive passages of a pass, in memory; arrays have shape (passages,)."""

    def __init__(self, table: pa.Table, tokenizer: str, first: int, reads: Collection[str] = TOKEN_ARRAYS) -> None:
        self.first = first
        """Position of its first passage in the input."""
        self.ids: list[str] = table.column("id").to_pylist()
        self.text_sha256: list[str] = table.column("text_sha256").to_pylist()
        names = table.column_names
        lists = {name: _as_single_array(table, name) for name in TOKEN_ARRAYS if name in names}
        lengths = length_column(names)
        self.holds_texts = lengths is None
        """Whether the pass is of continuations: it has `texts`, and no `signals`."""
        if lengths in lists:
            offsets = as_numpy(lists[lengths].offsets)
        else:
            counts = as_numpy(_as_single_array(table, N_TOKENS)) if lengths else np.zeros(len(self.ids), np.int32)
            offsets = np.concatenate([[0], np.cumsum(counts)])
        self.n_tokens: NDArray[np.int32] = np.diff(offsets).astype(np.int32, copy=False)
        """Scored tokens of each passage."""
        self._texts: list[list[str]] = table.column(TEXTS).to_pylist() if TEXTS in names else []
        # Python's integers: slicing by numpy's takes three times as long.
        self._ends: list[int] = (offsets - offsets[0]).tolist()
        # Where nothing is to be read, `signals` fails; where some arrays are, all others are missing.
        self._values = {
            name: as_numpy(lists[name].flatten()) if name in reads else np.broadcast_to(missing, self._ends[-1])
            for name, missing in (MISSING if lists and reads else {}).items()
        }
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


def _as_single_array(table: pa.Table, name: str) -> pa.Array:
    import pyarrow as pa

    column = table.column(name).combine_chunks()
    return column if isinstance(column, pa.Array) else pa.concat_arrays(column.chunks)
