"""The digest of passages: what a training or a split on them depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from ..records import Passage

__all__ = ["passages_sha256"]


def passages_sha256(passages: Iterable[Passage]) -> str:
    """Digest of ids, documents and texts, in order; labels do not count.

    >>> first, second = Passage("a", "x", "d"), Passage("b", "x", "d")
    >>> passages_sha256([first, second]) == passages_sha256([second, first])
    False
    """
    digest = hashlib.sha256()
    for passage in passages:
        for part in (passage.id, passage.document, passage.text):
            content = part.encode(errors="surrogatepass")
            digest.update(b"%d:" % len(content) + content)
    return digest.hexdigest()
