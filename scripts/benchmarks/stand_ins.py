"""The scores of a byte n-gram model that stands in for a reference model, as an audit makes it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llm_mia.attacks import parse_attack
from llm_mia.backends.ngram import NgramBackend
from llm_mia.records import Passage
from llm_mia.signals import signals_of

Floats = NDArray[np.float64]


def ngram_scores(passages: Sequence[Passage], attacks: Sequence[str]) -> dict[str, Floats]:
    """Scores by attack of labelled *passages*; NaN for the half of the non-members that the model is trained on."""
    half = training_documents([passage.document for passage in passages if passage.label == 0])
    trained_on = {passage.text for passage in passages if passage.label == 0 and passage.document in half}
    model = NgramBackend(passage.text for passage in passages if passage.text in trained_on)
    signals = signals_of(model, [passage.text for passage in passages])
    scores = {}
    for name in attacks:
        attack = parse_attack(name)
        values = np.array([attack.function(each, **attack.settings) for each in signals])
        values[[passage.text in trained_on for passage in passages]] = np.nan
        scores[name] = values
    return scores


def training_documents(documents: Sequence[str]) -> set[str]:
    """Half of *documents*, by their hash."""
    ordered = sorted(set(documents), key=lambda name: hashlib.sha256(name.encode()).digest())
    return set(ordered[: len(ordered) // 2])
