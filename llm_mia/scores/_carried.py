"""Columns of a table that describe its passages, go with them into ``flags.csv``, and are never scores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..passages import LONGEST_CARRIED, usual_column
from ..records import Plain
from ._columns import Columns, StoredValues

__all__ = ["CARRIED_MARK", "DECISION_COLUMNS", "carried_columns"]

CARRIED_MARK = b"carried"
"""Marks the fields of ``scores.parquet`` that the input gave."""
DECISION_COLUMNS = frozenset(
    ("id", "document", "attack", "score", "p_value", "q_value", "flagged", "reason", "limit", "known_set", "text")
)
"""Columns of ``flags.csv``; no carried column has such a name."""


def carried_columns(table: Columns, others: Iterable[str], by: str, *, of_run: bool) -> dict[str, Sequence[Plain]]:
    """The columns among *others* that are carried: of a run those that are marked.

    Of another file those of short strings, those of true and false, and that of the categories, *by*: another number
    may be a score of another model.
    """
    import pyarrow.types as types

    carried: dict[str, Sequence[Plain]] = {}
    for name in others:
        field = table.schema.field(name)
        if of_run and CARRIED_MARK not in (field.metadata or {}):
            continue
        if name in DECISION_COLUMNS or usual_column("text", [name]):
            continue
        kinds = (types.is_string, types.is_large_string, types.is_boolean, types.is_dictionary)
        if not of_run and name != by and not any(is_kind(field.type) for is_kind in kinds):
            continue
        # Names stay bytes where a csv file is read; another encoding was refused before.
        values = StoredValues(
            table, name, lambda piece, _: [v.decode() if isinstance(v, bytes) else v for v in piece.to_pylist()]
        )
        if all(len(value) <= LONGEST_CARRIED for value in values if isinstance(value, str)):
            carried[name] = values
    return carried
