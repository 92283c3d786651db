"""An attack of one's own, in a package of one's own: this file and the `pyproject.toml` beside it are all it takes.

What the function is named for its positional parameters is what it gets (`llm_mia.attacks.EVIDENCE` lists all there
is), so the runner knows which passes to make. Keyword-only parameters are hyper-parameters: ``-a median:floor=-10``.
A higher score has to mean *more member-like*. No attack loads a model, sees padding or touches a file.
"""

from __future__ import annotations

import numpy as np

from llm_mia import TokenSignals, attack


@attack("median", paper="nobody's yet")
def median(target: TokenSignals, *, floor: float = -20.0) -> float:
    """Median log-likelihood of the tokens, none below *floor*.

        median_t max(log p(x_t | x_<t), floor)

    >>> from types import SimpleNamespace
    >>> median(SimpleNamespace(logprob=np.array([-1, -30, -2], dtype=np.float32)))
    -2.0
    """
    return float(np.median(target.logprob.clip(floor)))
