"""The nouns: what flows between the rooms, as frozen dataclasses without behaviour worth the name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "SCHEMA_VERSION",
    "DTypeChoice",
    "Interval",
    "ModelInfo",
    "Passage",
    "Population",
    "TokenFrequencies",
    "TokenSignals",
    "Window",
    "WindowRule",
]

SCHEMA_VERSION = 1
"""Version of the run directory and of every JSON artefact in it."""

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Passage:
    """The unit that gets a score."""

    id: str
    """As given, or derived from the content."""
    text: str
    """Exactly as it stands in the input: never folded, stripped or cut."""
    document: str
    """The group it comes from (a book, an article); its own id where the input names none."""
    label: int | None = None
    """1 member, 0 non-member, None unknown."""
    where: str = ""
    """Its place in the input, for messages: ``known.jsonl line 3``."""

    @property
    def n_bytes(self) -> int:
        """Length in UTF-8 bytes."""
        return len(self.text.encode())


@dataclass(frozen=True, slots=True)
class WindowRule:
    """How a passage that is longer than the model's context is cut (drawn in `llm_mia.windows`)."""

    tokens: int
    """Most tokens fed to the model at once, BOS included."""
    context: int
    """Tokens of left context that every window but the first repeats without scoring them."""


@dataclass(frozen=True, slots=True)
class Window:
    """What is fed to a model once."""

    tokens: IntArray
    """Shape (n,): token ids, BOS included where the model has one."""
    first_scored: int
    """``tokens[first_scored:]`` are scored, each given everything left of it."""
    passage: int = 0
    """Position of its passage in the block being scored."""


@dataclass(frozen=True, slots=True)
class TokenSignals:
    """What one pass of one model says about one passage: arrays of shape (scored tokens,).

    The first token of a passage is scored only where the model prepends BOS.
    """

    token_ids: IntArray
    """The scored tokens."""
    logprob: FloatArray
    """log p(x_t | x_<t), nats."""
    mean: FloatArray
    """E[log p(v)] for v drawn from the model's own next-token distribution, nats; minus its entropy."""
    std: FloatArray
    """Standard deviation of log p(v) under that distribution, nats; above zero."""
    top: FloatArray
    """Largest log p(v), nats."""
    rank: IntArray
    """How many tokens are strictly likelier than x_t; 0 where x_t is the model's own choice."""
    tokenizer: str = ""
    """Fingerprint of tokenizer and BOS rule; two passes with the same one align token by token."""

    def __len__(self) -> int:
        return len(self.logprob)


@dataclass(frozen=True, slots=True, eq=False)
class TokenFrequencies:
    """How often each token stands in a corpus."""

    counts: NDArray[np.int64]
    """Shape (vocabulary,)."""
    tokenizer: str
    """Fingerprint of the tokenizer that made the tokens, see `TokenSignals.tokenizer`."""
    corpus: str = ""
    """What was counted, for messages."""


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """What both models say of passages from the source of those scored; shapes (passages,)."""

    target: NDArray[np.float64]
    """Mean log-likelihood under the target model, nats per token."""
    reference: NDArray[np.float64]
    """Mean log-likelihood under the reference model, nats per token."""


@dataclass(frozen=True, slots=True)
class DTypeChoice:
    """What ``dtype="auto"`` chose when a model was loaded, and from what."""

    dtype: str
    """The precision that was chosen."""
    reason: Literal["measured", "environment", "device"]
    """Two times were compared, the environment variable ``LLM_MIA_DTYPE`` said so, or the kind of device decided."""
    float32_gflops: float | None = None
    """Speed of a matrix product of the model's sizes in float32, 10⁹ operations a second; None if not measured."""
    bfloat16_gflops: float | None = None
    """The same in bfloat16."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a pass depends on: two models with equal records give equal signals."""

    id: str
    """As the user named it."""
    revision: str | None
    """Commit of a hub model."""
    weights_sha256: str
    """Digest of the weights."""
    config_sha256: str
    """Digest of the configuration: the same weights compute something else under another one."""
    dtype: str
    """Precision of the forward pass."""
    tokenizer: str
    """Fingerprint of tokenizer and BOS rule."""
    context: int
    """Longest input in tokens."""
    head: str = "blocked"
    """``blocked``: head applied to blocks of rows; ``whole``: the model's own logits, a window at a time."""
    dtype_choice: DTypeChoice | None = None
    """How ``auto`` came to the precision; None where the user named it. Not compared between runs."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its confidence interval."""

    value: float
    low: float
    high: float
    confidence: float = 0.95
