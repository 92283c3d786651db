"""Files, folders and standard input as bytes, and bytes as lines of text."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import IO, cast

from ..errors import PassageError

FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".txt": "text",
    ".md": "text",
}
SUPPORTED = f"{' '.join(FORMATS)} (all but .parquet also as .gz)"

UTF8_SIGNATURE = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file of an input."""

    path: Path
    name: str
    """File name; within a folder, the relative path with ``/``. Names of documents and ids are derived from it."""
    shown: str
    """Its name in messages: the path as the user gave it, or ``stdin``."""
    format: str
    """A value of `FORMATS`, or ``stdin``, whose format depends on its first character when it is read."""
    gzipped: bool = False


@contextmanager
def reading(shown: str) -> Iterator[None]:
    """Turn errors of the operating system and of gzip into a line about *shown*."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise PassageError(shown, "a broken or truncated gzip file: copy it again, or unpack it") from None
    except OSError as error:
        raise PassageError(shown, f"cannot be read: {error.strerror or error}") from error


def find_files(source: str | Path) -> list[InputFile]:
    """The file *source*, or the supported files of the folder *source* in sorted order, without hidden files."""
    path, shown = Path(source), readable(source)
    with reading(shown):
        if not path.exists():
            raise PassageError(shown, "no such file or folder")
        if path.is_dir():
            return _files_of_folder(path)
        file_format = _format_of(path)
    if file_format is None:
        suffix = f"the suffix {path.suffix!r}" if path.suffix else "a file without suffix"
        raise PassageError(shown, f"{suffix} is not supported; supported are {SUPPORTED}")
    return [InputFile(path, readable(path.name), shown, *file_format)]


def readable(path: str | Path) -> str:
    """*path* as valid Unicode on a single line, whatever bytes the file system has: ids are derived from it."""
    return os.fsencode(path).decode("utf-8", "backslashreplace").replace("\n", "\\n")


def _files_of_folder(folder: Path) -> list[InputFile]:
    """Every supported file below *folder*; symbolic links to folders are not followed, so the walk always ends."""

    def refuse(error: OSError) -> None:
        raise PassageError(readable(error.filename or folder), f"cannot be read: {error.strerror or error}")

    files = []
    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(parent, name)
            file_format = _format_of(path)
            if file_format is not None and not name.startswith(".") and path.is_file():
                relative = path.relative_to(folder).as_posix()
                files.append(InputFile(path, readable(relative), readable(path), *file_format))
    if not files:
        raise PassageError(readable(folder), f"a folder without passages: no file in it ends in {SUPPORTED}")
    return sorted(files, key=lambda file: file.name)


def _format_of(path: Path) -> tuple[str, bool] | None:
    """The format by suffix, and whether the file is gzipped; None where the suffix is not supported."""
    gzipped = path.suffix.lower() == ".gz"
    suffix = Path(path.stem).suffix if gzipped else path.suffix
    file_format = FORMATS.get(suffix.lower())
    if file_format is None or (gzipped and file_format == "parquet"):
        return None
    return file_format, gzipped


def spool_stdin() -> tuple[InputFile, IO[bytes]]:
    """Standard input as a file without a name, so that it can be read again and leaves no trace; and its stream.

    The file exists as long as the stream is open.
    """
    with reading("stdin"):
        spool = tempfile.TemporaryFile()  # noqa: SIM115 - outlives this function
        try:
            shutil.copyfileobj(sys.stdin.buffer, spool)
            spool.flush()
        except BaseException:
            spool.close()
            raise
    return InputFile(Path(f"/dev/fd/{spool.fileno()}"), "stdin", "stdin", "stdin"), spool


def is_empty(file: InputFile) -> bool:
    """Whether the file has no bytes."""
    with reading(file.shown):
        return file.path.stat().st_size == 0


def digest(files: list[InputFile], *, folder: bool) -> str:
    """Hex sha256 of the bytes of a file, as from ``sha256sum``; of a folder, of a line ``digest  name`` per file."""
    if not folder:
        return _digest_of_file(files[0])
    lines = "".join(f"{_digest_of_file(file)}  {file.name}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def _digest_of_file(file: InputFile) -> str:
    with reading(file.shown), _open_packed(file) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def decoded_lines(file: InputFile) -> Iterator[tuple[int, str]]:
    r"""Line numbers (from 1) and lines, each with its line end unchanged; only ``\n`` ends a line.

    A UTF-8 signature at the start is left out: it belongs to the file, not to the text. `PassageError` where bytes are
    not UTF-8 or NUL, with the line and the position of the byte in it (from 1).
    """
    with reading(file.shown), _open(file) as stream:
        for number, raw in enumerate(stream, start=1):
            skipped = 0
            if number == 1:
                skipped = _signature(raw, file.shown)
                raw = raw[skipped:]
            if b"\0" in raw:
                byte = raw.index(b"\0") + 1 + skipped
                raise PassageError(
                    f"{file.shown} line {number}", f"a NUL byte (byte {byte} of the line): binary or UTF-16? {_CONVERT}"
                )
            try:
                line = raw.decode()
            except UnicodeDecodeError as error:
                byte, value = error.start + 1 + skipped, raw[error.start]
                # From None, because the error contains the bytes of the passage.
                raise PassageError(
                    f"{file.shown} line {number}", f"not UTF-8: 0x{value:02x} at byte {byte} of the line; {_CONVERT}"
                ) from None
            yield number, line


_CONVERT = "convert the file to UTF-8 (iconv -f ENCODING -t UTF-8)"


def _signature(head: bytes, shown: str) -> int:
    """The number of bytes of the UTF-8 signature at the start; `PassageError` for a UTF-16 mark."""
    if head.startswith(UTF16_MARKS):
        raise PassageError(f"{shown} line 1", f"starts with a UTF-16 byte order mark; {_CONVERT}")
    return len(UTF8_SIGNATURE) if head.startswith(UTF8_SIGNATURE) else 0


def _open(file: InputFile) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(file.path)) if file.gzipped else _open_packed(file)


def _open_packed(file: InputFile) -> BufferedReader:
    stream = file.path.open("rb")
    if stream.seekable():
        stream.seek(0)  # on some systems, a file under /dev/fd opens at the position where the last reader stopped
    return stream


def first_character(file: InputFile) -> str:
    """The first character that is not white space; empty where there is none."""
    for _, line in decoded_lines(file):
        if stripped := line.lstrip():
            return stripped[0]
    return ""
