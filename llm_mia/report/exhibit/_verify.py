"""Whether an exhibit is what was written, and still belongs to its run directory and its inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ...errors import InputError, RunDirectoryError
from ...store import read_run
from .._digests import FileDigest, digest_of_file, extraction_files, run_files, sums
from ._manifest import MANIFEST, SUMS, TEXTS, Manifest, read_manifest

__all__ = ["Compared", "Part", "State", "Verification", "verify_exhibit"]


class Part(StrEnum):
    """Where a file lies."""

    EXHIBIT = "exhibit"
    RUN = "run directory"
    EXTRACTION = "extraction"
    INPUT = "input"


class State(StrEnum):
    """What became of a file."""

    SAME = "same"
    CHANGED = "changed"
    GROWN = "grown"
    """Its first bytes are those that were recorded: lines were added to a record that only grows."""
    MISSING = "missing"
    ADDED = "added"
    NOT_COMPARED = "not compared"
    """An input that is not on this machine, or is no single file, or of which the digest of the texts is recorded."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A file, and what became of it."""

    part: Part
    name: str
    state: State

    @property
    def differs(self) -> bool:
        """Whether it is not what the manifest records."""
        return self.state not in (State.SAME, State.NOT_COMPARED)


@dataclass(frozen=True, slots=True)
class Verification:
    """What a comparison of an exhibit with its manifest gives."""

    path: Path
    manifest: Manifest
    manifest_sha256: str
    """Who changes files can write a manifest that fits, so keep this digest elsewhere and compare it."""
    expected_sha256: str | None
    """The digest that the caller has kept; None where none was given."""
    files: tuple[Compared, ...]

    @property
    def differences(self) -> tuple[Compared, ...]:
        """The files that differ."""
        return tuple(each for each in self.files if each.differs)

    @property
    def intact(self) -> bool:
        """Whether nothing differs, the digest of the manifest included where it was given."""
        return not self.differences and self.expected_sha256 in (None, self.manifest_sha256)


def verify_exhibit(
    path: str | Path, *, run: str | Path | None = None, manifest_sha256: str | None = None
) -> Verification:
    """Whether every file of the exhibit *path* is what was written: which are the same, changed, missing or added.

    Without *manifest_sha256* this finds changes by somebody who has not changed the manifest, too.

    Args:
        path: the folder of the exhibit.
        run: the run directory, whose files are compared, too; and the inputs that it names, where they still are.
        manifest_sha256: the digest of ``manifest.json`` that was noted when the exhibit was written.

    Raises:
        InputError: it is no exhibit, its manifest is damaged, or a file cannot be read.
        RunDirectoryError: *run* is no run directory.
    """
    folder = Path(path)
    manifest = read_manifest(folder)
    try:
        own = digest_of_file(folder / MANIFEST).sha256
        files = [*_of_exhibit(folder, manifest, own)]
        if run is not None:
            files += _of_run(Path(run), manifest)
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror}): make it readable") from None
    expected = None if manifest_sha256 is None else manifest_sha256.strip().lower()
    return Verification(folder, manifest, own, expected, tuple(files))


def _of_exhibit(folder: Path, manifest: Manifest, manifest_sha256: str) -> Iterator[Compared]:
    there = {
        each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_symlink() or not each.is_dir()
    }
    for name, digest in manifest.files.items():
        there.discard(name)
        yield Compared(Part.EXHIBIT, name, _state(folder / name, digest))
    recorded = {name: each.sha256 for name, each in manifest.files.items()}
    text, _ = sums({**recorded, MANIFEST: manifest_sha256})
    listed = folder / SUMS
    if not listed.is_file():
        yield Compared(Part.EXHIBIT, SUMS, State.MISSING)
    else:
        # It holds the digest of the manifest, so it differs where either was changed.
        same = listed.read_bytes() == text.encode()
        yield Compared(Part.EXHIBIT, f"{MANIFEST}, {SUMS}", State.SAME if same else State.CHANGED)
    for name in sorted(there - {MANIFEST, SUMS}):
        yield Compared(Part.EXHIBIT, name, State.ADDED)


def _of_run(run: Path, manifest: Manifest) -> Iterator[Compared]:
    """The files of the run directory, and the inputs of which its record holds the names."""
    record = read_run(run)
    yield from _between(Part.RUN, run, manifest.run, run_files(run))
    if manifest.extraction and (run / "extraction.json").is_file():
        yield from _between(Part.EXTRACTION, run, manifest.extraction, extraction_files(run))
    recorded = ["" if each.get("digest_of") == TEXTS else str(each["sha256"]) for each in manifest.inputs]
    if len(recorded) != len(record.inputs):
        raise RunDirectoryError(f"{run}: has other inputs than the run of the exhibit: name that run as `run`")
    for each, sha256 in zip(record.inputs, recorded, strict=True):
        file = Path(each.name)
        state = State.NOT_COMPARED
        if sha256 and file.is_file():
            state = State.SAME if digest_of_file(file).sha256 == sha256 else State.CHANGED
        yield Compared(Part.INPUT, each.name, state)


def _between(
    part: Part, folder: Path, recorded: Mapping[str, FileDigest], now: Mapping[str, FileDigest]
) -> Iterator[Compared]:
    for name, digest in recorded.items():
        state = State.SAME if now.get(name) == digest else _state(folder / name, digest)
        yield Compared(part, name, state)
    for name in sorted(now.keys() - recorded.keys()):
        yield Compared(part, name, State.ADDED)


def _state(path: Path, digest: FileDigest) -> State:
    """What became of the file *path*, which had this *digest*; a link is not the file that was written."""
    if path.is_symlink():
        return State.CHANGED
    if not path.is_file():
        return State.MISSING
    if digest_of_file(path) == digest:
        return State.SAME
    return State.GROWN if path.name == "decisions.jsonl" and _begins(path, digest) else State.CHANGED


def _begins(path: Path, digest: FileDigest) -> bool:
    import hashlib

    with path.open("rb") as file:
        return hashlib.sha256(file.read(digest.bytes)).hexdigest() == digest.sha256
