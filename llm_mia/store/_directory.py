"""The run directory: whose it is, what it holds, and that one run at a time writes to it."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from ..errors import RunDirectoryError
from ..records import SCHEMA_VERSION
from ._files import write_text, writing
from ._signals import SignalsFolder

__all__ = ["RunDirectory", "differences"]

# What a model is called, the files that it came from, how its precision was chosen and how much was batched may change
# between two runs; its weights, configuration, precision and tokenizer tell whether it is the same.
NOT_COMPARED = {"id", "revision", "source", "block", "dtype_choice"}


class RunDirectory:
    """A folder that one run at a time writes to.

    Raises:
        RunDirectoryError: it cannot be written to, another run holds it, or it is something else's folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with writing(self.path):
            self._made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock: IO[str] = (self.path / ".lock").open("w")
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._lock.close()
                raise RunDirectoryError(
                    f"{self.path}: another run is writing here; wait for it or name another folder"
                ) from None
            for leftover in (*self.path.glob(".writing-*"), *self.path.glob("signals/*/.writing-*")):
                leftover.unlink()

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(self, *_: object) -> None:
        # A run that failed before it had anything to keep leaves nothing behind.
        if not (self.path / "run.json").exists():
            with contextlib.suppress(OSError):
                (self.path / ".lock").unlink()
                for folder in self._made:
                    folder.rmdir()
        self._lock.close()

    def claim(self, key: Mapping[str, Any]) -> None:
        """Make this the directory of a run with *key*: what its signals depend on, pass by pass.

        Passes may be added later; one that is there already must have been made by the same model and rule.

        Raises:
            RunDirectoryError: it belongs to another model, tokenizer, dtype or window rule.
        """
        before, made_by = self.manifest(), self.passes()
        for name, wanted in key.items():
            what = "; ".join(differences(made_by.get(name, wanted), wanted))
            if what:
                raise RunDirectoryError(f"{self.path}: belongs to another run ({name}: {what}); name another folder")
        self.write_json("run.json", {**before, "schema_version": SCHEMA_VERSION, "passes": {**made_by, **key}})

    def passes(self) -> dict[str, Any]:
        """What made each pass that is here, or has begun: model, window rule and how it was asked for.

        Raises:
            RunDirectoryError: there are signals and no record of them.
        """
        manifest = self.manifest()
        if not manifest and any(self.path.glob("signals/*/part-*")):
            raise RunDirectoryError(
                f"{self.path}: holds signals but no run.json, so nobody can say whose; name another folder"
            )
        passes: dict[str, Any] = manifest.get("passes", {})
        return passes

    def manifest(self) -> dict[str, Any]:
        """The contents of ``run.json``; empty where there is none yet."""
        path = self.path / "run.json"
        if not path.exists():
            return {}
        try:
            manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            version = manifest["schema_version"]
            whole = all(isinstance(made, dict) for made in manifest.get("passes", {}).values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            whole = False
        if not whole:
            raise RunDirectoryError(f"{path}: is not the record of a run; name another folder")
        if version != SCHEMA_VERSION:
            raise RunDirectoryError(f"{path}: schema {version}, this is schema {SCHEMA_VERSION}; name another folder")
        return manifest

    def record(self, **entries: object) -> None:
        """Add *entries* to ``run.json``."""
        self.write_json("run.json", {"schema_version": SCHEMA_VERSION, "passes": {}, **self.manifest(), **entries})

    def signals(self, name: str) -> SignalsFolder:
        """The parts of the pass *name*."""
        tokenizer = self.manifest()["passes"][name]["model"]["tokenizer"]
        return SignalsFolder(self.path / "signals" / name, tokenizer)

    def write_json(self, name: str, value: object) -> None:
        """Write ``name`` whole; keys stay in the order given."""
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        self.write_text(name, text)

    def write_text(self, name: str, text: str) -> None:
        """Write ``name`` whole."""
        write_text(self.path / name, text)


def differences(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """What differs between two records of how signals were made, one phrase each."""
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if name in NOT_COMPARED:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from differences(old, new, f"{prefix}{name} ")
        elif old != new:
            yield f"{prefix}{name} {old} there, {new} here"
