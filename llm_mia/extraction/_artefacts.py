"""The files of an extraction: ``extraction.json`` holds every figure and no text; the texts are in two tables.

``spans.csv`` has the text of each span, ``proofs.csv`` what the model was given, what it wrote, and the original.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..store import RunDirectory, read_record
from ._records import Extraction
from ._span_records import ExtractedSpan

__all__ = ["read_extraction", "without_texts", "write_extraction"]

JSON, SPANS, PROOFS = "extraction.json", "spans.csv", "proofs.csv"
SPAN_PLACES = ("id", "document", "label", "start_token", "end_token", "start_char", "end_char")
SPAN_FIGURES = ("probability", "probability_high", "likeliest_start_token")
REFERENCE_FIGURES = ("probability", "probability_high", "writes_too")
PROOF_PLACES = ("id", "start_token", "tokens", "prompt_tokens", "greedy_tokens", "greedy_bytes", "samples", "matched")
PROOF_TEXTS = ("prompt", "output", "original")
LONGEST_CELL = 1 << 30
"""Characters of a text; by default the `csv` module refuses more than 131,072."""


def write_extraction(run: RunDirectory, extraction: Extraction) -> None:
    """Write the files, the figures last: where they are, the texts are too. A redacted table has empty texts."""
    of_reference = [f"reference_{name}" for name in REFERENCE_FIGURES]
    titles = [*SPAN_PLACES, *SPAN_FIGURES, *of_reference, "text"]
    run.write_text(SPANS, _table(titles, [_span_row(span) for span in extraction.spans]))
    if extraction.proofs:
        proofs = [_cells(proof, (*PROOF_PLACES, *PROOF_TEXTS)) for proof in extraction.proofs]
        run.write_text(PROOFS, _table([*PROOF_PLACES, *PROOF_TEXTS], proofs))
    else:
        (run.path / PROOFS).unlink(missing_ok=True)
    # The path is that of the directory, which may be moved; texts are in the tables alone.
    run.write_record(JSON, replace(without_texts(extraction), path=Path()))


def without_texts(extraction: Extraction) -> Extraction:
    """The same figures, with empty texts."""
    spans = [replace(span, text="") for span in extraction.spans]
    proofs = [replace(proof, prompt="", output="", original="") for proof in extraction.proofs]
    return replace(extraction, spans=spans, proofs=proofs)


def read_extraction(path: str | Path) -> Extraction:
    """The extraction that `extract` left in the run directory *path*.

    Without ``spans.csv`` the texts of the spans are empty, without ``proofs.csv`` those of the proofs.

    Raises:
        InputError: there is none, it is damaged or of another schema, or the files do not belong together.
    """
    folder = Path(path)
    extraction = read_record(Extraction, folder / JSON, InputError, "extract again")
    of_spans = _texts(folder / SPANS, [_cells(span, SPAN_PLACES) for span in extraction.spans], 1)
    of_proofs = _texts(folder / PROOFS, [_cells(proof, PROOF_PLACES) for proof in extraction.proofs], len(PROOF_TEXTS))
    spans = [replace(span, text=text) for span, (text,) in zip(extraction.spans, of_spans, strict=True)]
    proofs = [
        replace(proof, prompt=prompt, output=output, original=original)
        for proof, (prompt, output, original) in zip(extraction.proofs, of_proofs, strict=True)
    ]
    return replace(extraction, path=folder, spans=spans, proofs=proofs)


def _span_row(span: ExtractedSpan) -> list[str]:
    likeliest, reference = span.likeliest, span.reference
    figures = [likeliest.probability, likeliest.probability_high, likeliest.start_token]
    of_reference = [""] * len(REFERENCE_FIGURES) if reference is None else _cells(reference, REFERENCE_FIGURES)
    return [*_cells(span, SPAN_PLACES), *map(str, figures), *of_reference, span.text]


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([titles, *rows])
    return text.getvalue()


def _cells(record: Any, names: Sequence[str]) -> list[str]:
    return ["" if (value := getattr(record, name)) is None else str(value) for name in names]


def _texts(path: Path, places: Sequence[Sequence[str]], texts: int) -> list[list[str]]:
    """The last *texts* cells of each row of a table, whose first cells are *places*; empty where there is no table."""
    if not path.exists():
        return [[""] * texts for _ in places]
    try:
        with path.open(encoding="utf-8", newline="") as file, _long_cells():  # a text keeps its line ends
            rows = list(csv.reader(file))[1:]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error}); extract again") from None
    if [row[: len(place)] for row, place in zip(rows, places, strict=False)] != list(places) or len(rows) != len(
        places
    ):
        raise InputError(f"{path}: its rows are not those of {JSON}; extract again")
    return [row[-texts:] for row in rows]


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let the `csv` module read texts of any length."""
    before = csv.field_size_limit(LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)
