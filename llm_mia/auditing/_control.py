"""Sealed non-members that are decided on as candidates, and how many of them are flagged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..calibration import chance_of_flags, flag_rank
from ..decision import Calibration, NoteKind, flag
from ..errors import PassageError, ScoresError, UsageError
from ..metrics import clopper_pearson
from ..passages import Passages, shared_text
from ..records import Interval, Note
from ..scores import ScoreTable
from ..validity import Check, Verdict

__all__ = ["LEVEL", "Control", "control_of", "refuse_known", "sealed_rate"]

LEVEL = 0.05
"""p-value from which on the rate counts as above the requested rate."""
CHECK = "control_rate"


@dataclass(frozen=True, slots=True)
class Control:
    """How often sealed non-members were flagged."""

    passages: int
    """With a score."""
    flagged: int
    documents: int
    rate: Interval
    """Share of them that is flagged; where documents are shared the mean share of a document."""
    requested: float
    """The false positive rate."""
    p_value: float
    """Of so many flags, or more, where the rate holds."""

    @property
    def exceeds(self) -> bool:
        """Whether the rate is significantly above the requested rate."""
        return self.p_value <= LEVEL

    @property
    def note(self) -> Note:
        """The result as a note."""
        figures = {"passages": self.passages, "flagged": self.flagged, "documents": self.documents}
        ends = {"realised": self.rate.value, "low": self.rate.low, "high": self.rate.high}
        figures_of_test = {"requested": self.requested, "p_value": self.p_value, "exceeds": self.exceeds}
        return Note(NoteKind.CONTROL, {**figures, **ends, **figures_of_test})

    @property
    def check(self) -> Check:
        """The result as a check of the known set, which makes it doubtful."""
        return Check(CHECK, self.rate, Verdict.DOUBTFUL, self.p_value)


def control_of(table: ScoreTable, sealed: ScoreTable, calibration: Calibration) -> Control:
    """How often *calibration* flags the passages of *sealed*, which are decided on as candidates are.

    They are no part of the calibration set, and they are not counted among the candidates. Where each passage is a
    document by itself, the p-value is exact and includes the luck of the calibration set (`chance_of_flags`), and the
    interval is that of Clopper and Pearson. Where documents are shared, both are by documents (`sealed_rate`).

    Args:
        table: the scores of the known set.
        sealed: the scores of the sealed non-members.
        calibration: what sets the threshold.

    Raises:
        ScoresError: no sealed non-member has a score.
    """
    flags = flag(_as_candidates(table, sealed), calibration, accept_void=True)
    scored = [row for row in flags.rows if row.score is not None and math.isfinite(row.score)]
    if not scored:
        raise ScoresError(f"{sealed.name}: no sealed non-member has a score: give longer passages as `control`")
    groups: dict[str, list[bool]] = {}
    for row in scored:
        groups.setdefault(row.document, []).append(row.flagged)
    flagged = sum(row.flagged for row in scored)
    rate, p_value = sealed_rate(list(groups.values()), calibration.fpr)
    if len(groups) == len(scored) and calibration.n_documents == calibration.n:
        k = flag_rank(calibration.n, calibration.fpr, calibration.confidence)
        p_value = chance_of_flags([(flagged, len(scored), k, calibration.n)])
    return Control(len(scored), flagged, len(groups), rate, calibration.fpr, p_value)


def sealed_rate(documents: Sequence[Sequence[bool]], requested: float) -> tuple[Interval, float]:
    """The rate of flags with its 95 % interval, and the p-value of so high a rate; *documents* hold flags of passages.

    Documents are independent, and passages of a document are not. The share s of a document that is flagged lies
    between 0 and 1, and P(Σ s ≥ x) ≤ e · P(B ≥ ⌊x⌋) for a binomial B of as many trials with the mean of s as its
    chance (Bentkus 2004, Annals of Probability 32:1650, Theorem 1.2). Where each document has a single passage, the
    factor e is not needed. Interval and p-value hold for the threshold of this calibration set.

    >>> rate, p_value = sealed_rate([[True]] * 3 + [[False]] * 57, 0.05)
    >>> rate.value, round(rate.low, 3), round(rate.high, 3), round(p_value, 2)
    (0.05, 0.01, 0.139, 0.58)
    """
    from scipy.special import bdtrc

    trials, total = len(documents), math.fsum(float(np.mean(flags)) for flags in documents)
    factor = 1.0 if all(len(flags) == 1 for flags in documents) else math.e
    # A sum of thirds may miss its integer by rounding.
    low, high = math.floor(total + 1e-9), math.ceil(total - 1e-9)
    confidence = 1 - 0.05 / factor
    ends = clopper_pearson(low, trials, confidence).low, clopper_pearson(high, trials, confidence).high
    p_value = 1.0 if low == 0 else min(1.0, factor * float(bdtrc(low - 1, trials, requested)))
    return Interval(total / trials, *ends), p_value


def refuse_known(control: Passages, others: Sequence[Passages], fdr: float | None) -> None:
    """Refuse sealed non-members whose texts are among the other inputs, or a rate that they cannot check.

    Raises:
        PassageError: a text is in both.
        UsageError: a false discovery rate is held, which fixes no rate for non-members.
    """
    if fdr is not None:
        raise UsageError("`control` checks a false positive rate, and `fdr` fixes none: leave out `control` or `fdr`")
    shared = shared_text([control], others)
    if shared is not None:
        sealed, known = shared
        raise PassageError(
            f"{sealed.where or sealed.id} and {known.where or known.id}",
            "have the same text, and the sealed non-members of `control` may not be among the other passages: remove "
            "it from one of the two",
        )


def _as_candidates(table: ScoreTable, sealed: ScoreTable) -> ScoreTable:
    """The known set of *table* with the passages of *sealed* as the only candidates."""
    known = np.flatnonzero(table.labels >= 0).tolist()
    columns = {name: np.concatenate([table.columns[name][known], sealed.columns[name]]) for name in table.columns}
    return replace(
        table,
        name=sealed.name,
        ids=[*(table.ids[row] for row in known), *sealed.ids],
        documents=[*(table.documents[row] for row in known), *sealed.documents],
        labels=np.concatenate([table.labels[known], np.full(len(sealed), -1, dtype=np.int8)]),
        columns=columns,
        others={},
        categories=(),
        carried={},
        places=(),
    )
