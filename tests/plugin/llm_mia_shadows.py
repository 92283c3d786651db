"""A kind of evidence from another package, and an attack on it.

`register_evidence` registers the kind. Its name is the name of the parameter that takes it; `passes` are the passes
that it needs, and `value` computes it from their signals and from what the user gives besides models. Here it takes a
pass of every model whose role begins with ``shadow-``; the caller gives them as
``score(…, models={"shadow-00": model, "shadow-01": model})``.
"""

from __future__ import annotations

import numpy as np

from llm_mia.attacks import EvidenceKind, Likelihoods, ModelPass, attack, register_evidence

register_evidence(
    EvidenceKind(
        "shadow_signals",
        "signals of every shadow model on the passage",
        lambda row, _: row.signals["shadow-*"],
        passes=(ModelPass("shadow-*", role="shadow-*"),),
        by_token=True,
    )
)


@attack("shadow_gain", paper="nobody's yet; nearest is Watson et al. 2022, arXiv:2111.08440")
def shadow_gain(target: Likelihoods, shadow_signals: tuple[Likelihoods, ...]) -> float:
    """Mean gain in log-likelihood over the mean of several shadow models, nats per token.

        1/n · Σ_t [log p_T(x_t | x_<t) − 1/m · Σ_i log p_i(x_t | x_<t)]

    >>> from llm_mia import TokenSignals
    >>> shadow_gain(TokenSignals.of([-1, -2]), (TokenSignals.of([-2, -4]), TokenSignals.of([-3, -2])))
    1.25
    """
    return float(
        (target.logprob - np.mean([shadow.logprob for shadow in shadow_signals], axis=0)).mean(dtype=np.float64)
    )
