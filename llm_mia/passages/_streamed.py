"""Rows of a dataset of Ray, whose blocks lie on the machines of a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import PassageError
from ._columns import NamedColumns
from ._tables import BATCH_ROWS, Row, one_line, rows_of_batch
from ._usual import class_names, simple_columns

__all__ = ["is_of_ray", "streamed_rows"]


def is_of_ray(data: object) -> bool:
    """Whether *data* is a ``ray.data.Dataset``; Ray is not imported."""
    return type(data).__module__.startswith("ray.data") and hasattr(data, "iter_batches")


def streamed_rows(dataset: Any, columns: NamedColumns, name: str, place: str) -> Iterator[Row]:
    """The rows of a ``ray.data.Dataset`` in its order, only the columns in use, a few hundred in memory at a time.

    Args:
        dataset: is read once, by the machines of its cluster.
        columns: which columns are read.
        name: of the dataset, for messages.
        place: what precedes the number of a row in messages.
    """
    import pyarrow as pa

    number = 0
    options = dataset.context.execution_options
    before, options.preserve_order = options.preserve_order, True  # ids and resuming depend on it
    try:
        schema = dataset.schema()
        if schema is None:
            return
        base = schema.base_schema if isinstance(schema.base_schema, pa.Schema) else pa.schema([])  # of pandas
        simple = simple_columns(base)
        used = columns.choose(schema.names, name, simple).names()
        classes = class_names(base)
        chosen = dataset.select_columns(used)
        chosen.context.execution_options.preserve_order = True
        for table in chosen.iter_batches(batch_size=BATCH_ROWS, batch_format="pyarrow"):
            for batch in table.to_batches():
                for values in rows_of_batch(batch, place, number, classes):
                    number += 1
                    yield f"{place} {number}", values
    except PassageError:
        raise
    except Exception as error:  # readers of Ray and the network: anything can come out
        raise PassageError(
            name, f"the dataset cannot be read after {number:,} rows ({one_line(error)}): check it and the network"
        ) from error
    finally:
        options.preserve_order = before
