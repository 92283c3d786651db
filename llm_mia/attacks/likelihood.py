"""Attacks on how likely the passage is, alone or beside what its text costs to compress or to lower-case."""

from __future__ import annotations

import math
import zlib as _zlib

import numpy as np

from ._fields import Likelihoods
from ._registry import attack

__all__ = ["confidence", "loss", "lowercase", "perplexity", "zlib"]

# A passage that the model knows by heart has a loss that rounds to zero; it may not divide by it.
TINIEST_LOSS = 1e-12
# A double holds e^709: a model that is worse than that a token is as bad as can be.
LARGEST_LOSS = 709.0


@attack("loss", paper="Yeom et al. 2018, arXiv:1709.01604")
def loss(target: Likelihoods) -> float:
    """Mean log-likelihood of the tokens, nats: the negated loss.

        1/n · Σ_t log p(x_t | x_<t)

    >>> from types import SimpleNamespace
    >>> loss(SimpleNamespace(logprob=np.array([-1, -2, -3], dtype=np.float32)))
    -2.0
    """
    return float(target.logprob.mean(dtype=np.float64))


@attack("perplexity", paper="Carlini et al. 2021, arXiv:2012.07805")
def perplexity(target: Likelihoods) -> float:
    """Negated perplexity of the passage: how many equally likely tokens the model hesitates between.

    It ranks passages as the loss does, so ROC and thresholds agree; what is averaged or fitted over it differs.

        −exp(−1/n · Σ_t log p(x_t | x_<t))

    >>> from types import SimpleNamespace
    >>> round(perplexity(SimpleNamespace(logprob=np.log(np.array([0.5, 0.125], dtype=np.float32)))), 6)
    -4.0
    """
    return -math.exp(min(-loss(target), LARGEST_LOSS))


@attack("confidence", paper="Salem et al. 2019, arXiv:1806.01246")
def confidence(target: Likelihoods) -> float:
    """Mean probability that the model gave to the tokens, 0 to 1.

        1/n · Σ_t p(x_t | x_<t)

    >>> from types import SimpleNamespace
    >>> round(confidence(SimpleNamespace(logprob=np.log(np.array([0.5, 0.25], dtype=np.float32)))), 6)
    0.375
    """
    return float(np.exp(target.logprob, dtype=np.float64).mean())


@attack("zlib", paper="Carlini et al. 2021, arXiv:2012.07805")
def zlib(target: Likelihoods, text: str) -> float:
    """Negated ratio of the loss to the bytes that the text takes when compressed by zlib.

        1/n · Σ_t log p(x_t | x_<t) / |zlib(text)|

    >>> from types import SimpleNamespace
    >>> target = SimpleNamespace(logprob=np.array([-1, -2, -3], dtype=np.float32))
    >>> zlib(target, "aaaaaaaaaa") == -2.0 / len(_zlib.compress(b"aaaaaaaaaa"))
    True
    """
    return loss(target) / len(_zlib.compress(text.encode()))


@attack("lowercase", paper="Carlini et al. 2021, arXiv:2012.07805")
def lowercase(target: Likelihoods, lowered: Likelihoods) -> float:
    """Ratio of the loss on the lower-cased text to the loss on the text: casing learnt by heart is missed.

        (1/m · Σ_t log p(x'_t | x'_<t)) / (1/n · Σ_t log p(x_t | x_<t)), x' the m tokens in lower case

    >>> from types import SimpleNamespace
    >>> as_is, lowered = np.array([-1, -2], dtype=np.float32), np.array([-2, -4], dtype=np.float32)
    >>> lowercase(SimpleNamespace(logprob=as_is), SimpleNamespace(logprob=lowered))
    2.0
    """
    return loss(lowered) / min(loss(target), -TINIEST_LOSS)
