"""The longest input of a model, under whatever name its configuration gives it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

__all__ = ["context_of"]

# From the most to the least frequent; a configuration that has two of them means the first.
NAMES = (
    "max_position_embeddings",
    "n_positions",
    "n_ctx",
    "max_seq_len",
    "max_seq_length",
    "max_sequence_length",
    "seq_length",
    "seq_len",
    "context_length",
    "max_context_length",
    "max_target_positions",
    "max_length_positions",
    "model_max_length",
)
# Where neither the configuration nor the tokenizer names a length, as for state-space models.
UNLIMITED = 1 << 20
# A tokenizer's length below this is no limit of a model, but an accident of how it was saved.
LEAST_OF_TOKENIZER = 64
# Parts of a model that read images or sound, and have positions too.
OTHER_INPUTS = ("vision", "visual", "image", "img", "audio", "speech", "encoder.conv")


def context_of(model: Any, config: Any, tokenizer: Any) -> int:
    """The longest input of *model* in tokens: by *config*, else by *tokenizer*, and by its tables of positions.

    Args:
        model: a causal language model of transformers.
        config: the configuration of its text part.
        tokenizer: its tokenizer.
    """
    longest = next((length for length in map(_length(config), NAMES) if length), 0)
    if not longest:
        by_tokenizer = getattr(tokenizer, "model_max_length", None) or UNLIMITED
        longest = int(min(by_tokenizer, UNLIMITED)) if by_tokenizer >= LEAST_OF_TOKENIZER else UNLIMITED
    return min([longest, *_position_tables(model)])


def _length(config: Any) -> Any:
    def of(name: str) -> int:
        try:
            value = getattr(config, name, None)
        except NotImplementedError:  # XLNet has the name, and no limit
            return 0
        return value if isinstance(value, int) and value > 1 else 0

    return of


def _position_tables(model: Any) -> Iterator[int]:
    """The number of tokens for which each table of learned positions in *model* has a row."""
    for name, module in model.named_modules():
        if not isinstance(module, nn.Embedding) or any(other in name for other in OTHER_INPUTS):
            continue
        last = name.rpartition(".")[2]
        if last != "wpe" and ("pos" not in last or "rel" in last):  # a table of distances has no limit
            continue
        # OPT and BART keep two rows for other uses; RoBERTa counts from the position after the padding's.
        unused = getattr(module, "offset", None) or (0 if module.padding_idx is None else module.padding_idx + 1)
        yield module.num_embeddings - unused
