"""Attacks that set the target model beside a reference model, which takes out how hard the text is."""

from __future__ import annotations

import numpy as np

from ..records import TokenSignals
from ._registry import attack

__all__ = ["reference"]


@attack("reference", paper="Watson et al. 2022, arXiv:2111.08440")
def reference(target: TokenSignals, reference: TokenSignals, text: str) -> float:
    """Mean gain in log-likelihood over the reference model: nats per token, or per byte between tokenizers.

    Token counts of two tokenizers can't be compared, bytes can.

    >>> from types import SimpleNamespace
    >>> new, old = np.array([-1, -2], dtype=np.float32), np.array([-2, -4], dtype=np.float32)
    >>> ours, theirs = SimpleNamespace(logprob=new, tokenizer="a"), SimpleNamespace(logprob=old, tokenizer="a")
    >>> reference(ours, theirs, "four")
    1.5
    >>> theirs.tokenizer = "b"
    >>> reference(ours, theirs, "four")
    0.75
    """
    if target.tokenizer == reference.tokenizer:
        return float((target.logprob - reference.logprob).mean(dtype=np.float64))
    gain = target.logprob.sum(dtype=np.float64) - reference.logprob.sum(dtype=np.float64)
    return float(gain / len(text.encode()))
