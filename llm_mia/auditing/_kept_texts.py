"""The texts of candidates that an audit keeps for its readers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..backends import Backend, ModelSpec, Tokenizer
from ..backends.tokenizers import tokenizer_of
from ..decision import FlagRows
from ..passages import Passages
from ..store import StoredText, beginning_of, read_texts, write_texts

__all__ = ["MOST_TEXTS", "KeptTexts"]

MOST_TEXTS = 10_000
"""Candidates whose texts are kept: those that are flagged, and then those with the highest scores."""


class KeptTexts:
    """The texts of an audit's candidates for ``texts.parquet``, and the beginnings of all; they are read once."""

    def __init__(self, rows: FlagRows, candidates: Passages, first: int, target: Backend | ModelSpec) -> None:
        """Nothing is read yet.

        Args:
            rows: the decisions, in the order of the candidates.
            candidates: the source of the candidates.
            first: position of the first candidate in the input of the run.
            target: the model, whose tokens the texts are divided into.
        """
        self._rows, self._candidates, self._first, self._target = rows, candidates, first, target
        self._texts: list[tuple[int, str, str]] = []

    def beginnings(self) -> Iterator[str]:
        """At most 80 characters of each candidate; keeps the texts that `write` writes."""
        kept = _most_member_like(self._rows)
        self._texts = []
        for at, passage in enumerate(self._candidates):
            if kept[at]:
                self._texts.append((self._first + at, passage.id, passage.text))
            yield beginning_of(passage.text)

    def write(self, run: Path) -> None:
        """Write ``texts.parquet``, unless it holds these texts already; after all of `beginnings`.

        The tokenizer of the target is loaded, and no model.
        """
        if [(text.position, text.id, text.text) for text in read_texts(run)] != self._texts:
            tokenizer = tokenizer_of(self._target)
            write_texts(run, (StoredText(name, at, text, _ends(tokenizer, text)) for at, name, text in self._texts))


def _most_member_like(rows: FlagRows) -> NDArray[np.bool_]:
    """Which candidates' texts are kept."""
    kept = np.zeros(len(rows), dtype=bool)
    kept[rows.most_member_like(MOST_TEXTS)] = True
    return kept


def _ends(tokenizer: Tokenizer | None, text: str) -> NDArray[np.int32] | None:
    if tokenizer is None:
        return None
    ends = tokenizer.spans(text)[:, 1]
    return np.maximum.accumulate(ends).astype(np.int32) if len(ends) else ends.astype(np.int32)
