"""Signals → ``scores.parquet``: a row a passage, in input order, a column an attack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..attacks import EVIDENCE, MANY_PASSES, Attack, Evidence
from ..errors import PassageError
from ..records import Passage, Population, TokenSignals
from ..signals import Inputs, Material, PassProgress, Planned, Progress, passages_with_signals
from ..store import RunDirectory, StoredChunk, numbers, replacing, strings

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["write_table"]

COLUMNS = {"id": "string", "document": "string", "label": "int8", "n_tokens": "int32", "n_bytes": "int64"}
ROW_GROUP = 8192
WITH_PERPLEXITY = ("target", "reference")


def write_table(
    run: RunDirectory,
    inputs: Inputs,
    planned: Sequence[Planned],
    attacks: Sequence[Attack],
    material: Material,
    progress: Progress | None,
) -> int:
    """Write ``scores.parquet``; the number of passages that lack a score of some attack."""
    import pyarrow as pa
    import pyarrow.parquet

    report = PassProgress("scores", inputs.passages, inputs.bytes, progress)
    report.add(0, 0, 0)
    passes = [one.name for one in planned if one.inputs is inputs]
    names = [*(f"{name}_perplexity" for name in WITH_PERPLEXITY if name in passes), *(one.name for one in attacks)]
    shared = _shared(run, planned, material)
    schema = pa.schema([*COLUMNS.items(), *((name, "float64") for name in names)])
    unscored = 0
    with replacing(run.path / "scores.parquet") as beside, pyarrow.parquet.ParquetWriter(beside, schema) as writer:
        waiting: list[pa.Table] = []
        for passages, chunks in passages_with_signals(run, inputs, passes):
            facts = _facts(passages, chunks)
            perplexities, scores = _scores(passages, chunks, planned, attacks, shared)
            figures = [numbers(column) for column in (*perplexities.values(), *scores.values())]
            waiting.append(pa.table([*facts.values(), *figures], schema=schema))
            if sum(map(len, waiting)) >= ROW_GROUP:
                writer.write_table(pa.concat_tables(waiting))
                waiting = []
            unscored += int(np.isnan(list(scores.values())).any(axis=0).sum())
            n_tokens = chunks["target"].n_tokens.sum() if "target" in chunks else 0
            report.add(len(passages), n_tokens, sum(passage.n_bytes for passage in passages))
        if waiting:
            writer.write_table(pa.concat_tables(waiting))
    return unscored


def _facts(passages: Sequence[Passage], chunks: Mapping[str, StoredChunk]) -> dict[str, pa.Array]:
    """What is known of each passage, by column."""
    labels = [passage.label for passage in passages]
    unknown = np.array([label is None for label in labels])
    no_target = np.full(len(passages), "target" not in chunks)
    n_tokens = chunks["target"].n_tokens if "target" in chunks else np.zeros(len(passages), np.int32)
    return {
        "id": strings([passage.id for passage in passages]),
        "document": strings([passage.document for passage in passages]),
        "label": numbers(np.array([label or 0 for label in labels], np.int8), unknown),
        "n_tokens": numbers(n_tokens, no_target),
        "n_bytes": numbers(np.array([passage.n_bytes for passage in passages], np.int64)),
    }


def _shared(run: RunDirectory, planned: Sequence[Planned], material: Material) -> dict[str, Evidence]:
    """The evidence that is the same for every passage.

    Raises `PassageError` where a passage of the population has no token that can be scored.
    """
    shared: dict[str, Evidence] = {}
    if material.frequencies is not None:
        shared["frequencies"] = material.frequencies
    theirs = [
        one for one in planned if one.evidence in EVIDENCE["population"].passes and one.inputs is material.population
    ]
    if not theirs or material.population is None:
        return shared
    means: dict[str, list[float]] = {one.name: [] for one in theirs}
    for passages, chunks in passages_with_signals(run, material.population, list(means)):
        for name, chunk in chunks.items():
            for row, passage in zip(range(len(chunk)), passages, strict=True):
                signals = chunk.signals(row)
                if not len(signals):
                    raise PassageError(passage.where, "has no token that can be scored: remove it from the population")
                means[name].append(float(signals.logprob.mean(dtype=np.float64)))
    shared["population"] = Population(np.array(means["population_target"]), np.array(means["population_reference"]))
    return shared


def _scores(
    passages: Sequence[Passage],
    chunks: Mapping[str, StoredChunk],
    planned: Sequence[Planned],
    attacks: Sequence[Attack],
    shared: Mapping[str, Evidence],
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """Perplexities by pass and scores by attack, each of shape (passages,)."""
    signals = {name: [chunk.signals(row) for row in range(len(chunk))] for name, chunk in chunks.items()}
    columns: dict[str, Sequence[Evidence]] = {**signals, "text": [passage.text for passage in passages]}
    if "reference" in signals:
        columns["aligned_reference"] = signals["reference"]
    for kind in MANY_PASSES:
        several = [signals[one.name] for one in planned if one.evidence == kind]
        if several:
            columns[kind] = list(zip(*several, strict=True))
    evidence: list[dict[str, Evidence]] = [
        {**shared, **dict(zip(columns, of_one, strict=True))} for of_one in zip(*columns.values(), strict=True)
    ]
    perplexities = {f"{name}_perplexity": _perplexity(signals[name]) for name in WITH_PERPLEXITY if name in signals}
    return perplexities, {one.name: np.array([one.score(row) for row in evidence]) for one in attacks}


def _perplexity(signals: Sequence[TokenSignals]) -> NDArray[np.float64]:
    """Exponential of the mean negative log-likelihood of the tokens; NaN where none was scored."""
    means = np.array([one.logprob.mean(dtype=np.float64) if len(one) else np.nan for one in signals])
    with np.errstate(over="ignore"):
        perplexities: NDArray[np.float64] = np.exp(-means)
    return perplexities
