"""Signals of a trained model and of its base → scores, perplexities, and what the model writes word for word."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..attacks import EVIDENCE, Attack, LoadedSupplies, PassageSignals
from ..extraction import examine
from ..records import Passage, TokenSignals, WindowRule
from ..scoring import attacks_for
from ..signals import Inputs, edges, passages_with_signals
from ..store import RunDirectory
from ._client import Client
from ._completing import BOUNDED, DIRECT, INVERTED, MATCHED, OMITTED, bounded, omitted
from ._first_choice import FIRST_CHOICE_ATTACKS
from ._output_defense import OutputDefense

__all__ = [
    "REFERENCE",
    "Columns",
    "Row",
    "attack_scores",
    "extractable_passages",
    "possible_attacks",
    "shown_scores",
    "signals_rows",
    "token_sums",
]

REFERENCE = "reference"
"""The role of the base model, and the name of its pass."""
SUPPLIES = LoadedSupplies(roles=("target", REFERENCE))
"""What the attacks have: two models, and nothing else."""
Row = tuple[Passage, TokenSignals, TokenSignals]
"""A passage with its signals under the trained model and under the base."""
Columns = Mapping[str, NDArray[np.float64]]
"""By attack: the scores of all passages, NaN where a passage has none."""


def possible_attacks() -> tuple[Attack, ...]:
    """The attacks that a model and its base allow, in all their forms, but those whose passes cost much.

    Those that need text alone come last.
    """
    served = attacks_for((), SUPPLIES).attacks
    return (*served, *FIRST_CHOICE_ATTACKS.values())


def signals_rows(run: RunDirectory, inputs: Inputs, name: str, base: str = REFERENCE) -> Iterator[Row]:
    """Each passage with its signals in the pass *name* and in the pass *base* of the base model."""
    for passages, chunks in passages_with_signals(run, inputs, [name, base]):
        for row, passage in enumerate(passages):
            yield passage, chunks[name].signals(row), chunks[base].signals(row)


def shown_scores(
    rows: Iterator[Row],
    first: Iterator[Row],
    attacks: Sequence[Attack],
    defense: OutputDefense,
    client: Client,
    matched: Iterator[Row] | None = None,
) -> dict[str, Columns]:
    """The scores on what *defense* shows, for each way in which an attacker may take it (`OutputDefense.variants`).

    Attacks that read what is not shown are left out. Where every token of a passage is hidden, its score is −∞, because
    the model expects none of them.

    Args:
        rows: signals at the temperature of the defence.
        first: signals at temperature 1, of the same passages.
        attacks: those on the whole output.
        defense: what is shown.
        client: counts what an honest client loses.
        matched: as *rows*, but with the base at the temperature of the defence, too; None where it has not read them.
    """
    left = [attack for attack in attacks if attack.fields.get("target", frozenset()) <= defense.offers]
    ways = defense.variants or (("",) if matched is None else (DIRECT, MATCHED))
    scores: dict[str, list[list[float]]] = {variant: [] for variant in ways}
    for (passage, target, reference), (_, unscaled, _) in zip(rows, first, strict=True):
        of_base = None if matched is None else next(matched)[2]
        shown = defense.apply(target, text_seed=_seed_of(passage))
        client.read(passage, unscaled, shown)
        for variant, of_variant in scores.items():
            seen = {"target": unscaled if variant == INVERTED else shown, REFERENCE: reference}
            if variant == BOUNDED:
                seen["target"] = bounded(shown)
            elif variant == OMITTED:
                seen = omitted(seen, ["target"])
            elif variant == MATCHED and of_base is not None:
                seen[REFERENCE] = of_base
            if len(target) and not len(seen["target"]):
                of_variant.append([-math.inf] * len(left))
            else:
                of_variant.append(_scores_of((passage, seen["target"], seen[REFERENCE]), left))
    return {variant: _by_attack(of_variant, left) for variant, of_variant in scores.items()}


def _seed_of(passage: Passage) -> int:
    return int.from_bytes(hashlib.sha256(passage.text.encode()).digest()[:8])


def attack_scores(rows: Iterator[Row], attacks: Sequence[Attack]) -> Columns:
    """The scores of all passages by each attack, shape (passages,); NaN where a passage has none."""
    return _by_attack([_scores_of(row, attacks) for row in rows], attacks)


def _scores_of(row: Row, attacks: Sequence[Attack]) -> list[float]:
    passage, target, reference = row
    known = PassageSignals(passage, {"target": (target,), REFERENCE: (reference,)})
    kinds = [EVIDENCE[name] for name in dict.fromkeys(name for attack in attacks for name in attack.evidence)]
    evidence = {kind.name: kind.value(known, SUPPLIES) for kind in kinds if kind.value is not None}
    return [attack.score(evidence) for attack in attacks]


def _by_attack(scores: Sequence[Sequence[float]], attacks: Sequence[Attack]) -> Columns:
    table = np.array(scores, dtype=np.float64).reshape(len(scores), len(attacks))
    return {attack.name: table[:, at] for at, attack in enumerate(attacks)}


def token_sums(rows: Iterator[Row]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The log-likelihood of each passage under the trained model, in nats, and its scored tokens: shape (passages,)."""
    sums = [(float(target.logprob.sum(dtype=np.float64)), len(target)) for _, target, _ in rows]
    return np.array([each for each, _ in sums]), np.array([tokens for _, tokens in sums], dtype=np.int64)


def extractable_passages(
    rows: Iterator[Row], rule: WindowRule, opening: int, *, stretch: int, probability: float
) -> NDArray[np.float64]:
    """Whether the model writes a stretch of each passage: 1, 0, or NaN where the passage is too short for a stretch.

    A stretch counts where the trained model writes its *stretch* tokens with at least *probability*, given what
    precedes them, and its base does not: what the base writes too was not learnt in this training.
    """
    least, first = math.log(probability), 0 if opening else 1  # without an opening the first token has no score
    extractable = []
    for _, target, reference in rows:
        at = [edge - first for edge in edges(len(target) + first, rule, opening=opening)]
        trained, base = (
            examine(signals, n=stretch, probability=probability, edges=at).counted for signals in (target, reference)
        )
        extractable.append(float(np.any((trained >= least) & ~(base >= least))) if len(trained) else math.nan)
    return np.array(extractable)
