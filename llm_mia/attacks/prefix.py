"""Attacks that put known passages before the passage and measure how its likelihood changes."""

from __future__ import annotations

from ._fields import Likelihoods
from ._registry import Positive, attack
from .likelihood import TINIEST_LOSS, loss

__all__ = ["con_recall", "recall"]


@attack("recall", paper="Xie et al. 2024, arXiv:2406.15968")
def recall(target: Likelihoods, prefixed: Likelihoods) -> float:
    """Ratio of the loss after known non-members to the loss without them, which is larger for members.

    Both means are over the same tokens. The authors' code (ruoyuxie/recall, ``src/run.py``) tokenizes the passage again
    after the prefix. A tokenizer with BOS then puts a BOS between the two and counts it as a token of the passage; a
    tokenizer without BOS counts a first token in the numerator that is not in the denominator. Shots and passage
    together may exceed the context. Where the model is certain of every token, the denominator is 10⁻¹².

        LL(x | P) / LL(x),   LL(x | P) = 1/n · Σ_t log p(x_t | P, x_<t),   P known non-members

    >>> import numpy as np
    >>> from llm_mia import TokenSignals
    >>> of = lambda *values: TokenSignals.of(values)
    >>> recall(of(-1, -3), of(-2, -4))
    1.5
    """
    return loss(prefixed) / min(loss(target), -TINIEST_LOSS)


@attack("con_recall", paper="Wang et al. 2024, arXiv:2409.03363")
def con_recall(
    target: Likelihoods, prefixed: Likelihoods, member_prefixed: Likelihoods, *, gamma: Positive = 0.5
) -> float:
    """ReCaLL minus *gamma* times the same ratio after known members, which is smaller for members.

    The authors' code (WangCheng0116/CON-RECALL, ``run.py``) shows nine values of gamma, from 0.1 to 1, on the data of
    the report, so the best of them may be chosen afterwards; here it is fixed beforehand. Tokens are averaged as in
    ``recall``, on which their code is built. A higher likelihood of the passage alone raises the score where the loss
    after prefix P is more than gamma times the loss after Q, and lowers it elsewhere.

        (LL(x | P) − γ · LL(x | Q)) / LL(x),   P known non-members, Q known members

    >>> import numpy as np
    >>> from llm_mia import TokenSignals
    >>> of = lambda *values: TokenSignals.of(values)
    >>> con_recall(of(-1, -3), of(-2, -4), of(-1, -2), gamma=0.5)  # (-3 + 0.5 · 1.5) / -2
    1.125
    """
    return (loss(prefixed) - gamma * loss(member_prefixed)) / min(loss(target), -TINIEST_LOSS)
