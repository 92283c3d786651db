"""Passages of a dataset of Ray, or of anything else, scored by the workers of a Ray cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..passages import PassageSource
from ..records import KeptSignals
from ..scoring import ModelSource, References, Scored, score_to_disk
from ..signals import Limits, Progress, Supplies
from ._ray_passages import read_url
from ._ray_sharing import shared_by_ray
from ._urls import is_url

__all__ = ["score_dataset"]


def score_dataset(
    dataset: PassageSource,
    target: ModelSource,
    reference: References = None,
    *,
    stand_in: ModelSource | None = None,
    models: Mapping[str, ModelSource] | None = None,
    attacks: Sequence[str] = (),
    supplies: Supplies | None = None,
    out: str | Path,
    on: str | None = "ray",
    processes: int | None = None,
    keep_signals: KeptSignals | str | None = None,
    window_tokens: int | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Scored:
    """Score every passage on a Ray cluster, and leave the run directory *out* behind; `read_scores` reads its table.

    The result is that of `llm_mia.scoring.score_to_disk`, and the same call continues a run that was stopped.

    Args:
        dataset: a ``ray.data.Dataset``, which is read in its order; `Passages`; a path; a URL (``s3://``, ``gs://``,
            ``https://``) of a jsonl, csv, tsv, txt, md or parquet file; or what `Passages.of` takes.
        target: the model under suspicion; a name, so that each worker loads it.
        reference: see `llm_mia.scoring.score`.
        stand_in: see there.
        models: see there.
        attacks: names with settings; none: those that cost little for what they bring.
        supplies: see there.
        out: the run directory, which this process alone writes.
        on: ``ray``: workers of this machine; ``ray://HOST:PORT``: those of a cluster; None: those of the cluster to
            which this process is connected.
        processes: most workers; None: one for each CUDA device, or for each processor where there is none.
        keep_signals: what is kept of the signals on disk, see `llm_mia.scoring.score`.
        window_tokens: longest input fed to a model.
        limits: how much is computed, kept and written at once.
        progress: called after every range of passages.

    Raises:
        MissingExtraError: Ray is not installed.
        WorkerError: the cluster cannot be reached, or its workers are of no use.
        PassageError, AttackError, ModelError, RunDirectoryError, UsageError: see `llm_mia.errors`.
    """
    with shared_by_ray(on, processes=processes, progress=progress):
        return score_to_disk(
            read_url(dataset) if isinstance(dataset, str) and is_url(dataset) else dataset,
            target,
            reference,
            stand_in=stand_in,
            models=models,
            attacks=attacks,
            supplies=supplies,
            out=out,
            keep_signals=keep_signals,
            window_tokens=window_tokens,
            limits=limits,
            progress=progress,
        )
