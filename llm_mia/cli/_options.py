"""Single options that several commands or groups share, each declared once, and the panels of ``--help``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._input_options import (
    INPUT,
    INPUT_KINDS,
    Delimiter,
    DocumentColumn,
    DocumentColumns,
    IdColumn,
    IdColumns,
    Input,
    LabelColumn,
    LabelColumns,
    LabelWords,
    PassageTokens,
    SkipEmpty,
    TextColumn,
    TextColumns,
)

__all__ = [
    "EVIDENCE",
    "FINDING_LEVEL_HELP",
    "INPUT",
    "INPUT_KINDS",
    "KNOWN",
    "MODELS",
    "OUTPUT",
    "RATES",
    "REVERSED",
    "AcceptVoid",
    "CalibrationFile",
    "CalibrationOut",
    "Confidence",
    "Delimiter",
    "DocumentColumn",
    "DocumentColumns",
    "DryRun",
    "FailIfFlagged",
    "Fdr",
    "FdrOfFlags",
    "FindingLevel",
    "FlagsOut",
    "Fpr",
    "FprOrNone",
    "IdColumn",
    "IdColumns",
    "Input",
    "Json",
    "LabelColumn",
    "LabelColumns",
    "LabelWords",
    "NoReport",
    "Others",
    "Out",
    "PassageTokens",
    "PreTokenizer",
    "Quiet",
    "Redact",
    "Revision",
    "SkipEmpty",
    "TargetName",
    "Templated",
    "TextColumn",
    "TextColumns",
    "TrustRemoteCode",
]

KNOWN, MODELS, EVIDENCE = "Known set", "Models", "What some attacks need"
OUTPUT, RATES = "Output", "Error rates"
REVERSED = "'-loss' is the column 'loss' with the opposite sign, if its low values mean member."
"""How a column of scores is named whose low values mean member."""
TargetName = Annotated[
    str,
    typer.Option(
        "-m",
        "--target",
        "--model",
        metavar="MODEL",
        help="The model that is tested: hub id, folder, GGUF file, folder of a PEFT adapter, 'embedded' (a small "
        "model that a Python package contains), or openai:NAME@URL for a model behind an endpoint "
        "('llm-mia guide endpoints').",
        rich_help_panel=MODELS,
    ),
]
Revision = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Branch, tag or commit of the target on the hub.",
        show_default="main",
        rich_help_panel=MODELS,
    ),
]
TrustRemoteCode = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code",
        help="Run the Python code that comes with the model. It can do anything on this machine.",
        rich_help_panel=MODELS,
    ),
]
PreTokenizer = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="For a GGUF file that does not name how its model cuts texts into words: the family that cuts as this "
        "model does, such as llama-bpe or qwen2 (an unknown name lists them all). Better: put the tokenizer.json of "
        "the model in the folder of the file; it is then used.",
        show_default="the name in the file; a file without a known name is refused",
        rich_help_panel=MODELS,
    ),
]
Templated = Annotated[
    bool,
    typer.Option(
        "--templated",
        help="The passages are written in the model's chat template: special tokens in them, such as "
        "<|im_start|>, are read as special tokens. Without this they are text, as <s> is in HTML.",
        rich_help_panel=MODELS,
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        "-o",
        "--out",
        metavar="FILE",
        help="File for the result; an existing file is replaced.",
        rich_help_panel=OUTPUT,
    ),
]
CalibrationOut = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        metavar="FILE",
        help="File for the result; an existing file is replaced, unless a run or an audit wrote it.",
        show_default="calibration.json in the run directory; for a table, in the current folder",
        rich_help_panel=OUTPUT,
    ),
]
FlagsOut = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        metavar="FILE",
        help="File for the result; an existing file is replaced, unless a run or an audit wrote it.",
        show_default="flags.csv, or flags-documents.csv, in the run directory; for a table, in the current folder",
        rich_help_panel=OUTPUT,
    ),
]
Others = Annotated[
    list[str] | None,
    typer.Option(
        "--other",
        metavar="COLUMN",
        help="Of a table: a column of the same score by another model, which cannot know the texts (a reference "
        "model). What that model separates as well is no sign of training. May be repeated: the largest p-value "
        "counts.",
        show_default="none: the finding is not compared with another model",
    ),
]
CalibrationFile = Annotated[
    Path | None,
    typer.Option(
        "-c",
        "--calibration",
        metavar="FILE",
        help="File with the threshold, which 'llm-mia calibrate' or 'llm-mia audit' wrote.",
        show_default="calibration.json in the run directory; for a table there is no default",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON instead of text.", rich_help_panel=OUTPUT)]
Details = Annotated[
    bool,
    typer.Option("--details", help="Show the tables and notes below the answer, too.", rich_help_panel=OUTPUT),
]
NoReport = Annotated[
    bool,
    typer.Option(
        "--no-report",
        help="Do not write report.html; 'llm-mia report RUN' writes it later, without a model.",
        rich_help_panel=OUTPUT,
    ),
]
Redact = Annotated[
    bool,
    typer.Option(
        "--redact",
        help="Write no text, no token and no token id of a passage into any file that is handed on: all files but the "
        "folders 'signals', whose token ids are the texts. Ids, document names and other columns of the input stay.",
        rich_help_panel=OUTPUT,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Only state how much there is to compute and about how long it takes: the input is checked, the models "
        "are loaded, and some batches and steps are measured. Nothing is written.",
        rich_help_panel=OUTPUT,
    ),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Show no progress.", rich_help_panel=OUTPUT)]
FailIfFlagged = Annotated[
    bool,
    typer.Option(
        "--fail-if-flagged",
        help="Exit with code 3 if there is a finding: neither chance nor another model explains the flags (see "
        "--finding-level). Flags alone are no finding, because chance flags some candidates. Where a void or "
        "untestable known set, or a target unlike its shadow models, withholds the finding, the exit code is always 4.",
        rich_help_panel=OUTPUT,
    ),
]
FINDING_LEVEL_HELP = (
    "Largest probability of a finding if the model was trained on no candidate, over all decisions of the same kind "
    "(on passages, on documents, on the collection) on these candidates. The first decision is a finding if its "
    "p-value is at most 0.9 of this level; later decisions need a smaller p-value."
)
FindingLevel = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help=FINDING_LEVEL_HELP,
        show_default="0.05, or the level in the protocol",
        rich_help_panel=RATES,
    ),
]
Fpr = Annotated[
    float,
    typer.Option(
        metavar="SHARE",
        help="False positive rate: largest share of non-members that may be flagged.",
        rich_help_panel=RATES,
    ),
]
FprOrNone = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="False positive rate: largest share of non-members that may be flagged.",
        show_default="0.05",
        rich_help_panel=RATES,
    ),
]
Fdr = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="False discovery rate: largest expected share of non-members among the flagged candidates. It replaces "
        "--fpr.",
        show_default="not used",
        rich_help_panel=RATES,
    ),
]
FdrOfFlags = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="False discovery rate: largest expected share of non-members among the flagged candidates. It replaces "
        "the false positive rate of the calibration.",
        show_default="not used",
        rich_help_panel=RATES,
    ),
]
Confidence = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Confidence, such as 0.95, with which the false positive rate holds for this particular known set.",
        show_default="the rate holds on average over known sets",
        rich_help_panel=RATES,
    ),
]
AcceptVoid = Annotated[
    bool,
    typer.Option(
        "--accept-void",
        help="State findings even if the known set is void or untestable (no finding can rest on it), or the target "
        "is unlike its shadow models. Each result then records this.",
        rich_help_panel=RATES,
    ),
]
