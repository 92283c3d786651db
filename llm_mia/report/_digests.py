"""SHA-256 of files, of the code, and of what a run directory holds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["FileDigest", "code_sha256", "digest_of", "digest_of_file", "extraction_files", "run_files", "sums"]

PACKAGE = Path(__file__).parents[1]
RESULT_FILES = (
    "run.json",
    "scores.parquet",
    "validity.json",
    "calibration.json",
    "flags.csv",
    "flags.parquet",
    "audit.json",
    "canary.json",
    "paired.json",
    "texts.parquet",
    "decisions.jsonl",
    "protocol.toml",
)
EXTRACTION_FILES = ("run.json", "extraction.json", "spans.csv", "proofs.csv")
PARTS = ("signals/*/part-*", "control/scores.parquet", "control/run.json", "control/signals/*/part-*")


@dataclass(frozen=True, slots=True)
class FileDigest:
    """What identifies a file, whatever it is called."""

    sha256: str
    bytes: int


def digest_of(content: bytes) -> FileDigest:
    """The digest of a file with this *content*."""
    return FileDigest(hashlib.sha256(content).hexdigest(), len(content))


def digest_of_file(path: Path) -> FileDigest:
    """The digest of a file, which is read a piece at a time.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return FileDigest(digest.hexdigest(), file.tell())


def run_files(run: Path) -> dict[str, FileDigest]:
    """The digest of each file of the results in the run directory *run*, by its path in there.

    Copies for people, such as ``report.html``, are left out: they follow from these.
    """
    return {name: digest_of_file(run / name) for name in _names(run, RESULT_FILES)}


def extraction_files(run: Path) -> dict[str, FileDigest]:
    """The same of the extraction in the run directory *run*."""
    return {name: digest_of_file(run / name) for name in _names(run, EXTRACTION_FILES)}


def _names(run: Path, files: tuple[str, ...]) -> Iterator[str]:
    yield from (name for name in files if (run / name).is_file())
    for pattern in PARTS:
        yield from sorted(path.relative_to(run).as_posix() for path in run.glob(pattern))


@cache
def code_sha256() -> str:
    """The digest of the installed package: of each file its path in the package and its SHA-256, in order.

    It is that of the text with a line ``SHA256  PATH`` for each file, sorted by path; compiled files are left out.
    """
    return sums(
        {
            path.relative_to(PACKAGE).as_posix(): digest_of_file(path).sha256
            for path in PACKAGE.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
    )[1]


def sums(digests: Mapping[str, str]) -> tuple[str, str]:
    """The text that ``sha256sum`` would write about files with these *digests*, and its SHA-256."""
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    return text, hashlib.sha256(text.encode()).hexdigest()
