"""A scanner's slips in the non-members alone: no candidate was trained on, and nothing may be stated."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llm_mia.decision import FINDING_LEVEL
from llm_mia.records import Standing

from .audits_in_memory import Case, Columns, Findings, Texts
from .figures import Figure
from .rates import ERRORS
from .real_texts import EMBEDDED, SLIPS, SMALL, RealTexts, real_texts

CANDIDATES, MEMBERS = 150, 100
FPR = 0.05
ATTACKS = ("min_k", "loss", "min_k++")
SIZES = (100, 300)


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """The passages of a draw: *n* non-members with slips; candidates and members without."""

    texts: RealTexts
    rows: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]
    """Of members, non-members and candidates."""
    slips: int
    passages: Texts

    def scores(self, model: str) -> Columns:
        """The scores that *model* gives, in the order of `Texts.labelled`."""
        members, nonmembers, candidates = self.rows
        clean, slipped = self.texts.scores(model), self.texts.scores(model, self.slips)
        return {
            name: np.concatenate([clean[name][members], slipped[name][nonmembers], clean[name][candidates]])
            for name in ATTACKS
        }


Others = Callable[[Drawn], Mapping[str, Columns]]
"""The scores of other models, by role."""
SETTINGS: dict[str, tuple[str, Others]] = {
    "embedded model, no other model": (EMBEDDED, lambda _: {}),
    "small model, no other model": (SMALL, lambda _: {}),
}
"""The target, and what it is compared with; nothing was trained on any passage."""


def slips_figures(work: Path, draws: int, checks: int, seed: int) -> list[Figure]:
    """Every number of slips, known sets of 100 and of 300 non-members, each target and other model."""
    texts = real_texts(work)
    return [
        figure
        for slips in SLIPS
        for n in SIZES
        for figure in _figures(texts, slips, n, draws, checks, [seed, slips, n])
    ]


def _figures(texts: RealTexts, slips: int, n: int, draws: int, checks: int, seed: list[int]) -> Iterator[Figure]:
    findings: defaultdict[tuple[str, str], Findings] = defaultdict(lambda: Findings(checks))
    standings: defaultdict[str, Counter[Standing | None]] = defaultdict(Counter)
    for at in range(draws):
        drawn = draw(texts, slips, n, np.random.default_rng([*seed, at]))
        for setting, (target, others) in SETTINGS.items():
            case = Case(drawn.passages, drawn.scores(target), others(drawn))
            if at < checks:
                standings[setting][case.standing] += 1
            for attack in ATTACKS:
                findings[setting, attack].add(case, attack)
    title = f"{slips} slips in each of {n} non-members" if slips else f"no slips, {n} non-members"
    for setting in SETTINGS:
        yield sound_figure(f"{title}, {setting}: sound", standings[setting])
        for attack in ATTACKS:
            counted = findings[setting, attack]
            name = f"{title}, {setting}, {attack}: a finding"
            yield Figure(name, 100 * counted.share, "%", limit(draws), note=counted.about)


def sound_figure(title: str, standings: Counter[Standing | None]) -> Figure:
    """The share of known sets that are sound, of which there may be none."""
    total = sum(standings.values())
    note = ", ".join(f"{name} {100 * count / total:.3g} %" for name, count in standings.most_common())
    return Figure(title, 100 * standings[Standing.SOUND] / total, "%", at_most=5, note=f"{note}; {total} draws")


def limit(draws: int) -> float:
    """The goal for findings in per cent: the level, with the Monte-Carlo error of *draws* allowed."""
    return 100 * (FINDING_LEVEL + ERRORS * math.sqrt(FINDING_LEVEL * (1 - FINDING_LEVEL) / draws))


def draw(texts: RealTexts, slips: int, n: int, rng: np.random.Generator) -> Drawn:
    """Passages at random, each a document by itself; no model was trained on any of them."""
    nonmembers = rng.permutation(texts.slipped)[:n]
    rest = rng.permutation(np.setdiff1d(np.arange(len(texts.passages)), nonmembers))
    candidates, members = rest[:CANDIDATES], rest[CANDIDATES : CANDIDATES + MEMBERS]
    passages = Texts(
        texts.texts(members.tolist()), texts.texts(nonmembers.tolist(), slips), texts.texts(candidates.tolist()), FPR
    )
    return Drawn(texts, (members, nonmembers, candidates), slips, passages)
