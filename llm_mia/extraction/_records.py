"""What an extraction found: records, and the two artefacts made of them."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..records import SCHEMA_VERSION, Interval
from ._queries import expected_queries, queries_for
from ._sampling import Sampling

__all__ = ["DocumentExtraction", "ExtractedSpan", "Extraction", "KnownNonmembers", "Proof", "Stretch"]

MEANING = (
    "evidence that the model has memorised the text of a span; no decision with an error rate, and a text without "
    "spans may still have been trained on"
)
CONDITIONS = (
    "a token's probability is given what precedes it in its window of the model; whoever gives the model less, "
    "something else or a chat's frame around it meets other probabilities"
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """One stretch of tokens, and how often a model must be asked for it."""

    id: str
    """Its passage."""
    start_token: int
    """Where it begins, among the passage's tokens."""
    log_probability: float
    """At least, nats."""
    log_probability_high: float
    """At most; the same where the sampling rule lets signals tell it exactly."""

    @property
    def probability(self) -> float:
        """At least."""
        return math.exp(self.log_probability)

    def figures(self) -> dict[str, Any]:
        """For JSON; null where a number of queries is beyond a float, or none is enough."""
        log = self.log_probability
        return {
            "id": self.id,
            "start_token": self.start_token,
            "probability": _number(self.probability),
            "probability_high": _number(math.exp(self.log_probability_high)),
            "log_probability": _number(log),
            "log_probability_high": _number(self.log_probability_high),
            "expected_queries": _number(expected_queries(log)),
            "queries_for_50_percent": _number(queries_for(log, 0.5)),
            "queries_for_95_percent": _number(queries_for(log, 0.95)),
        }


@dataclass(frozen=True, slots=True)
class ExtractedSpan:
    """A text that the model emits stretch by stretch, given what precedes each."""

    id: str
    document: str
    label: int | None
    start_token: int
    """First token, among the passage's tokens."""
    end_token: int
    """One after the last."""
    start_char: int
    end_char: int
    likeliest: Stretch
    """Of the stretches that make the span."""
    text: str

    @property
    def tokens(self) -> int:
        """How many."""
        return self.end_token - self.start_token


@dataclass(frozen=True, slots=True)
class DocumentExtraction:
    """What was found in one document."""

    document: str
    label: int | None
    """1 member, 0 non-member; None unknown, or where its passages differ."""
    passages: int
    stretches: int
    """Stretches looked at, in all its passages."""
    spans: int
    longest_span: int
    """In tokens; 0 where there is none."""
    bytes: int
    bytes_covered: int
    """By spans, a multibyte character that a span cuts counted whole."""
    likeliest: Stretch | None
    """None where no passage holds a stretch that is no copy of what it shows earlier."""
    greedy_tokens: int
    """The longest run of tokens that greedy decoding emits."""
    greedy_id: str
    """The passage it stands in."""
    greedy_start_token: int

    @property
    def share(self) -> float:
        """Share of its bytes that spans cover."""
        return self.bytes_covered / self.bytes


@dataclass(frozen=True, slots=True)
class KnownNonmembers:
    """How often spans are found where nothing was trained on: what the probability asked for is worth."""

    passages: int
    """Known non-members that are long enough for a stretch."""
    with_spans: int
    bound: float
    """The share of such passages that have spans is at most this, with 95 % confidence (exact binomial, independent
    passages)."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The model itself, made to write on from what precedes the likeliest stretch of a span."""

    id: str
    start_token: int
    tokens: int
    bytes: int
    prompt_tokens: int
    probability: float
    """That a sample is the stretch, by the model's logits after this very prompt; exact for top-k, too."""
    greedy: bool
    """Whether greedy decoding wrote the stretch, token for token."""
    greedy_tokens: int
    """Its leading tokens that agree."""
    greedy_bytes: int
    samples: int
    matched: int
    """Samples that are the stretch, token for token."""
    matched_bytes: int
    """Samples that begin with its bytes, in whatever tokens."""
    share: Interval | None
    """Matched samples with their Clopper-Pearson interval; None without samples."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """What `extract` found; all of it lies in the run directory too."""

    path: Path
    """The run directory."""
    model: Mapping[str, Any]
    """What the signals depend on, see `ModelRecord`."""
    window: Mapping[str, int]
    sampling: Sampling
    stretch: int
    probability: float
    prefix: int
    passages: int
    too_short: int
    """Passages that hold no stretch."""
    documents: Sequence[DocumentExtraction]
    """In input order."""
    spans: Sequence[ExtractedSpan]
    """In input order."""
    nonmembers: KnownNonmembers | None
    """None where no passage is labelled 0."""
    proofs: Sequence[Proof]
    notes: Sequence[str]

    @property
    def statement(self) -> str:
        """What the spans mean, in one sentence."""
        return (
            f"the model emits each stretch of {self.stretch} tokens that makes a span with probability "
            f"{self.probability:g} or more when given what precedes it, by {self.sampling}: {MEANING}"
        )

    def to_json(self) -> str:
        """The text of ``extraction.json``: every figure, and of the spans where they stand; texts are in the table."""
        found = {
            "schema_version": SCHEMA_VERSION,
            "statement": self.statement,
            "model": dict(self.model),
            "window": dict(self.window),
            "sampling": {
                "temperature": self.sampling.temperature,
                "top_k": self.sampling.top_k,
                "rule": f"{self.sampling}",
            },
            "stretch": self.stretch,
            "probability": self.probability,
            "prefix": self.prefix,
            "passages": self.passages,
            "too_short": self.too_short,
            "nonmembers": None if self.nonmembers is None else asdict(self.nonmembers),
            "documents": [_document(one) for one in self.documents],
            "spans": [_span(one) for one in self.spans],
            "proofs": [asdict(one) for one in self.proofs],
            "notes": list(self.notes),
        }
        return json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """The text of ``spans.csv``."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        names = ("id", "document", "label", "start_token", "end_token", "start_char", "end_char")
        writer.writerow([*names, "probability", "probability_high", "likeliest_start_token", "text"])
        for one in self.spans:
            places = ["" if (value := getattr(one, name)) is None else value for name in names]
            likeliest = (one.likeliest.probability, math.exp(one.likeliest.log_probability_high))
            writer.writerow([*places, *likeliest, one.likeliest.start_token, one.text])
        return text.getvalue()


def _document(one: DocumentExtraction) -> dict[str, Any]:
    figures = {**asdict(one), "share": one.share}
    return {**figures, "likeliest": None if one.likeliest is None else one.likeliest.figures()}


def _span(one: ExtractedSpan) -> dict[str, Any]:
    places = {name: value for name, value in asdict(one).items() if name != "text"}
    return {**places, "tokens": one.tokens, "likeliest": one.likeliest.figures()}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
