"""The groups of options that commands share; each hands over what its options describe, ready to use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from ..errors import UsageError
from . import _options as opt
from ._checks import refuse_file_of_run
from ._columns import column_of
from .grouping import OptionGroup
from .output import say
from .parameters import reading_input

if TYPE_CHECKING:
    from ..history import History, Protocol
    from ..passages import Passages
    from ..scores import ScoreTable
    from ..shadow import Shadows
    from ..signals import Supplies

__all__ = [
    "EvidenceOptions",
    "KnownSetOptions",
    "OfAttack",
    "PossibleKnownSetOptions",
    "ReadingOptions",
    "RunOptions",
    "TableOptions",
]


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

    def read(self, source: str, name: str, label: int | None = None) -> Passages:
        """The passages of *source*, with the labels that it gives or with *label*; *name* is that of the input."""
        return self._read(source, name, column_of(name, self.label_column), label)

    def read_unlabelled(self, source: str, name: str) -> Passages:
        """The passages of *source*; a label column, if any, is not read."""
        return self._read(source, name, "", None)

    def _read(self, source: str, name: str, label_column: str | None, label: int | None) -> Passages:
        from ..passages import read_passages

        reading_input(name, source)
        passages = read_passages(
            source,
            text_column=column_of(name, self.text_column),
            id_column=column_of(name, self.id_column),
            label_column=label_column,
            document_column=column_of(name, self.document_column),
            passage_tokens=self.passage_tokens,
            label=label,
            labels=_words(self.labels),
            skip_empty=self.skip_empty,
            delimiter=self.delimiter,
        )
        for note in passages.notes:
            say(f"note: {note}")
        return passages


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
class KnownSetOptions(OptionGroup):
    """The labelled passages that a verdict rests on."""

    nonmembers: Annotated[
        str,
        typer.Option(
            metavar="INPUT",
            help=f"Passages known not to be in the training data; they set the threshold. INPUT is {opt.INPUT_KINDS}.",
            rich_help_panel=opt.KNOWN,
        ),
    ]
    members: Annotated[
        str | None,
        typer.Option(
            metavar="INPUT",
            help="Passages known to be in the training data; they show how well the attacks work, and set no "
            "threshold.",
            rich_help_panel=opt.KNOWN,
        ),
    ] = None

    def read_members(self, reading: ReadingOptions) -> Passages | None:
        """The known members, with label 1; None where the user named none."""
        return None if self.members is None else reading.read(self.members, "members", 1)

    def read_nonmembers(self, reading: ReadingOptions) -> Passages:
        """The known non-members, with label 0."""
        return reading.read(self.nonmembers, "nonmembers", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PossibleKnownSetOptions(OptionGroup):
    """The labelled passages of a command that can do without them where shadow models set the threshold."""

    nonmembers: Annotated[
        str | None,
        typer.Option(
            metavar="INPUT",
            help="Passages known not to be in the training data; they set the threshold. Not needed with --shadows, "
            f"where shadow models in the target's place set it. INPUT is {opt.INPUT_KINDS}.",
            rich_help_panel=opt.KNOWN,
        ),
    ] = None
    members: Annotated[
        str | None,
        typer.Option(
            metavar="INPUT",
            help="Passages known to be in the training data; they show how well the attacks work, and set no "
            "threshold.",
            rich_help_panel=opt.KNOWN,
        ),
    ] = None

    def read_members(self, reading: ReadingOptions) -> Passages | None:
        """The known members, with label 1; None where the user named none."""
        return None if self.members is None else reading.read(self.members, "members", 1)

    def read_nonmembers(self, reading: ReadingOptions) -> Passages | None:
        """The known non-members, with label 0; None where the user named none."""
        return None if self.nonmembers is None else reading.read(self.nonmembers, "nonmembers", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceOptions(OptionGroup):
    """What some attacks need in addition to the models."""

    shots: Annotated[
        str | None,
        typer.Option(
            metavar="INPUT",
            help="For recall, con_recall: passages that the model reads before each passage. They are known members "
            "(label 1) or known non-members (label 0; or no passage has a label).",
            rich_help_panel=opt.EVIDENCE,
        ),
    ] = None
    population: Annotated[
        str | None,
        typer.Option(
            metavar="INPUT",
            help="For rmia, info_rmia: other passages from the same source, for comparison; they get no score.",
            rich_help_panel=opt.EVIDENCE,
        ),
    ] = None
    frequencies: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="For dc_pdd: file that 'llm-mia frequencies' wrote, with the count of each token in a corpus.",
            rich_help_panel=opt.EVIDENCE,
        ),
    ] = None
    shadows: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="For lira, shadow_rmia: folder of shadow models that 'llm-mia shadow' wrote. In an audit without "
            "known non-members they set the threshold.",
            rich_help_panel=opt.EVIDENCE,
        ),
    ] = None
    neighbours: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="COUNT",
            help="For neighbour, pac: number of rewritten versions of each passage. Each version costs as much as "
            "scoring the passage once more.",
            rich_help_panel=opt.EVIDENCE,
        ),
    ] = 10
    neighbour_model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="For neighbour: masked language model, such as BERT, that rewrites the passages.",
            show_default="none: words are dropped and swapped",
            rich_help_panel=opt.EVIDENCE,
        ),
    ] = None

    samples: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="COUNT",
            help="For samia, ngram_coverage: number of texts with which the target continues the beginning of each "
            "passage, such as 10. Each is a request to the model, and takes much longer than to score the passage.",
            show_default="none, so there are no such attacks",
            rich_help_panel=opt.EVIDENCE,
        ),
    ] = None
    sample_tokens: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="COUNT",
            help="With --samples: most tokens of a text; best about as many as the rest of a passage has.",
            rich_help_panel=opt.EVIDENCE,
        ),
    ] = 64
    prefix_share: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="With --samples: share of the passage's words that the target continues.",
            rich_help_panel=opt.EVIDENCE,
        ),
    ] = 0.5
    sample_temperature: Annotated[
        float,
        typer.Option(
            metavar="NUMBER",
            help="With --samples: the temperature at which the target writes.",
            rich_help_panel=opt.EVIDENCE,
        ),
    ] = 1.0

    def shadow_models(self) -> Shadows | None:
        """The shadow models; None where the user named no folder."""
        from ..shadow import read_shadows

        return None if self.shadows is None else read_shadows(self.shadows)

    def supplies(self, reading: ReadingOptions, device: str) -> Supplies:
        """What attacks may use in addition to models, read as the passages are; only shots have labels.

        Shadow models are not among them: `shadow_models` gives them.
        """
        from ..backends import ModelSpec
        from ..signals import Supplies

        return Supplies(
            shots=None if self.shots is None else reading.read(self.shots, "shots"),
            population=None if self.population is None else reading.read_unlabelled(self.population, "population"),
            frequencies=self.frequencies,
            neighbours=self.neighbours,
            samples=self.samples,
            sample_tokens=self.sample_tokens,
            prefix_share=self.prefix_share,
            sample_temperature=self.sample_temperature,
            neighbour_model=None if self.neighbour_model is None else ModelSpec(self.neighbour_model, device=device),
        )


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
