"""Two audits of the same candidates side by side: what differs between them, and by how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..decision import calibration_part
from ..errors import RunDirectoryError, UsageError
from ..metrics import (
    PairedComparison,
    PairedFlags,
    auroc,
    compare_attacks,
    compare_flags,
    compare_means,
    compare_tpr,
    holm,
    tpr_at_fpr,
)
from ..records import Interval
from ..scores import ROLES, ScoreTable, read_losses, rows_in_common
from ..store import read_signals
from ._record import Audit, read_audit
from ._settings import Setting, differing_settings

__all__ = ["LEVEL", "Difference", "Matched", "Quantity", "TwoRuns", "compare_runs"]

LEVEL = 0.05
"""Probability that any difference is stated where there is none, over all comparisons."""
Pairs: TypeAlias = Mapping[str, tuple[NDArray[np.intp], NDArray[np.intp]]]
"""By role: the rows of the same passages in the first table and in the second."""


class Quantity(StrEnum):
    """What is compared."""

    FLAGS = "flags"
    """Which candidates are flagged."""
    AUROC = "auroc"
    """Of the attack that decides in each run, on the known passages that both have."""
    TPR = "tpr_at_fpr"
    """Of the same, at the false positive rate of the first run."""
    LOSS = "loss"
    """Mean over passages, nats by token."""
    LOSS_BY_BYTE = "loss_by_byte"
    """The same by UTF-8 byte, because the tokens of the models differ."""


@dataclass(frozen=True, slots=True)
class Matched:
    """How many passages of a role both runs have."""

    compared: int
    """With the same id and the same text."""
    documents: int
    only_first: int
    only_second: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of both runs on the same passages."""

    quantity: Quantity
    role: str
    """Of the passages: ``candidates``, ``members``, ``non-members``, or ``known`` for the last two together."""
    passages: int
    first: float
    second: float
    difference: Interval
    """The second less the first, with its 95 % interval, which holds by itself; unbounded where nothing bounds it."""
    p_value: float
    stated: bool
    """Whether it is significant at `LEVEL` together with all other comparisons (Holm)."""


@dataclass(frozen=True, slots=True)
class TwoRuns:
    """Two audits of the same candidates. Nothing in it shows what caused a difference."""

    first: Audit
    second: Audit
    matched: Mapping[str, Matched]
    """By role."""
    texts_compared: bool
    """Whether the texts are known to be the same; without the signals of both runs, only the ids are."""
    settings: tuple[Setting, ...]
    """What differs between the runs."""
    flags: PairedFlags | None
    """None where a known set withholds the finding."""
    flags_stated: bool
    """Whether the difference of flags is significant at `LEVEL` together with all other comparisons (Holm)."""
    differences: tuple[Difference, ...]
    fpr: float
    """At which the TPR is compared."""

    @property
    def comparisons(self) -> int:
        """How many hypotheses were tested."""
        return len(self.differences) + (self.flags is not None)


def compare_runs(first: str | Path, second: str | Path) -> TwoRuns:
    """The audits in two run directories, compared on the passages that both have; no model is needed.

    Every difference is the second run's figure less the first run's, on the same passages, with an interval and a
    p-value that go by document. Where no figure differs, any difference is stated with probability at most `LEVEL`.

    Raises:
        UsageError: both are the same run directory.
        RunDirectoryError: a directory holds no audit.
        ScoresError: the runs have no candidate in common, or a passage of the same id has another text.
    """
    if Path(first).resolve() == Path(second).resolve():
        raise UsageError(f"{first}: is compared with itself: name two run directories")
    audits = read_audit(first), read_audit(second)
    tables = audits[0].scores, audits[1].scores
    digests = _digests(tables[0], audits[0].path), _digests(tables[1], audits[1].path)
    pairs = rows_in_common(*tables, *digests)
    flags = None if any(audit.withheld for audit in audits) else _flags(audits, tables, pairs)
    fpr = audits[0].calibration.fpr
    differences = [*_separation(audits, tables, pairs, fpr), *_losses(audits, tables, pairs)]
    p_values = [*([] if flags is None else [flags.p_value]), *(each.p_value for each in differences)]
    stated = holm(p_values, LEVEL)
    return TwoRuns(
        *audits,
        matched=_matched(tables, pairs),
        texts_compared=None not in digests,
        settings=differing_settings(*audits),
        flags=flags,
        flags_stated=flags is not None and stated[0],
        differences=tuple(
            replace(each, stated=holds)
            for each, holds in zip(differences, stated[len(stated) - len(differences) :], strict=True)
        ),
        fpr=fpr,
    )


