"""The texts of candidates that an audit keeps for its readers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..backends import Backend, ModelSpec, Tokenizer
from ..backends.tokenizers import tokenizer_of
from ..decision import Flag
from ..passages import Passages
from ..store import StoredText, beginning_of, read_texts, write_texts

__all__ = ["MOST_TEXTS", "keep_texts"]

MOST_TEXTS = 10_000
"""Candidates whose texts are kept: those that are flagged, and then those with the highest scores."""


def keep_texts(
    run: Path, rows: Sequence[Flag], candidates: Passages, first: int, target: Backend | ModelSpec
) -> dict[str, str]:
    """Write ``texts.parquet``, unless it holds these texts already, and return the beginning of each candidate's text.

    The candidates are read once. Of those whose texts are not kept, only the beginnings are in memory. The tokenizer of
    the target is loaded, and no model.

    Args:
        run: the run directory.
        rows: the decisions.
        candidates: the source of the candidates.
        first: position of the first candidate in the input of the run.
        target: the model, whose tokens the texts are divided into.

    Returns:
        By id: at most 80 characters.
    """
    kept, texts, beginnings = _most_member_like(rows), list[tuple[int, str, str]](), dict[str, str]()
    for at, passage in enumerate(candidates, start=first):
        beginnings[passage.id] = beginning_of(passage.text)
        if kept is None or passage.id in kept:
            texts.append((at, passage.id, passage.text))
    if [(text.position, text.id, text.text) for text in read_texts(run)] != texts:
        tokenizer = tokenizer_of(target)
        write_texts(run, (StoredText(name, at, text, _ends(tokenizer, text)) for at, name, text in texts))
    return beginnings


def _most_member_like(rows: Sequence[Flag]) -> set[str] | None:
    """Ids of the candidates whose texts are kept; None where all are."""
    if len(rows) <= MOST_TEXTS:
        return None
    ordered = sorted(rows, key=_place)
    return {row.id for row in ordered[:MOST_TEXTS]}


def _place(row: Flag) -> tuple[bool, float]:
    return not row.flagged, -row.score if row.score is not None and np.isfinite(row.score) else np.inf


def _ends(tokenizer: Tokenizer | None, text: str) -> NDArray[np.int32] | None:
    if tokenizer is None:
        return None
    ends = tokenizer.spans(text)[:, 1]
    return np.maximum.accumulate(ends).astype(np.int32) if len(ends) else ends.astype(np.int32)
