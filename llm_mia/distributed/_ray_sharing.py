"""Passes that the workers of a Ray cluster compute, for a process that leads them and holds no model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..backends import Backend, ModelSpec
from ..errors import LlmMiaError, UsageError, WorkerError
from ..signals import Progress, SharedPass, report_activity, sharing
from ..store import RunDirectory
from ._described import described
from ._ray_cluster import Cluster, connected
from .crew import Assignment, RayCrew
from .pieces import complete_by
from .workers import Description

__all__ = ["RaySharing", "shared_by_ray"]


@contextmanager
def shared_by_ray(
    on: str | None = "ray", *, processes: int | None = None, progress: Progress | None = None
) -> Iterator[RaySharing]:
    """While it is open, the workers of a Ray cluster compute the passes of a run; this process leads them.

    A worker that dies is replaced, and what it was computing is computed again. A passage on which workers die each
    time is left without signals, and recorded (`llm_mia.records.PassRecord.left_out`).

    Args:
        on: ``ray``: workers of this machine, which are started and ended here; ``ray://HOST:PORT``: those of a cluster;
            None: those of the cluster to which this process is connected already.
        processes: most workers; None: one for each CUDA device of the cluster, or for each processor where it has none.
        progress: called with what is waited for.

    Raises:
        MissingExtraError: Ray is not installed.
        UsageError: *on* or *processes* is not valid.
        WorkerError: the cluster cannot be reached, or its workers are of no use.
    """
    report_activity(progress, "starting Ray on this machine" if on == "ray" else "connecting to the Ray cluster")
    with connected(on, processes) as cluster:
        shared = RaySharing(cluster, progress)
        lost: tuple[type[Exception], ...] = (ConnectionError, *cluster.errors)
        try:
            with sharing(shared):
                yield shared
        except LlmMiaError:
            raise
        except lost as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise WorkerError(
                f"the connection to the Ray cluster was lost ({lines[0]}); what is finished is kept: run the same "
                "command again"
            ) from error
        finally:
            with suppress(*lost):
                shared.close()


class RaySharing:
    """The workers of a Ray cluster; see `llm_mia.signals.Sharing`."""

    leads = True

    def __init__(self, cluster: Cluster, progress: Progress | None = None) -> None:
        self._cluster, self._progress = cluster, progress
        self._crew: RayCrew | None = None
        self._source: ModelSpec | Backend | None = None
        """The model of the workers."""

    def open_run(self, path: Path) -> RunDirectory:
        """The run directory, which this process alone writes."""
        return RunDirectory(path)

    def load(self, source: ModelSpec, *, compiled: bool) -> tuple[Backend, str | None]:
        """A description of the model that the workers hold, and the digest of its files where the first loaded it."""
        if source.is_endpoint:  # a single process asks the server
            return source.load(compiled=compiled), source.sha256()
        description = self._describe(source, source, compiled=compiled)
        return described(description, self._crew_of_all().ask), description.digest

    def _describe(self, source: ModelSpec | Backend, sent: Any, *, compiled: bool) -> Description:
        """What the first worker knows of the model *source*, which is *sent*; the others then hold the same."""
        given = Assignment(uuid4().hex, sent, compiled, None)
        description = self._crew_of_all().describe(given)
        if isinstance(source, ModelSpec):
            source = sent = source.in_precision(description.info.dtype)
        self._source = source
        self._crew_of_all().assignment = replace(given, source=sent, expected=description)
        return description

    def complete(self, work: SharedPass) -> None:
        """Have the workers compute what is missing of *work*, and write it."""
        crew = self._crew_of_all()
        if not self._holds(work.source):
            assert not isinstance(work.source, ModelSpec), "a model that has a name was loaded before its passes"
            self._describe(work.source, self._put(work.source), compiled=True)
        crew.assign_to_all()
        complete_by(crew, work, len(crew.members))

    def _holds(self, source: ModelSpec | Backend) -> bool:
        return self._source is source or (isinstance(source, ModelSpec) and self._source == source)

    def _put(self, backend: Backend) -> Any:
        """A reference to a model in memory, in the store of the cluster."""
        import ray

        try:
            return ray.put(backend)
        except (TypeError, AttributeError, ValueError) as error:
            raise UsageError(
                f"model {backend.info.id!r} is in memory, and cannot be sent to the workers "
                f"({str(error).splitlines()[0]}): name its folder or its id on the hub, so that each worker loads it"
            ) from None

    def end_passes(self) -> None:
        """Nothing: this process leads."""

    def _crew_of_all(self) -> RayCrew:
        if self._crew is None:
            workers = self._cluster.workers
            report_activity(self._progress, f"starting {workers:,} Ray worker{'' if workers == 1 else 's'}")
            report = partial(report_activity, self._progress)
            self._crew = RayCrew(workers, self._cluster.cards, str(Path.cwd()), report)
        return self._crew

    def close(self) -> None:
        """End the workers."""
        if self._crew is not None:
            self._crew.dismiss_all()
            self._crew = None
