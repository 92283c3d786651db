"""``texts.parquet``: the texts of passages, for what people read; no stage computes from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import RunDirectoryError
from ..records import SCHEMA_VERSION
from ._arrow import numbers, strings
from ._atomic import replacing

__all__ = ["StoredText", "beginning_of", "read_beginnings", "read_texts", "remove_texts", "write_texts"]

FILE = "texts.parquet"
ROWS = 1_000
"""Texts that are held at once while they are written."""
BEGINNING = 80
"""Characters of a text that stand for it in a list."""
CONTROL_CHARACTERS = dict.fromkeys([*range(32), *range(127, 160)], " ")
FORMULA = ("=", "+", "-", "@")
"""With these characters a cell begins that a spreadsheet computes."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredText:
    """A passage as people read it."""

    id: str
    position: int
    """In the input of the run, from 0: the passage's place in the signals of each pass."""
    text: str
    ends: NDArray[np.int32] | None
    """Where each token of the target ends, in characters, shape (tokens,); None where this is not known.

    A token begins where the token before it ends. Where the model reads nothing before a text, its first token has no
    signals, so there is one token more than there are signals."""


def write_texts(path: Path, texts: Iterable[StoredText]) -> None:
    """Write ``texts.parquet`` into the run directory *path*, completely or not at all.

    Raises:
        RunDirectoryError: it cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet

    schema = pa.schema(
        [("id", "string"), ("position", "int64"), ("text", "string"), ("ends", pa.list_(pa.int32()))],
        metadata={"schema_version": str(SCHEMA_VERSION)},
    )
    rest = iter(texts)
    with (
        replacing(path / FILE) as temporary,
        pyarrow.parquet.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        while rows := list(islice(rest, ROWS)):
            columns = [
                strings([row.id for row in rows]),
                numbers(np.array([row.position for row in rows], dtype=np.int64)),
                strings([row.text for row in rows]),
                pa.array([row.ends for row in rows], pa.list_(pa.int32())),
            ]
            writer.write_table(pa.table(columns, schema=schema))


def remove_texts(path: Path) -> None:
    """Remove the texts from the run directory *path*, if there are any."""
    (path / FILE).unlink(missing_ok=True)


def beginning_of(text: str) -> str:
    r"""At most `BEGINNING` characters of *text* on a line, cut after a word, for a list that people read.

    White space and control characters become a single space. A beginning that a spreadsheet would compute gets an
    apostrophe before it.

    >>> beginning_of("The river \n bends."), beginning_of("=1+2"), len(beginning_of("word " * 99))
    ('The river bends.', "'=1+2", 76)
    """
    shown = " ".join(text.lstrip()[: 4 * BEGINNING].translate(CONTROL_CHARACTERS).split())
    if len(shown) > BEGINNING or len(text.strip()) > 4 * BEGINNING:
        head = shown[: BEGINNING - 2]
        words = head.rpartition(" ")[0] if shown[len(head) : len(head) + 1].strip() else head
        # A language without spaces, or a very long word, is cut anywhere.
        shown = f"{words if len(words) > BEGINNING // 2 else head} …"
    return f"'{shown}" if shown.startswith(FORMULA) else shown


def read_beginnings(path: Path) -> dict[str, str]:
    """The beginning of each text in the run directory *path*, by id; none where there is no ``texts.parquet``.

    Raises:
        RunDirectoryError: as for `read_texts`.
    """
    return {text.id: beginning_of(text.text) for text in read_texts(path)}


def read_texts(path: Path) -> Sequence[StoredText]:
    """The texts in the run directory *path*, in the order of the input; none where there is no ``texts.parquet``.

    Raises:
        RunDirectoryError: the file is damaged, or another release of llm_mia wrote it.
    """
    import pyarrow as pa
    import pyarrow.parquet

    file = path / FILE
    if not file.exists():
        return []
    try:
        table = pyarrow.parquet.read_table(file)
        metadata = table.schema.metadata or {}
        if metadata.get(b"schema_version") != str(SCHEMA_VERSION).encode():
            raise pa.ArrowInvalid("another release of llm_mia wrote it")
        columns = [table.column(name).to_pylist() for name in ("id", "position", "text")]
        ends = [None if row is None else np.asarray(row, dtype=np.int32) for row in table.column("ends").to_pylist()]
    except (pa.ArrowException, OSError, KeyError) as error:
        raise RunDirectoryError(
            f"{file}: cannot be read ({error}); remove it, and run the same command again"
        ) from None
    return [StoredText(*row) for row in zip(*columns, ends, strict=True)]
