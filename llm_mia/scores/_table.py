"""The table of scores, as every later stage takes it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import MissingExtraError, ScoresError, UsageError
from ..records import RunRecord, Standing
from ._labels import UNKNOWN, label_codes, missing_column

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["UNKNOWN", "ScoreTable"]

ROLES = {UNKNOWN: "candidate", 0: "non-member", 1: "member"}
IN_MEMORY = "scores in memory"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ScoreTable:
    """Scores of passages; every array has shape (passages,).

    `read_scores` reads a table from a file or a run directory, `ScoreTable.of` takes arrays.
    """

    name: str
    """Where it was read, for messages."""
    ids: Sequence[str]
    documents: Sequence[str]
    labels: NDArray[np.int8]
    """1 member, 0 non-member, −1 unknown."""
    columns: Mapping[str, NDArray[np.float64]]
    """Scores by attack; NaN where a passage has none."""
    record: RunRecord | None = None
    """The record of the run: models, window rules, attacks; None for a table that is not from a run directory."""
    reference_log_likelihood: NDArray[np.float64] | None = None
    """Mean log-likelihood of each passage under the reference model, nats per token; None without a reference model.

    It is not the score of the attack ``reference``, which compares two models."""
    by: str = ""
    """What the categories are: ``length``, or the name of a column; empty where there are none."""
    categories: Sequence[str] = ()
    """Of each passage; empty where there are none."""
    standing: Standing | None = None
    """Whether the known set may carry a verdict, from ``validity.json``; None where nothing was checked."""

    @classmethod
    def of(
        cls,
        scores: Mapping[str, ArrayLike] | ArrayLike | pd.DataFrame,
        labels: Sequence[object] | NDArray[Any] | None = None,
        *,
        ids: Sequence[object] | NDArray[Any] | None = None,
        documents: Sequence[object] | NDArray[Any] | None = None,
        categories: Sequence[object] | NDArray[Any] | None = None,
        by: str = "category",
        name: str = IN_MEMORY,
    ) -> ScoreTable:
        """The table of scores that are in memory, for `calibrate`, `evaluate` and `flag`.

        Args:
            scores: an array of shape (passages,), which becomes the column ``score``; or a mapping of such arrays by
                the name of the attack, or a DataFrame of pandas or polars whose columns are all scores. Higher is more
                member-like; NaN is no score.
            labels: 1 or True member, 0 or False non-member, None, NaN or −1 unknown; by default all are candidates.
            ids: a name for each passage; by default its row number, counted from 1.
            documents: the document of each passage; by default each passage is a document.
            categories: a kind for each passage, where each kind is to have its threshold.
            by: what the categories are called.
            name: how messages call the table.

        Raises:
            UsageError: the arrays have different lengths, or are not numbers, or there are none.
            ScoresError: a label is something else; the message names the row.

        >>> table = ScoreTable.of([0.3, 0.1, 0.7], labels=[0, 0, None])
        >>> table.column("score").tolist(), len(table.rows(0))
        ([0.3, 0.1, 0.7], 2)
        """
        columns = {str(attack): _numbers(str(attack), values, name) for attack, values in _by_attack(scores).items()}
        if not columns or not len(next(iter(columns.values()))):
            raise UsageError(f"{name}: `scores` is empty; give at least one passage a score")
        n = len(next(iter(columns.values())))
        facts = {"id", "document", "label", *([by] if categories is not None else [])}
        if facts & columns.keys():
            raise UsageError(f"{name}: `scores` has a column {min(facts & columns.keys())!r}, which is no attack")
        for attack, values in columns.items():
            _refuse_other_length(f"scores[{attack!r}]", values, n, name)
        rows = [str(row + 1) for row in range(n)]
        names = _strings("ids", ids, n, name, instead=rows) or rows
        if labels is not None:
            _refuse_other_length("labels", labels, n, name)
        marks = [None] * n if labels is None else _plain(labels)
        return cls(
            name=name,
            ids=names,
            documents=_strings("documents", documents, n, name, instead=names) or names,
            labels=label_codes((None if mark == UNKNOWN else mark for mark in marks), name),
            columns=columns,
            by=by if categories is not None else "",
            categories=_strings("categories", categories, n, name),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"<ScoreTable {self.name!r}: {self._counts()}; {', '.join(self.columns)}>"

    def _repr_html_(self) -> str:
        from ._html import table_html

        return table_html(self, self._counts())

    def _counts(self) -> str:
        counted = [
            (len(self.rows(label)), what) for label, what in ((1, "member"), (0, "non-member"), (None, "candidate"))
        ]
        kinds = ", ".join(f"{n:,} {what}{'' if n == 1 else 's'}" for n, what in counted if n)
        return f"{len(self):,} passages ({kinds})"

    def column(self, attack: str) -> NDArray[np.float64]:
        """The scores of *attack*.

        Raises:
            ScoresError: there is no such column; the message names the existing columns.
        """
        if attack not in self.columns:
            raise ScoresError(f"{self.name}: {missing_column(attack, self.columns)}")
        return self.columns[attack]

    @property
    def unscored(self) -> int:
        """How many passages lack a score of some attack."""
        return int(np.isnan(np.column_stack(list(self.columns.values()))).any(axis=1).sum())

    def rows(self, label: int | None) -> NDArray[np.intp]:
        """Positions of the members (1), the non-members (0) or the candidates (None)."""
        return np.flatnonzero(self.labels == (UNKNOWN if label is None else label))

    def only(self, kept: NDArray[np.bool_]) -> ScoreTable:
        """The passages where *kept*, shape (passages,), is true."""
        rows, reference = np.flatnonzero(kept).tolist(), self.reference_log_likelihood
        return replace(
            self,
            ids=[self.ids[row] for row in rows],
            documents=[self.documents[row] for row in rows],
            labels=self.labels[kept],
            columns={name: scores[kept] for name, scores in self.columns.items()},
            reference_log_likelihood=None if reference is None else reference[kept],
            categories=[self.categories[row] for row in rows] if self.by else (),
        )

    def groups(self) -> list[str]:
        """The name of each passage's document, such that equal names mean the same document.

        The document of a passage without a document is its id. Where ids are row numbers, row 1 of the members and row
        1 of the non-members would seem to be the same document; so the label is added to their names.
        """
        sizes = Counter(zip(self.documents, self.labels.tolist(), strict=True))
        names = []
        for passage, document, label in zip(self.ids, self.documents, self.labels.tolist(), strict=True):
            alone = passage == document and sizes[document, label] == 1
            shared = alone and any(sizes[document, other] for other in ROLES if other != label)
            names.append(f"{document} ({ROLES[label]})" if shared else document)
        return names

    def to_arrow(self) -> pa.Table:
        """The table as a ``pyarrow.Table``: id, document, label (null where unknown), category, and the scores."""
        import pyarrow as pa

        from ..store import numbers, strings

        facts = {
            "id": strings(self.ids),
            "document": strings(self.documents),
            "label": numbers(np.maximum(self.labels, 0), self.labels == UNKNOWN),
            **({self.by: strings(self.categories)} if self.by else {}),
        }
        return pa.table({**facts, **{name: numbers(scores) for name, scores in self.columns.items()}})

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """For libraries that take Arrow data: ``polars.DataFrame(table)``, ``datasets.Dataset``, DuckDB."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def to_pandas(self) -> pd.DataFrame:
        """The table as a ``pandas.DataFrame``, with the columns of `to_arrow`; the labels are of pandas' type ``Int8``.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise MissingExtraError("pandas", "pip install pandas") from None
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame.astype({"label": pd.Int8Dtype()})


def _by_attack(scores: Mapping[str, ArrayLike] | ArrayLike | pd.DataFrame) -> Mapping[str, ArrayLike]:
    if isinstance(scores, Mapping):
        return scores
    if hasattr(scores, "columns") and hasattr(scores, "__arrow_c_stream__"):  # a DataFrame of pandas or polars
        frame: Any = scores
        return {str(column): frame[column] for column in frame.columns}
    return {"score": scores}


def _numbers(attack: str, values: ArrayLike, name: str) -> NDArray[np.float64]:
    if isinstance(values, np.ma.MaskedArray):
        masked: Any = values if values.dtype.kind == "f" else values.astype(np.float64)
        values = masked.filled(np.nan)
    if np.iscomplexobj(values):
        raise UsageError(f"{name}: `scores[{attack!r}]` holds complex numbers: give real ones")
    try:
        column = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):  # the last by torch, of a tensor with a gradient
        raise UsageError(f"{name}: `scores[{attack!r}]` holds something that is not a number") from None
    if column.ndim != 1:
        raise UsageError(
            f"{name}: `scores[{attack!r}]` has {column.ndim} dimensions, not 1: give a score for each passage, "
            "and several attacks as a mapping"
        )
    return column


def _strings(
    what: str, values: Sequence[object] | NDArray[Any] | None, n: int, name: str, *, instead: Sequence[str] = ()
) -> list[str]:
    """The values as strings; where a value is missing, that of *instead*, as it is read from a file."""
    if values is None:
        return []
    _refuse_other_length(what, values, n, name)
    plain = _plain(values)
    instead = instead or ["unknown"] * n
    return [other if value in (None, "") else str(value) for value, other in zip(plain, instead, strict=True)]


def _refuse_other_length(what: str, values: object, n: int, name: str) -> None:
    if not isinstance(values, Sized) or isinstance(values, str | bytes):
        raise UsageError(f"{name}: `{what}` is of the type {type(values).__name__}: give a list, one value a passage")
    if len(values) != n:
        raise UsageError(f"{name}: {n} scores, but `{what}` has {len(values)} values: give a value for each passage")


def _plain(values: Sequence[object] | NDArray[Any]) -> list[object]:
    """The values as Python objects: a numpy or pandas scalar is not a key of the dictionary of labels.

    What a library marks as missing is None: NaN, and pandas.NA, which equals nothing.
    """
    listed = values.tolist() if hasattr(values, "tolist") else list(values)
    return [None if _is_missing(value) else value for value in listed]


def _is_missing(value: object) -> bool:
    return type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and math.isnan(value))
