"""Models that compute token signals: the protocol `Backend` and its implementations.

* `local`: any causal language model that transformers loads
* `endpoint`: a model behind a server that gives log-probabilities of the prompt
* `ngram`: an n-gram model over bytes, trained here on the texts that it is given, in numpy
* `fake`: a seeded bigram model over bytes, in numpy, for tests and for timing everything but a model
"""

from __future__ import annotations

from ._context import LEAST_WINDOW, WindowError, refuse_no_numbers
from ._protocols import (
    Backend,
    Comparable,
    LengthChecking,
    RemoteBackend,
    RemoteWork,
    Report,
    Rewriter,
    Sampler,
    Tokenizer,
)
from .loading import ModelSpec, is_endpoint, load_model, load_rewriter

__all__ = [
    "LEAST_WINDOW",
    "Backend",
    "Comparable",
    "LengthChecking",
    "ModelSpec",
    "RemoteBackend",
    "RemoteWork",
    "Report",
    "Rewriter",
    "Sampler",
    "Tokenizer",
    "WindowError",
    "is_endpoint",
    "load_model",
    "load_rewriter",
    "refuse_no_numbers",
]
