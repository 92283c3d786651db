"""The record of a run directory, for readers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import RunDirectoryError
from ..records import (
    SCHEMA_VERSION,
    AttackRecord,
    BlockSize,
    FilesRecord,
    InputRecord,
    ModelRecord,
    PassRecord,
    RunRecord,
    WindowRule,
)

__all__ = ["read_run"]


def read_run(path: str | Path) -> RunRecord:
    """The record of the run directory *path*; it takes no lock and writes nothing.

    Raises:
        RunDirectoryError: there is no readable ``run.json``, or one of another schema.
    """
    file = Path(path) / "run.json"
    try:
        run = json.loads(file.read_text(encoding="utf-8"))
        version = run["schema_version"]
        if version == SCHEMA_VERSION:
            return _record(run)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise RunDirectoryError(f"{path}: holds no readable run.json, so it is not a run directory") from None
    raise RunDirectoryError(f"{file}: has schema {version}, and this release reads {SCHEMA_VERSION}; score again")


def _record(run: Mapping[str, Any]) -> RunRecord:
    return RunRecord(
        passes={name: _pass(made) for name, made in run["passes"].items()},
        attacks=tuple(AttackRecord(name, 1) for name in run.get("attacks", ())),
        shared=dict(run.get("shared", {})),
        inputs=tuple(InputRecord(**one) for one in run.get("inputs", ())),
        versions=dict(run.get("versions", {})),
        wall_seconds=dict(run.get("wall_seconds", {})),
    )


def _pass(made: Mapping[str, Any]) -> PassRecord:
    depends = {name: value for name, value in made.items() if name not in ("model", "window", "block", "source")}
    files = FilesRecord(**made["source"]) if "source" in made else None
    model, window, block = ModelRecord(**made["model"]), WindowRule(**made["window"]), BlockSize(**made["block"])
    return PassRecord(model, window, block, files, depends)
