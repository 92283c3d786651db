"""What the signals of a model depend on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ._texts import FIELDS

__all__ = ["DTypeChoice", "EndpointRecord", "ModelRecord", "RoundingRecord"]


@dataclass(frozen=True, slots=True)
class DTypeChoice:
    """What ``dtype="auto"`` chose when a model was loaded, and why."""

    dtype: str
    """The precision that was chosen."""
    reason: Literal["measured", "environment", "device"]
    """By two times that were measured, by the environment variable ``LLM_MIA_DTYPE``, or by the kind of device."""
    float32_gflops: float | None = None
    """Speed of a matrix product of the model's sizes in float32, 10⁹ operations a second; None if not measured."""
    bfloat16_gflops: float | None = None
    """The same in bfloat16."""


@dataclass(frozen=True, slots=True)
class RoundingRecord:
    """How far a precision changes what the same model gives in float32: measured on the beginnings of some passages.

    A log-likelihood is in nats. All figures are absolute differences; they are 0 where nothing was measured.
    """

    skipped: Literal["", "memory", "seconds", "refused"] = ""
    """Why nothing was measured: the memory is too small for the float32 model, it would take more than 5 % of the run,
    or the model fails on these passages or cannot be loaded in float32. Empty where it was measured."""
    passages: int = 0
    """How many beginnings."""
    tokens: int = 0
    """How many tokens they have."""
    token_median: float = 0.0
    """Of the log-likelihood of a token."""
    token_largest: float = 0.0
    passage_median: float = 0.0
    """Of the mean log-likelihood of the tokens of a beginning."""
    passage_largest: float = 0.0
    scores: Mapping[str, float] = field(default_factory=dict)
    """The largest change of the score of a beginning, by attack: of those that read the target's signals alone."""


@dataclass(frozen=True, slots=True)
class EndpointRecord:
    """What was measured of the server of a model, before the first passage was sent to it."""

    server: str
    """The kind of server, by what it lists: ``vllm``, ``sglang``, ``llama-cpp-python``, ``llama.cpp``, ``other``."""
    sends: Literal["token ids", "text"]
    """What windows of long passages, and passages after a prefix, are sent as."""
    ids: Literal["server", "digest"]
    """Whether the ids of tokens are the server's, or derived from their bytes."""
    opening_sent: str
    """A text that is sent before every passage, because this server is wrong by a position without it."""
    rounding: float
    """The step to which the server rounds log-probabilities; 0 where none shows."""
    noise: float
    """Mean absolute difference between two answers to the same request, nats per token."""
    context_known: str
    """How its context is known: ``listed``, ``refused`` (named by a refusal) or ``tested`` (at least so long)."""
    probe: tuple[float, ...]
    """Log-probabilities of the text by which the model is recognised; 0 for a first token that has none."""
    problem: str = ""
    """Why its log-probabilities are not used; empty where they are."""


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """What a pass depends on: two models with equal records give equal signals."""

    id: str
    """As the user named it."""
    revision: str | None
    """Commit of a hub model."""
    weights_sha256: str
    """Digest of the weights."""
    config_sha256: str
    """Digest of the configuration: the same weights compute something else under another configuration."""
    dtype: str
    """Precision of the forward pass."""
    tokenizer: str
    """Fingerprint of tokenizer and opening."""
    context: int
    """Longest input in tokens."""
    head: str = "blocked"
    """``blocked``: head applied to blocks of rows; ``whole``: the logits that the model returns, a window at a time."""
    offers: tuple[str, ...] = FIELDS
    """Which `FIELDS` the backend gives; the others are NaN in its signals, and rank is −1."""
    dtype_choice: DTypeChoice | None = None
    """How ``auto`` chose the precision; None where the user named it. Not compared between runs."""
    rounding: RoundingRecord | None = None
    """How far the precision changes the signals; None for float32, and where no float32 model could be compared. Not
    compared between runs."""
    tokenizer_source: str = ""
    """For a GGUF file: what its tokenizer was built from, such as ``GGUF file, pre-tokenizer smollm``."""
    templated: bool = False
    """Whether special tokens that are written in a text, such as ``<|im_start|>``, are read as special tokens."""
    opening: tuple[int, ...] = ()
    """The tokens that start every window and are not scored: those that the tokenizer puts before a text."""
    opening_text: tuple[str, ...] = ()
    """These tokens, as the tokenizer writes them."""
    temperature: float = 1.0
    """By which the logits are divided; 1 for the distribution of the model itself."""
    endpoint: EndpointRecord | None = None
    """For a model behind an endpoint; not compared between runs, because the digest of the weights identifies it."""
