"""The run directory: its record, its signals, and the lock by which a single run at a time writes to it."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..errors import RunDirectoryError
from ..records import TOKEN_ARRAYS, ModelRecord, PassRecord, RunRecord
from ._atomic import write_text, writing
from ._json import read_record, to_json
from ._signals import SignalsFolder

__all__ = ["ALL_FIELDS", "RunDirectory", "UnwrittenRun", "differences", "not_kept", "read_run", "read_signals"]

RUN_JSON, LOCK = "run.json", ".lock"
# These may differ between two runs: the name of a model, its files, how its precision was chosen and what it changes,
# how its opening is spelled, what was measured of its endpoint, which special tokens the texts hold, which passages
# were left out, how much is kept on disk, and the size of batches. Its weights, configuration, precision and tokenizer
# decide whether it is the same model.
NOT_COMPARED = {
    *("id", "revision", "files", "block", "dtype_choice", "rounding", "opening_text", "written_tokens", "endpoint"),
    *("left_out", "kept_fields"),
}
# Its entries are compared as if they were fields of the pass.
FLATTENED = "depends"
ALL_FIELDS = tuple(TOKEN_ARRAYS)
WORDS = {"token_ids": "token ids"}
"""Names of fields, where people use another word."""
WEIGHTS = "weights_sha256"


def read_run(path: str | Path) -> RunRecord:
    """The record of the run directory *path*, without locking it.

    Raises:
        RunDirectoryError: there is no record, it is damaged, or another release of llm_mia wrote it.
    """
    path = Path(path)
    if not (path / RUN_JSON).exists():
        raise RunDirectoryError(f"{path}: holds no {RUN_JSON}, so it is not a run directory; name another folder")
    return read_record(
        RunRecord, path / RUN_JSON, RunDirectoryError, "name another folder, and run the same command there"
    )


def read_signals(path: str | Path, name: str, reads: Collection[str] = ALL_FIELDS) -> SignalsFolder:
    """The signals of the pass *name* in the run directory *path*, without locking it.

    Several processes may read them, and may append different ranges to them.

    Args:
        path: the run directory.
        name: of the pass.
        reads: the arrays of `TokenSignals` that will be read; all others are NaN. Empty: only which texts are stored,
            which is known of every pass.

    Raises:
        RunDirectoryError: see `read_run`; or the run has no such pass, or does not keep what is to be read.
    """
    return _folder(Path(path), read_run(path), name, reads)


def _folder(path: Path, record: RunRecord, name: str, reads: Collection[str]) -> SignalsFolder:
    if name not in record.passes:
        existing = ", ".join(record.passes) or "none"
        raise RunDirectoryError(f"{path}: has no pass {name!r}; it has {existing}")
    made_by = record.passes[name]
    if made_by.lacks(reads):
        raise RunDirectoryError(f"{path}: {not_kept(name, made_by, reads)}")
    digest = _sha256({"pass": name, "record": made_by})
    return SignalsFolder(path / "signals" / name, made_by.model.tokenizer, digest, made_by.kept_fields, reads)


def not_kept(name: str, made_by: PassRecord, reads: Collection[str], wanted_by: str = "") -> str:
    """That the pass *name* does not keep what *wanted_by* reads, and what to do: the end of a message."""
    if made_by.kept_fields:
        kept, lacking = (_list(fields) for fields in (made_by.kept_fields, made_by.lacks(reads)))
        problem = f"the signals of {name} hold only {kept} (`keep_signals`: scores), not {lacking}"
    else:
        problem = f"the signals of {name} were not kept (`keep_signals`: none)"
    needed = f", which {wanted_by} needs" if wanted_by else ""
    return f"{problem}{needed}; to have them, score again into another folder, and set `keep_signals` to full"


def _list(fields: Iterable[str]) -> str:
    return ", ".join(WORDS.get(name, name) for name in fields)


def _sha256(record: object) -> str:
    """Digest of what is compared between two runs, see `differences`."""
    return hashlib.sha256(json.dumps(_compared(record), sort_keys=True).encode()).hexdigest()


def _compared(value: object) -> object:
    if _is_nested(value):
        return {name: _compared(entry) for name, entry in _entries(value).items() if name not in NOT_COMPARED}
    return value


class RunDirectory:
    """A folder that a single run at a time writes to; its lock is released when it is closed or the process ends.

    Raises:
        RunDirectoryError: it cannot be written to, or another run holds it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._record: RunRecord | None = None
        # The lock does not wait and belongs to this object, so a second object in this process is refused too.
        self._lock = FileLock(self.path / LOCK, timeout=0, thread_local=False)
        with writing(self.path):
            self._created = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire()
            except Timeout:
                raise RunDirectoryError(
                    f"{self.path}: another run is writing here; wait for it or name another folder"
                ) from None
            for leftover in (*self.path.glob(".writing-*"), *self.path.glob("signals/*/.writing-*")):
                leftover.unlink()

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(self, *_: object) -> None:
        # A run that failed before its record was written leaves nothing behind.
        if not (self.path / RUN_JSON).exists():
            with contextlib.suppress(OSError):
                (self.path / LOCK).unlink()
                for folder in self._created:
                    folder.rmdir()
        self._lock.release()

    @property
    def record(self) -> RunRecord:
        """The contents of ``run.json``; an empty record where there is none yet.

        Raises:
            RunDirectoryError: it is damaged or of another schema, or there are signals without a record.
        """
        if self._record is None:
            if (self.path / RUN_JSON).exists():
                self._record = read_run(self.path)
            elif any(self.path.glob("signals/*/part-*")):
                raise RunDirectoryError(
                    f"{self.path}: holds signals but no {RUN_JSON}, so their model is unknown; remove its folder "
                    "signals, or name another folder"
                )
            else:
                self._record = RunRecord()
        return self._record

    def update(self, **changes: Any) -> None:
        """Replace fields of the record, and write it."""
        changed = replace(self.record, **changes)
        self.write_record(RUN_JSON, changed)
        self._record = changed

    def claim(self, name: str, wanted: PassRecord) -> None:
        """Record how the pass *name* runs, before the first of its signals is written.

        A pass that is recorded already must have the same record.

        Raises:
            RunDirectoryError: the recorded pass has another model, tokenizer, precision or window rule.
        """
        before = self.record.passes.get(name, wanted)
        self.refuse_differences(name, before, wanted)
        self.update(passes={**self.record.passes, name: wanted})

    def model_of(self, names: Sequence[str]) -> ModelRecord | None:
        """The model of the first of the passes *names* that is recorded; None where none is."""
        passes = self.record.passes
        return next((passes[name].model for name in names if name in passes), None)

    def refuse_differences(self, name: str, before: object, wanted: object) -> None:
        """Raises `RunDirectoryError` where the record *before* of the pass *name* differs from the record *wanted*."""
        what = "; ".join(differences(before, wanted))
        if what:
            raise RunDirectoryError(f"{self.path}: belongs to another run ({name}: {what}); name another folder")

    def signals(self, name: str, reads: Collection[str] = ALL_FIELDS) -> SignalsFolder:
        """The signals of the pass *name*, of which *reads* will be read, see `read_signals`.

        Raises:
            RunDirectoryError: the run has no such pass, or does not keep what is to be read.
        """
        return _folder(self.path, self.record, name, reads)

    def keep_less(self, kept: Mapping[str, Collection[str]]) -> None:
        """Keep only the arrays that *kept* names by pass, and remove all others of these passes from the disk.

        The same call finishes what a stopped call left. The record is written first, so it never names what is gone.
        """
        passes = dict(self.record.passes)
        for name, fields in kept.items():
            stays = tuple(each for each in ALL_FIELDS if each in fields and not passes[name].lacks([each]))
            if stays != ALL_FIELDS:
                passes[name] = replace(passes[name], kept_fields=stays)
        if passes != self.record.passes:
            self.update(passes=passes)
        for name in kept:
            if passes[name].kept_fields is not None:
                self.signals(name, ()).keep_less()

    def write_record(self, name: str, record: object) -> None:
        """Write a dataclass to the file *name* as JSON, completely or not at all."""
        self.write_text(name, to_json(record))

    def write_text(self, name: str, text: str | Iterable[str]) -> None:
        """Write the file *name*, completely or not at all."""
        write_text(self.path / name, text)


