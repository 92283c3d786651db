"""The records of an extraction, which `llm_mia.store` writes and reads without loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ..records import Interval, ModelRecord, Note, WindowRule
from ._sampling import Sampling
from ._span_records import ExtractedSpan, Stretch

__all__ = [
    "DocumentExtraction",
    "Extraction",
    "ExtractionNote",
    "KnownNonmembers",
    "LikeLength",
    "Proof",
    "ReferenceModel",
    "Totals",
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
    OTHER_TOKENS = "other tokens"
    """The reference divides texts into other tokens than the target, so it has bounds only."""
    CONDITIONS = "conditions"
    """A probability is that after what precedes the token in its window; another prompt gives another probability."""


@dataclass(frozen=True, slots=True)
class DocumentExtraction:
    """What the model emits of a document; spans that the reference writes too are left out where nothing else is
    written.
    """

    document: str
    label: int | None
    """1 member, 0 non-member; None unknown, or where its passages differ."""
    passages: int
    stretches: int
    """Stretches examined, in all its passages."""
    spans: int
    """All spans, also those that the reference writes too."""
    spans_counted: int
    """Spans that the reference does not write too."""
    longest_span: int
    """Tokens of the longest span that counts; 0 where there is none."""
    bytes: int
    bytes_covered: int
    """By all spans, also those that the reference writes too; a character that a span cuts counts whole."""
    bytes_counted: int
    """By spans that count, without what the reference writes too."""
    share: float
    """``bytes_counted`` / ``bytes``."""
    likeliest: Stretch | None
    """None where every stretch repeats its passage, or there is none."""
    greedy_tokens: int
    """Length of the longest run of tokens that greedy decoding emits."""
    greedy_id: str
    """The passage of that run."""
    greedy_start_token: int


@dataclass(frozen=True, slots=True)
class Totals:
    """What the model emits of the texts in question: of all passages that are not known non-members."""

    passages: int
    documents: int
    bytes: int
    stretches: int
    spans: int
    """Spans that count."""
    spans_shared: int
    """Spans that do not count, because the reference writes them too."""
    bytes_counted: int
    """By spans that count, without what the reference writes too."""
    bytes_covered: int
    """By all spans."""
    share: float
    """``bytes_counted`` / ``bytes``; 0 without bytes."""
    documents_with_spans: int
    """Documents with a span that counts."""
    longest: int
    """Tokens of the longest span that counts; 0 where there is none."""


@dataclass(frozen=True, slots=True)
class LikeLength:
    """Documents in question beside known non-members of like length; spans that do not count are left out.

    A longer text has more stretches, so it has a span by chance more often. Therefore documents are compared within
    bands of length: the number of stretches is within a factor √2 of the median of the documents in question, or of
    that times a power of two. Bands without documents of both kinds are left out, and so are documents that hold
    passages of both kinds themselves. Within a band a text may be twice as long as another: where the documents in
    question are the longer ones throughout, and texts have spans by chance often, the p-value is too small.
    """

    documents: int
    """Documents in question."""
    with_spans: int
    nonmembers: int
    """Documents of known non-members."""
    nonmembers_with_spans: int
    bound: float
    """The share of such non-members that have spans is at most this, with 95 % confidence (exact binomial, independent
    documents)."""
    p_value: float
    """See `span_p_value`."""
    beyond_chance: bool
    """Whether the p-value is at most 0.05."""


@dataclass(frozen=True, slots=True)
class KnownNonmembers:
    """How many known non-members have spans, which shows how much a span proves at the chosen probability.

    Only spans that count do so here. Documents are counted, because passages of a document are not independent.
    """

    documents: int
    """Documents all of whose passages are known non-members, and that are long enough for a stretch."""
    with_spans: int
    bound: float
    """The share of such documents that have spans is at most this, with 95 % confidence (exact binomial, independent
    documents)."""
    least: int
    """Stretches of the shortest of these documents."""
    most: int
    """Stretches of the longest."""
    like: LikeLength | None
    """Those that are as long as documents in question; None where there are none."""


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
class ReferenceModel:
    """The reference of an extraction."""

    model: ModelRecord
    window: WindowRule
    same_tokens: bool
    """Whether it divides texts into the tokens of the target. If not, the probability of a text lies between that of
    the tokens that cover it and that of the tokens in it."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """What `extract` returns; `read_extraction` returns an equal record."""

    path: Path
    """The run directory."""
    model: ModelRecord
    window: WindowRule
    reference: ReferenceModel | None
    """The model that was not trained on the texts; None where none was given."""
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
    totals: Totals
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
