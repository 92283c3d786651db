"""The group of options that name a table of scores, and say how it is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from ..errors import UsageError
from . import _options as opt
from ._checks import refuse_file_of_run
from .grouping import OptionGroup

if TYPE_CHECKING:
    from ..history import History, Protocol
    from ..scores import ScoreTable

__all__ = ["OfAttack", "TableOptions"]


class OfAttack(NamedTuple):
    """Columns of scores of an attack by other models than the target."""

    attack: str
    columns: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOptions(OptionGroup):
    """A table of scores, and how it is read."""

    table: Annotated[
        Path,
        typer.Argument(
            help="Scores: a run directory, or a csv, tsv, jsonl or parquet file with a row for each passage and a "
            "column for each attack.",
            show_default=False,
        ),
    ]
    label_column: opt.LabelColumn = None
    id_column: opt.IdColumn = None
    document_column: opt.DocumentColumn = None

    def output(self, out: Path | None, name: str, *read: Path) -> Path:
        """Where a result goes: *out*, or by default *name* in the run directory or, for a table, in this folder.

        `UsageError` where that would replace the table, a file that is *read*, or what a run or an audit consists of.
        """
        path = out or (self.table / name if self.table.is_dir() else Path(name))
        if path.is_file() and path.resolve() in [other.resolve() for other in (self.table, *read)]:
            raise UsageError(f"{path}: `out` is a file that is read, and would replace it: name another file")
        refuse_file_of_run(path)
        return path

    def calibration_file(self, calibration: Path | None) -> Path:
        """*calibration*, or by default that in the run directory."""
        if calibration is not None:
            return calibration
        if not self.table.is_dir():
            raise UsageError(f"{self.table}: is no run directory, so `calibration` has no default: name a file")
        return self.table / "calibration.json"

    def history(self) -> History:
        """The record of decisions, with that of the run directory where the table lies in it."""
        from ..history import History

        return History(self.table if self.table.is_dir() else None)

    def protocol(self) -> Protocol | None:
        """The protocol that was fixed before the run directory was scored; None where there is none."""
        from ..history import protocol_of_run

        return protocol_of_run(self.table) if self.table.is_dir() else None

    def read(self, by: str = "", scores: Sequence[str] = (), *, others: OfAttack | None = None) -> ScoreTable:
        """The table, read with categories from the column *by*, and with scores from *scores* and *others*."""
        from ..scores import read_scores

        table = read_scores(
            self.table,
            scores=scores,
            id_column=self.id_column,
            label_column=self.label_column,
            document_column=self.document_column,
            by=by,
        )
        return table if others is None or not others.columns else table.with_others(others.attack, others.columns)
