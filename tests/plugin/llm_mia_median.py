"""An attack from another package: this file and the `pyproject.toml` next to it are all that it takes.

The name of a positional parameter says which evidence the function gets (`llm_mia.attacks.EVIDENCE` lists all kinds),
and its type says which fields it reads. So the runner knows which passes to make, and refuses models that lack a field.
Keyword-only parameters are settings: ``-a median:floor=-10``. A higher score has to mean *more member-like*. No attack
loads a model, sees padding or touches a file.
"""

from __future__ import annotations

import numpy as np

from llm_mia.attacks import Likelihoods, attack


@attack("median", paper="nobody's yet")
def median(target: Likelihoods, *, floor: float = -20.0) -> float:
    """Median log-likelihood of the tokens, none below *floor*.

        median_t max(log p(x_t | x_<t), floor)

    >>> from llm_mia import TokenSignals
    >>> median(TokenSignals.of([-1, -30, -2]))
    -2.0
    """
    return float(np.median(target.logprob.clip(floor)))
