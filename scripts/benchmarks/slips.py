"""A scanner's slips in the non-members alone: no candidate was trained on, and nothing may be stated."""

from __future__ import annotations

import math
import sys
from collections import Counter
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


def _stand_in(drawn: Drawn) -> dict[str, Columns]:
    from .stand_ins import ngram_scores  # an earlier version of the package has no such model

    return {"stand-in": ngram_scores(drawn.passages.labelled, ATTACKS)}


ALONE: dict[str, tuple[str, Others]] = {
    "embedded model, no other model": (EMBEDDED, lambda _: {}),
    "small model, no other model": (SMALL, lambda _: {}),
}
COMPARED: dict[str, tuple[str, Others]] = {
    "embedded model, n-gram model as the stand-in": (EMBEDDED, _stand_in),
    "embedded model, small model as reference": (EMBEDDED, lambda drawn: {"reference": drawn.scores(SMALL)}),
    "small model, embedded model as the stand-in": (SMALL, lambda drawn: {"stand-in": drawn.scores(EMBEDDED)}),
}
"""The target, and what it is compared with; nothing was trained on any passage."""


def slips_figures(work: Path, draws: int, checks: int, seed: int, *, compared: bool) -> list[Figure]:
    """Every number of slips, known sets of 100 and of 300 non-members, each target and other model."""
    settings = {**ALONE, **(COMPARED if compared else {})}
    figures: list[Figure] = []
    for slips in SLIPS:
        for n in SIZES:
            measured = _measured(real_texts(work), settings, slips, n, draws, checks, seed)
            figures += _figures(f"{slips} slips in each of {n} non-members", measured, draws, sound_figure)
            print(f"slips: {slips}, {n}", file=sys.stderr, flush=True)
    return figures


def fair_text_figures(work: Path, draws: int, checks: int, seed: int, *, compared: bool) -> list[Figure]:
    """The same without slips: the known set may not be called faulty."""
    settings = {**ALONE, **(COMPARED if compared else {})}
    figures: list[Figure] = []
    for n in SIZES:
        measured = _measured(real_texts(work), settings, 0, n, draws, checks, seed)
        figures += _figures(f"fair, {n} non-members", measured, draws, fair_figure)
    return figures


@dataclass(frozen=True, slots=True)
class Measured:
    """What a setting gave."""

    findings: dict[str, Findings]
    """By attack."""
    standings: Counter[Standing | None]


def _measured(
    texts: RealTexts, settings: Mapping[str, tuple[str, Others]], slips: int, n: int, draws: int, checks: int, seed: int
) -> dict[str, Measured]:
    measured = {name: Measured({attack: Findings(checks) for attack in ATTACKS}, Counter()) for name in settings}
    for at in range(draws):
        drawn = draw(texts, slips, n, np.random.default_rng([seed, slips, n, at]))
        for setting, (target, others) in settings.items():
            case = Case(drawn.passages, drawn.scores(target), others(drawn), "n-gram" not in setting)
            if at < checks:
                measured[setting].standings[case.standing] += 1
            for attack in ATTACKS:
                measured[setting].findings[attack].add(case, attack)
    return measured


def _figures(
    title: str,
    measured: Mapping[str, Measured],
    draws: int,
    verdicts: Callable[[str, Counter[Standing | None]], Figure],
) -> Iterator[Figure]:
    for setting, counted in measured.items():
        yield verdicts(f"{title}, {setting}", counted.standings)
        for attack, findings in counted.findings.items():
            name = f"{title}, {setting}, {attack}: a finding"
            yield Figure(name, 100 * findings.share, "%", limit(draws), note=findings.about)


def fair_figure(title: str, standings: Counter[Standing | None]) -> Figure:
    """The share of known sets without a fault: sound, or not checked by another model."""
    total, note = _standings(standings)
    good = standings[Standing.SOUND] + sum(standings[each] for each in standings if str(each) == "not_checked")
    return Figure(f"{title}: sound or not checked", 100 * good / total, "%", at_least=95, note=note)


def sound_figure(title: str, standings: Counter[Standing | None]) -> Figure:
    """The share of known sets that are sound, of which there may be none."""
    total, note = _standings(standings)
    return Figure(f"{title}: sound", 100 * standings[Standing.SOUND] / total, "%", at_most=5, note=note)


def _standings(standings: Counter[Standing | None]) -> tuple[int, str]:
    """How many there are, and their shares in words."""
    total = sum(standings.values())
    shares = ", ".join(f"{name} {100 * count / total:.3g} %" for name, count in standings.most_common())
    return total, f"{shares}; {total} draws"


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
