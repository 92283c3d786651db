"""Columns of an earlier call in ``scores.parquet``: which of them are kept when attacks are added."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..attacks import Attack
from ..errors import RunDirectoryError
from ..records import AttackRecord, ModelRecord, Passage
from ..scores import split_other
from ..store import RunDirectory, differences
from ._others import OtherColumn, other_columns, registered

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SCORES", "EarlierRows", "ScoreColumns", "column_names", "columns_of"]

SCORES = "scores.parquet"


@dataclass(frozen=True, slots=True)
class ScoreColumns:
    """The columns of scores that a run directory will hold."""

    kept: tuple[AttackRecord, ...]
    """Columns of an earlier call, which are copied."""
    new: tuple[Attack, ...]
    """Columns that are computed."""
    kept_others: tuple[AttackRecord, ...]
    """Columns of scores by other models that are copied."""
    new_others: tuple[OtherColumn, ...]
    """Columns of scores by other models that are computed."""
    shared: Mapping[str, Any]
    """By kind of evidence: what the scores depend on besides the passes."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns of the target, in the order of the table."""
        return tuple(record.name for record in self.records)

    @property
    def copied(self) -> tuple[str, ...]:
        """Of all columns that are copied."""
        return tuple(record.name for record in (*self.kept, *self.kept_others))

    @property
    def records(self) -> tuple[AttackRecord, ...]:
        """Of the columns of the target, in the order of the table."""
        return (*self.kept, *(attack.record for attack in self.new))

    @property
    def others(self) -> tuple[AttackRecord, ...]:
        """Of the columns of other models, in the order of the table."""
        return (*self.kept_others, *(column.record for column in self.new_others))

    def record_copied(self, run: RunDirectory) -> None:
        """Record in ``run.json`` that the table holds the columns that are copied."""
        self._record(run, self.kept, self.kept_others)

    def record_all(self, run: RunDirectory) -> None:
        """Record in ``run.json`` that the table holds all columns."""
        self._record(run, self.records, self.others)

    def _record(self, run: RunDirectory, attacks: Sequence[AttackRecord], others: Sequence[AttackRecord]) -> None:
        used = {name for attack in (*attacks, *others) for name in attack.evidence}
        shared = {name: values for name, values in self.shared.items() if name in used}
        run.update(attacks=tuple(attacks), others=tuple(others), shared=shared)


def columns_of(
    run: RunDirectory, chosen: Sequence[Attack], depends: Mapping[str, Any], models: Mapping[str, ModelRecord]
) -> ScoreColumns:
    """The columns of *run* when *chosen* are added, whose kinds of evidence depend on *depends*.

    The other models among *models*, which are by role, give scores for the attacks of all columns: for those of an
    earlier call too.

    A column is kept where its record is the same. An attack of *chosen* whose formula, settings or evidence has changed
    is computed again. So is an attack of *chosen* that a notebook or a
    script defines: there a formula is often edited, and its revision is not.

    Raises:
        RunDirectoryError: a column that was not chosen has evidence of the same kind that depends on something else.
    """
    wanted = {attack.name: attack.record for attack in chosen}
    shared = run.record.shared
    editable = {attack.name for attack in chosen if attack.function.__module__ == "__main__"}
    existing = set(column_names(run.path / SCORES)) - editable
    kept = []
    for record in run.record.attacks:
        others = {name: depends[name] for name in record.evidence if name in depends}
        what = [what for name, values in others.items() for what in differences(shared.get(name, {}), values)]
        if record.name not in existing or wanted.get(record.name, record) != record or (what and record.name in wanted):
            continue
        if what:
            raise RunDirectoryError(
                f"{run.path}: holds scores of {record.name!r} with other evidence ({'; '.join(what)}); name another "
                f"folder, or name {record.name!r} among the `attacks` too, so that it is computed again"
            )
        kept.append(record)
    names = {record.name for record in kept}
    new = tuple(attack for attack in chosen if attack.name not in names)
    again = editable | ({attack.name for attack in new} & {record.name for record in run.record.attacks})
    of_others = other_columns([*registered(kept), *new], models)
    kept_others = _kept_others(run.record.others, of_others, {*names, *wanted, "loss"} - again, existing)
    copied = {record.name for record in kept_others}
    new_others = tuple(column for column in of_others if column.name not in copied)
    return ScoreColumns(tuple(kept), new, kept_others, new_others, {**shared, **depends})


def _kept_others(
    recorded: Sequence[AttackRecord], others: Sequence[OtherColumn], attacks: Container[str], existing: Container[str]
) -> tuple[AttackRecord, ...]:
    """Of the *recorded* columns of other models those that the table holds, of *attacks*, with the same formula."""
    wanted = {column.name: column.record for column in others}
    attack_of = {name: attack for name, (attack, _) in split_other(record.name for record in recorded).items()}
    return tuple(
        record
        for record in recorded
        if record.name in existing
        and attack_of.get(record.name) in attacks
        and wanted.get(record.name, record) == record
    )


class EarlierRows:
    """The rows of the table of an earlier call, read in the order of the passages."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self._path, self._names = path, names
        self._batches = _batches(path, ["id", "n_bytes", *names])
        self._waiting: list[pa.RecordBatch] = []

    def take(self, passages: Sequence[Passage]) -> dict[str, pa.Array]:
        """The columns of *passages*, which follow those taken before.

        Raises:
            RunDirectoryError: they are of other passages.
        """
        import pyarrow as pa

        while sum(map(len, self._waiting)) < len(passages):
            batch = next(self._batches, None)
            if batch is None:
                raise self._refusal()
            self._waiting.append(batch)
        table = pa.Table.from_batches(self._waiting)
        here, self._waiting = table.slice(0, len(passages)), table.slice(len(passages)).to_batches()
        same_ids = here.column("id").to_pylist() == [passage.id for passage in passages]
        if not same_ids or here.column("n_bytes").to_pylist() != [passage.n_bytes for passage in passages]:
            raise self._refusal()
        whole = here.combine_chunks()
        return {name: whole.column(name).chunk(0) for name in self._names}

    def _refusal(self) -> RunDirectoryError:
        return RunDirectoryError(f"{self._path}: holds scores of other passages than the input; name another folder")


def column_names(path: Path) -> list[str]:
    """The columns of the table of an earlier call; none where there is no table, or a damaged one."""
    import pyarrow as pa
    import pyarrow.parquet

    try:
        names: list[str] = pyarrow.parquet.read_schema(path).names
    except (pa.ArrowException, OSError):
        return []
    return names


def _batches(path: Path, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            yield from file.iter_batches(columns=list(names))
    except (pa.ArrowException, OSError) as error:
        raise RunDirectoryError(f"{path}: damaged ({str(error).splitlines()[0]}); remove it and run again") from None
