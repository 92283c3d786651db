"""How often a collection ends in a finding: where nobody was trained on, with and without a shift; and power."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm_mia.documents import Pairs, permutation_test

from .figures import Figure
from .rates import ERRORS

Floats = NDArray[np.float64]

LEVEL, PERMUTATIONS = 0.05, 199
BETWEEN = 0.4
"""Share of the variance of a model's scores that lies between documents."""
GENRE = 0.8
"""How much lower the other genre scores, in standard deviations of passages."""
EFFECT = 0.35
"""Of members, in the same unit: an AUROC of 0.60."""


@dataclass(frozen=True, slots=True)
class Collections:
    """How documents of candidates and of non-members are drawn."""

    documents: tuple[int, int]
    """Of candidates and of non-members."""
    passages: tuple[Sequence[int], Sequence[int]] = ((5,), (5,))
    """Sizes of documents, each with the same probability."""
    precision: tuple[float, float] = (0.9, 0.6)
    """Share of the variance of the target's and of the other model's scores that the text decides."""
    other_genre: float = 0.0
    """Share of the non-members' documents that are of another genre."""
    effect: float = 0.0
    """How much training raises the target's scores of the candidates."""

    def draw(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Evidence of the documents by the target and by the other model, candidates first."""
        both = [self._document(rng, side) for side in (0, 1) for _ in range(self.documents[side])]
        return np.array([target for target, _ in both]), np.array([other for _, other in both])

    def _document(self, rng: np.random.Generator, side: int) -> tuple[float, float]:
        size = int(rng.choice(self.passages[side]))

        def part() -> float:
            return float(rng.normal() * math.sqrt(BETWEEN) + rng.normal() * math.sqrt((1 - BETWEEN) / size))

        text = part() - GENRE * (side == 1 and rng.random() < self.other_genre)
        target, other = (math.sqrt(p) * text + math.sqrt(1 - p) * part() for p in self.precision)
        return target + self.effect * (side == 0), other


def p_values(case: Collections, rng: np.random.Generator) -> tuple[float, float]:
    """The p-values of the target alone, and given the other model's scores."""
    target, other = case.draw(rng)
    first = case.documents[0]
    alone = permutation_test(target[:first], target[first:], PERMUTATIONS, rng)[1]
    pairs = Pairs(target[:, None], other[:, None], case.documents, True, target[first:, None])
    return alone, pairs.p_value(PERMUTATIONS, int(rng.integers(1 << 31)))[1]


def collection_figures(draws: int, rng: np.random.Generator) -> Iterator[Figure]:
    """Findings without any training, of the same texts and with a shift, and with an effect."""
    limit = LEVEL + ERRORS * math.sqrt(LEVEL * (1 - LEVEL) / draws)
    unequal = ((40,), (2, 4, 8))
    for documents in ((5, 5), (10, 10), (40, 40), (100, 100), (10, 60)):
        for precision in ((0.95, 0.95), (0.9, 0.6), (0.6, 0.6), (0.9, 0.3)):
            correlation = math.sqrt(precision[0] * precision[1])
            title = f"{documents[0]} documents against {documents[1]}, correlation {correlation:.2f}"
            same = Collections(documents, precision=precision)
            yield _share(f"same texts, {title}", same, draws, rng, limit)
            shifted = Collections(documents, precision=precision, other_genre=0.4)
            yield _share(f"0.4 of another genre, {title}", shifted, draws, rng, limit)
            yield _share(f"trained on, {title}", Collections(documents, precision=precision, effect=EFFECT), draws, rng)
    for share in (0.0, 0.4):
        case = Collections((10, 40), unequal, other_genre=share)
        yield _share(f"{share:g} of another genre, 10 documents of 40 passages, 40 of 2–8", case, draws, rng, limit)


def _share(title: str, case: Collections, draws: int, rng: np.random.Generator, limit: float | None = None) -> Figure:
    significant = np.array([p_values(case, rng) for _ in range(draws)]) <= LEVEL
    note = f"by the target alone: {100 * significant[:, 0].mean():.3g} %"
    at_most = None if limit is None else 100 * limit
    return Figure(f"{title}: a finding", 100 * float(significant.all(axis=1).mean()), "%", at_most, note=note)
