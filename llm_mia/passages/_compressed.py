"""Compressed files as streams of bytes; a stream that is cut short or damaged is refused, never read in part."""

from __future__ import annotations

import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from ..errors import PassageError

__all__ = ["COMPRESSIONS", "open_compressed", "reading"]

COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd"}
"""The compression by suffix."""
CHUNK_BYTES = 1 << 20


@contextmanager
def reading(shown: str, compression: str | None = None) -> Iterator[None]:
    """Turn errors of the operating system, and of the decompression of *shown*, into a line about it."""
    broken = f"a broken or truncated {compression} file: copy it again, or unpack it"
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError):
        raise PassageError(shown, broken) from None
    except OSError as error:
        if compression is not None and error.errno is None:  # pyarrow: no error of the operating system has no number
            raise PassageError(shown, broken) from None
        raise PassageError(shown, f"cannot be read: {error.strerror or error}") from error


def open_compressed(path: Path, compression: str) -> IO[bytes]:
    """The bytes of a compressed file, unpacked; several streams one after another are read as a single stream."""
    if compression == "gzip":
        return cast("IO[bytes]", gzip.open(path))
    if compression == "xz":
        return io.BufferedReader(_XzStream(path), CHUNK_BYTES)
    import pyarrow as pa

    # Python's bz2 leaves out, without an error, a second stream whose beginning is damaged; pyarrow does not.
    stream: Any = pa.CompressedInputStream(path.open("rb"), compression)
    return io.BufferedReader(stream, CHUNK_BYTES)


class _XzStream(io.RawIOBase):
    """An xz file; unlike `lzma.open` it refuses bytes that follow a stream and are no stream themselves."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._unpack = lzma.LZMADecompressor()

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill *buffer* with the next bytes; 0 at the end."""
        while True:
            packed = b""
            if self._unpack.eof:
                packed = self._next_stream()
                if not packed:
                    return 0
                self._unpack = lzma.LZMADecompressor()
            elif self._unpack.needs_input:
                packed = self._file.read(CHUNK_BYTES)
                if not packed:
                    raise EOFError
            data = self._unpack.decompress(packed, len(buffer))
            if data:
                buffer[: len(data)] = data
                return len(data)

    def _next_stream(self) -> bytes:
        """The first bytes of the next stream; empty at the end of the file. Zeros between streams are skipped."""
        rest = self._unpack.unused_data.lstrip(b"\0")
        while not rest:
            rest = self._file.read(CHUNK_BYTES)
            if not rest:
                break
            rest = rest.lstrip(b"\0")
        return rest

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