class UnwrittenRun(RunDirectory):
    """A run directory that is only read: what a run would record is kept in memory, and nothing is locked.

    Nothing is created where there is no such folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._record = None

    def __exit__(self, *_: object) -> None:
        pass

    def write_text(self, name: str, text: str | Iterable[str]) -> None:
        """Write nothing."""


def differences(before: object, after: object, prefix: str = "") -> Iterator[str]:
    """What differs between two records of a pass, a phrase for each difference.

    Takes dataclasses and mappings. Names of models and files, and sizes of blocks, are not compared. Of two models with
    other names and other weights only these are shown: that tokenizer, context or precision differ, too, is no news.
    """
    old_entries, new_entries = _entries(before), _entries(after)
    if isinstance(before, ModelRecord) and isinstance(after, ModelRecord) and _are_other_models(before, after):
        yield f"{prefix}{before.id} there, {after.id} here"
        old_entries, new_entries = ({WEIGHTS: each[WEIGHTS]} for each in (old_entries, new_entries))
    for name in sorted({*old_entries, *new_entries} - NOT_COMPARED):
        old, new = old_entries.get(name), new_entries.get(name)
        if old == new:
            continue
        if _is_nested(old) and _is_nested(new):
            yield from differences(old, new, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name} {_shortened(old)} there, {_shortened(new)} here"


def _are_other_models(before: ModelRecord, after: ModelRecord) -> bool:
    return before.id != after.id and before.weights_sha256 != after.weights_sha256


def _shortened(value: object) -> object:
    """A SHA-256 by its first digits, and anything else unchanged."""
    return value[:12] if isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) else value


def _is_nested(value: object) -> bool:
    return isinstance(value, Mapping) or dataclasses.is_dataclass(value)


def _entries(record: object) -> dict[str, object]:
    if dataclasses.is_dataclass(record):
        entries = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    else:
        assert isinstance(record, Mapping)
        entries = dict(record)
    flattened = entries.pop(FLATTENED, {})
    assert isinstance(flattened, Mapping)
    return {**entries, **flattened}
