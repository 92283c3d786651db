"""A tokenizer without its model: what counts tokens, or says where one stands, has no use for the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ModelError
from ...records import IntArray
from ._identity import tokenizer_fingerprint

__all__ = ["LocalTokenizer", "without_spans"]


class LocalTokenizer:
    """A tokenizer of transformers; its ids, BOS and fingerprint are those of a `LocalBackend` that has it.

    Args:
        tokenizer: of transformers, loaded.
        name: what it is called in messages.
    """

    def __init__(self, tokenizer: Any, *, name: str = "in memory") -> None:
        self.tokenizer = tokenizer
        self.name = name
        self.bos = _bos(tokenizer)
        self.fingerprint = tokenizer_fingerprint(tokenizer, self.bos)
        # Not the number of entries: some vocabularies leave ids out.
        self.vocabulary = 1 + max(tokenizer.get_vocab().values())

    def encode(self, texts: Sequence[str]) -> list[IntArray]:
        """Token ids of each text, shape (n,), without special tokens added and without a limit on length."""
        ids = self.tokenizer(list(texts), add_special_tokens=False, truncation=False, verbose=False).input_ids
        return [np.array(one, dtype=np.int32) for one in ids]

    def spans(self, text: str) -> NDArray[np.int64]:
        """Start and end of each token in *text*, in characters, shape (tokens, 2); see `Tokenizer.spans`.

        Raises:
            ModelError: the tokenizer runs in Python, and does not keep track of where a token comes from.
        """
        if not self.tokenizer.is_fast:
            raise ModelError(f"model {self.name!r}: {without_spans(self.tokenizer)}")
        encoded = self.tokenizer(
            text, add_special_tokens=False, truncation=False, verbose=False, return_offsets_mapping=True
        )
        return np.array(encoded.offset_mapping, dtype=np.int64).reshape(-1, 2)


def without_spans(tokenizer: Any) -> str:
    """What to say of a tokenizer of transformers that is not a fast one, to whoever asks where a token stands."""
    return (
        f"its tokenizer ({type(tokenizer).__name__}) does not say where in a text a token stands; "
        "a fast one (tokenizer.json) does"
    )


def _bos(tokenizer: Any) -> int | None:
    """The BOS token where the tokenizer puts one before a text, which is how the model was trained."""
    bos: int | None = tokenizer.bos_token_id
    ids = tokenizer("a", verbose=False).input_ids
    return bos if bos is not None and ids and ids[0] == bos else None
