"""Run directories whose passages are hostile to a page: markup, marks, right-to-left text, nothing at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from llm_mia import audit
from llm_mia.backends.fake import FakeBackend
from llm_mia.passages import Passages
from llm_mia.store import StoredText, write_texts

from .conftest import sentences

HOSTILE: Mapping[str, str] = {
    "script": "</script><img src=x onerror=\"document.title='owned'\"><!-- <script>alert(1)</script>",
    "emoji": "👩‍👩‍👧 says 😀😀 and e\u0301 is é, a\u0308\u0323 too",
    "right-to-left": "שלום \u202eabc\u202c مرحبا بالعالم",
    "null": "before\x00after\r\nline\ttab",
    "spaces": "  \n\n .  ",
    "letter": "x",
    "<b>id</b>": "${danger} {{ danger }} &amp; <b>bold</b> \\u0041",
}
"""By id."""


def audited_run(
    folder: Path,
    texts: Mapping[str, str],
    *,
    documents: Sequence[str] | None = None,
    sources: Sequence[str] | None = None,
    bos: bool = False,
    reference: Any = None,
    kept: bool = True,
    **options: Any,
) -> Path:
    """The run directory of an audit of *texts* by id, with the places of their tokens, which are bytes, if *kept*."""
    names = list(texts)
    rows = [
        {
            "id": name,
            "document": documents[at] if documents else name,
            "text": text,
            **({"source": sources[at]} if sources else {}),
        }
        for at, (name, text) in enumerate(texts.items())
    ]
    known = sentences(90, seed=50)
    audit(
        Passages.of(rows, name="candidates"),
        members=Passages.of(known[:30], label=1, name="members"),
        nonmembers=Passages.of(known[30:], label=0, name="non-members"),
        target=FakeBackend(0, bos=bos),
        reference=reference or FakeBackend(1, bos=bos),
        attacks=["reference", "min_k"],
        out=folder,
        **options,
    )
    if kept:
        write_texts(
            folder, [StoredText(name, 90 + at, texts[name], byte_ends(texts[name])) for at, name in enumerate(names)]
        )
    return folder


def byte_ends(text: str) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """Where each byte of *text* ends, in characters: bytes of a character share its end."""
    return np.repeat(np.arange(1, len(text) + 1), [len(sign.encode()) for sign in text]).astype(np.int32)
