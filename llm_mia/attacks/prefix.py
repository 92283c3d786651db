"""Attacks that put known passages before the passage and see how its likelihood moves."""

from __future__ import annotations

from ._fields import Likelihoods
from ._registry import Positive, attack
from .likelihood import TINIEST_LOSS, loss

__all__ = ["con_recall", "recall"]


@attack("recall", paper="Xie et al. 2024, arXiv:2406.15968")
def recall(target: Likelihoods, prefixed: Likelihoods) -> float:
    """Ratio of the loss after known non-members to the loss without them: a foreign context costs a member more.

    The same tokens are averaged above and below. The authors' code (ruoyuxie/recall, ``src/run.py``) tokenizes the
    passage anew behind the prefix, so that a tokenizer with BOS puts one between the two and counts it as a token of
    the passage, and one without BOS counts a first token above that it has not below; shots and passage together may
    outgrow the context. Where the model is certain of every token, the ratio is to a loss of 10⁻¹².

        LL(x | P) / LL(x),   LL(x | P) = 1/n · Σ_t log p(x_t | P, x_<t),   P known non-members

    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> of = lambda *values: SimpleNamespace(logprob=np.array(values, dtype=np.float32))
    >>> recall(of(-1, -3), of(-2, -4))
    1.5
    """
    return loss(prefixed) / min(loss(target), -TINIEST_LOSS)


@attack("con_recall", paper="Wang et al. 2024, arXiv:2409.03363")
def con_recall(
    target: Likelihoods, prefixed: Likelihoods, member_prefixed: Likelihoods, *, gamma: Positive = 0.5
) -> float:
    """ReCaLL less *gamma* times the same ratio after known members, whose company costs a member nothing.

    The authors' code (WangCheng0116/CON-RECALL, ``run.py``) shows nine values of gamma, from 0.1 to 1, on the data
    that it reports on, which leaves the choice to whoever sees them; here it is fixed beforehand. Tokens are averaged
    as in ``recall``, on which their code is built. The score rises with the likelihood of the passage alone where
    prefix P costs it more than gamma times what Q does, and falls where it costs less.

        (LL(x | P) − γ · LL(x | Q)) / LL(x),   P known non-members, Q known members

    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> of = lambda *values: SimpleNamespace(logprob=np.array(values, dtype=np.float32))
    >>> con_recall(of(-1, -3), of(-2, -4), of(-1, -2), gamma=0.5)  # (-3 + 0.5 · 1.5) / -2
    1.125
    """
    return (loss(prefixed) - gamma * loss(member_prefixed)) / min(loss(target), -TINIEST_LOSS)
