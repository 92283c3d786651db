"""The names of the files that hold the public variants."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

__all__ = ["file_names"]

LONGEST = 100
"""Characters of a name that are kept; the name of a file may have 255 bytes."""
_UNSAFE = re.compile(r"[^\w.-]+")
_TEXT = re.compile(r"\.(?:txt|md)$", re.IGNORECASE)


def file_names(documents: Sequence[str]) -> tuple[str, ...]:
    """A file name for each of the *documents*, whose names differ; no two are equal, also where case does not count.

    >>> file_names(["letters/first.txt", "Über 2", "a b", "a/b"])
    ('letters_first.txt', 'Über_2.txt', 'a_b.txt', 'a_b-c14cddc0.txt')
    """
    names: list[str] = []
    taken: set[str] = set()
    for document in documents:
        bare = _UNSAFE.sub("_", document).strip("._") or "document"
        suffix = match[0] if (match := _TEXT.search(bare)) else ".txt"
        stem = _TEXT.sub("", bare)[:LONGEST]
        while len(stem.encode("utf-8", "replace")) > 2 * LONGEST:
            stem = stem[:-1]
        name, digest = stem + suffix, hashlib.sha256(document.encode(errors="surrogatepass")).hexdigest()
        for length in range(8, 65, 8):
            if name.casefold() not in taken:
                break
            name = f"{stem}-{digest[:length]}{suffix}"
        taken.add(name.casefold())
        names.append(name)
    return tuple(names)
