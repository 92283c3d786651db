"""The run directory: what is on disk is whole, and what is whole is never computed again.

Every file is written beside its place and renamed into it, so a run that is stopped at any instant leaves only whole
files. Signals lie in parts; a part holds whole blocks of passages in input order, so what remains to be done begins
where the last part ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import RunDirectoryError
from .records import SCHEMA_VERSION, Passage, TokenSignals

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["RunDirectory", "SignalsFolder", "StoredSignals", "differences", "replacing", "text_sha256", "write_text"]

LISTS = {
    "token_ids": "int32",
    "logprob": "float32",
    "mean": "float32",
    "std": "float32",
    "top": "float32",
    "rank": "int32",
}
# What a model is called may change between two runs; its weights tell whether it is the same.
NAMES_ONLY = {"id", "revision"}


@dataclass(frozen=True, slots=True)
class StoredSignals:
    """One row of a part."""

    id: str
    text_sha256: str
    signals: TokenSignals


def text_sha256(passage: Passage) -> str:
    """Digest of the passage as given; lets a run notice that its input has changed."""
    return hashlib.sha256(passage.text.encode()).hexdigest()


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
        before = self.manifest()
        if not before and any(self.path.glob("signals/*/part-*")):
            raise RunDirectoryError(
                f"{self.path}: holds signals but no run.json, so nobody can say whose; name another folder"
            )
        made_by = before.get("passes", {})
        for name, wanted in key.items():
            what = "; ".join(differences(made_by.get(name, wanted), wanted))
            if what:
                raise RunDirectoryError(f"{self.path}: belongs to another run ({name}: {what}); name another folder")
        self.write_json("run.json", {**before, "schema_version": SCHEMA_VERSION, "passes": {**made_by, **key}})

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
        self.write_json("run.json", {**self.manifest(), **entries})

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


class SignalsFolder:
    """The parts of one pass: ``part-00000.parquet``, ``part-00001.parquet``, … in input order."""

    def __init__(self, path: Path, tokenizer: str) -> None:
        self.path = path
        self.tokenizer = tokenizer

    def parts(self) -> list[Path]:
        """The finished parts, in order."""
        return sorted(self.path.glob("part-*.parquet"))

    def finished(self) -> Iterator[tuple[str, str, int]]:
        """Id, digest of the text and number of scored tokens of every passage done so far, in input order."""
        import pyarrow.compute as pc

        for batch in self._batches(["id", "text_sha256", "rank"]):
            counts = pc.list_value_length(batch.column("rank")).to_pylist()
            yield from zip(batch.column("id").to_pylist(), batch.column("text_sha256").to_pylist(), counts, strict=True)

    def __iter__(self) -> Iterator[StoredSignals]:
        for batch in self._batches(None):
            lists = {name: _arrays(batch.column(name)) for name in LISTS}
            ids, digests = batch.column("id").to_pylist(), batch.column("text_sha256").to_pylist()
            for row, (passage, digest) in enumerate(zip(ids, digests, strict=True)):
                values = {name: lists[name][row] for name in LISTS}
                yield StoredSignals(passage, digest, TokenSignals(**values, tokenizer=self.tokenizer))

    def _batches(self, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        import pyarrow.parquet

        for part in self.parts():
            try:
                with pyarrow.parquet.ParquetFile(part, page_checksum_verification=True) as file:
                    if not file.schema_arrow.equals(_part_schema()):
                        raise pa.ArrowInvalid("its columns are not those of signals")
                    yield from file.iter_batches(1024, columns=columns)
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                raise RunDirectoryError(
                    f"{part}: damaged ({str(error).splitlines()[0]}); remove this and all later parts"
                ) from None

    def append(self, rows: Sequence[StoredSignals]) -> None:
        """Write the next part."""
        import pyarrow as pa
        import pyarrow.parquet

        columns: list[pa.Array] = [
            pa.array([row.id for row in rows], pa.string()),
            pa.array([row.text_sha256 for row in rows], pa.string()),
        ]
        offsets = np.cumsum([0, *(len(row.signals) for row in rows)]).astype(np.int32)
        for name, dtype in LISTS.items():
            values = np.concatenate([getattr(row.signals, name) for row in rows]).astype(dtype)
            columns.append(pa.ListArray.from_arrays(pa.array(offsets), pa.array(values)))
        table = pa.table(columns, schema=_part_schema())
        with replacing(self.path / f"part-{len(self.parts()):05d}.parquet") as beside:
            # Checksums, or a bit that a disk loses would change a score and nobody would know.
            pyarrow.parquet.write_table(table, beside, write_page_checksum=True)


def _part_schema() -> pa.Schema:
    import pyarrow as pa

    lists = ((name, pa.list_(pa.field("element", dtype))) for name, dtype in LISTS.items())
    return pa.schema([("id", "string"), ("text_sha256", "string"), *lists])


def _arrays(column: pa.Array) -> list[NDArray[Any]]:
    values = column.flatten().to_numpy(zero_copy_only=False)
    offsets = column.offsets.to_numpy()
    return np.split(values, offsets[1:-1] - offsets[0])


def differences(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """What differs between two records of how signals were made, one phrase each."""
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from differences(old, new, f"{prefix}{name} ")
        elif old != new and name not in NAMES_ONLY:
            yield f"{prefix}{name} {old} there, {new} here"


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into one line."""
    try:
        yield
    except OSError as error:
        # Arrow's errors carry the number, but a text of their own.
        problem = f"cannot be written ({os.strerror(error.errno) if error.errno else error})"
        advice = "what is finished is kept; free space or fix the folder and run the same command"
        raise RunDirectoryError(f"{path}: {problem}; {advice}") from None


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside *path* that takes its place when all of it is on the disk, or vanishes."""
    beside = path.with_name(f".writing-{path.name}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield beside
            with beside.open("rb") as file:
                os.fsync(file.fileno())
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise


def write_text(path: Path, text: str) -> None:
    """Write a file whole, or not at all."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="")
