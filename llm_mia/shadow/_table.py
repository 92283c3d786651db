"""Scores of the shadow models themselves: each takes the target's place, and its members are known."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..attacks import Attack, Evidence, LoadedSupplies, ShadowSet
from ..errors import AttackError, InputError
from ..records import Passage, ShadowPopulation, TokenSignals
from ..scores import ScoreTable
from ..scoring import ALL, attacks_for
from ..signals import Progress, Step
from ..store import StoredChunk
from ._shadows import Shadows

__all__ = ["shadow_table"]

REFERENCE = "reference"
SERVED = ("target", REFERENCE, "aligned_reference", "shadows", "shadow_population", "text")
"""Kinds of evidence that a folder of shadow models holds."""


def shadow_table(
    shadows: Shadows,
    attacks: Sequence[str] = (),
    *,
    texts: Collection[str] | None = None,
    progress: Progress | None = None,
) -> ScoreTable:
    """Scores of each passage of the pool by each shadow model in the target's place; no model runs.

    Label 1: the shadow was trained on the passage; 0: it was not. The other shadows are the shadow models, chosen by
    `llm_mia.attacks.choose_shadows`. So where the target was trained as the shadows were, the score of a passage by the
    target has the distribution of these scores.

    Args:
        shadows: the shadow models.
        attacks: names with settings, as ``min_k:k=0.1``; none: every attack that runs by default.
        texts: only passages with these texts; None: all.
        progress: called a few hundred passages at a time.

    Returns:
        A row for each passage and shadow, with the id ``ID@shadow-03``; the passage's document; a column by attack.

    Raises:
        AttackError: an attack is unknown, or needs what the folder does not hold.
        InputError: no passage has one of the *texts*.
    """
    supply = shadows.supply()
    chosen = _chosen(shadows, supply, attacks)
    compared = any("shadow_population" in attack.evidence for attack in chosen)
    populations = [supply.compared(place=place) if compared else None for place in range(len(supply.roles))]
    places = _Places(supply, chosen, populations)
    rows: list[Passage] = []
    scores: list[NDArray[np.float64]] = []
    done, tokens, total = 0, 0, shadows.record.plan.passages
    for passages, chunks in _blocks(shadows):
        for at, passage in enumerate(passages):
            signals = {role: chunk.signals(at) for role, chunk in chunks.items()}
            tokens += sum(map(len, signals.values()))
            if texts is None or passage.text in texts:
                rows.append(passage)
                scores.append(places.scores(passage, signals))
        done += len(passages)
        if progress:
            progress(Step("scores of the shadow models", done, tokens, done, total, total))
    if not rows:
        raise InputError(f"{shadows.path}: no passage of the pool has one of the `texts`: give texts of the pool")
    return _table(shadows, supply, chosen, rows, np.concatenate(scores))


def _blocks(shadows: Shadows) -> Iterator[tuple[list[Passage], dict[str, StoredChunk]]]:
    """The passages of the pool, a few hundred at a time, with their signals by role."""
    names = [*shadows.roles, *([REFERENCE] if shadows.has_reference else [])]
    return shadows.signals(names)


def _chosen(shadows: Shadows, supply: ShadowSet, attacks: Sequence[str]) -> tuple[Attack, ...]:
    """The attacks that *attacks* name, or all that run by default and that the folder can serve."""
    roles = ("target", *([REFERENCE] if shadows.has_reference else []), *shadows.roles)
    chosen = []
    for attack in attacks_for(attacks, LoadedSupplies(roles=roles, shadows=supply)).attacks:
        lacking = [name for name in attack.evidence if name not in SERVED]
        if not lacking:
            chosen.append(attack)
        elif attacks and ALL not in attacks:
            raise AttackError(
                f"attack {attack.name!r} takes {lacking[0]!r}, and no such pass of a shadow model is stored: name "
                "another attack"
            )
    return tuple(chosen)


@dataclass(frozen=True, slots=True)
class _Places:
    """Computes the scores of a passage with each shadow in the target's place."""

    shadows: ShadowSet
    attacks: tuple[Attack, ...]
    populations: Sequence[ShadowPopulation | None]
    """By shadow in the target's place; None where no attack takes it."""

    def scores(self, passage: Passage, signals: Mapping[str, TokenSignals]) -> NDArray[np.float64]:
        """Shape (shadows, attacks); *signals* are by role."""
        means = [signals[role].mean_logprob for role in self.shadows.roles]
        given: dict[str, Evidence] = {"text": passage.text}
        if REFERENCE in signals:
            given |= dict.fromkeys((REFERENCE, "aligned_reference"), signals[REFERENCE])
        rows = []
        for place, role in enumerate(self.shadows.roles):
            evidence = {
                **given,
                "target": signals[role],
                "shadows": self.shadows.likelihoods(passage.text, means, place=place),
                "shadow_population": self.populations[place],
            }
            rows.append([attack.score(evidence) for attack in self.attacks])
        return np.array(rows, dtype=np.float64)


def _table(
    shadows: Shadows,
    supply: ShadowSet,
    attacks: Sequence[Attack],
    passages: Sequence[Passage],
    scores: NDArray[np.float64],
) -> ScoreTable:
    """*scores* have shape (passages · shadows, attacks)."""
    labels = np.concatenate([supply.memberships(passage.text) for passage in passages])
    return ScoreTable(
        name=str(shadows.path),
        ids=[f"{passage.id}@{role}" for passage in passages for role in supply.roles],
        documents=[passage.document for passage in passages for _ in supply.roles],
        labels=labels.astype(np.int8),
        columns={attack.name: scores[:, at] for at, attack in enumerate(attacks)},
    )
