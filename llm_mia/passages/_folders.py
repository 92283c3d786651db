"""The rule by which the files of a folder are read, left out, or refused.

Where a folder holds tables, only tables are read; else its loose texts are. Files that describe data (README.md,
LICENSE, dataset_info.json), hidden files and what is not data are left out. Data that would be missing, or that would
count twice, is refused. What was read and what was left out is a note.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ..errors import PassageError
from ._compressed import reading
from ._formats import SUPPORTED, FileKind, FileName, classify

__all__ = ["FolderContents", "partition_of", "readable", "shard_of", "walk"]

MOST_NAMED = 5
"""Names in a message; of more files the number."""
SKIPPED_FOLDERS = ("_temporary", "__MACOSX", "__pycache__")
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""What tools that write ``label=0/`` write where a row has no value."""

_SHARD = re.compile(r"(?P<head>.*?)(?P<at>\d+)-of-(?P<of>\d+)(?P<tail>\D.*|)")


def readable(path: str | Path) -> str:
    """*path* as valid Unicode on a single line, whatever bytes the file system has: ids are derived from it."""
    return os.fsencode(path).decode("utf-8", "backslashreplace").replace("\n", "\\n")


@dataclass(slots=True)
class FolderContents:
    """The files below a folder, by what they are; names are relative, in sorted order."""

    folder: Path
    files: dict[str, tuple[Path, FileName]] = field(default_factory=dict)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """Name and reason."""
    hidden: int = 0

    def chosen(self) -> list[tuple[str, Path, FileName]]:
        """The files to be read, in order.

        Raises:
            PassageError: there is none; or data would be missing, or count twice.
        """
        self._refuse(FileKind.UNFINISHED, FileKind.OTHER_TABLE)
        tables, texts = self._of(FileKind.TABLE), self._of(FileKind.TEXT)
        kept = tables or texts
        if tables:
            self._leave_out("a loose text beside tables", texts, self._of(FileKind.OTHER_TEXT))
        else:
            self._refuse(FileKind.OTHER_TEXT)
        about = self._of(FileKind.ABOUT)
        self._leave_out(FileKind.ABOUT.value, about)
        self._leave_out(FileKind.NO_DATA.value, self._of(FileKind.NO_DATA))
        if not kept:
            named = self._named(name for name in about if self.files[name][1].format == "text")
            problem = (
                f"it holds only texts that describe data ({named}): name the file itself"
                if named
                else f"no file in it ends in {SUPPORTED}"
            )
            raise PassageError(readable(self.folder), f"a folder without passages: {problem}")
        if tables:
            _refuse_missing_shards(self.folder, tables)
            self._refuse_twice(tables)
            _refuse_copies(self.folder, {name: self.files[name][0] for name in tables})
        else:
            self._refuse_twice(texts)
        return [(name, *self.files[name]) for name in kept]

    def note(self, read: Sequence[str]) -> str:
        """What was read, and what was left out and why."""
        count = "1 file is read" if len(read) == 1 else f"{len(read):,} files are read"
        reasons = sorted(self.left_out, key=lambda item: item[1])
        left = [
            f"{self._named(name for name, _ in group)} ({reason})"
            for reason, group in groupby(reasons, lambda item: item[1])
        ]
        if self.hidden:
            left.append(f"{self.hidden:,} hidden")
        return f"{readable(self.folder)}: {count} ({self._named(read)}); left out: {', '.join(left) or 'nothing'}"

    def _of(self, kind: FileKind) -> list[str]:
        return [name for name, (_, what) in sorted(self.files.items()) if what.kind is kind]

    def _leave_out(self, reason: str, *groups: Iterable[str]) -> None:
        self.left_out += [(name, reason) for group in groups for name in group]

    def _named(self, names: Iterable[str]) -> str:
        listed = list(names)
        more = f" and {len(listed) - MOST_NAMED:,} more" if len(listed) > MOST_NAMED else ""
        return ", ".join(listed[:MOST_NAMED]) + more

    def _refuse(self, *kinds: FileKind) -> None:
        """Refuse files that hold data which would be missing."""
        for kind in kinds:
            if names := self._of(kind):
                path, what = self.files[names[0]]
                others = f" ({len(names) - 1:,} more files like this)" if len(names) > 1 else ""
                raise PassageError(
                    readable(path),
                    f"{kind.value}, in a folder that is read{others}: {what.remedy}, or move it out of the folder",
                )

    def _refuse_twice(self, names: Iterable[str]) -> None:
        """Refuse two files that are the same file, or that differ only in their formats."""
        by_file: dict[tuple[int, int], str] = {}
        by_stem: dict[str, str] = {}
        for name in names:
            path, what = self.files[name]
            with reading(readable(path)):
                state = path.stat()
            stem = name[: name.rindex(".")]
            stem = stem[: stem.rindex(".")] if what.compression else stem
            same = by_file.setdefault((state.st_dev, state.st_ino), name)
            alike = by_stem.setdefault(stem, name)
            if same != name:
                raise PassageError(
                    readable(path), f"the same file as {same}, so its passages would count twice: remove it"
                )
            if alike != name:
                raise PassageError(
                    readable(path),
                    f"differs from {alike} only in its suffix, so it may hold the same passages: keep only one of "
                    "them, or rename it",
                )


