"""Signals → ``scores.parquet``: a row for each passage, in input order, and a column for each attack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..attacks import EVIDENCE, Attack, Evidence, EvidenceKind, LoadedSupplies, PassageSignals
from ..records import Passage, TokenSignals
from ..signals import Inputs, PassProgress, PlannedPass, Progress, passages_with_signals
from ..store import RunDirectory, StoredChunk, as_numpy, numbers, replacing, strings
from ._carried import CarriedColumns
from ._documents import Documents
from ._score_columns import SCORES, EarlierRows, ScoreColumns, column_names

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Written", "write_table"]

FACTS = {"id": "string", "document": "string", "label": "int8", "n_tokens": "int32", "n_bytes": "int64"}
ROW_GROUP = 8192
PERPLEXITIES = {"target_perplexity": "target", "reference_perplexity": "reference"}
"""Columns of perplexities, with the pass that each is of."""


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
    progress: Progress | None,
) -> Written:
    """Write ``scores.parquet`` with the *columns*, and with those of the input that are carried.

    Columns that are kept are copied from the existing table, and only passes of new columns are read.

    Raises:
        RunDirectoryError: signals or earlier scores are of other passages, or cannot be read or written.
        PassageError: a passage of the population has no token that can be scored.
    """
    import pyarrow as pa
    import pyarrow.parquet

    report = PassProgress("scores", inputs.passages, inputs.bytes, progress)
    report.add(0, 0, 0)
    computed = _ComputedColumns.of(run, inputs, planned, columns.new, supplies)
    copied = [name for name in column_names(run.path / SCORES) if columns.kept and _is_copied(name, columns, computed)]
    perplexities = [name for name in PERPLEXITIES if name in {*copied, *computed.names}]
    carried = CarriedColumns.of(inputs.sources, {*FACTS, *PERPLEXITIES, *columns.names})
    scores = [pa.field(name, "float64") for name in (*perplexities, *columns.names)]
    schema = pa.schema([*(pa.field(*fact) for fact in FACTS.items()), *carried.fields(), *scores])
    earlier = EarlierRows(run.path / SCORES, copied) if copied else None
    documents = Documents(inputs.check.repeated.tolist())
    unscored = 0
    with replacing(run.path / SCORES) as file, pyarrow.parquet.ParquetWriter(file, schema) as writer:
        waiting: list[pa.Table] = []
        for passages, chunks in passages_with_signals(run, inputs, list(computed.passes)):
            block = {**_facts(passages, chunks, documents), **(earlier.take(passages) if earlier else {})}
            block |= carried.arrays(passages)
            block |= {name: numbers(values) for name, values in computed.scores(passages, chunks).items()}
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


def _is_copied(name: str, columns: ScoreColumns, computed: _ComputedColumns) -> bool:
    """Whether a column of the earlier table is copied."""
    if name == "n_tokens":
        return "target" not in computed.passes
    return (name in PERPLEXITIES and name not in computed.names) or name in [record.name for record in columns.kept]


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


@dataclass(frozen=True, slots=True)
class _ComputedColumns:
    """Columns that are computed from signals."""

    attacks: Sequence[Attack]
    kinds: Sequence[EvidenceKind]
    """The evidence that differs between passages."""
    shared: Mapping[str, Evidence]
    """The evidence that is the same for all passages."""
    passes: Mapping[str, str]
    """By name of a pass over the passages that are scored: the name of the `ModelPass` that declares it."""

    @classmethod
    def of(
        cls,
        run: RunDirectory,
        inputs: Inputs,
        planned: Sequence[PlannedPass],
        attacks: Sequence[Attack],
        supplies: LoadedSupplies,
    ) -> _ComputedColumns:
        """The columns of *attacks*, with their shared evidence, for which the population is read."""
        used = {name for attack in attacks for name in attack.evidence}
        kinds = [kind for name, kind in EVIDENCE.items() if name in used]
        declared = {each.name for kind in kinds for each in kind.passes}
        needed = [each for each in planned if each.declaration in declared]
        shared = {
            kind.name: kind.shared(supplies, _rows(run, [each for each in needed if each.inputs is not inputs]))
            for kind in kinds
            if kind.shared
        }
        passes = {each.name: each.declaration for each in needed if each.inputs is inputs}
        return cls(attacks, [kind for kind in kinds if kind.value], shared, passes)

    @property
    def names(self) -> list[str]:
        """The columns of perplexities."""
        return [name for name, of_pass in PERPLEXITIES.items() if of_pass in self.passes]

    def scores(self, passages: Sequence[Passage], chunks: Mapping[str, StoredChunk]) -> dict[str, NDArray[np.float64]]:
        """Perplexities and scores by name of the column, each of shape (passages,)."""
        signals = {name: [chunk.signals(row) for row in range(len(chunk))] for name, chunk in chunks.items()}
        evidence = [
            {**self.shared, **{kind.name: kind.value(row) for kind in self.kinds if kind.value}}
            for row in _assembled(passages, signals, self.passes)
        ]
        perplexities = {name: _perplexity(signals[PERPLEXITIES[name]]) for name in self.names}
        return perplexities | {
            attack.name: np.array([attack.score(of_row) for of_row in evidence]) for attack in self.attacks
        }


def _rows(run: RunDirectory, planned: Sequence[PlannedPass]) -> Iterator[PassageSignals]:
    """The passages of the population with their signals; none where no pass is over it."""
    if not planned:
        return
    passes = {each.name: each.declaration for each in planned}
    for passages, chunks in passages_with_signals(run, planned[0].inputs, list(passes)):
        signals = {name: [chunk.signals(row) for row in range(len(chunk))] for name, chunk in chunks.items()}
        yield from _assembled(passages, signals, passes)


def _assembled(
    passages: Sequence[Passage], signals: Mapping[str, Sequence[TokenSignals]], passes: Mapping[str, str]
) -> Iterator[PassageSignals]:
    """Each passage with its signals by name of the `ModelPass`; *signals* and *passes* are by name of the pass."""
    declared: dict[str, list[Sequence[TokenSignals]]] = {}
    for name, of_pass in signals.items():
        declared.setdefault(passes[name], []).append(of_pass)
    for at, passage in enumerate(passages):
        yield PassageSignals(
            passage, {name: tuple(of_pass[at] for of_pass in several) for name, several in declared.items()}
        )


def _perplexity(signals: Sequence[TokenSignals]) -> NDArray[np.float64]:
    """Exponential of the mean negative log-likelihood of the tokens; NaN where none was scored."""
    means = np.array([each.logprob.mean(dtype=np.float64) if len(each) else np.nan for each in signals])
    with np.errstate(over="ignore"):
        perplexities: NDArray[np.float64] = np.exp(-means)
    return perplexities
