"""Passages to measure on: Python's language reference, cut by `read_passages`."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from pydoc_data.topics import topics

from llm_mia.passages import read_passages


def passages(count: int, tokens: int = 128, seed: int = 0) -> list[str]:
    """*count* passages of about *tokens* tokens, whose lengths vary as paragraphs do, in random order."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in topics.items():
            (Path(folder) / f"{name}.txt").write_text(text, "utf-8")
        texts = sorted({passage.text for passage in read_passages(folder, passage_tokens=tokens)})
    random.Random(seed).shuffle(texts)  # noqa: S311 - a reproducible order, no secret
    if count > len(texts):
        raise ValueError(f"there are {len(texts)} passages, fewer than {count}")
    return texts[:count]
