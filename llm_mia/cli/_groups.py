"""The groups of options of most commands: how passages are read, and where results go."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UsageError
from . import _options as opt
from ._columns import column_of
from .grouping import OptionGroup
from .output import say
from .parameters import reading_input

if TYPE_CHECKING:
    from ..passages import Passages

__all__ = ["ReadingOptions", "RunOptions"]


WHOLE = 1 << 40
"""Tokens of a passage, more than any text has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOptions(OptionGroup):
    """How files of passages are read."""

    text_column: opt.TextColumns = None
    id_column: opt.IdColumns = None
    label_column: opt.LabelColumns = None
    document_column: opt.DocumentColumns = None
    delimiter: opt.Delimiter = None
    labels: opt.LabelWords = None
    skip_empty: opt.SkipEmpty = False
    passage_tokens: opt.PassageTokens = 128

    def of_whole_texts(self) -> ReadingOptions:
        """The same, with each text file as a single passage."""
        return replace(self, passage_tokens=WHOLE)

    def read_anywhere(self, source: str, name: str) -> Passages:
        """The passages of *source*, which may be a URL, by a cluster of Ray to which this process is connected."""
        from ..distributed import is_url, read_url

        if not is_url(source):
            return self.read(source, name)
        reading_input(name, source)
        return read_url(source, **self._how(name, column_of(name, self.label_column), None))

    def read(self, source: str, name: str, label: int | None = None) -> Passages:
        """The passages of *source*, with the labels that it gives or with *label*; *name* is that of the input."""
        return self._read(source, name, column_of(name, self.label_column), label)

    def read_unlabelled(self, source: str, name: str) -> Passages:
        """The passages of *source*; a label column, if any, is not read."""
        return self._read(source, name, "", None)

    def _read(self, source: str, name: str, label_column: str | None, label: int | None) -> Passages:
        from ..passages import read_passages

        reading_input(name, source)
        passages = read_passages(source, **self._how(name, label_column, label))
        for note in passages.notes:
            say(f"note: {note}")
        return passages

    def _how(self, name: str, label_column: str | None, label: int | None) -> dict[str, Any]:
        return {
            "text_column": column_of(name, self.text_column),
            "id_column": column_of(name, self.id_column),
            "label_column": label_column,
            "document_column": column_of(name, self.document_column),
            "passage_tokens": self.passage_tokens,
            "label": label,
            "labels": _words(self.labels),
            "skip_empty": self.skip_empty,
            "delimiter": self.delimiter,
        }


def _words(labels: str | None) -> dict[str, int | None] | None:
    """What words in a column of labels mean, from ``held-out=0,known-train=1``."""
    if labels is None:
        return None
    meanings = {"1": 1, "0": 0, "": None}
    words = {}
    for pair in labels.split(","):
        word, mark, label = pair.rpartition("=")
        if not mark or label.strip() not in meanings:
            raise UsageError(
                f"`labels`: {pair!r} is not WORD=1, WORD=0 or WORD= (unknown), as in held-out=0,known-train=1"
            )
        words[word] = meanings[label.strip()]
    return words


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions(OptionGroup):
    """The run directory, and what is printed."""

    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="FOLDER",
            help="Run directory, for all results: a new folder, or that of a stopped run, which then continues.",
            rich_help_panel=opt.OUTPUT,
        ),
    ]
    dry_run: opt.DryRun = False
    as_json: opt.Json = False
    quiet: opt.Quiet = False
