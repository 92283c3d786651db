"""The table of scores, as every later stage takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import MissingExtraError, ScoresError, UsageError
from ..records import Plain, RunRecord, SharedNames, Standing
from ._arrays import by_attack, floats, names_of, plain_objects, refuse_other_length
from ._columns import StoredScores, taken
from ._document_names import groups_of
from ._labels import UNKNOWN, label_codes, missing_column
from ._others import scores_of_role

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["UNKNOWN", "ScoreTable"]

IN_MEMORY = "scores in memory"
REVERSED = "-"
"""Before the name of a column: lower is more member-like, and the scores are the values with the opposite sign."""


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
    others: Mapping[str, Mapping[str, NDArray[np.float64]]] = field(default_factory=dict)
    """Scores by other models than the target: by role, then by attack.

    ``others["reference"]["min_k"]`` is the score that ``min_k`` gives with the reference model in the place of the
    target; in the table of a run ``"loss"`` is always there. ``others["reference-2"]["reference"]`` is the score of
    ``reference`` with the second reference model in the place of the first. A model that cannot know the passages
    (``stand-in``, or a reference model) shows how much of a score is not membership. NaN where a passage has none."""
    by: str = ""
    """What the categories are: ``length``, or the name of a column; empty where there are none."""
    categories: Sequence[str] = ()
    """Of each passage; empty where there are none."""
    standing: Standing | None = None
    """Whether the known set may carry a verdict, from ``validity.json``; None where nothing was checked."""
    foreign: bool = False
    """Whether it is a file of another program, or a DataFrame, which may hold other columns of numbers than scores."""
    named: bool = True
    """Whether `columns` are scores; False: they are all columns of numbers, and whoever uses some has to name them."""
    no_scores: Mapping[str, str] = field(default_factory=dict)
    """Columns that cannot be scores, each with the reason."""
    carried: Mapping[str, Sequence[Plain]] = field(default_factory=dict)
    """What else the input says about each passage, by column: never a score."""
    places: Sequence[str] = ()
    """The role of the shadow model that is in the target's place in each row, empty for the target itself; no entries
    where every row is scored under the target. Such rows are labelled: the shadow's training is known."""
    _groups: SharedNames | None = field(default=None, init=False)
    """The result of `groups`, which several steps of a decision need."""

    @classmethod
    def of(
        cls,
        scores: Mapping[str, ArrayLike] | ArrayLike | pd.DataFrame,
        labels: Sequence[object] | NDArray[Any] | None = None,
        *,
        ids: Sequence[object] | NDArray[Any] | None = None,
        documents: Sequence[object] | NDArray[Any] | None = None,
        categories: Sequence[object] | NDArray[Any] | None = None,
        others: Mapping[str, Mapping[str, ArrayLike]] | None = None,
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
            others: scores of the same passages by other models, by role (``reference``, ``reference-2``, …,
                ``stand-in``) and by the name of the attack; NaN is no score.
            by: what the categories are called.
            name: how messages call the table.

        Raises:
            UsageError: the arrays have different lengths, or are not numbers, or there are none, or another model has
                a role that is none of these.
            ScoresError: a label is something else; the message names the row.

        >>> table = ScoreTable.of([0.3, 0.1, 0.7], labels=[0, 0, None])
        >>> table.column("score").tolist(), len(table.rows(0))
        ([0.3, 0.1, 0.7], 2)
        """
        columns = {
            str(attack): floats(f"scores[{str(attack)!r}]", values, name)
            for attack, values in by_attack(scores).items()
        }
        if not columns or not len(next(iter(columns.values()))):
            raise UsageError(f"{name}: `scores` is empty; give at least one passage a score")
        n = len(next(iter(columns.values())))
        facts = {"id", "document", "label", *([by] if categories is not None else [])}
        if facts & columns.keys():
            raise UsageError(f"{name}: `scores` has a column {min(facts & columns.keys())!r}, which is no attack")
        for attack, values in columns.items():
            refuse_other_length(f"scores[{attack!r}]", values, n, name)
        rows = [str(row + 1) for row in range(n)]
        names = names_of("ids", ids, n, name, instead=rows) or rows
        if labels is not None:
            refuse_other_length("labels", labels, n, name)
        marks = [None] * n if labels is None else plain_objects(labels)
        return cls(
            name=name,
            ids=names,
            documents=names_of("documents", documents, n, name, instead=names) or names,
            labels=label_codes((None if mark == UNKNOWN else mark for mark in marks), name),
            columns=columns,
            by=by if categories is not None else "",
            foreign=hasattr(scores, "columns"),
            categories=names_of("categories", categories, n, name),
            others={role: scores_of_role(role, given, n, name) for role, given in (others or {}).items()},
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
        """The scores of *attack*; ``-loss`` is the column ``loss`` with the opposite sign.

        Raises:
            ScoresError: there is no such column; the message names the existing columns.
        """
        if attack in self.columns:
            return self.columns[attack]
        name = attack.removeprefix(REVERSED)
        if name not in self.columns:
            raise ScoresError(f"{self.name}: {self.no_scores.get(name) or missing_column(attack, self.columns)}")
        return -self.columns[name]

    def has(self, attack: str) -> bool:
        """Whether `column` gives scores of *attack*."""
        return attack in self.columns or attack.removeprefix(REVERSED) in self.columns

    def all_scores(self, parameter: str) -> list[str]:
        """All columns of scores, for a stage that was given no names.

        Raises:
            ScoresError: the table is of another program, and nobody has named its scores; asks for *parameter*.
        """
        if not self.named:
            raise ScoresError(
                f"{self.name}: not a run directory, so only columns that you name are scores: name them with "
                f"`{parameter}`; its columns of numbers are {', '.join(self.columns)}"
            )
        return list(self.columns)

    def with_others(self, attack: str, others: Sequence[str]) -> ScoreTable:
        """The table with the columns *others* as scores of *attack* by other models, which cannot know the passages.

        They get the roles ``reference``, ``reference-2``, … `read_scores` does so by itself with columns that are
        named like ``min_k@reference``.

        Raises:
            UsageError: a column is *attack* itself, or the table is that of a run, which has its own.
            ScoresError: there is no such column.

        >>> table = ScoreTable.of({"loss": [0.3, 0.1], "theirs": [0.2, 0.2]}).with_others("loss", ["theirs"])
        >>> table.others["reference"]["loss"].tolist(), list(table.columns)
        ([0.2, 0.2], ['loss'])
        """
        if self.record is not None:
            raise UsageError(f"{self.name}: a run directory holds the scores of its other models: leave out `others`")
        if {name.removeprefix(REVERSED) for name in others} & {attack.removeprefix(REVERSED)}:
            raise UsageError(f"{self.name}: `others` names {attack!r}, the score of the target: name another column")
        roles = ["reference", *(f"reference-{number}" for number in range(2, len(others) + 1))]
        columns = [self.column(name) for name in others]
        used = {name if name in self.columns else name.removeprefix(REVERSED) for name in others}
        return replace(
            self,
            columns={name: scores for name, scores in self.columns.items() if name not in used},
            others={
                **self.others,
                **{role: {attack: column} for role, column in zip(roles, columns, strict=False)},
            },
        )

    def with_scores(self, attack: str, scores: NDArray[np.float64]) -> ScoreTable:
        """The table with *scores* by *attack*, in the place of those by it that there are; no other column is read."""
        if isinstance(self.columns, StoredScores):
            return replace(self, columns=self.columns.with_scores(attack, scores))
        return replace(self, columns={**self.columns, attack: scores})

    @property
    def unscored(self) -> int:
        """How many passages lack a score of some attack."""
        lacking = np.zeros(len(self), dtype=bool)
        for scores in self.columns.values():
            lacking |= np.isnan(scores)
        return int(lacking.sum())

    def rows(self, label: int | None) -> NDArray[np.intp]:
        """Positions of the members (1), the non-members (0) or the candidates (None)."""
        return np.flatnonzero(self.labels == (UNKNOWN if label is None else label))

    def only(self, kept: NDArray[np.bool_]) -> ScoreTable:
        """The passages where *kept*, shape (passages,), is true."""
        rows = np.flatnonzero(kept)
        return replace(
            self,
            ids=taken(self.ids, rows),
            documents=taken(self.documents, rows),
            labels=self.labels[kept],
            columns=_only(self.columns, kept),
            others={role: _only(of_role, kept) for role, of_role in self.others.items()},
            categories=taken(self.categories, rows) if self.by else (),
            carried={name: taken(values, rows) for name, values in self.carried.items()},
            places=taken(self.places, rows) if self.places else (),
        )

    def groups(self) -> SharedNames:
        """The name of each passage's document, such that equal names mean the same document.

        The document of a passage without a document is its id. Where ids are row numbers, row 1 of the members and row
        1 of the non-members would seem to be the same document; so the label is added to their names.
        """
        groups = self._groups
        if groups is None:
            # A passage under the target and under a shadow is the same passage.
            groups = groups_of(self.ids, self.documents, self.labels, same_across_labels=bool(self.places))
            object.__setattr__(self, "_groups", groups)
        return groups

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


def _only(columns: Mapping[str, NDArray[np.float64]], kept: NDArray[np.bool_]) -> Mapping[str, NDArray[np.float64]]:
    """The *columns* where *kept* is true."""
    if isinstance(columns, StoredScores):
        return columns.only(kept)
    return {name: scores[kept] for name, scores in columns.items()}
