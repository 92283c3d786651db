"""The tokens for which a model has embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import ModelError
from ...records import IntArray

__all__ = ["count_embeddings", "refuse_beyond_embeddings"]


def count_embeddings(model: Any) -> int:
    """The number of token ids that the model takes and predicts."""
    return min(int(model.get_input_embeddings().weight.shape[0]), int(model.config.get_text_config().vocab_size))


def refuse_beyond_embeddings(ids: Sequence[int] | IntArray, embeddings: int, tokenizer: Any) -> None:
    """Raise a `ModelError` where one of *ids*, by *tokenizer*, is not below the number of *embeddings*."""
    largest = int(max(ids, default=0))
    if largest >= embeddings:
        raise ModelError(
            f"its tokenizer gives the token {largest} ({tokenizer.convert_ids_to_tokens(largest)!r}), and the model "
            f"has {embeddings} embeddings: use the tokenizer that belongs to it, or resize the model's embeddings"
        )
