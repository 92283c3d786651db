"""Passages at a URL: a Parquet file or folder is read by Ray's machines, any other file is copied from its storage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from ..errors import LlmMiaError, PassageError, UsageError
from ..passages import Passages, read_passages
from ._urls import without_secrets

__all__ = ["read_url"]

CHUNK_BYTES = 1 << 20


def read_url(url: str, **reading: Any) -> Passages:
    """The passages at *url*, read once and kept in a temporary file; *reading* is as for `read_passages`.

    A Parquet file, or a folder of Parquet files (its URL ends with a slash), is read by ``ray.data``, in the order of
    the names. Another file is what its ending says, as on this machine, and may be packed. The passages are named by
    the URL without its user, password and query.

    Raises:
        PassageError: it cannot be read, or its ending is of no format.
        UsageError: it is Parquet, and this process is connected to no cluster.
    """
    name = without_secrets(url)
    if name.endswith((".parquet", "/")):
        return _of_parquet(url, name, reading)
    with _unreadable(url, name), _opened(url) as stream:
        return read_passages(name, stream=stream, **reading)


def _of_parquet(url: str, name: str, reading: dict[str, Any]) -> Passages:
    import ray.data

    if not ray.is_initialized():  # else Ray would search for a cluster, and start the first that it can
        raise UsageError(f"{name}: Parquet at a URL is read by a Ray cluster: call this within `shared_by_ray`")
    options = {option: value for option, value in reading.items() if option not in ("passage_tokens", "delimiter")}
    with _unreadable(url, name):
        dataset = ray.data.read_parquet(url)
    return Passages.of(dataset, name=name, **options)


def _opened(url: str) -> IO[bytes]:
    """The bytes at *url*, as a stream."""
    from pyarrow import fs

    if url.startswith(("https://", "http://")):
        import fsspec

        stream: IO[bytes] = fsspec.open(url, "rb").open()
        return stream
    system, path = fs.FileSystem.from_uri(url.replace("gcs://", "gs://", 1))
    opened: IO[bytes] = system.open_input_stream(path, compression=None, buffer_size=CHUNK_BYTES)
    return opened


@contextmanager
def _unreadable(url: str, name: str) -> Iterator[None]:
    """Turns an error of the network, or of a reader of Ray, into a `PassageError`; they are of many classes."""
    try:
        yield
    except LlmMiaError:
        raise
    except Exception as error:
        # fsspec raises an error that holds the URL alone, because of the error that says what happened.
        cause = error.__cause__ if isinstance(error, FileNotFoundError) and error.__cause__ is not None else error
        text = "no such file" if str(cause) == url else str(cause).partition(", url=")[0].replace(url, name)
        lines = [line.strip() for line in text.splitlines() if line.strip()] or [type(cause).__name__]
        reason = f"cannot be read ({lines[0][:160].rstrip('. ')}): check the URL and the access to it"
        raise PassageError(name, reason) from error
