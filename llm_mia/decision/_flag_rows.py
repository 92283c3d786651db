"""The decisions on candidates: a row of ``flags.csv`` each, or all of them by column."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import overload

import numpy as np
from numpy.typing import NDArray

from ..records import Plain

__all__ = ["REASONS", "Flag", "FlagRows", "Reason"]

Floats = NDArray[np.float64]
BLOCK = 1 << 16
"""Rows that are text at the same time."""


class Reason(StrEnum):
    """Why a candidate is flagged, or has no figures; the code in ``flags.csv``."""

    SCORE = "score_above_limit"
    """Flagged: its score is above the threshold."""
    P_VALUE = "p_value_within_limit"
    """Flagged: the p-value of the document is at most the false positive rate."""
    Q_VALUE = "q_value_within_limit"
    """Flagged: its q-value is at most the false discovery rate."""
    NO_SCORE = "no_score"
    """Not flagged: the table has no score for it."""
    TOO_SHORT = "too_short"
    """Not flagged: it is too short to have a scored token."""
    LEFT_OUT = "left_out"
    """Not flagged: it has no score, because each process that computed its signals has ended."""
    INFINITE_SCORE = "infinite_score"
    """Not flagged: its score is infinite."""


@dataclass(frozen=True, slots=True)
class Flag:
    """The decision on a passage, or on a document: a row of ``flags.csv``."""

    id: str
    document: str
    attack: str
    score: float | None
    """None where it has none; of a document the mean of its passages."""
    p_value: float | None
    q_value: float | None
    flagged: bool
    reason: Reason | None
    """None where it has a score and is not flagged."""
    limit: float | None
    """What its score, p-value or q-value was compared with."""
    columns: Mapping[str, Plain] = field(default_factory=dict)
    """What else the input says about it, a column each in ``flags.csv``; of a document None unless all its passages
    have the same value."""


REASONS: tuple[Reason | None, ...] = (None, *Reason)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FlagRows(Sequence[Flag]):
    """Decisions by column: arrays of shape (candidates,), and sequences as long."""

    attack: str
    ids: Sequence[str]
    documents: Sequence[str]
    scores: Floats
    """NaN, here and below, is None in a `Flag`."""
    p_values: Floats
    q_values: Floats
    limits: Floats
    flagged: NDArray[np.bool_]
    reasons: NDArray[np.int8]
    """Positions in `REASONS`."""
    columns: Mapping[str, Sequence[Plain]] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Sequence[Flag]) -> FlagRows:
        """The same decisions by column; *rows* itself where it is of this class."""
        if isinstance(rows, FlagRows):
            return rows
        scores, p_values, q_values, limits = (
            np.array([np.nan if value is None else value for value in column], dtype=np.float64)
            for column in (
                [row.score for row in rows],
                [row.p_value for row in rows],
                [row.q_value for row in rows],
                [row.limit for row in rows],
            )
        )
        names = dict.fromkeys(name for row in rows for name in row.columns)
        return cls(
            attack=rows[0].attack if rows else "",
            ids=[row.id for row in rows],
            documents=[row.document for row in rows],
            scores=scores,
            p_values=p_values,
            q_values=q_values,
            limits=limits,
            flagged=np.array([row.flagged for row in rows], dtype=bool),
            reasons=np.array([REASONS.index(row.reason) for row in rows], dtype=np.int8),
            columns={name: [row.columns.get(name) for row in rows] for name in names},
        )

    @property
    def unscored(self) -> int:
        """How many have no score."""
        return int(np.isnan(self.scores).sum())

    def most_member_like(self, most: int) -> NDArray[np.intp]:
        """The places of *most* candidates, ascending: those that are flagged, and then those with the highest scores.

        Of equal scores those that come first.
        """
        if len(self) <= most:
            return np.arange(len(self))
        scores = np.where(np.isfinite(self.scores), self.scores, -np.inf)
        return np.sort(np.lexsort((-scores, ~self.flagged))[:most])

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, at: int) -> Flag: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Flag]: ...
    def __getitem__(self, at: int | slice) -> Flag | Sequence[Flag]:
        if isinstance(at, slice):
            return [self[row] for row in range(*at.indices(len(self)))]
        at = range(len(self))[at]
        return Flag(
            id=self.ids[at],
            document=self.documents[at],
            attack=self.attack,
            score=_or_none(float(self.scores[at])),
            p_value=_or_none(float(self.p_values[at])),
            q_value=_or_none(float(self.q_values[at])),
            flagged=bool(self.flagged[at]),
            reason=REASONS[self.reasons[at]],
            limit=_or_none(float(self.limits[at])),
            columns={name: values[at] for name, values in self.columns.items()},
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(other) != len(self):
            return False
        return all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def csv_blocks(self, standing: str, beginnings: Iterable[str] | None = None) -> Iterator[str]:
        """The text of ``flags.csv``, with the *standing* of the known set.

        *beginnings* are those of the texts, one for each row; None: there is no column of them.
        """
        names = [name for name in Flag.__slots__ if name != "columns"]
        yield _lines([[*names, "known_set", *([] if beginnings is None else ["text"]), *self.columns]])
        texts = iter(() if beginnings is None else beginnings)
        reasons = ["" if reason is None else reason.value for reason in REASONS]
        for start in range(0, len(self), BLOCK):
            part = slice(start, min(start + BLOCK, len(self)))
            n, ids = part.stop - start, self.ids[part]
            columns: list[Sequence[object]] = [
                ids,
                self.documents[part],
                [self.attack] * n,
                ["" if score != score else score for score in self.scores[part].tolist()],
                *(_cells(column[part]) for column in (self.p_values, self.q_values)),
                ["true" if flagged else "false" for flagged in self.flagged[part].tolist()],
                [reasons[number] for number in self.reasons[part].tolist()],
                _cells(self.limits[part]),
                [standing] * n,
                *([] if beginnings is None else [list(islice(texts, n))]),
                *([_cell(value) for value in values[part]] for values in self.columns.values()),
            ]
            yield _lines(zip(*columns, strict=True))


def _lines(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _cells(values: Floats) -> list[str]:
    """p-values, q-values or limits as text: many of a block are equal."""
    distinct, places = np.unique(values, return_inverse=True)
    shown = np.array(["" if np.isnan(value) else repr(value) for value in distinct.tolist()], dtype=object)
    texts: list[str] = shown[places].tolist()
    return texts


def _cell(value: Plain) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else value


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
