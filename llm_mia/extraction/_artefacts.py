"""The two files of an extraction: ``extraction.json`` holds every figure and no text, ``spans.csv`` holds the texts."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import InputError
from ..store import RunDirectory, read_record
from ._records import ExtractedSpan, Extraction

__all__ = ["read_extraction", "write_extraction"]

JSON, CSV = "extraction.json", "spans.csv"
PLACES = ("id", "document", "label", "start_token", "end_token", "start_char", "end_char")


def write_extraction(run: RunDirectory, extraction: Extraction) -> None:
    """Write both files, the figures last: where they are, the texts are too."""
    run.write_text(CSV, _table(extraction.spans))
    # The path is that of the directory, which may be moved; texts are in the table alone.
    without_texts = [replace(span, text="") for span in extraction.spans]
    run.write_record(JSON, replace(extraction, path=Path(), spans=without_texts))


def read_extraction(path: str | Path) -> Extraction:
    """The extraction that `extract` left in the run directory *path*.

    Without ``spans.csv`` the texts of the spans are empty.

    Raises:
        InputError: there is none, it is damaged or of another schema, or the two files do not belong together.
    """
    folder = Path(path)
    extraction = read_record(Extraction, folder / JSON, InputError, "extract again")
    texts = _texts(folder / CSV, extraction.spans) if (folder / CSV).exists() else [""] * len(extraction.spans)
    spans = [replace(span, text=text) for span, text in zip(extraction.spans, texts, strict=True)]
    return replace(extraction, path=folder, spans=spans)


def _table(spans: Sequence[ExtractedSpan]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*PLACES, "probability", "probability_high", "likeliest_start_token", "text"])
    for span in spans:
        likeliest = span.likeliest
        figures = (likeliest.probability, likeliest.probability_high, likeliest.start_token)
        writer.writerow([*_place(span), *figures, span.text])
    return text.getvalue()


def _place(span: ExtractedSpan) -> list[str]:
    return ["" if (value := getattr(span, name)) is None else str(value) for name in PLACES]


def _texts(path: Path, spans: Sequence[ExtractedSpan]) -> list[str]:
    try:
        with path.open(encoding="utf-8", newline="") as file:  # a text keeps its line ends
            rows = list(csv.reader(file))[1:]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error}); extract again") from None
    if [row[: len(PLACES)] for row in rows] != [_place(span) for span in spans]:
        raise InputError(f"{path}: its spans are not those of {JSON}; extract again")
    return [row[-1] for row in rows]
