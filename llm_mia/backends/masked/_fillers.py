"""The tokens of a vocabulary that are whole words, and the likeliest of them for each masked token."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import ModelError
from ...rewriting import UNSPACED

__all__ = ["Fillers", "draw_columns"]

# Byte-level BPE and SentencePiece mark tokens that start a word; WordPiece marks tokens that continue a word.
START_MARKS = ("Ġ", "▁")
CONTINUATION_MARK = "##"
# In scripts without spaces words start without a mark.
UNSPACED_WORD = re.compile(rf"[{UNSPACED}]+")


class Fillers:
    """The whole words among the tokens of *tokenizer*, for a model with a vocabulary of *size*.

    Raises:
        ModelError: there are fewer than two.
    """

    def __init__(self, tokenizer: Any, size: int) -> None:
        tokens = {i: token for token, i in tokenizer.get_vocab().items() if i < size}
        # A mark on fewer than 5 % of the tokens is a letter of the vocabulary, and marks nothing.
        mark = next((m for m in START_MARKS if sum(t.startswith(m) for t in tokens.values()) * 20 > len(tokens)), None)
        special = {*tokenizer.all_special_ids}
        plain = [i for i in sorted(tokens) if i not in special]
        texts = tokenizer.backend_tokenizer.decode_batch([[i] for i in plain], skip_special_tokens=False)
        self.words: dict[int, str] = {}
        """The text of each token that is a whole word."""
        self._by_word: dict[str, list[int]] = {}
        for i, text in zip(plain, texts, strict=True):
            word = text.strip().removeprefix("▁")
            if (_starts_word(tokens[i], mark) or UNSPACED_WORD.fullmatch(word)) and _is_word(word):
                self.words[i] = word
                self._by_word.setdefault(word.casefold(), []).append(i)
        if len(self._by_word) < 2:
            raise ModelError("its tokenizer has no whole words to choose from: use another model")
        self._exclusion = torch.full((size,), -torch.inf)
        self._exclusion[list(self.words)] = 0.0

    def likeliest(
        self, logits: Tensor, originals: Sequence[int], texts: Sequence[str], count: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The *count* likeliest tokens for each row, likeliest first, and their logits, shapes (rows, count).

        The original token and tokens with the same letters, in whatever case, are excluded. Where fewer tokens are
        left, the rest have logits of −inf.

        Args:
            logits: shape (rows, vocabulary).
            originals: the original token of each row.
            texts: the original word of each row, as it is in the text.
            count: the number of tokens.
        """
        logits = logits + self._exclusion[: logits.shape[1]]
        for row, original, text in zip(logits, originals, texts, strict=True):
            word = self.words.get(original, "").casefold()
            row[[original, *self._by_word.get(word, ()), *self._by_word.get(text.casefold(), ())]] = -torch.inf
        values, tokens = logits.topk(min(count, logits.shape[1]), dim=1)
        return tokens.numpy(), values.double().numpy()


def _starts_word(token: str, mark: str | None) -> bool:
    return token.startswith(mark) if mark else not token.startswith(CONTINUATION_MARK)


def _is_word(text: str) -> bool:
    """Whether *text* has a letter or a digit, no blank, and no incomplete character."""
    return "\ufffd" not in text and not any(map(str.isspace, text)) and any(map(str.isalnum, text))


def draw_columns(logits: NDArray[np.float64], numbers: Sequence[float]) -> NDArray[np.intp]:
    """A column for each row of *logits*, drawn by their softmax with a number from [0, 1); −inf is never drawn."""
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    reached = np.cumsum(p, axis=1) > np.array(numbers)[:, None] * p.sum(axis=1, keepdims=True)
    return np.asarray(reached.argmax(axis=1))
