"""Addresses of passages and of clusters; nothing heavy is imported."""

from __future__ import annotations

import re

from ..errors import UsageError

__all__ = ["check_address", "is_url", "without_secrets"]

SCHEMES = ("s3://", "gs://", "gcs://", "https://", "http://", "file://")


def is_url(source: str) -> bool:
    """Whether *source* is the URL of a file or a folder; ``hf://`` is not, because `read_passages` reads it.

    >>> is_url("s3://bucket/texts.jsonl"), is_url("texts.jsonl"), is_url("hf://owner/name")
    (True, False, False)
    """
    return source.startswith(SCHEMES)


def without_secrets(url: str) -> str:
    """*url* without a user, a password and a query, which may hold a signature: as it is recorded and shown.

    >>> without_secrets("https://me:secret@host/texts.jsonl?signature=1f3")
    'https://host/texts.jsonl'
    """
    return re.sub(r"(?<=://)[^/\s@]*@", "", url).partition("?")[0]


def check_address(on: str) -> None:
    """Raise `UsageError` where *on* is neither ``ray`` nor ``ray://HOST:PORT``."""
    if on != "ray" and not re.fullmatch(r"ray://[^\s/]+:\d{1,5}", on):
        raise UsageError(
            f"`on` is {on!r}: it must be ray (workers of this machine) or ray://HOST:PORT, as in ray://10.0.0.5:10001"
        )
