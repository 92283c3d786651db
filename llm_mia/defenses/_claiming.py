"""The folder of defences: a single call at a time works in it, and none on what another plan has begun."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import RunDirectoryError
from ..store import differences, read_record, read_run, to_json, write_text, writing
from ._record import Plan

__all__ = ["claimed", "refuse_other"]

PLAN, RUN, LOCK = "plan.json", "run.json", ".defend.lock"


@contextmanager
def claimed(path: Path, plan: Plan) -> Iterator[None]:
    """Holds the folder *path* for a call with this *plan*, and records the plan there.

    A call that fails before any model has read a passage leaves nothing behind.

    Raises:
        RunDirectoryError: another call works there, the folder holds another run, or it cannot be written.
    """
    created = [folder for folder in (path, *path.parents) if not folder.exists()]
    lock = FileLock(path / LOCK, timeout=0)
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout:
            raise RunDirectoryError(
                f"{path}: another run is writing here; wait for it or name another folder"
            ) from None
    try:
        refuse_other(path, plan)
        if not (path / PLAN).exists() or not _trained(path):
            write_text(path / PLAN, to_json(plan))
        yield
    finally:
        if created and not (path / RUN).exists():
            for name in (PLAN, LOCK):
                (path / name).unlink(missing_ok=True)
            with suppress(OSError):
                for folder in created:
                    folder.rmdir()
        lock.release()


def _trained(path: Path) -> bool:
    return any(path.glob("models/*/training.json"))


def refuse_other(path: Path, plan: Plan) -> None:
    """Refuse a folder of something else, or one with a model that was trained by another plan.

    Raises:
        RunDirectoryError: the message says what differs.
    """
    if not (path / PLAN).exists():
        if (path / RUN).exists() and read_run(path).passes:
            raise RunDirectoryError(f"{path}: holds another run, and no {PLAN} of defences; name another folder")
        return
    if not _trained(path):  # the first training diverged, or was stopped
        return
    before = read_record(Plan, path / PLAN, RunDirectoryError, "name another folder")
    what = [*differences(_compared(before), _compared(plan))]
    if before.pool_sha256 != plan.pool_sha256:
        what = ["another pool, or its texts have changed", *what]
    if before.base_sha256 and plan.base_sha256:  # the digests decide, wherever the files lie
        if before.base_sha256 != plan.base_sha256:
            what = [f"another base: {before.base} there, {plan.base} here, or its files have changed", *what]
    elif before.base != plan.base:
        what = [f"another base: {before.base} there, {plan.base} here", *what]
    if what:
        raise RunDirectoryError(f"{path}: holds defences of another call ({'; '.join(what)}); name another folder")


def _compared(plan: Plan) -> dict[str, object]:
    """What must be equal, apart from base and pool; the seed of the recipe is that of the plan."""
    recipe = {name: value for name, value in asdict(plan.recipe).items() if name != "seed"}
    return {"recipe": recipe, "seed": plan.seed, "canaries": plan.canaries, "window_tokens": plan.window_tokens}
