"""Writes and reads the decisions on candidates as a Parquet file, without loss; only a part is in memory at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..passages import ColumnType, common_type
from ..records import Plain
from ..scores import Columns, StoredScores, StoredValues, document_names, filled, strings_of
from ..store import as_numpy, numbers, plain_values, replacing, strings
from ._flag_rows import BLOCK, FIGURES, REASONS, FlagRows, Reason

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["read_flag_rows", "write_flag_rows"]

FIXED = {
    "id": "string",
    "document": "string",
    "score": "float64",
    "p_value": "float64",
    "q_value": "float64",
    "limit": "float64",
    "flagged": "bool",
    "reason": "string",
}
"""Columns with their types; columns of the input follow them."""
TYPES: dict[type, ColumnType] = {
    str: ColumnType.STRING,
    bool: ColumnType.BOOL,
    int: ColumnType.INT,
    float: ColumnType.FLOAT,
}


def write_flag_rows(path: Path, rows: FlagRows) -> None:
    """Write the decisions to the file *path*, completely or not at all.

    Raises:
        RunDirectoryError: it cannot be written.
    """
    import pyarrow as pa
    from pyarrow import parquet

    carried = {name: _type_of(values) for name, values in rows.columns.items()}
    schema = pa.schema(list((FIXED | carried).items()))
    figures = [rows.figures[name] for name in FIGURES]
    with (
        replacing(path) as temporary,
        parquet.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        for start in range(0, len(rows), BLOCK):
            part = slice(start, start + BLOCK)
            reasons = [REASONS[number] for number in rows.reasons[part].tolist()]
            columns = [
                strings(rows.ids[part]),
                strings(rows.documents[part]),
                *(_figures(values[part]) for values in figures),
                plain_values(rows.flagged[part].tolist(), "bool"),
                strings([None if reason is None else reason.value for reason in reasons]),
                *(plain_values(rows.columns[name][part], kind) for name, kind in carried.items()),
            ]
            writer.write_table(pa.table(columns, schema=schema))


def read_flag_rows(path: Path, attack: str) -> FlagRows:
    """The decisions by *attack* in the file *path*, which `write_flag_rows` wrote."""
    table = Columns.of_parquet(path)
    ids = strings_of(path, table, "id", str)
    return FlagRows(
        attack=attack,
        ids=ids,
        documents=document_names(path, table, "document", ids),
        figures=StoredScores.of(table, {name: name for name in FIGURES}),
        flagged=_joined([as_numpy(piece.cast("int8")) > 0 for piece in table.pieces("flagged")], bool),
        reasons=_joined([_reasons(piece) for piece in table.pieces("reason")], np.int8),
        columns={
            name: StoredValues(table, name, lambda piece, _: piece.to_pylist())
            for name in table.names
            if name not in FIXED
        },
    )


def _type_of(values: Sequence[Plain]) -> str:
    kinds = {type(value) for value in values} - {type(None)}
    return common_type({TYPES[kind] for kind in kinds} or {ColumnType.STRING}).value


def _figures(values: NDArray[np.float64]) -> pa.Array:
    missing = np.isnan(values)
    return numbers(values, missing if missing.any() else None)


def _reasons(piece: pa.Array) -> NDArray[np.int8]:
    """For each reason in *piece*, its position in `REASONS`."""
    encoded = piece.dictionary_encode()
    numbers_of = np.array([*(REASONS.index(Reason(code)) for code in encoded.dictionary.to_pylist()), 0], np.int8)
    return np.asarray(numbers_of[filled(encoded.indices, len(numbers_of) - 1)])


def _joined(parts: Sequence[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype), *parts])
