"""Attacks on how likely the passage is, alone, or compared with its compressed size or with its text in lower case."""

from __future__ import annotations

import math
import zlib as _zlib

import numpy as np

from ._fields import Likelihoods
from ._registry import attack

__all__ = ["confidence", "loss", "lowercase", "perplexity", "zlib"]

# The loss of a passage that the model has memorised rounds to zero, and nothing may be divided by zero.
TINIEST_LOSS = 1e-12
# A double holds e^709; a larger loss per token counts as this loss.
LARGEST_LOSS = 709.0


@attack("loss", paper="Yeom et al. 2018, arXiv:1709.01604")
def loss(target: Likelihoods) -> float:
    """Mean log-likelihood of the tokens, nats: the negated loss.

        1/n · Σ_t log p(x_t | x_<t)

    >>> from llm_mia import TokenSignals
    >>> loss(TokenSignals.of([-1, -2, -3]))
    -2.0
    """
    return float(target.logprob.mean(dtype=np.float64))


@attack("perplexity", paper="Carlini et al. 2021, arXiv:2012.07805")
def perplexity(target: Likelihoods) -> float:
    """Negated perplexity of the passage: the number of equally likely tokens that the model chooses between.

    It ranks passages as the loss does, so the ROC is the same; means of it and models fitted to it differ.

        −exp(−1/n · Σ_t log p(x_t | x_<t))

    >>> from llm_mia import TokenSignals
    >>> round(perplexity(TokenSignals.of(np.log([0.5, 0.125]))), 6)
    -4.0
    """
    return -math.exp(min(-loss(target), LARGEST_LOSS))


@attack("confidence", paper="Salem et al. 2019, arXiv:1806.01246")
def confidence(target: Likelihoods) -> float:
    """Mean probability that the model gives to the tokens, 0 to 1.

        1/n · Σ_t p(x_t | x_<t)

    >>> from llm_mia import TokenSignals
    >>> round(confidence(TokenSignals.of(np.log([0.5, 0.25]))), 6)
    0.375
    """
    return float(np.exp(target.logprob, dtype=np.float64).mean())


@attack("zlib", paper="Carlini et al. 2021, arXiv:2012.07805")
def zlib(target: Likelihoods, text: str) -> float:
    """Negated ratio of the loss to the size of the text when compressed by zlib, in bytes.

        1/n · Σ_t log p(x_t | x_<t) / |zlib(text)|

    >>> from llm_mia import TokenSignals
    >>> target = TokenSignals.of([-1, -2, -3])
    >>> zlib(target, "aaaaaaaaaa") == -2.0 / len(_zlib.compress(b"aaaaaaaaaa"))
    True
    """
    return loss(target) / len(_zlib.compress(text.encode()))


@attack("lowercase", paper="Carlini et al. 2021, arXiv:2012.07805")
def lowercase(target: Likelihoods, lowered: Likelihoods) -> float:
    """Ratio of the loss on the text in lower case to the loss on the text: a memorised text depends on its capitals.

        (1/m · Σ_t log p(x'_t | x'_<t)) / (1/n · Σ_t log p(x_t | x_<t)), x' the m tokens in lower case

    >>> from llm_mia import TokenSignals
    >>> lowercase(TokenSignals.of([-1, -2]), TokenSignals.of([-2, -4]))
    2.0
    """
    return loss(lowered) / min(loss(target), -TINIEST_LOSS)
