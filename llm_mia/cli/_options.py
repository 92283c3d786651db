"""The options that several commands share, each written once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..passages import Passages
    from ..signals import Supplies

__all__ = ["PassageOptions", "supplies"]

MODELS, INPUT, AIDS, OUTPUT, ERRORS = "Models", "Input", "What some attacks need", "Output", "Error rates"
# rich_help_panel groups the options in --help.

Model = Annotated[
    str,
    typer.Option(
        "-m", "--model", help="Target: hub id, folder, GGUF file, PEFT adapter, or 'embedded'.", rich_help_panel=MODELS
    ),
]
Reference = Annotated[
    str | None,
    typer.Option("-r", "--reference", help="A model not trained on the passages.", rich_help_panel=MODELS),
]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub target.", rich_help_panel=MODELS)]
ReferenceRevision = Annotated[
    str | None, typer.Option(help="Branch, tag or commit of a hub reference.", rich_help_panel=MODELS)
]
DType = Annotated[str, typer.Option("--dtype", help="auto, float32, bfloat16 or float16.", rich_help_panel=MODELS)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, …", rich_help_panel=MODELS)]
TrustRemoteCode = Annotated[
    bool,
    typer.Option("--trust-remote-code", help="Run code that the model's repository ships.", rich_help_panel=MODELS),
]
TokensPerBatch = Annotated[
    int | None,
    typer.Option(min=1, help="Most tokens computed at once (default: found out by itself).", rich_help_panel=MODELS),
]
WindowTokens = Annotated[
    int | None,
    typer.Option(help="Longest input fed to a model (default: its context, 2,048 at most).", rich_help_panel=MODELS),
]
Attacks = Annotated[
    list[str] | None,
    typer.Option(
        "-a",
        "--attack",
        help="Attack with settings, as min_k:k=0.1; repeatable. Default: all that one or two passes each allow.",
    ),
]
Shots = Annotated[
    str | None,
    typer.Option(
        help="Passages to put before others (recall, con_recall): label 0 or none known non-members, 1 known members.",
        rich_help_panel=AIDS,
    ),
]
Population = Annotated[
    str | None,
    typer.Option(help="Passages of the same source that are not scored (rmia, info_rmia).", rich_help_panel=AIDS),
]
Frequencies = Annotated[
    Path | None,
    typer.Option(help="Token frequencies, made by 'llm-mia frequencies' (dc_pdd).", rich_help_panel=AIDS),
]
Neighbours = Annotated[
    int,
    typer.Option(
        min=1, help="Rewritten texts beside each passage, a pass each (neighbour, pac).", rich_help_panel=AIDS
    ),
]
NeighbourModel = Annotated[
    str | None,
    typer.Option(
        help="Masked language model that writes them, such as BERT. Default: words are dropped and swapped.",
        rich_help_panel=AIDS,
    ),
]
Nonmembers = Annotated[
    str,
    typer.Option(help="Passages known not to be in the training data; they set the threshold.", rich_help_panel=INPUT),
]
Members = Annotated[
    str | None,
    typer.Option(help="Passages known to be in it; they show how well the attacks work.", rich_help_panel=INPUT),
]
CalibrationFile = Annotated[Path, typer.Option("-c", "--calibration", help="What 'llm-mia calibrate' wrote.")]
TextColumn = Annotated[str | None, typer.Option(help="Column of the text.", rich_help_panel=INPUT)]
IdColumn = Annotated[str | None, typer.Option(help="Column of the id.", rich_help_panel=INPUT)]
LabelColumn = Annotated[
    str | None, typer.Option(help="Column of the label: 1 member, 0 non-member; '' for none.", rich_help_panel=INPUT)
]
DocumentColumn = Annotated[str | None, typer.Option(help="Column of the document.", rich_help_panel=INPUT)]
PassageTokens = Annotated[
    int, typer.Option(help="Length to which txt files are cut, at 4 bytes a token.", rich_help_panel=INPUT)
]
RunOut = Annotated[Path, typer.Option("-o", "--out", help="Run directory.", rich_help_panel=OUTPUT)]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel=OUTPUT)]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress.", rich_help_panel=OUTPUT)]
FailIfFlagged = Annotated[
    bool, typer.Option("--fail-if-flagged", help="Exit with 3 where anything is flagged.", rich_help_panel=OUTPUT)
]
Fpr = Annotated[float, typer.Option(help="False positive rate to hold for a single passage.", rich_help_panel=ERRORS)]
FprOrNone = Annotated[
    float | None,
    typer.Option(help="False positive rate to hold for a single passage.  [default: 0.05]", rich_help_panel=ERRORS),
]
Fdr = Annotated[
    float | None,
    typer.Option(help="Hold this false discovery rate over all candidates instead.", rich_help_panel=ERRORS),
]
Confidence = Annotated[
    float | None,
    typer.Option(
        help="Hold the FPR with this confidence in this known set; default: on average.", rich_help_panel=ERRORS
    ),
]
AcceptVoid = Annotated[
    bool,
    typer.Option(
        "--accept-void", help="Word findings though the known set is void; they say so.", rich_help_panel=ERRORS
    ),
]


@dataclass(frozen=True, slots=True)
class PassageOptions:
    """How the files of a command are read."""

    text_column: str | None
    id_column: str | None
    label_column: str | None
    document_column: str | None
    passage_tokens: int

    def read(self, source: str, label: int | None = None) -> Passages:
        """The passages of *source*, with the labels that it gives or with *label*."""
        return self._read(source, self.label_column, label)

    def read_unlabelled(self, source: str) -> Passages:
        """The passages of *source*; a label column, if any, is not read."""
        return self._read(source, "", None)

    def _read(self, source: str, label_column: str | None, label: int | None) -> Passages:
        from ..passages import read_passages

        return read_passages(
            source,
            text_column=self.text_column,
            id_column=self.id_column,
            label_column=label_column,
            document_column=self.document_column,
            passage_tokens=self.passage_tokens,
            label=label,
        )


def supplies(
    files: PassageOptions,
    shots: str | None,
    population: str | None,
    frequencies: Path | None,
    neighbours: int,
    neighbour_model: str | None,
    device: str,
) -> Supplies:
    """What some attacks need, read as the passages are; only shots have labels."""
    from ..backends import ModelSpec
    from ..signals import Supplies

    return Supplies(
        shots=None if shots is None else files.read(shots),
        population=None if population is None else files.read_unlabelled(population),
        frequencies=frequencies,
        neighbours=neighbours,
        neighbour_model=None if neighbour_model is None else ModelSpec(neighbour_model, device=device),
    )
