"""Signals → ``scores.parquet``: a row for each passage, in input order, and a column for each attack."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..attacks import LoadedSupplies
from ..records import Passage
from ..signals import Inputs, PassProgress, PlannedPass, Progress, passages_with_signals
from ..store import RunDirectory, StoredChunk, as_numpy, numbers, replacing, strings
from ._carried import CarriedColumns
from ._computed_columns import PERPLEXITIES, ComputedColumns
from ._documents import Documents
from ._score_columns import SCORES, EarlierRows, ScoreColumns, column_names

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Written", "write_table"]

FACTS = {"id": "string", "document": "string", "label": "int8", "n_tokens": "int32", "n_bytes": "int64"}
ROW_GROUP = 8192


@dataclass(frozen=True, slots=True)
class Written:
    """What a reader ought to know of a table that was written."""

    unscored: int
    """How many passages lack a score of some column."""
    notes: tuple[str, ...]
    """Columns of the input that are not carried, and why."""


def write_table(
    run: RunDirectory,
    inputs: Inputs,
    planned: Sequence[PlannedPass],
    columns: ScoreColumns,
    supplies: LoadedSupplies,
    trained_on: Mapping[str, Collection[str]],
    progress: Progress | None,
) -> Written:
    """Write ``scores.parquet`` with the *columns*, and with those of the input that are carried.

    Columns that are kept are copied from the existing table, and only passes of new columns are read. *trained_on*
    holds, by role of another model, digests of the texts that the model was trained on: it gives them no score.

    Raises:
        RunDirectoryError: signals or earlier scores are of other passages, or cannot be read or written.
        PassageError: a passage of the population has no token that can be scored.
    """
    import pyarrow as pa
    import pyarrow.parquet

    report = PassProgress("scores", inputs.passages, inputs.bytes, progress)
    report.add(0, 0, 0)
    computed = ComputedColumns.of(run, inputs, planned, columns, supplies, trained_on)
    copied = [
        name for name in column_names(run.path / SCORES) if columns.copied and _is_copied(name, columns, computed)
    ]
    perplexities = [name for name in PERPLEXITIES if name in {*copied, *computed.perplexities}]
    names = [*columns.names, *(record.name for record in columns.others)]
    carried = CarriedColumns.of(inputs.sources, {*FACTS, *PERPLEXITIES, *names})
    scores = [pa.field(name, "float64") for name in (*perplexities, *names)]
    schema = pa.schema([*(pa.field(*fact) for fact in FACTS.items()), *carried.fields(), *scores])
    earlier = EarlierRows(run.path / SCORES, copied) if copied else None
    documents = Documents(inputs.check.repeated.tolist())
    unscored = 0
    with replacing(run.path / SCORES) as file, pyarrow.parquet.ParquetWriter(file, schema) as writer:
        waiting: list[pa.Table] = []
        for passages, chunks in passages_with_signals(run, inputs, computed.passes, computed.reads):
            block = {**_facts(passages, chunks, documents), **(earlier.take(passages) if earlier else {})}
            block |= carried.arrays(passages)
            block |= {name: numbers(values) for name, values in computed.values(passages, chunks).items()}
            waiting.append(pa.table([block[name] for name in schema.names], schema=schema))
            if sum(map(len, waiting)) >= ROW_GROUP:
                writer.write_table(pa.concat_tables(waiting))
                waiting = []
            unscored += int(np.isnan([as_numpy(block[name]) for name in columns.names]).any(axis=0).sum())
            n_tokens = sum(filter(None, block["n_tokens"].to_pylist()))
            report.add(len(passages), n_tokens, sum(passage.n_bytes for passage in passages))
        if waiting:
            writer.write_table(pa.concat_tables(waiting))
    return Written(unscored, carried.notes)


def _is_copied(name: str, columns: ScoreColumns, computed: ComputedColumns) -> bool:
    """Whether a column of the earlier table is copied."""
    if name == "n_tokens":
        return "target" not in computed.passes
    return (name in PERPLEXITIES and name not in computed.perplexities) or name in columns.copied


def _facts(passages: Sequence[Passage], chunks: Mapping[str, StoredChunk], documents: Documents) -> dict[str, pa.Array]:
    """The columns that describe the passages."""
    labels = [passage.label for passage in passages]
    unknown = np.array([label is None for label in labels])
    no_target = np.full(len(passages), "target" not in chunks)
    n_tokens = chunks["target"].n_tokens if "target" in chunks else np.zeros(len(passages), np.int32)
    return {
        "id": strings([passage.id for passage in passages]),
        "document": strings(documents.of_next(passages)),
        "label": numbers(np.array([label or 0 for label in labels], np.int8), unknown),
        "n_tokens": numbers(n_tokens, no_target),
        "n_bytes": numbers(np.array([passage.n_bytes for passage in passages], np.int64)),
    }
