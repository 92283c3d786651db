"""Options that say how an input of passages is read, each declared once."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = [
    "INPUT",
    "INPUT_KINDS",
    "Delimiter",
    "DocumentColumn",
    "DocumentColumns",
    "IdColumn",
    "IdColumns",
    "Input",
    "LabelColumn",
    "LabelColumns",
    "LabelWords",
    "PassageTokens",
    "SkipEmpty",
    "TextColumn",
    "TextColumns",
]

INPUT = "How the input is read"
INPUT_KINDS = (
    "a file (jsonl, json, csv, tsv, parquet, arrow, txt, md; also as gz, bz2, xz, zst), a folder of such files (its "
    "tables; where there are none, its texts), hf://DATASET, or - for standard input"
)
"""What every command can read passages from."""

Input = Annotated[
    str,
    typer.Argument(
        help=f"Passages: {INPUT_KINDS}.",
        show_default=False,
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
        help="What words in the column of labels mean, as in held-out=0,known-train=1,unsure= (empty: unknown).",
        show_default="1, true, member; 0, false, non-member; empty: unknown",
        rich_help_panel=INPUT,
    ),
]
TextColumns = Annotated[
    list[str] | None,
    typer.Option(
        "--text-column",
        metavar="[INPUT=]NAME",
        help="Column that holds the text. For a single input, write its name first, as in members=body or "
        "candidates=text; may be repeated.",
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
