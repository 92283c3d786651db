"""Files, folders and standard input as bytes, and bytes as lines of text."""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import IO

from ..errors import PassageError
from ._compressed import open_compressed, reading
from ._folders import partition_of, readable, shard_of, walk
from ._formats import SUPPORTED, FileKind, FileName, classify

UTF8_SIGNATURE = b"\xef\xbb\xbf"
PACKED = {
    rb"\x1f\x8b": ("a gzip file", ".gz"),
    rb"BZh[1-9]1AY&SY": ("a bz2 file", ".bz2"),
    rb"\xfd7zXZ\0": ("an xz file", ".xz"),
    rb"\x28\xb5\x2f\xfd": ("a zstd file", ".zst"),
    rb"PAR1[\0-\x1f]": ("a Parquet file", ".parquet"),
    rb"ARROW1\0": ("an Arrow file", ".arrow"),
}
"""How files begin, as patterns, and what they are."""
POINTER = b"version https://git-lfs.github.com/spec/"
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
    """As in `classify`, or ``stdin``, whose format depends on its first character when it is read."""
    compression: str | None = None
    partition: tuple[tuple[str, str | None], ...] = ()
    """Columns and values that its folders give to every row, as ``label=0/`` does."""

    def columns(self, names: Sequence[str]) -> list[str]:
        """The columns of its rows: *names*, which are in the file, and those that its folders give."""
        return [*names, *(name for name, _ in self.partition if name not in names)]


def find_files(source: str | Path) -> tuple[list[InputFile], tuple[str, ...]]:
    """The file *source*, or the files of the folder *source* that are read, in sorted order; and notes about them.

    Raises:
        PassageError: there is no such file, it cannot be read, or a folder is refused: see `_folders`.
    """
    path, shown = Path(source), readable(source)
    with reading(shown):
        if not path.exists():
            raise PassageError(shown, "no such file or folder")
        if path.is_dir():
            return _files_of_folder(path)
        if not path.is_file():
            # Opening a pipe waits for its writer, and what was read from it is gone.
            raise PassageError(
                shown,
                "a pipe or a device, which cannot be read twice: give - and send it to standard input, or save it",
            )
    what = classify(path)
    if not what.format:
        suffix = f"the suffix {path.suffix!r}" if path.suffix else "a file without suffix"
        remedy = f": {what.remedy}" if what.remedy else f"; supported are {SUPPORTED}"
        raise PassageError(shown, f"{suffix} is not supported{remedy}")
    return [InputFile(path, readable(path.name), shown, what.format, what.compression)], _shard_note(path, shown)


def _files_of_folder(folder: Path) -> tuple[list[InputFile], tuple[str, ...]]:
    contents = walk(folder)
    files = [
        InputFile(path, name, readable(path), what.format, what.compression, partition_of(name))
        for name, path, what in contents.chosen()
    ]
    return files, (contents.note([file.name for file in files]),)


def _shard_note(path: Path, shown: str) -> tuple[str, ...]:
    """A note where a single file was named that is a part of a larger table."""
    shard = shard_of(path.name)
    if classify(path).kind is not FileKind.TABLE or shard is None or shard[2] == 1:
        return ()
    return (f"{shown}: a shard of {shard[2]:,}, and the others are not read",)


def spool_stdin() -> tuple[InputFile, IO[bytes]]:
    """Standard input as a file, see `spool_stream`."""
    return spool_stream(sys.stdin.buffer, "stdin", "stdin", FileName(FileKind.TEXT, "stdin"))


def spool_stream(stream: IO[bytes], name: str, shown: str, what: FileName) -> tuple[InputFile, IO[bytes]]:
    """What *stream* gives as a file without a name, so that it can be read again and leaves no trace; and its stream.

    The file exists as long as the stream is open.
    """
    with reading(shown):
        spool = tempfile.TemporaryFile()  # noqa: SIM115 - outlives this function
        try:
            shutil.copyfileobj(stream, spool)
            spool.flush()
        except BaseException:
            spool.close()
            raise
    return InputFile(Path(f"/dev/fd/{spool.fileno()}"), name, shown, what.format, what.compression), spool


def is_empty(file: InputFile) -> bool:
    """Whether the file has no bytes.

    Raises:
        PassageError: it is what Git LFS leaves in place of a file that was not fetched.
    """
    with reading(file.shown), _open_packed(file) as stream:
        head = stream.read(len(POINTER))
    if head == POINTER:
        raise PassageError(file.shown, "a placeholder of Git LFS in place of the file: run 'git lfs pull' there")
    return not head


def verify(file: InputFile) -> None:
    """Read a compressed file to its end, where its checksums are; `PassageError` if it is damaged."""
    with reading(file.shown, file.compression), _open(file) as stream:
        while stream.read(1 << 20):
            pass


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
    with reading(file.shown, file.compression), _open(file) as stream:
        for number, raw in enumerate(stream, start=1):
            skipped = 0
            if number == 1:
                _refuse_packed(raw, file.shown)
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


def _refuse_packed(head: bytes, shown: str) -> None:
    """Refuse a file that begins as a compressed file or as a table in binary form does, whatever its name."""
    for mark, (what, suffix) in PACKED.items():
        if re.match(mark, head):
            remedy = "unpack it first" if shown == "stdin" else f"add {suffix} to its name"
            raise PassageError(shown, f"its bytes are {what}, which cannot be read as a text: {remedy}")


def _signature(head: bytes, shown: str) -> int:
    """The number of bytes of the UTF-8 signature at the start; `PassageError` for a UTF-16 mark."""
    if head.startswith(UTF16_MARKS):
        raise PassageError(f"{shown} line 1", f"starts with a UTF-16 byte order mark; {_CONVERT}")
    return len(UTF8_SIGNATURE) if head.startswith(UTF8_SIGNATURE) else 0


def _open(file: InputFile) -> IO[bytes]:
    return _open_packed(file) if file.compression is None else open_compressed(file.path, file.compression)


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
