"""Reading a table of scores: of a run directory, or anybody's csv, tsv, jsonl or parquet file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ScoresError
from ..passages import class_names, other_labels, usual_column
from ..records import RunRecord, Standing
from ..store import read_run
from ._carried import carried_columns
from ._categories import LENGTH, categories_of
from ._columns import Columns, StoredScores, StoredValues, filled
from ._document_names import ROLES, document_names, possibly_repeated
from ._files import is_number, read_file, strings_of, why_no_number
from ._labels import UNKNOWN, label_codes, missing_column
from ._others import split_other
from ._shadow_rows import add_shadow_rows
from ._table import ScoreTable

__all__ = ["read_scores"]

REFERENCE = "reference_perplexity"
# In the tables of a run these columns describe a passage; they are not scores of an attack.
DESCRIPTIONS = {"n_tokens", "n_bytes", "target_tokens", "target_perplexity", "reference_tokens", REFERENCE}

CORRECT_LABEL = "correct it, or name the column of labels as `label_column`"
REASONS = 3
"""Columns of which a message says why they hold no scores."""


@dataclass(frozen=True, slots=True)
class _Roles:
    """Which column of the file holds what; None: there is none."""

    id: str | None
    label: str | None
    document: str | None

    @classmethod
    def of(cls, path: Path, names: Sequence[str], given: Mapping[str, str | None]) -> _Roles:
        """The columns that are *given* by role, or else those of usual names."""
        return cls(**{role: _find(path, names, role, name) for role, name in given.items()})

    def names(self) -> set[str | None]:
        """The columns that have a role."""
        return {self.id, self.label, self.document}


def read_scores(
    path: str | Path,
    *,
    scores: Sequence[str] = (),
    id_column: str | None = None,
    label_column: str | None = None,
    document_column: str | None = None,
    by: str = "",
) -> ScoreTable:
    """The table of scores in a csv, tsv, jsonl or parquet file, or in a run directory.

    In a run directory the columns of its attacks are scores. Of another file only the columns that *scores* names, or
    that a later stage is given by name, are scores: a row number is a column of numbers too. For a role that
    is None the usual names are tried; an empty string means that there is no such column.

    Args:
        path: the file, or the run directory, whose record the table then has.
        scores: the columns of scores. ``-loss`` is the column ``loss`` with the opposite sign, for a column where
            lower is more member-like.
        id_column: names the passages; without it, the row number is the name, counted from 1.
        label_column: 1 or true member, 0 or false non-member, empty candidate; without it, all are candidates.
        document_column: the document of each passage; without it, each passage is a document.
        by: puts passages into categories: by the values of the column of that name, or by ``length``, in bands that
            double: 64 to 127 bytes, 128 to 255, …

    Raises:
        ScoresError: no such file, another format, a named column that is not there or holds no numbers, a label that
            means neither member nor non-member, an id that occurs twice, or no column of numbers.
        RunDirectoryError: the folder is not a run directory, or is of another schema.
    """
    path = Path(path)
    record: RunRecord | None = None
    standing: Standing | None = None
    if path.is_dir():
        record = read_run(path)
        standing = _standing(path, record)
        path = path / "scores.parquet"
    given = {"id": id_column, "label": label_column, "document": document_column}
    table = read_file(path, as_written=lambda names: _as_written(names, given, by))
    classes, names = class_names(table.schema), table.names
    roles = _Roles.of(path, names, given)
    others = split_other(names)
    aside = roles.names() | DESCRIPTIONS | {by} | others.keys()
    # A run that stopped while it added columns leaves some that its record does not hold yet.
    ours = names if record is None else [attack.name for attack in record.attacks if attack.name in names]
    possible = [name for name in ours if name not in aside]
    columns = [name for name in possible if is_number(table, name) and name not in classes]
    if not columns and record is not None:
        raise ScoresError(f"{path}: the run is not finished; run the same command again")
    if not columns:
        reasons = [why_no_number(table, name, classes) for name in possible[:REASONS]]
        why = f"; {'; '.join(reasons)}" if reasons else ": add such a column"
        raise ScoresError(f"{path}: no column of scores (numbers) among {', '.join(names)}{why}")
    ids = _row_numbers(table, columns[0])
    if roles.id is not None:
        ids = strings_of(path, table, roles.id, lambda row: str(row + 1))
    labels = _labels(path, table, roles.label, classes)
    _refuse_repeated(path, roles.id, ids, labels)
    read = ScoreTable(
        name=str(path),
        ids=ids,
        documents=document_names(path, table, roles.document, ids),
        labels=labels,
        columns=StoredScores.of(table, {name: name for name in columns}),
        record=record,
        others=_others(table, others, record),
        by=by,
        categories=categories_of(path, table, by, _find(path, names, "by", by) if by not in ("", LENGTH) else None),
        standing=standing,
        foreign=record is None,
        named=record is not None or bool(scores),
        no_scores={
            **{name: why_no_number(table, name, classes) for name in possible if name not in columns},
            **{name: f"column {name!r} describes the passages, so it is no score" for name in names if name in aside},
            **{name: f"column {name!r} holds scores of another model than the target" for name in others},
        },
        carried=carried_columns(
            table,
            [name for name in names if name not in {*roles.names(), *columns, *others}],
            by,
            of_run=record is not None,
        ),
    )
    if record is not None:
        read = add_shadow_rows(read, Path(path).parent)
    return _only_named(read, scores)


def _as_written(names: Sequence[str], given: Mapping[str, str | None], by: str) -> set[str]:
    """The columns of a csv file that are names, not numbers: id 007 is not id 7."""
    usual = {role: usual_column(role, names) if name is None else name for role, name in given.items()}
    return {name for name in (usual["id"], usual["document"], by) if name and name != LENGTH} - {usual["label"]}


def _find(path: Path, names: Sequence[str], role: str, given: str | None) -> str | None:
    if given is None:
        chosen = usual_column(role, names)
        others = other_labels(chosen, names) if chosen is not None and role == "label" else []
        if others:
            raise ScoresError(
                f"{path}: the columns {chosen!r} and {others[0]!r} may both hold the labels: name the right column as "
                "`label_column`"
            )
        return chosen
    if given == "":
        return None
    if given not in names:
        raise ScoresError(f"{path}: {missing_column(given, names)}")
    return given


def _only_named(table: ScoreTable, scores: Sequence[str]) -> ScoreTable:
    """The table with the columns that *scores* names; all of them where it names none."""
    if not scores:
        return table
    return replace(table, columns={name: table.column(name) for name in scores})


def _row_numbers(table: Columns, name: str) -> StoredValues[str]:
    """The numbers of the rows, from 1; *name* is any column."""
    return StoredValues(table, name, lambda piece, first: [str(row + 1) for row in range(first, first + len(piece))])


def _refuse_repeated(path: Path, column: str | None, ids: StoredValues[str], labels: NDArray[np.int8]) -> None:
    """Refuse an id that occurs twice among the members, the non-members or the candidates."""
    if column is None:
        return
    first: dict[tuple[str, int], int] = {}
    for row in possibly_repeated(ids, labels).tolist():
        passage = ids[row], int(labels[row])
        if first.setdefault(passage, row) != row:
            raise ScoresError(
                f"{path}: {ROLES[passage[1]]} {passage[0]!r} occurs in row {first[passage] + 1} and again in row "
                f"{row + 1} (column {column!r}): keep a single row for each passage, for example only the rows of one "
                "model, or name the column that identifies the passages as `id_column`"
            )


def _standing(folder: Path, record: RunRecord) -> Standing | None:
    """What an audit left in ``validity.json`` about the known set; None where no audit has checked these inputs."""
    path = folder / "validity.json"
    if not path.exists():
        return None
    try:
        validity = json.loads(path.read_text(encoding="utf-8"))
        if validity["inputs_sha256"] != [source.sha256 for source in record.inputs]:
            return None
        standing = None if validity["standing"] is None else Standing(validity["standing"])
        return Standing.ACCEPTED if validity["accepted"] else standing
    except (OSError, ValueError, KeyError, TypeError):
        raise ScoresError(f"{path}: is not what an audit wrote; run the audit again") from None


def _others(
    table: Columns, columns: Mapping[str, tuple[str, str]], record: RunRecord | None
) -> dict[str, Mapping[str, NDArray[np.float64]]]:
    """Scores by other models, by role and attack, from *columns*: of a run from those that its record names.

    A table without such columns may hold the perplexity of the reference model, which gives its mean log-likelihood.
    """
    recorded = columns if record is None else {each.name for each in record.others}
    others: dict[str, dict[str, str]] = {}
    for name, (attack, role) in columns.items():
        if name in recorded and is_number(table, name):
            others.setdefault(role, {})[attack] = name
    if "loss" not in others.get("reference", {}) and REFERENCE in table.names and is_number(table, REFERENCE):
        others.setdefault("reference", {})["loss"] = REFERENCE
    return {role: StoredScores.of(table, of_role, {REFERENCE: _likelihood}) for role, of_role in others.items()}


def _likelihood(perplexity: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(-np.log(perplexity))


def _labels(path: Path, table: Columns, name: str | None, classes: Mapping[str, Sequence[str]]) -> NDArray[np.int8]:
    if name is None:
        return np.full(len(table), UNKNOWN, dtype=np.int8)
    if name not in classes:
        return np.concatenate([_labels_of_piece(path, table, name, number) for number in range(len(table.starts) - 1)])
    named = dict(enumerate(classes[name]))  # codes, whose meaning is in the names
    codes: StoredValues[int | None] = StoredValues(table, name, lambda piece, _: piece.to_pylist())
    return label_codes((None if code is None else named.get(code) for code in codes), str(path), CORRECT_LABEL)


def _labels_of_piece(path: Path, table: Columns, name: str, number: int) -> NDArray[np.int8]:
    """The labels of a piece of the table, of which each different value is looked at once."""
    import pyarrow as pa

    piece, start = table.piece(name, number), table.starts[number]
    try:
        encoded = piece.dictionary_encode()
        of_distinct = label_codes([*encoded.dictionary.to_pylist(), None], str(path))
    except (pa.ArrowException, ScoresError):  # of a type without equality; or a value that is none: in which row?
        return label_codes(piece.to_pylist(), str(path), CORRECT_LABEL, first=start + 1)
    return np.asarray(of_distinct[filled(encoded.indices, len(of_distinct) - 1)])
