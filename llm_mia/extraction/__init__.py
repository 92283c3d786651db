"""Verbatim extraction: how probably a model emits a text when it is given what precedes it, from signals alone.

    TokenSignals ─► bounds on each token's probability ─► stretches of n tokens ─► spans
                    under the sampling rule               by cumulative sums      their union, trimmed

The probabilities are exact statements about the model: given what precedes a stretch in its window, and under the
named sampling rule, it emits the stretch with that probability. A high probability is evidence that the text was
memorised. It is not a decision with an error rate: a text that repeats itself, or that anybody could continue (a list
of numbers, a licence), is probable even if the model was not trained on it.

Cooper et al. 2025, arXiv:2505.12546, compute it for 50 tokens given the 50 before them; Hayes et al. 2025,
arXiv:2410.19482, define (n, p)-discoverable extraction.
"""

from ._artefacts import read_extraction, without_texts
from ._extract import extract
from ._nonmembers import Band, span_p_value
from ._passage import Examination, examine
from ._proofs import prompt_before
from ._queries import expected_queries, queries_for
from ._records import (
    DocumentExtraction,
    Extraction,
    ExtractionNote,
    KnownNonmembers,
    LikeLength,
    Proof,
    ReferenceModel,
    Totals,
)
from ._reference import text_log_probabilities
from ._sampling import Sampling, token_bounds
from ._span_records import ExtractedSpan, SpanReference, Stretch
from ._spans import Span, find_spans, repeated_tokens
from ._stretches import TokenRun, greedy_run, greedy_runs, range_sums, stretch_sums

__all__ = [
    "Band",
    "DocumentExtraction",
    "Examination",
    "ExtractedSpan",
    "Extraction",
    "ExtractionNote",
    "KnownNonmembers",
    "LikeLength",
    "Proof",
    "ReferenceModel",
    "Sampling",
    "Span",
    "SpanReference",
    "Stretch",
    "TokenRun",
    "Totals",
    "examine",
    "expected_queries",
    "extract",
    "find_spans",
    "greedy_run",
    "greedy_runs",
    "prompt_before",
    "queries_for",
    "range_sums",
    "read_extraction",
    "repeated_tokens",
    "span_p_value",
    "stretch_sums",
    "text_log_probabilities",
    "token_bounds",
    "without_texts",
]