def walk(folder: Path) -> FolderContents:
    """The files below *folder*; links to folders are not followed, so the walk always ends.

    Raises:
        PassageError: a folder cannot be read, or is a table whose files may not be read alone.
    """

    def refuse(error: OSError) -> None:
        raise PassageError(readable(error.filename or folder), f"cannot be read: {error.strerror or error}")

    contents = FolderContents(folder)
    for parent, folders, names in os.walk(folder, onerror=refuse):
        _take_folders(contents, Path(parent), folders)
        saved = _saved_files(Path(parent), names)
        for name in names:
            path = Path(parent, name)
            relative = readable(path.relative_to(folder).as_posix())
            if name.startswith("."):
                contents.hidden += 1
            elif saved is not None and path.suffix == ".arrow" and name not in saved:
                contents.left_out.append((relative, "not a part of the saved dataset"))
            else:
                contents.files[relative] = path, _kind_of(path)
    return contents


def _take_folders(contents: FolderContents, parent: Path, folders: list[str]) -> None:
    """Remove from *folders* those that are not walked."""
    if "_delta_log" in folders:
        raise PassageError(
            readable(parent), "a Delta Lake table, whose files may hold deleted rows: write it as parquet files first"
        )
    for name in list(folders):
        relative = readable(Path(parent, name).relative_to(contents.folder).as_posix())
        if name.startswith("."):
            contents.hidden += 1
        elif name in SKIPPED_FOLDERS:
            contents.left_out.append((f"{relative}/", FileKind.NO_DATA.value))
        elif Path(parent, name).is_symlink():
            contents.left_out.append((f"{relative}/", "a link to a folder"))
            continue  # the walk does not follow it
        else:
            continue
        folders.remove(name)


def _kind_of(path: Path) -> FileName:
    what = classify(path)
    if path.is_file() or what.kind in (FileKind.NO_DATA, FileKind.ABOUT):
        return what
    if path.is_symlink():
        raise PassageError(readable(path), "a link to a file that does not exist: correct it, or remove it")
    return FileName(FileKind.NO_DATA)


def _saved_files(folder: Path, names: Sequence[str]) -> set[str] | None:
    """The data files of a folder that `save_to_disk` of datasets wrote; None for any other folder."""
    if "dataset_dict.json" in names:
        splits = [str(split) for split in _json(folder / "dataset_dict.json").get("splits", [])]
        if len(splits) > 1:
            named, first = ", ".join(splits), readable(folder / splits[0])
            raise PassageError(
                readable(folder),
                f"a saved dataset with the splits {named}: name the folder of a split, as in {first}",
            )
    if "state.json" not in names or "dataset_info.json" not in names:
        return None
    state = _json(folder / "state.json")
    files = {str(part.get("filename")) for part in state.get("_data_files") or []}
    missing = sorted(files - set(names))
    if missing:
        raise PassageError(
            readable(folder / missing[0]), "a file of the saved dataset is missing: copy or save it again"
        )
    if state.get("_indices_data_files"):
        raise PassageError(
            readable(folder), "a saved dataset with a separate list of rows: call `flatten_indices()` and save it again"
        )
    return files


def _json(path: Path) -> dict[str, Any]:
    with reading(readable(path)):
        try:
            value = json.loads(path.read_bytes())
        except ValueError:
            value = None
    if not isinstance(value, dict):
        raise PassageError(readable(path), "not the JSON object that datasets writes: copy or save the dataset again")
    return value


def shard_of(name: str) -> tuple[str, int, int, str] | None:
    """Beginning, number, count and end of a name such as ``train-00000-of-00003.parquet``; None for any other name."""
    match = _SHARD.fullmatch(name)
    return match and (match["head"], int(match["at"]), int(match["of"]), match["tail"])


def _refuse_missing_shards(folder: Path, names: Iterable[str]) -> None:
    """Refuse a folder in which shards of a set are missing, or in which two such sets have one name."""
    sets: dict[tuple[str, str], dict[int, dict[int, str]]] = defaultdict(lambda: defaultdict(dict))
    for name in names:
        if shard := shard_of(name):
            head, at, of, tail = shard
            sets[head, tail][of][at] = name
    for counts in sets.values():
        for of, shards in counts.items():
            first = next(iter(shards.values()))
            if len(counts) > 1:
                of_others = ", ".join(str(other) for other in sorted(counts))
                raise PassageError(
                    readable(folder / first),
                    f"shards of different sets ({of_others} shards) with the same name: keep only one set",
                )
            start = 1 if 0 not in shards and of in shards else 0
            missing = [at for at in range(start, start + of) if at not in shards]
            if missing:
                listed = ", ".join(map(str, missing[:MOST_NAMED])) + (" …" if len(missing) > MOST_NAMED else "")
                raise PassageError(
                    readable(folder / first),
                    f"{len(missing):,} of the {of:,} shards are missing (number {listed}): add them, or rename the "
                    "files if nothing is missing",
                )


def _refuse_copies(folder: Path, tables: Mapping[str, Path]) -> None:
    """Refuse two *tables* with the same bytes under different names: their passages would count twice."""
    by_size: dict[int, list[str]] = defaultdict(list)
    for name, path in tables.items():
        with reading(readable(path)):
            by_size[path.stat().st_size].append(name)
    for names in by_size.values():
        digests: dict[str, str] = {}
        for name in names if len(names) > 1 else []:
            with reading(readable(folder / name)), tables[name].open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            if (same := digests.setdefault(digest, name)) != name:
                raise PassageError(
                    readable(folder / name), f"a copy of {same}, so its passages would count twice: remove it"
                )


def partition_of(name: str) -> tuple[tuple[str, str | None], ...]:
    """The columns that folders such as ``label=0/`` give to every row of a file, from its relative *name*.

    >>> partition_of("source=web/label=0/part.parquet")
    (('source', 'web'), ('label', '0'))
    """
    pairs = [part.partition("=") for part in name.split("/")[:-1]]
    return tuple(
        (unquote(key), None if value == NO_VALUE else unquote(value)) for key, mark, value in pairs if key and mark
    )
