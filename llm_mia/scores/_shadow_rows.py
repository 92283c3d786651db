"""Scores of shadow models in the target's place, which set the threshold where there is no known set."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import ScoresError
from ..store import read_run, replacing
from ._labels import label_codes
from ._table import ScoreTable

__all__ = ["SHADOW_SCORES", "add_shadow_rows", "write_shadow_rows"]

SHADOW_SCORES = "shadow_scores.parquet"
"""File in the run directory: a row for each passage and each shadow that takes the target's place."""
INPUTS, PLACE = b"inputs_sha256", "place"


def write_shadow_rows(run: str | Path, rows: ScoreTable) -> None:
    """Write the *rows*, each scored with a shadow in the target's place, into the run directory *run*.

    The file names the inputs of the run: `read_scores` leaves it out where the run has had other inputs since.
    """
    import pyarrow as pa
    from pyarrow import parquet

    folder = Path(run)
    table = rows.to_arrow().append_column(PLACE, pa.array(rows.places, pa.string()))
    metadata = {INPUTS: json.dumps(_inputs(folder)).encode()}
    with replacing(folder / SHADOW_SCORES) as path:
        parquet.write_table(table.replace_schema_metadata(metadata), path)


def add_shadow_rows(table: ScoreTable, run: Path) -> ScoreTable:
    """The *table* of the run directory *run*, followed by the rows of shadows that lie there; no column is added.

    Raises:
        ScoresError: the table has categories, which no row of a shadow has; or the file cannot be read.
    """
    import pyarrow as pa
    from pyarrow import parquet

    path = run / SHADOW_SCORES
    if not path.is_file():
        return table
    try:
        rows = parquet.read_table(path)
        inputs = json.loads(rows.schema.metadata[INPUTS])
        more = {name: rows.column(name).to_pylist() for name in ("id", "document", "label", PLACE)}
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError):
        raise ScoresError(f"{path}: is not what an audit wrote; run the audit again") from None
    if inputs != _inputs(run):
        return table
    if table.by:
        raise ScoresError(
            f"{path}: scores of shadow models set the threshold, and they have no categories: leave out `by`"
        )
    missing, n = np.full(rows.num_rows, np.nan), len(table)
    columns = {
        name: np.concatenate(
            [scores, rows.column(name).to_numpy().astype(np.float64) if name in rows.column_names else missing]
        )
        for name, scores in table.columns.items()
    }
    return replace(
        table,
        ids=[*table.ids, *more["id"]],
        documents=[*table.documents, *more["document"]],
        labels=np.concatenate([table.labels, label_codes(more["label"], str(path))]),
        columns=columns,
        others={
            role: {attack: np.concatenate([scores, missing]) for attack, scores in of_role.items()}
            for role, of_role in table.others.items()
        },
        carried={name: [*values, *[None] * rows.num_rows] for name, values in table.carried.items()},
        places=[*[""] * n, *more[PLACE]],
    )


def _inputs(run: Path) -> list[str]:
    return [source.sha256 for source in read_run(run).inputs]
