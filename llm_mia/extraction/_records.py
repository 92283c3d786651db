"""The records of an extraction, which `llm_mia.store` writes and reads without loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ..records import Interval, ModelRecord, Note, WindowRule
from ._queries import expected_queries, queries_for
from ._sampling import Sampling

__all__ = [
    "DocumentExtraction",
    "ExtractedSpan",
    "Extraction",
    "ExtractionNote",
    "KnownNonmembers",
    "Proof",
    "Stretch",
]


class ExtractionNote(StrEnum):
    """What a reader of an extraction ought to know; the figures of the `Note` are named here."""

    TOO_SHORT = "passages too short"
    """``too_short`` of ``passages`` passages have no ``stretch`` tokens after ``prefix``; their bytes count."""
    COPIED = "stretches copied"
    """``stretches`` probable stretches occur earlier in their passage, where the model can copy them; none counts."""
    UNKNOWN = "stretches unknown"
    """``stretches`` stretches have a token whose probability is not known (NaN); none counts."""
    CROSSING = "stretches crossing windows"
    """``stretches`` stretches cross the edge of a window, so there is no prompt with their probability; none counts."""
    LOWER_BOUNDS = "lower bounds"
    """Probabilities are lower bounds, by which spans are chosen; upper bounds are given too."""
    CONDITIONS = "conditions"
    """A probability is that after what precedes the token in its window; another prompt gives another probability."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of tokens, and how often a model must be queried until it emits the stretch.

    Use `Stretch.of`: all figures follow from the two bounds. A number of queries is inf where no number is enough,
    or where it is too large for a float.
    """

    id: str
    """Id of its passage."""
    start_token: int
    """Where it begins, among the passage's tokens."""
    log_probability: float
    """Lower bound, nats."""
    log_probability_high: float
    """Upper bound; equal to the lower where the sampling rule allows signals to give it exactly."""
    probability: float
    """Lower bound."""
    probability_high: float
    """Upper bound."""
    expected_queries: float
    """Mean number of queries until it comes, at most."""
    queries_for_50_percent: float
    """Queries after which it has come at least once with probability 0.5, at most."""
    queries_for_95_percent: float
    """The same with probability 0.95."""

    @classmethod
    def of(cls, passage: str, start_token: int, log_probability: float, log_probability_high: float) -> Stretch:
        """The stretch of a passage that begins at *start_token*, with what follows from the bounds in nats."""
        return cls(
            id=passage,
            start_token=start_token,
            log_probability=log_probability,
            log_probability_high=log_probability_high,
            probability=math.exp(log_probability),
            probability_high=math.exp(log_probability_high),
            expected_queries=expected_queries(log_probability),
            queries_for_50_percent=queries_for(log_probability, 0.5),
            queries_for_95_percent=queries_for(log_probability, 0.95),
        )


@dataclass(frozen=True, slots=True)
class ExtractedSpan:
    """A text that the model emits stretch by stretch, given what precedes each."""

    id: str
    """Id of its passage."""
    document: str
    label: int | None
    """1 member, 0 non-member, None unknown."""
    start_token: int
    """First token, among the passage's tokens."""
    end_token: int
    """The token after the last."""
    tokens: int
    """How many there are."""
    start_char: int
    end_char: int
    likeliest: Stretch
    """The likeliest stretch of the span."""
    text: str
    """Empty where the table of spans, which alone holds it, is missing or without texts."""


@dataclass(frozen=True, slots=True)
class DocumentExtraction:
    """What the model emits of a document."""

    document: str
    label: int | None
    """1 member, 0 non-member; None unknown, or where its passages differ."""
    passages: int
    stretches: int
    """Stretches examined, in all its passages."""
    spans: int
    longest_span: int
    """In tokens; 0 where there is none."""
    bytes: int
    bytes_covered: int
    """By spans; a character of several bytes that a span cuts counts whole."""
    share: float
    """``bytes_covered`` / ``bytes``."""
    likeliest: Stretch | None
    """None where every stretch repeats its passage, or there is none."""
    greedy_tokens: int
    """Length of the longest run of tokens that greedy decoding emits."""
    greedy_id: str
    """The passage of that run."""
    greedy_start_token: int


@dataclass(frozen=True, slots=True)
class KnownNonmembers:
    """How many known non-members have spans, which shows how much a span proves at the chosen probability."""

    passages: int
    """Known non-members that are long enough for a stretch."""
    with_spans: int
    bound: float
    """The share of such passages that have spans is at most this, with 95 % confidence (exact binomial, independent
    passages)."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What the model wrote when it was given what precedes the likeliest stretch of a span."""

    id: str
    """Id of the passage."""
    start_token: int
    tokens: int
    bytes: int
    prompt_tokens: int
    probability: float
    """That a sample is the stretch, by the model's logits after this very prompt; exact for top-k, too."""
    greedy: bool
    """Whether greedy decoding wrote the stretch, token for token."""
    greedy_tokens: int
    """How many of its first tokens agree."""
    greedy_bytes: int
    samples: int
    matched: int
    """Samples that are the stretch, token for token."""
    matched_bytes: int
    """Samples that begin with its bytes, in whatever tokens."""
    share: Interval | None
    """Matched samples with their Clopper-Pearson interval; None without samples."""
    prompt: str = ""
    """The text that the model was given. This and the two texts below are empty where the table of proofs, which alone
    holds them, is missing or without texts."""
    output: str = ""
    """What greedy decoding wrote."""
    original: str = ""
    """The text of the passage that follows the prompt."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """What `extract` returns; `read_extraction` returns an equal record."""

    path: Path
    """The run directory."""
    model: ModelRecord
    window: WindowRule
    sampling: Sampling
    """How tokens are drawn."""
    stretch: int
    """Tokens of a stretch."""
    probability: float
    """The least probability with which a stretch is part of a span."""
    prefix: int
    """Tokens of the passage that must precede a stretch."""
    passages: int
    too_short: int
    """Passages without a stretch."""
    documents: Sequence[DocumentExtraction]
    """In input order."""
    spans: Sequence[ExtractedSpan]
    """In input order."""
    nonmembers: KnownNonmembers | None
    """None where no passage is labelled 0."""
    proofs: Sequence[Proof]
    redacted: bool
    """Whether no text and no token of a passage was kept outside of the signals."""
    notes: Sequence[Note]
    """Of the kinds of `ExtractionNote`."""
    input_notes: Sequence[str]
    """What `check_inputs` notes about the passages."""
