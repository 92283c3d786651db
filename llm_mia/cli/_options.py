"""Single options that several commands or groups share, each declared once, and the panels of ``--help``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "EVIDENCE",
    "INPUT",
    "KNOWN",
    "MODELS",
    "OUTPUT",
    "RATES",
    "AcceptVoid",
    "Confidence",
    "DocumentColumn",
    "FailIfFlagged",
    "Fdr",
    "FdrOfFlags",
    "Fpr",
    "FprOrNone",
    "IdColumn",
    "Input",
    "Json",
    "LabelColumn",
    "Out",
    "PassageTokens",
    "Quiet",
    "Revision",
    "TargetName",
    "TextColumn",
    "TrustRemoteCode",
]

KNOWN, MODELS, INPUT, EVIDENCE = "Known set", "Models", "How the input is read", "What some attacks need"
OUTPUT, RATES = "Output", "Error rates"

Input = Annotated[
    str,
    typer.Argument(
        help="Passages: a file (jsonl, json, csv, tsv, parquet, txt), a folder of such files, hf://DATASET, or - for "
        "standard input.",
        show_default=False,
    ),
]
TargetName = Annotated[
    str,
    typer.Option(
        "-m",
        "--target",
        "--model",
        metavar="MODEL",
        help="The model in question: hub id, folder, GGUF file, folder of a PEFT adapter, or 'embedded' (a small model "
        "from a Python package).",
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
    typer.Option("--trust-remote-code", help="Run Python code that the model's folder holds.", rich_help_panel=MODELS),
]
TextColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Column of the text.",
        show_default="the column named 'text' or alike",
        rich_help_panel=INPUT,
    ),
]
IdColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Column of the id.", show_default="the column named 'id' or alike", rich_help_panel=INPUT
    ),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Column of the label: 1 member, 0 non-member, empty unknown. '' reads no labels.",
        show_default="the column named 'label' or alike",
        rich_help_panel=INPUT,
    ),
]
DocumentColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Column of the document that a passage comes from. Passages of one document are not independent.",
        show_default="the column named 'document' or alike",
        rich_help_panel=INPUT,
    ),
]
PassageTokens = Annotated[
    int,
    typer.Option(
        metavar="TOKENS",
        help="Length of the passages into which txt files are cut, in tokens of 4 bytes.",
        rich_help_panel=INPUT,
    ),
]
Out = Annotated[
    Path, typer.Option("-o", "--out", metavar="FILE", help="The file that is written.", rich_help_panel=OUTPUT)
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON instead of text.", rich_help_panel=OUTPUT)]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Show no progress.", rich_help_panel=OUTPUT)]
FailIfFlagged = Annotated[
    bool,
    typer.Option("--fail-if-flagged", help="Exit with code 3 if any candidate is flagged.", rich_help_panel=OUTPUT),
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
        help="False discovery rate: largest expected share of non-members among what is flagged. It replaces --fpr.",
        show_default="not used",
        rich_help_panel=RATES,
    ),
]
FdrOfFlags = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="False discovery rate: largest expected share of non-members among what is flagged. It replaces the "
        "false positive rate of the calibration.",
        show_default="not used",
        rich_help_panel=RATES,
    ),
]
Confidence = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Hold the false positive rate with this confidence for the known set at hand, such as 0.95.",
        show_default="hold it on average over known sets",
        rich_help_panel=RATES,
    ),
]
AcceptVoid = Annotated[
    bool,
    typer.Option(
        "--accept-void",
        help="State findings even if the known set is void; each finding then notes it.",
        rich_help_panel=RATES,
    ),
]
