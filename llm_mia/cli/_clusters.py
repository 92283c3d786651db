"""A command whose passes the workers of a cluster compute."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    from ..signals import Progress

__all__ = ["CLUSTERS", "computing_on", "refuse_with_cluster"]

CLUSTERS = "Several machines"


@contextlib.contextmanager
def computing_on(on: str | None, processes: int | None, progress: Progress) -> Iterator[None]:
    """While it is open, passes are computed on the cluster *on*; None: in this process."""
    if on is None:
        yield
        return
    from ..distributed import shared_by_ray

    with shared_by_ray(on, processes=processes, progress=progress):
        yield


def refuse_with_cluster(on: str | None, processes: int | None, *, passages: str, target: str, dry_run: bool) -> None:
    """Raise `UsageError` where options cannot be combined with a cluster, or need one.

    Args:
        on: the cluster; None: there is none.
        processes: most workers.
        passages: the input, as it is typed.
        target: the model, as it is typed.
        dry_run: whether the command only estimates.
    """
    from ..backends import is_endpoint
    from ..distributed import is_url

    if on is None:
        if processes is not None:
            raise UsageError("`processes` is the number of workers of `on`: give `on` too, or leave it out")
        if is_url(passages):
            raise UsageError(
                f"{passages}: a URL is read with `on` alone: give `on` too, or copy the file to this machine"
            )
        return
    if dry_run:
        raise UsageError("`dry_run` estimates the time in this process: leave out `on`")
    if is_endpoint(target):
        raise UsageError(f"{target}: a single process asks a model behind an endpoint: leave out `on`")
