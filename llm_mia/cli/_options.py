"""Single options that several commands or groups share, each declared once, and the panels of ``--help``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "EVIDENCE",
    "INPUT",
    "INPUT_KINDS",
    "KNOWN",
    "MODELS",
    "OUTPUT",
    "RATES",
    "AcceptVoid",
    "CalibrationFile",
    "CalibrationOut",
    "Confidence",
    "Delimiter",
    "DocumentColumn",
    "DocumentColumns",
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
    "Out",
    "PassageTokens",
    "PreTokenizer",
    "Quiet",
    "Revision",
    "SkipEmpty",
    "TargetName",
    "Templated",
    "TextColumn",
    "TextColumns",
    "TrustRemoteCode",
]

KNOWN, MODELS, INPUT, EVIDENCE = "Known set", "Models", "How the input is read", "What some attacks need"
OUTPUT, RATES = "Output", "Error rates"
INPUT_KINDS = (
    "a file (jsonl, json, csv, tsv, parquet, arrow, txt; also gz, bz2, xz, zst), a folder of such files (its tables; "
    "where there are none, its texts), hf://DATASET, or - for standard input"
)
"""What every command can read passages from."""

Input = Annotated[
    str,
    typer.Argument(
        help=f"Passages: {INPUT_KINDS}.",
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
        help="The model that is tested: hub id, folder, GGUF file, folder of a PEFT adapter, or 'embedded' (a small "
        "model that a Python package contains).",
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
        "model does, such as llama-bpe or qwen2 (a wrong name lists all). Better: the model's own tokenizer.json in "
        "the folder of the file, which is then used.",
        show_default="the name in the file; a file without a known name is refused",
        rich_help_panel=MODELS,
    ),
]
Templated = Annotated[
    bool,
    typer.Option(
        "--templated",
        help="The passages are in the model's template: special tokens in them, such as <|im_start|>, are read as "
        "special tokens. Without this they are text, as <s> is in HTML.",
        rich_help_panel=MODELS,
    ),
]
TextColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Column that holds the text.",
        show_default="the column named 'text' or similar",
        rich_help_panel=INPUT,
    ),
]
IdColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Column that identifies each passage.",
        show_default="the column named 'id' or similar",
        rich_help_panel=INPUT,
    ),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Column of the label: 1 member, 0 non-member, empty unknown. With '' no labels are read.",
        show_default="the column named 'label' or similar",
        rich_help_panel=INPUT,
    ),
]
DocumentColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Column that names the document of each passage. Passages of the same document are not independent.",
        show_default="the column named 'document' or similar",
        rich_help_panel=INPUT,
    ),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        metavar="CHARACTER",
        help="What divides the fields of csv and tsv files, such as ';' or tab.",
        show_default="a comma in csv, a tab in tsv",
        rich_help_panel=INPUT,
    ),
]
SkipEmpty = Annotated[
    bool,
    typer.Option(
        "--skip-empty",
        help="Leave out rows and files without text, and count them, instead of refusing them.",
        rich_help_panel=INPUT,
    ),
]
LabelWords = Annotated[
    str | None,
    typer.Option(
        metavar="WORD=LABEL,…",
        help="What words in the column of labels mean, as in held-out=0,known-train=1; 'unsure=' is unknown.",
        show_default="1, true, member; 0, false, non-member; empty: unknown",
        rich_help_panel=INPUT,
    ),
]
TextColumns = Annotated[
    list[str] | None,
    typer.Option(
        "--text-column",
        metavar="[INPUT=]NAME",
        help="Column that holds the text. For a single input put its option before the name, as in members=body; may "
        "be repeated.",
        show_default="the column named 'text' or similar",
        rich_help_panel=INPUT,
    ),
]
IdColumns = Annotated[
    list[str] | None,
    typer.Option(
        "--id-column",
        metavar="[INPUT=]NAME",
        help="Column that identifies each passage. With '' no column does.",
        show_default="the column named 'id' or similar",
        rich_help_panel=INPUT,
    ),
]
LabelColumns = Annotated[
    list[str] | None,
    typer.Option(
        "--label-column",
        metavar="[INPUT=]NAME",
        help="Column of the label: 1 member, 0 non-member, empty unknown. With '', or with members= for a single "
        "input, no labels are read. Labels of candidates are never read.",
        show_default="the column named 'label' or similar",
        rich_help_panel=INPUT,
    ),
]
DocumentColumns = Annotated[
    list[str] | None,
    typer.Option(
        "--document-column",
        metavar="[INPUT=]NAME",
        help="Column that names the document of each passage. Passages of the same document are not independent.",
        show_default="the column named 'document' or similar",
        rich_help_panel=INPUT,
    ),
]
PassageTokens = Annotated[
    int,
    typer.Option(
        metavar="TOKENS",
        help="Length of the passages into which txt files are cut; 4 bytes count as a token.",
        rich_help_panel=INPUT,
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
        help="File for the result; an existing file is replaced, but not that of an audit.",
        show_default="calibration.json in the run directory, or for a table in this folder",
        rich_help_panel=OUTPUT,
    ),
]
FlagsOut = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        metavar="FILE",
        help="File for the result; an existing file is replaced, but not that of an audit.",
        show_default="flags.csv, or flags-documents.csv, in the run directory, or for a table in this folder",
        rich_help_panel=OUTPUT,
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
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Show no progress.", rich_help_panel=OUTPUT)]
FailIfFlagged = Annotated[
    bool,
    typer.Option(
        "--fail-if-flagged",
        help="Exit with code 3 if there is a finding, that is, if more candidates are flagged than chance alone "
        "explains (see --finding-level); chance alone flags some, too. A void known set exits with code 4.",
        rich_help_panel=OUTPUT,
    ),
]
FindingLevel = Annotated[
    float,
    typer.Option(
        metavar="SHARE",
        help="Probability of a finding where the model was trained on no candidate: a finding needs a p-value of at "
        "most this. The bound on the number of members holds with a confidence of one minus this.",
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
        help="State findings even if the known set is void (its checks show that a finding cannot rest on it). Each "
        "result then records this.",
        rich_help_panel=RATES,
    ),
]
