"""The nouns: what the stages hand to each other, as frozen dataclasses. `llm_mia.store` writes and reads them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "CONTINUATIONS",
    "FIELDS",
    "OF_TARGET",
    "SCHEMA_VERSION",
    "STAND_IN",
    "TOKEN_ARRAYS",
    "AttackRecord",
    "BlockSize",
    "DTypeChoice",
    "EndpointRecord",
    "FilesRecord",
    "InputRecord",
    "Interval",
    "ModelRecord",
    "Note",
    "PassRecord",
    "Passage",
    "Plain",
    "Population",
    "RunRecord",
    "ShadowLikelihoods",
    "ShadowPopulation",
    "Standing",
    "TokenFrequencies",
    "TokenSignals",
    "Window",
    "WindowRule",
    "WrittenTokens",
    "target_pass",
    "text_sha256",
]

SCHEMA_VERSION = 5
"""Version of the run directory and of every JSON artefact in it."""

STAND_IN = "stand-in"
"""The role of a model that takes the place of a reference model where none is given."""

Plain: TypeAlias = str | int | float | bool | None
"""A value of a carried column; None where it is missing."""

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Passage:
    """The unit that gets a score."""

    id: str
    """As given, or derived from the content."""
    text: str
    """Exactly as in the input: never folded, stripped or cut."""
    document: str
    """The group it comes from (a book, an article); the id of the passage where the input names none."""
    label: int | None = None
    """1 member, 0 non-member, None unknown."""
    where: str = ""
    """Its place in the input, for messages: ``known.jsonl line 3``."""
    columns: Mapping[str, Plain] = field(default_factory=dict, hash=False)
    """What else the input says about it (``source``, ``language``); carried into the results, and never a score."""

    @property
    def n_bytes(self) -> int:
        """Length in UTF-8 bytes."""
        return len(self.text.encode())


@dataclass(frozen=True, slots=True)
class WindowRule:
    """How a passage that is longer than the model's context is cut (drawn in `llm_mia.signals`)."""

    tokens: int
    """Most tokens fed to the model at once, the opening included."""
    context: int
    """Tokens of left context that every window but the first repeats without scoring them."""


@dataclass(frozen=True, slots=True)
class Window:
    """What is fed to a model once."""

    tokens: IntArray
    """Shape (n,): token ids, after the opening (`ModelRecord.opening`)."""
    first_scored: int
    """``tokens[first_scored:]`` are scored, each given everything left of it."""
    passage: int = 0
    """Position of its passage in the block being scored."""


@dataclass(frozen=True, slots=True)
class TokenSignals:
    """Statistics of a model on the tokens of a passage: arrays of shape (scored tokens,).

    The first token of a passage is scored only where tokens open the windows (`ModelRecord.opening`).
    """

    token_ids: IntArray
    """The scored tokens."""
    logprob: FloatArray
    """log p(x_t | x_<t), nats."""
    mean: FloatArray
    """E[log p(v)] for v drawn from the model's next-token distribution, nats; the negated entropy."""
    std: FloatArray
    """Standard deviation of log p(v) under that distribution, nats; above zero."""
    top: FloatArray
    """Largest log p(v), nats."""
    rank: IntArray
    """How many tokens are strictly likelier than x_t; 0 where x_t is the model's first choice."""
    tokenizer: str = ""
    """Fingerprint of tokenizer and opening; two passes with the same fingerprint align token by token."""

    def __len__(self) -> int:
        return len(self.logprob)

    @classmethod
    def of(
        cls,
        logprob: ArrayLike,
        *,
        token_ids: ArrayLike | None = None,
        mean: ArrayLike = np.nan,
        std: ArrayLike = np.nan,
        top: ArrayLike = np.nan,
        rank: ArrayLike = -1,
        tokenizer: str = "",
    ) -> TokenSignals:
        """The signals that these arrays or lists hold; what is left out is NaN (rank −1), and no two token ids equal.

        >>> len(TokenSignals.of([-1.0, -2.5]))
        2
        """
        ids = np.arange(np.size(logprob)) if token_ids is None else token_ids
        given = {"token_ids": ids, "logprob": logprob, "mean": mean, "std": std, "top": top, "rank": rank}
        arrays = {name: np.asarray(given[name], dtype) for name, dtype in TOKEN_ARRAYS.items()}
        shape = arrays["logprob"].shape
        values = {
            name: array if array.shape == shape else np.broadcast_to(array, shape) for name, array in arrays.items()
        }
        return cls(**values, tokenizer=tokenizer)

    @property
    def mean_logprob(self) -> float:
        """The mean log-likelihood of the passage, nats per token; NaN where no token is scored.

        >>> TokenSignals.of([-1.0, -2.0]).mean_logprob
        -1.5
        """
        return float(self.logprob.mean(dtype=np.float64)) if len(self) else math.nan

    def take(self, tokens: slice | NDArray[np.bool_] | NDArray[np.intp]) -> TokenSignals:
        """The signals of some of the tokens, by a slice, a mask or positions; a slice gives views."""
        return replace(self, **{name: getattr(self, name)[tokens] for name in TOKEN_ARRAYS})

    def copy(self) -> TokenSignals:
        """The same values in new arrays: these may be views of the arrays of a whole batch."""
        return replace(self, **{name: getattr(self, name).copy() for name in TOKEN_ARRAYS})

    @classmethod
    def concat(cls, parts: Sequence[TokenSignals], tokenizer: str) -> TokenSignals:
        """The signals of *parts*, end to end; empty arrays where there are none."""
        if len(parts) == 1:
            return parts[0]
        joined = {
            name: np.concatenate([getattr(part, name) for part in parts] or [np.empty(0, dtype)]).astype(
                dtype, copy=False
            )
            for name, dtype in TOKEN_ARRAYS.items()
        }
        return cls(**joined, tokenizer=tokenizer)


