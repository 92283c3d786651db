"""Rows of a Hugging Face dataset: ``hf://name?config=…&split=…&revision=…``, or a dataset in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from ..errors import PassageError
from ._columns import NamedColumns
from ._tables import Row, one_line, with_class_names

__all__ = ["SCHEME", "dataset_rows", "parse_uri", "read_hub"]

SCHEME = "hf://"
_SIMPLE = ("string", "large_string", "bool", "int", "uint", "float")
_OPTIONS = ("config", "split", "revision")


def parse_uri(uri: str) -> tuple[str, dict[str, str]]:
    """Name (``owner/name``, or an absolute folder) and options; what is neither raises `PassageError`."""
    name, _, query = uri.removeprefix(SCHEME).partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = [option for option in options if option not in _OPTIONS]
    if unknown or not name or (query and not options):
        problem = f"the option {unknown[0]!r} is unknown" if unknown else "not a dataset"
        raise PassageError(uri, f"{problem}; write {SCHEME}NAME?config=…&split=…&revision=…")
    return name, options


def read_hub(uri: str, columns: NamedColumns) -> Iterator[Row]:
    """Rows of a split, only the columns in use. Reads over the network unless the name is a folder."""
    return dataset_rows(_stream(uri), columns, uri, f"{uri} row")


def dataset_rows(dataset: Any, columns: NamedColumns, name: str, place: str) -> Iterator[Row]:
    """Rows of a ``datasets.Dataset`` or ``IterableDataset``, only the columns in use.

    *place* and a number are the place of a row.
    """
    names = dataset.column_names
    features = dataset.features or {}
    classes = {column: kind.names for column, kind in features.items() if type(kind).__name__ == "ClassLabel"}
    if names is not None:  # None where the dataset does not know its columns before its first row
        simple = [column for column in names if _is_simple(features.get(column))]
        dataset = dataset.select_columns(columns.choose(names, name, simple).names())
    rows = iter(dataset.with_format(None))
    number = 0
    while True:
        number += 1
        where = f"{place} {number}"
        try:
            row = next(rows, None)
        except Exception as error:  # a loader and the network: anything can come out
            # The type alone: a parser's message may hold the row.
            raise PassageError(
                where, f"the dataset cannot be read from here on ({type(error).__name__}): check it and the network"
            ) from error
        if row is None:
            return
        yield where, with_class_names(dict(row), classes)


def _is_simple(kind: Any) -> bool:
    """Whether a column of this type of ``datasets`` is carried; not, where the type is not known."""
    return type(kind).__name__ == "ClassLabel" or str(getattr(kind, "dtype", "")).startswith(_SIMPLE)


def _stream(uri: str) -> Any:
    """The split that *uri* names, or the only split, as a ``datasets.IterableDataset``."""
    name, options = parse_uri(uri)
    if any(Path(name, file).is_file() for file in ("state.json", "dataset_dict.json")):
        raise PassageError(uri, f"a saved dataset: name its folder without hf://, {name}")
    import datasets

    try:
        dataset = datasets.load_dataset(
            name,
            options.get("config"),
            split=options.get("split"),
            revision=options.get("revision"),
            streaming=True,
        )
    except Exception as error:  # as above
        raise PassageError(
            uri, f"the dataset cannot be opened ({one_line(error)}): check name, config, split and network"
        ) from error
    if not isinstance(dataset, dict):
        return dataset
    if len(dataset) != 1:
        mark = "&" if "?" in uri else "?"
        raise PassageError(
            uri,
            f"the dataset has the splits {', '.join(dataset)}: name a split, as in "
            f"{uri}{mark}split={next(iter(dataset))}",
        )
    return next(iter(dataset.values()))
