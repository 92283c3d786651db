"""How much is computed, kept and written at once."""

from __future__ import annotations

from dataclasses import dataclass

from ..records import BlockSize

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is computed, kept and written at once. No score depends on it, but for rounding."""

    block_passages: int = 4096
    """Most passages of a block, which is what is sorted by length and handed to the model together."""
    block_bytes_per_token: int = 128
    """Bytes of a block for each token that the model computes at once. At four bytes a token that is 32 batches: sorted
    by length, they need little padding, and a slow CPU computes them in a minute."""
    least_block_bytes: int = 1 << 16
    most_block_bytes: int = 1 << 21
    part_seconds: float = 20.0
    """Seconds after which what is finished is written, also the windows of a block that is not finished."""
    rewritten_block_divisor: int = 8
    """A block whose texts a model rewrites is smaller by this factor, because a rewritten text is kept only when its
    signals are."""
    part_tokens: int = 1_000_000
    """A part is written when it has so many tokens, which bounds the memory that it takes."""
    cached_bytes: int = 100_000_000
    """Memory for the signals of texts that occur more than once."""

    def block_size(
        self, tokens_per_batch: int, *, rewritten_by_model: bool = False, n_bytes: int | None = None
    ) -> BlockSize:
        """The size of a block for a model that computes *tokens_per_batch* tokens at once, or that names *n_bytes*."""
        wanted = self.block_bytes_per_token * tokens_per_batch
        n_bytes = n_bytes or min(max(self.least_block_bytes, wanted), self.most_block_bytes)
        if rewritten_by_model:
            n_bytes //= self.rewritten_block_divisor
        return BlockSize(self.block_passages, n_bytes, tokens_per_batch)