TOKEN_ARRAYS: Mapping[str, type[np.generic]] = {
    "token_ids": np.int32,
    "logprob": np.float32,
    "mean": np.float32,
    "std": np.float32,
    "top": np.float32,
    "rank": np.int32,
}
"""The arrays of `TokenSignals` and what they hold."""
FIELDS = ("logprob", "mean", "std", "top", "rank")
"""What a model computes of each token; a backend offers all of these or some."""
CONTINUATIONS = "continuations"
"""What a backend offers, besides `FIELDS`, that continues texts (`llm_mia.backends.Sampler`)."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenFrequencies:
    """How often each token occurs in a corpus."""

    counts: NDArray[np.int64]
    """Shape (vocabulary,)."""
    tokenizer: str
    """Fingerprint of the tokenizer of the corpus, see `TokenSignals.tokenizer`."""
    corpus: str = ""
    """What was counted, for messages."""


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Likelihoods of passages from the same source as those that are scored; shapes (passages,)."""

    target: NDArray[np.float64]
    """Mean log-likelihood under the target model, nats per token."""
    reference: NDArray[np.float64]
    """Mean log-likelihood under the reference model, nats per token."""


@dataclass(frozen=True, slots=True, eq=False)
class ShadowLikelihoods:
    """How likely a passage is under shadow models: of equal base and recipe, trained on random halves of a pool.

    Only the shadows that are evidence for the passage, see `llm_mia.attacks.choose_shadows`.
    """

    mean_logprob: NDArray[np.float64]
    """Shape (shadows,): mean log-likelihood of the passage under each shadow, nats per token."""
    inside: NDArray[np.bool_]
    """Shape (shadows,): whether each shadow was trained on the passage; all false for a passage outside the pool."""
    spread_in: float
    """Pooled standard deviation of `mean_logprob` between shadows that were trained on the same passage of the pool."""
    spread_out: float
    """The same between shadows that were not trained on it."""


@dataclass(frozen=True, slots=True, eq=False)
class ShadowPopulation:
    """Passages of the pool with which a passage is compared, under the target and under the shadow models."""

    target: NDArray[np.float64]
    """Shape (passages,): mean log-likelihood under the target model, nats per token."""
    shadows: NDArray[np.float64]
    """Shape (passages, shadows): the same under each shadow; NaN where a shadow is left out for this passage."""
    inside: NDArray[np.bool_]
    """Shape (passages, shadows): whether each shadow was trained on the passage."""


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


@dataclass(frozen=True, slots=True)
class FilesRecord:
    """What identifies a model without loading it."""

    sha256: str | None
    """Digest over its files; None where they are not on this machine."""
    dtype: str
    """The precision that the user asked for; ``auto`` where the choice was left to llm_mia."""
    pre_tokenizer: str | None = None
    """The parameter of that name with which the model was loaded."""


