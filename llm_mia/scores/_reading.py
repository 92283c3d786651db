"""Reading a table of scores: of a run directory, or anybody's csv, jsonl or parquet file."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import ScoresError
from ..records import RunRecord, Standing
from ..store import read_run
from ._labels import UNKNOWN, label_codes, missing_column
from ._table import ScoreTable

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["read_scores"]

LENGTH = "length"
ID_COLUMNS = ("id", "passage_id", "doc_id")
LABEL_COLUMNS = ("label", "member", "is_member")
DOCUMENT_COLUMNS = ("document", "book", "doc_id", "title")
# In the tables of a run these columns describe a passage; they are not scores of an attack.
REFERENCE = "reference_perplexity"
NOT_SCORES = {"n_tokens", "n_bytes", "target_tokens", "target_perplexity", "reference_tokens", REFERENCE}


def read_scores(
    path: str | Path,
    *,
    id_column: str | None = None,
    label_column: str | None = None,
    document_column: str | None = None,
    by: str = "",
) -> ScoreTable:
    """The table of scores in a csv, jsonl or parquet file, or in a run directory.

    Every column of numbers that is not named below is taken for an attack. Where None names a column, the usual names
    are tried; an empty string means that there is no such column.

    Args:
        path: the file, or the run directory, whose record the table then has.
        id_column: names the passages; without it, the row number is the name, counted from 1.
        label_column: 1 or true member, 0 or false non-member, empty candidate; without it, all are candidates.
        document_column: the document of each passage; without it, each passage is a document.
        by: puts passages into categories: by the values of the column of that name, or by ``length``, in bands that
            double: 64 to 127 bytes, 128 to 255, …

    Raises:
        ScoresError: no such file, another format, a named column that is not there, a label that is neither 0/1 nor
            true/false, or no column of numbers.
        RunDirectoryError: the folder is not a run directory, or is of another schema.
    """
    path = Path(path)
    record: RunRecord | None = None
    standing: Standing | None = None
    if path.is_dir():
        record = read_run(path)
        standing = _standing(path, record)
        path = path / "scores.parquet"
    as_text = (id_column or "", document_column or "", "" if by == LENGTH else by)
    names_of = {*ID_COLUMNS, *DOCUMENT_COLUMNS, *as_text} - {label_column}
    table = _read_table(path, as_written=names_of)
    names = table.column_names
    id_column = _find(path, names, id_column, ID_COLUMNS)
    label_column = _find(path, names, label_column, LABEL_COLUMNS)
    document_column = _find(path, names, document_column, DOCUMENT_COLUMNS)
    ids = _strings(path, table, id_column, [str(row + 1) for row in range(table.num_rows)])
    aside = {id_column, label_column, document_column, by} | NOT_SCORES
    # A run that stopped while it added columns leaves some that its record does not hold yet.
    ours = names if record is None else [attack.name for attack in record.attacks if attack.name in names]
    columns = {name: _numbers(table, name) for name in ours if name not in aside and _is_number(table, name)}
    if not columns and record is not None:
        raise ScoresError(f"{path}: the run is not finished; run the same command again")
    if not columns:
        raise ScoresError(f"{path}: no column of scores (numbers) among {', '.join(names)}: add such a column")
    return ScoreTable(
        name=str(path),
        ids=ids,
        documents=_strings(path, table, document_column, ids),
        labels=_labels(path, table, label_column),
        columns=columns,
        record=record,
        reference_log_likelihood=_reference_log_likelihood(table),
        by=by,
        categories=_categories(path, table, by),
        standing=standing,
    )


def _standing(folder: Path, record: RunRecord) -> Standing | None:
    """What an audit left in ``validity.json`` about the known set; None where no audit has checked these inputs."""
    path = folder / "validity.json"
    if not path.exists():
        return None
    try:
        validity = json.loads(path.read_text(encoding="utf-8"))
        if validity["inputs_sha256"] != [source.sha256 for source in record.inputs]:
            return None
        return Standing.ACCEPTED if validity["accepted"] else Standing(validity["verdict"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ScoresError(f"{path}: is not what an audit wrote; run the audit again") from None


def _reference_log_likelihood(table: pa.Table) -> NDArray[np.float64] | None:
    if REFERENCE not in table.column_names or not _is_number(table, REFERENCE):
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(-np.log(_numbers(table, REFERENCE)))


def _categories(path: Path, table: pa.Table, by: str) -> Sequence[str]:
    names = table.column_names
    if not by:
        return ()
    if by != LENGTH:
        return _strings(path, table, _find(path, names, by, ()), ["unknown"] * table.num_rows)
    column = next((name for name in ("n_bytes", LENGTH) if name in names and _is_number(table, name)), None)
    if column is None:
        raise ScoresError(f"{path}: no column of numbers 'n_bytes' or 'length', so lengths are not known: add it")
    return [_length_band(n_bytes) for n_bytes in _numbers(table, column).tolist()]


def _length_band(n_bytes: float) -> str:
    """The band of a length, for categories. Bands double, and are fixed before any passage is seen.

    >>> _length_band(200), _length_band(0), _length_band(float("nan"))
    ('128-255 bytes', '0 bytes', 'unknown')
    """
    if not 0 <= n_bytes < float("inf"):
        return "unknown"
    power = int(n_bytes).bit_length()
    return f"{1 << power - 1}-{(1 << power) - 1} bytes" if power > 1 else f"{int(n_bytes)} bytes"


def _read_table(path: Path, as_written: Collection[str]) -> pa.Table:
    """The table; the columns *as_written* of a csv file stay bytes, so that id 007 is not id 7."""
    import pyarrow as pa
    from pyarrow import csv, json as jsonl, parquet

    def read_csv() -> pa.Table:
        options = csv.ConvertOptions(column_types=dict.fromkeys(as_written, pa.binary()))
        return csv.read_csv(path, csv.ReadOptions(block_size=block()), convert_options=options)

    def read_jsonl() -> pa.Table:
        return jsonl.read_json(path, jsonl.ReadOptions(block_size=block()))

    def block() -> int:
        # The whole file: a row may not cross a block, and passages among the scores make rows of any length.
        return min(max(path.stat().st_size, 1 << 20), (1 << 31) - 1)

    readers: dict[str, Callable[[], pa.Table]] = {
        ".csv": read_csv,
        ".jsonl": read_jsonl,
        ".ndjson": read_jsonl,
        ".parquet": lambda: parquet.read_table(path),
    }
    if path.suffix not in readers:
        raise ScoresError(f"{path}: a table of scores must be a run directory or a {', '.join(readers)} file")
    if not path.is_file():
        hint = "; the run is not finished, run the same command again" if path.name == "scores.parquet" else ""
        raise ScoresError(f"{path}: no such file{hint}")
    try:
        table = readers[path.suffix]()
        names = table.column_names
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ScoresError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None
    if table.num_rows == 0:
        raise ScoresError(f"{path}: holds no rows")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ScoresError(f"{path}: several columns are named {twice[0]!r}: rename all but the first")
    return table


def _find(path: Path, names: Sequence[str], given: str | None, usual: Sequence[str]) -> str | None:
    if given is None:
        return next((name for name in usual if name in names), None)
    if given == "":
        return None
    if given not in names:
        raise ScoresError(f"{path}: {missing_column(given, names)}")
    return given


def _strings(path: Path, table: pa.Table, name: str | None, instead: Sequence[str]) -> Sequence[str]:
    """The values of a column as strings; *instead*, row by row, where there is none."""
    if name is None:
        return instead
    try:
        values = (v.decode() if isinstance(v, bytes) else v for v in table.column(name).to_pylist())
        return [other if v is None or v == "" else str(v) for v, other in zip(values, instead, strict=True)]
    except UnicodeDecodeError:
        raise ScoresError(f"{path}: column {name!r} is not UTF-8 text: write the file again as UTF-8") from None


def _is_number(table: pa.Table, name: str) -> bool:
    import pyarrow.types

    kind = table.schema.field(name).type
    kinds = (pyarrow.types.is_floating, pyarrow.types.is_integer, pyarrow.types.is_null)
    return any(is_kind(kind) for is_kind in kinds)


def _numbers(table: pa.Table, name: str) -> NDArray[np.float64]:
    return np.asarray(table.column(name).cast("float64", safe=False).to_numpy(), dtype=np.float64)


def _labels(path: Path, table: pa.Table, name: str | None) -> NDArray[np.int8]:
    if name is None:
        return np.full(table.num_rows, UNKNOWN, dtype=np.int8)
    return label_codes(table.column(name).to_pylist(), str(path))
