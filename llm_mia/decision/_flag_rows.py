"""The decisions on candidates: a row of ``flags.csv`` each, or all of them by column."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice
from typing import overload

import numpy as np
from numpy.typing import NDArray

from ..records import Plain, values_at

__all__ = ["FIGURES", "REASONS", "Flag", "FlagRows", "Reason"]

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
FIGURES = ("score", "p_value", "q_value", "limit")
"""Fields of a `Flag` that are numbers, or None."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FlagRows(Sequence[Flag]):
    """Decisions by column: arrays of shape (candidates,), and sequences as long."""

    attack: str
    ids: Sequence[str]
    documents: Sequence[str]
    figures: Mapping[str, Floats]
    """By name, see `FIGURES`; NaN is None in a `Flag`. Those of a large file are read when they are needed."""
    flagged: NDArray[np.bool_]
    reasons: NDArray[np.int8]
    """Positions in `REASONS`."""
    columns: Mapping[str, Sequence[Plain]] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Sequence[Flag]) -> FlagRows:
        """The same decisions by column; *rows* itself where it is of this class."""
        if isinstance(rows, FlagRows):
            return rows
        names = dict.fromkeys(name for row in rows for name in row.columns)
        return cls(
            attack=rows[0].attack if rows else "",
            ids=[row.id for row in rows],
            documents=[row.document for row in rows],
            figures={
                name: np.array([np.nan if (value := getattr(row, name)) is None else value for row in rows], np.float64)
                for name in FIGURES
            },
            flagged=np.array([row.flagged for row in rows], dtype=bool),
            reasons=np.array([REASONS.index(row.reason) for row in rows], dtype=np.int8),
            columns={name: [row.columns.get(name) for row in rows] for name in names},
        )

    @property
    def scores(self) -> Floats:
        """Of each candidate, NaN where it has none."""
        return self.figures["score"]

    @property
    def p_values(self) -> Floats:
        """Of each candidate, NaN where it has none."""
        return self.figures["p_value"]

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
        likeness = np.where(np.isfinite(self.scores), self.scores, -np.inf)
        # Of millions of candidates those are sorted that may be among so many.
        highest = np.where(self.flagged, np.inf, likeness)
        highest.partition(len(highest) - most)
        likely = np.flatnonzero(self.flagged | (likeness >= highest[-most]))
        return np.sort(likely[np.lexsort((-likeness[likely], ~self.flagged[likely]))[:most]])

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, at: int) -> Flag: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Flag]: ...
    def __getitem__(self, at: int | slice) -> Flag | Sequence[Flag]:
        if isinstance(at, slice):
            return self.at(np.arange(*at.indices(len(self))))
        return self.at(np.array([range(len(self))[at]]))[0]

    def at(self, places: NDArray[np.intp]) -> list[Flag]:
        """The decisions at these *places*; each column is read once."""
        figures = (map(_or_none, self.figures[name][places].tolist()) for name in FIGURES)
        carried = [values_at(values, places) for values in self.columns.values()]
        columns: list[Sequence[Plain]] = list(zip(*carried, strict=True)) if carried else [()] * len(places)
        rows = zip(
            values_at(self.ids, places),
            values_at(self.documents, places),
            *figures,
            self.flagged[places].tolist(),
            self.reasons[places].tolist(),
            columns,
            strict=True,
        )
        return [
            Flag(
                id=name,
                document=document,
                attack=self.attack,
                score=score,
                p_value=p_value,
                q_value=q_value,
                flagged=flagged,
                reason=REASONS[reason],
                limit=limit,
                columns=dict(zip(self.columns, values, strict=True)),
            )
            for name, document, score, p_value, q_value, limit, flagged, reason, values in rows
        ]

    def __iter__(self) -> Iterator[Flag]:
        whole = replace(self, figures=dict(self.figures))
        for start in range(0, len(self), BLOCK):
            yield from whole[start : start + BLOCK]

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
        scores, p_values, q_values, limits = (self.figures[name] for name in FIGURES)
        for start in range(0, len(self), BLOCK):
            part = slice(start, min(start + BLOCK, len(self)))
            n, ids = part.stop - start, self.ids[part]
            columns: list[Sequence[object]] = [
                ids,
                self.documents[part],
                [self.attack] * n,
                ["" if score != score else score for score in scores[part].tolist()],
                *(_cells(column[part]) for column in (p_values, q_values)),
                ["true" if flagged else "false" for flagged in self.flagged[part].tolist()],
                [reasons[number] for number in self.reasons[part].tolist()],
                _cells(limits[part]),
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
