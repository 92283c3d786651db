"""Verbatim extraction: how probably a model emits a text when it is given what precedes it, from signals alone.

    TokenSignals ─► bounds on each token's probability ─► stretches of n tokens ─► spans
                    under the sampling rule               by cumulative sums      their union, trimmed

The probabilities are exact statements about the model: given what precedes a stretch in its window, and under the
sampling rule named, it emits the stretch with that probability. That a probability is high is evidence that the text
was memorised; it is no decision with an error rate, and a text that repeats itself or that anybody could continue
(a list of numbers, a licence) is probable without having been trained on.

Cooper et al. 2025, arXiv:2505.12546, ask it of 50 tokens given the 50 before them; Hayes et al. 2025,
arXiv:2410.19482, define (n, p)-discoverable extraction.
"""

from ._extract import extract
from ._passage import Examined, examine
from ._proofs import Candidates, prompt_before, prove
from ._queries import expected_queries, queries_for
from ._records import DocumentExtraction, ExtractedSpan, Extraction, KnownNonmembers, Proof, Stretch
from ._sampling import Sampling, token_bounds
from ._spans import Span, find_spans, repeated
from ._stretches import Run, greedy_run, stretch_sums

__all__ = [
    "Candidates",
    "DocumentExtraction",
    "Examined",
    "ExtractedSpan",
    "Extraction",
    "KnownNonmembers",
    "Proof",
    "Run",
    "Sampling",
    "Span",
    "Stretch",
    "examine",
    "expected_queries",
    "extract",
    "find_spans",
    "greedy_run",
    "prompt_before",
    "prove",
    "queries_for",
    "repeated",
    "stretch_sums",
    "token_bounds",
]
