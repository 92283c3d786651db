"""Columns of the input that go unchanged into ``scores.parquet``, such as the source or the language of a passage."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..passages import LONGEST_CARRIED, ColumnType, Passages, common_type
from ..records import Passage
from ..scores import CARRIED_MARK, DECISION_COLUMNS
from ..store import plain_values

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CarriedColumns"]


@dataclass(frozen=True, slots=True)
class CarriedColumns:
    """Which columns are carried, and as what."""

    types: Mapping[str, ColumnType]
    """By name."""
    notes: tuple[str, ...]
    """Which columns are not carried, and why, a sentence each."""

    @classmethod
    def of(cls, sources: Sequence[Passages], taken: Collection[str]) -> CarriedColumns:
        """The columns of all *sources*; not those whose name is *taken* by a column of the table, or of ``flags.csv``.

        A source is read only if no whole iteration of it has come before.
        """
        kinds_of: dict[str, list[ColumnType]] = {}
        for source in sources:
            for name, kind in source.contents().columns.items():
                kinds_of.setdefault(name, []).append(kind)
        types = {name: common_type(kinds) for name, kinds in kinds_of.items()}
        clashing = [name for name in types if name in taken or name in DECISION_COLUMNS]
        long = [name for name, kind in types.items() if kind is ColumnType.TOO_LONG and name not in clashing]
        notes = []
        if clashing:
            named = ", ".join(map(repr, clashing))
            notes.append(
                f"not carried from the input into the results: {named}, because the results have columns of the same "
                "names; rename them to keep them"
            )
        if long:
            named = ", ".join(map(repr, long))
            notes.append(
                f"not carried from the input into the results: {named}, because a value is longer than "
                f"{LONGEST_CARRIED} characters and may be a text"
            )
        left_out = {*clashing, *long}
        return cls({name: kind for name, kind in types.items() if name not in left_out}, tuple(notes))

    def fields(self) -> list[pa.Field]:
        """The fields of the table, marked as carried."""
        import pyarrow as pa

        return [pa.field(name, kind.value, metadata={CARRIED_MARK: b"1"}) for name, kind in self.types.items()]

    def arrays(self, passages: Sequence[Passage]) -> dict[str, pa.Array]:
        """The columns of *passages*."""
        return {
            name: plain_values([passage.columns.get(name) for passage in passages], kind.value)
            for name, kind in self.types.items()
        }
