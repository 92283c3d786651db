"""Which tokens of a vocabulary are whole words, and which of them fit a gap best."""

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

__all__ = ["Fillers"]

# How tokens that open a word are told from those that go on with one: byte-level BPE and SentencePiece mark the
# former, WordPiece the latter.
OPENS = ("Ġ", "▁")
GOES_ON = "##"
# In scripts without spaces words open without a mark.
UNSPACED_WORD = re.compile(rf"[{UNSPACED}]+")


class Fillers:
    """The whole words among the tokens of *tokenizer*, for a model with a vocabulary of *size*.

    Raises:
        ModelError: there are none to choose from.
    """

    def __init__(self, tokenizer: Any, size: int) -> None:
        tokens = {i: token for token, i in tokenizer.get_vocab().items() if i < size}
        # A mark that hardly any token bears is a letter of the vocabulary, not its way to mark.
        mark = next((m for m in OPENS if sum(t.startswith(m) for t in tokens.values()) * 20 > len(tokens)), None)
        special = {*tokenizer.all_special_ids}
        plain = [i for i in sorted(tokens) if i not in special]
        texts = tokenizer.backend_tokenizer.decode_batch([[i] for i in plain], skip_special_tokens=False)
        self.words: dict[int, str] = {}
        """The text of each token that is a whole word."""
        self._alike: dict[str, list[int]] = {}
        for i, text in zip(plain, texts, strict=True):
            word = text.strip().removeprefix("▁")
            if (_opens(tokens[i], mark) or UNSPACED_WORD.fullmatch(word)) and _is_word(word):
                self.words[i] = word
                self._alike.setdefault(word.casefold(), []).append(i)
        if len(self._alike) < 2:
            raise ModelError("its tokenizer has no whole words to choose from")
        self._barred = torch.full((size,), -torch.inf)
        self._barred[list(self.words)] = 0.0

    def likeliest(
        self, logits: Tensor, originals: Sequence[int], texts: Sequence[str], count: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The *count* likeliest words for each row, likeliest first, and their logits, shapes (rows, count).

        Neither the token that stood there nor another one of the same letters is among them, whatever the case; where
        fewer words are left, the rest have logits of −inf.

        Args:
            logits: shape (rows, vocabulary).
            originals: the token that stood there, one a row.
            texts: what it was in the text.
            count: how many.
        """
        logits = logits + self._barred[: logits.shape[1]]
        for row, original, text in zip(logits, originals, texts, strict=True):
            own = self.words.get(original, "").casefold()
            row[[original, *self._alike.get(own, ()), *self._alike.get(text.casefold(), ())]] = -torch.inf
        values, found = logits.topk(min(count, logits.shape[1]), dim=1)
        return found.numpy(), values.double().numpy()


def _opens(token: str, mark: str | None) -> bool:
    return token.startswith(mark) if mark else not token.startswith(GOES_ON)


def _is_word(text: str) -> bool:
    """Has a letter or a digit, no blank, and no part of a character."""
    return "\ufffd" not in text and not any(map(str.isspace, text)) and any(map(str.isalnum, text))