def _matched(tables: tuple[ScoreTable, ScoreTable], pairs: Pairs) -> dict[str, Matched]:
    """By role, how many passages are compared and how many are not."""
    groups, done = tables[0].groups(), {}
    for role, (first, _) in pairs.items():
        sizes = [len(table.rows(ROLES[role])) - len(first) for table in tables]
        done[role] = Matched(len(first), len({groups[row] for row in first}), *sizes)
    return done


def _digests(table: ScoreTable, run: Path) -> Sequence[str] | None:
    """The digest of the text of each row; None where the run directory does not hold the signals of these rows."""
    try:
        digests = list(read_signals(run, "target", ()).text_digests())
    except RunDirectoryError:  # a run that was handed on without signals can be compared by its ids all the same
        return None
    if table.places:  # rows of shadow models follow, whose ids name passage and shadow
        digests = [*digests, *table.ids[table.places.count("") :]]
    return digests if len(digests) == len(table) else None


def _flags(audits: tuple[Audit, Audit], tables: tuple[ScoreTable, ScoreTable], pairs: Pairs) -> PairedFlags:
    rows, flagged = pairs["candidates"], list[list[bool]]()
    for audit, table, of_table in zip(audits, tables, rows, strict=True):
        ids = {row.id for row in audit.flags.rows if row.flagged}
        flagged.append([table.ids[row] in ids for row in of_table])
    groups = tables[0].groups()
    return compare_flags(flagged[0], flagged[1], [groups[row] for row in rows[0]])


def _separation(
    audits: tuple[Audit, Audit], tables: tuple[ScoreTable, ScoreTable], pairs: Pairs, fpr: float
) -> list[Difference]:
    """AUROC and TPR of the deciding attacks, on known passages that neither has been fitted on and both have scored."""
    if any(table.places for table in tables):  # these passages are known under other models than the target
        return []
    columns, kept = [], list[NDArray[np.bool_]]()
    labels = np.concatenate([np.full(len(pairs[role][0]), ROLES[role]) for role in ("members", "non-members")])
    for side, (audit, table) in enumerate(zip(audits, tables, strict=True)):
        rows = np.concatenate([pairs[role][side] for role in ("members", "non-members")])
        part = calibration_part(table, audit.calibration)
        unfitted = set(zip(part.labels.tolist(), part.ids, strict=True))
        scores = table.column(audit.decider)[rows]
        columns.append(scores)
        names = zip(labels.tolist(), (table.ids[row] for row in rows.tolist()), strict=True)
        kept.append(np.isfinite(scores) & np.array([name in unfitted for name in names], dtype=bool))
    usable = kept[0] & kept[1]
    if len(set(labels[usable].tolist())) < 2:
        return []
    first, second, labels = columns[0][usable], columns[1][usable], labels[usable].astype(np.int8)
    groups = tables[0].groups()
    rows = np.concatenate([pairs[role][0] for role in ("members", "non-members")])[usable]
    documents = [groups[row] for row in rows]
    paired = {
        Quantity.AUROC: compare_attacks(second, first, labels, documents),
        Quantity.TPR: compare_tpr(second, first, labels, fpr, documents),
    }
    values = {
        Quantity.AUROC: [auroc(scores, labels).value for scores in (first, second)],
        Quantity.TPR: [tpr_at_fpr(scores, labels, fpr).value for scores in (first, second)],
    }
    return [_difference(name, "known", len(rows), values[name], paired[name]) for name in paired]


def _losses(audits: tuple[Audit, Audit], tables: tuple[ScoreTable, ScoreTable], pairs: Pairs) -> list[Difference]:
    """The mean loss of the target on the passages of each role, by token where both models have the same tokens."""
    first, second = (read_losses(audit.path) for audit in audits)
    fingerprints = {audit.passes["target"].model.tokenizer for audit in audits}
    name = Quantity.LOSS if len(fingerprints) == 1 else Quantity.LOSS_BY_BYTE
    groups, done = tables[0].groups(), []
    for role, (rows, others) in pairs.items():
        if role != "candidates" and any(audit.shadows is not None for audit in audits):
            continue
        one, other = (
            (first.per_token[rows], second.per_token[others])
            if name is Quantity.LOSS
            else (first.per_byte[rows], second.per_byte[others])
        )
        finite = np.isfinite(one) & np.isfinite(other)
        if not finite.any():
            continue
        paired = compare_means(one[finite], other[finite], [groups[row] for row in rows[finite]])
        values = [float(one[finite].mean()), float(other[finite].mean())]
        done.append(_difference(name, role, int(finite.sum()), values, paired))
    return done


def _difference(
    quantity: Quantity, role: str, passages: int, values: Sequence[float], paired: PairedComparison
) -> Difference:
    return Difference(quantity, role, passages, values[0], values[1], paired.difference, paired.p_value, stated=False)
