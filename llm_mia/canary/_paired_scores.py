"""From the scores of pairs to the result of their test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..records import Interval, RunRecord
from ..scores import ScoreTable
from ._effect import mean_with_interval
from ._pairs import Pair
from ._results import ControlTest, PairedDocument, PairedResult, PlaceboTest, UnusedBecause, UnusedText
from ._sign_flips import document_sums, flip_test
from ._split_test import document_means, split_test

__all__ = ["ControlScores", "PairScores", "control_result", "ids_of", "placebo_result"]

Floats = NDArray[np.float64]
GAIN, LOSS = "reference", "loss"
"""The attacks: the log-likelihood under the target less that under the placebo, and each by itself."""


def ids_of(pair: Pair, sides: tuple[str, str]) -> tuple[str, str]:
    """The ids of both texts of *pair* in a table of scores."""
    return f"{pair.id}#{sides[0]}", f"{pair.id}#{sides[1]}"


@dataclass(frozen=True, slots=True)
class PairScores:
    """How far target and placebos prefer the first version of pairs; arrays have shape (kept pairs,)."""

    kept: Sequence[Pair]
    """Those of which every model has a score."""
    unused: tuple[UnusedText, ...]
    of_target: Floats
    gains: Mapping[str, Floats]
    """The preference of the target less that of the placebo, by the pass of the placebo."""
    alone: Mapping[str, Floats]
    """The preference of each placebo."""

    @classmethod
    def of(cls, table: ScoreTable, pairs: Sequence[Pair], sides: tuple[str, str], roles: Sequence[str]) -> PairScores:
        """The preferences of *pairs*, whose texts have the names of *sides* in *table*, with each of *roles*."""
        at = {each: row for row, each in enumerate(table.ids)}
        rows = np.array([[at[each] for each in ids_of(pair, sides)] for pair in pairs], dtype=np.intp)

        def preferences(scores: Floats) -> Floats:
            return scores[rows[:, 0]] - scores[rows[:, 1]]

        gains = {
            role: preferences(table.columns[GAIN] if not n else table.others[role][GAIN])
            for n, role in enumerate(roles)
        }
        alone = {role: preferences(table.others[role][LOSS]) for role in roles}
        of_target = preferences(table.columns[LOSS])
        scored = np.isfinite(np.stack([*gains.values(), *alone.values(), of_target])).all(axis=0)
        return cls(
            [pairs[row] for row in np.flatnonzero(scored).tolist()],
            tuple(UnusedText(pairs[row].id, UnusedBecause.NO_SCORE) for row in np.flatnonzero(~scored).tolist()),
            of_target[scored],
            {role: each[scored] for role, each in gains.items()},
            {role: each[scored] for role, each in alone.items()},
        )

    @property
    def documents(self) -> list[str]:
        """The document of each pair."""
        return [pair.document for pair in self.kept]

    @property
    def prefers(self) -> Interval:
        """How far the target prefers the first version, mean over pairs."""
        return mean_with_interval(self.of_target)

    def rows(self, differences: Mapping[str, float]) -> tuple[PairedDocument, ...]:
        """The documents with their *differences*."""
        count = Counter(self.documents)
        return tuple(PairedDocument(each, count[each], total) for each, total in differences.items())

    def means(self, role: str) -> dict[str, float]:
        """The mean difference of each document, with the placebo *role*, or without where that is empty."""
        return document_means(self.gains[role] if role else self.of_target, self.documents)


@dataclass(frozen=True, slots=True)
class ControlScores:
    """The scores of published and of control pairs."""

    published: PairScores
    control: PairScores


def placebo_result(path: Path, scores: PairScores, record: RunRecord) -> PairedResult:
    """The result where placebos decide: of the placebo with the largest p-value."""
    sums = {role: document_sums(each, scores.documents) for role, each in scores.gains.items()}
    tests = [
        PlaceboTest(
            role,
            record.passes[role].model.id,
            flip_test([*sums[role].values()]),
            mean_with_interval(scores.alone[role]),
        )
        for role in scores.gains
    ]
    tests.sort(key=lambda each: -each.test.p_value)
    return PairedResult(
        path=path,
        passes={role: record.passes[role] for role in ("target", *scores.gains)},
        pairs=len(scores.kept),
        prefers=scores.prefers,
        placebos=tuple(tests),
        rows=scores.rows(sums[tests[0].role]),
        unused=scores.unused,
        per=_unit(record, tests[0].role),
    )


def control_result(path: Path, scores: ControlScores, record: RunRecord) -> PairedResult:
    """The result where the control set decides; with a placebo its preference is taken off in both groups."""
    published, control = scores.published, scores.control
    role = next(iter(published.gains), "")
    means, control_means = published.means(role), control.means(role)
    return PairedResult(
        path=path,
        passes={each: record.passes[each] for each in ("target", *published.gains)},
        pairs=len(published.kept),
        prefers=published.prefers,
        placebos=(),
        rows=published.rows(means),
        unused=published.unused,
        per=_unit(record, role),
        control=ControlTest(
            test=split_test([*means.values()], [*control_means.values()]),
            role=role,
            model=record.passes[role].model.id if role else "",
            pairs=len(control.kept),
            prefers=control.prefers,
            rows=control.rows(control_means),
            unused=control.unused,
        ),
    )


def _unit(record: RunRecord, role: str) -> str:
    """The unit of differences: ``byte`` where target and placebo have different tokenizers."""
    tokenizers = {record.passes[each].model.tokenizer for each in ("target", role) if each}
    return "token" if len(tokenizers) == 1 else "byte"
