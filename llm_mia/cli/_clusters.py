"""A command whose passes the workers of a cluster compute."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

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


def refuse_with_cluster(values: Mapping[str, Any]) -> None:
    """Raise `UsageError` where *values* of parameters cannot be combined with a cluster, or need one."""
    from ..backends.checking import ENDPOINT
    from ..distributed import check_address, is_url

    on, passages = values.get("on"), str(values.get("passages"))
    if on is None:
        if values.get("processes") is not None:
            raise UsageError(
                "`processes` is the largest number of workers of `on`: give `on`, too, or leave out `processes`"
            )
        if is_url(passages):
            raise UsageError(f"{passages}: a URL can be read only with `on`: add it, or copy the file to this machine")
        return
    check_address(on)
    if values.get("dry_run"):
        raise UsageError("`dry_run` estimates the time of a single process, without Ray: leave out `on`")
    if values.get("samples") is not None:
        raise UsageError(
            "`samples` cannot be combined with `on`: run this without `samples`, and afterwards with `samples` and "
            "without `on`, in the same folder"
        )
    for model in (values.get("target"), *(values.get("reference") or ())):
        if str(model).startswith(ENDPOINT):
            raise UsageError(f"{model}: workers cannot compute a model behind an endpoint: leave out `on`")