@dataclass(frozen=True, slots=True)
class BlockSize:
    """Where a block ends. It depends on the input alone, so a run that continues has the same batches."""

    passages: int
    bytes: int
    batch_tokens: int = 1024
    """Tokens of the windows of a block that the model gets at once. A run that is interrupted loses no more than these;
    a run that is killed loses what was computed since a file was last written, too."""


@dataclass(frozen=True, slots=True)
class WrittenTokens:
    """The passages in which special tokens of a model are written."""

    passages: int
    """How many there are."""
    token: str
    """The first of these tokens; empty where it is redacted."""
    first: str
    """The passage that holds it: its place in the input, or its id."""


@dataclass(frozen=True, slots=True)
class PassRecord:
    """What the signals of a pass depend on."""

    model: ModelRecord
    window: WindowRule
    block: BlockSize
    files: FilesRecord | None = None
    """None for a backend in memory."""
    depends: Mapping[str, Any] = field(default_factory=dict)
    """JSON values: what the signals depend on in addition (digests of shots, how texts are rewritten)."""
    written_tokens: WrittenTokens | None = None
    """Special tokens that are written in the passages; None where there are none. Not compared between runs."""


OF_TARGET = ("target", "samples")
"""The passes of the target over the unchanged passages: of signals, and of continuations. A run has at least one."""


def target_pass(passes: Mapping[str, PassRecord]) -> PassRecord:
    """The record of the pass of the target, of signals where there is such a pass, else of continuations."""
    return next(passes[name] for name in OF_TARGET if name in passes)


@dataclass(frozen=True, slots=True)
class AttackRecord:
    """Which formula, with which settings, gives a column of scores."""

    name: str
    """As the user named it, settings included: ``min_k:k=0.1``. Also the name of the column."""
    revision: int
    """Of the formula."""
    settings: Mapping[str, int | float | str] = field(default_factory=dict)
    """The values that the scores are computed with."""
    evidence: tuple[str, ...] = ()
    """The kinds of evidence that it takes."""


@dataclass(frozen=True, slots=True)
class InputRecord:
    """A source of passages."""

    name: str
    sha256: str
    passages: int
    notes: tuple[str, ...] = ()
    """How it was read: which files of a folder, and which were left out and why; what was skipped."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a run directory holds: the contents of ``run.json``."""

    passes: Mapping[str, PassRecord] = field(default_factory=dict)
    """By the name of the pass, which is its folder under ``signals/``; begun or finished."""
    attacks: tuple[AttackRecord, ...] = ()
    """The columns of ``scores.parquet``, in order."""
    shared: Mapping[str, Any] = field(default_factory=dict)
    """JSON values, by kind of evidence: what scores depend on in addition to the passes."""
    inputs: tuple[InputRecord, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of Python and of the packages that compute."""
    wall_seconds: Mapping[str, float] = field(default_factory=dict)
    """By pass."""
    others: tuple[AttackRecord, ...] = ()
    """The columns of scores by other models than the target, in order: ``min_k@stand-in`` is ``min_k`` of the stand-in.
    The role is also the name of the pass, and of the model in ``run.json``."""
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True, slots=True)
class Note:
    """What a reader has to know about a result, as data; `llm_mia.report` phrases it."""

    kind: str
    """What the note is about: a value of an enum of the package that writes the note."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """JSON values: what the sentence mentions, by name."""


class Standing(StrEnum):
    """Whether a known set may carry a verdict, from best to worst."""

    SOUND = "sound"
    """No check showed a fault, and checks by another language model were among them."""
    NOT_CHECKED = "not_checked"
    """No check showed a fault, but no other language model has checked the texts: an n-gram model misses much."""
    DOUBTFUL = "doubtful"
    """A finding may be stated; it has to be read together with the faults that the checks showed."""
    UNTESTABLE = "untestable"
    """No finding may be stated, because there are too few documents to detect any fault."""
    VOID = "void"
    """No finding may be stated."""
    ACCEPTED = "accepted"
    """Untestable or void, and the user asked for findings all the same."""

    @property
    def withholds(self) -> bool:
        """Whether no finding may be stated."""
        return self in (Standing.UNTESTABLE, Standing.VOID)


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its confidence interval."""

    value: float
    low: float
    high: float
    confidence: float = 0.95


def text_sha256(text: str) -> str:
    """The SHA-256 of *text*, hexadecimal: by it a run notices that its input has changed, and equal texts are known."""
    return hashlib.sha256(text.encode()).hexdigest()
