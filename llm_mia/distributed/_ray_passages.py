"""Passages at a URL: a Parquet file or folder is read by Ray's machines, any other file is copied from its storage."""

from __future__ import annotations

from typing import IO, Any

from ..errors import PassageError
from ..passages import Passages, read_passages

__all__ = ["read_url"]

CHUNK_BYTES = 1 << 20


def read_url(url: str, **reading: Any) -> Passages:
    """The passages at *url*, read once and kept in a temporary file; *reading* is as for `read_passages`.

    A Parquet file, or a folder of Parquet files (its URL ends with a slash), is read by ``ray.data``, in the order of
    the names. Another file is what its ending says, as on this machine, and may be packed.

    Raises:
        PassageError: it cannot be read, or its ending is of no format.
    """
    if url.endswith((".parquet", "/")):
        return _of_parquet(url, reading)
    with _opened(url) as stream:
        return read_passages(url, stream=stream, **reading)


def _of_parquet(url: str, reading: dict[str, Any]) -> Passages:
    import ray.data

    options = {name: value for name, value in reading.items() if name not in ("passage_tokens", "delimiter")}
    try:
        dataset = ray.data.read_parquet(url)
    except Exception as error:  # readers of Ray and the network: anything can come out
        raise _unreadable(url, error) from error
    return Passages.of(dataset, name=url, **options)


def _opened(url: str) -> IO[bytes]:
    """The bytes at *url*, as a stream."""
    from pyarrow import fs

    try:
        if url.startswith(("https://", "http://")):
            import fsspec

            stream: IO[bytes] = fsspec.open(url, "rb").open()
            return stream
        system, path = fs.FileSystem.from_uri(url.replace("gcs://", "gs://", 1))
        opened: IO[bytes] = system.open_input_stream(path, compression=None, buffer_size=CHUNK_BYTES)
    except Exception as error:  # the network: anything can come out
        raise _unreadable(url, error) from error
    return opened


def _unreadable(url: str, error: Exception) -> PassageError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return PassageError(url, f"cannot be read ({lines[0][:160].rstrip('. ')}): check the URL and the access to it")
