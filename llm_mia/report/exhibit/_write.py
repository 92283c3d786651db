"""From a run directory to an exhibit."""

from __future__ import annotations

from pathlib import Path

from ...errors import RunDirectoryError, UsageError
from .._digests import digest_of, sums
from .._results import Results, read_results
from ..words import Side
from ._controls import controls_of, controls_page, controls_table
from ._finding import finding_page
from ._folder import refuse_folder, write_folder
from ._manifest import MANIFEST, SUMS, manifest_of
from ._readme import readme
from ._spans import span_pages, spans_table
from ._works import works_of, works_table

__all__ = ["write_exhibit"]


def write_exhibit(
    run: str | Path,
    out: str | Path,
    *,
    extraction: str | Path | None = None,
    side: Side | str = Side.CLAIMANT,
    redact: bool = False,
) -> Path:
    """Write what an audit shows, in a form that can be handed to a court, into the folder *out*; gives its path.

    The same run directory gives the same bytes. The folder is written completely or not at all. Both sides get the same
    figures; they differ in what is asked first, and in the order of the sentences.

    Args:
        run: the run directory of an audit.
        out: a new or an empty folder, or that of an exhibit, which is replaced.
        extraction: a run directory of `extract`; None: *run*, if it holds an extraction.
        side: for whom the finding is worded, ``claimant`` or ``defence``.
        redact: hold no text and no token of a passage.

    Raises:
        UsageError: *out* holds other files, or there is no such side.
        RunDirectoryError, InputError: a directory holds no result, or a damaged one; or *out* cannot be written.
    """
    folder = Path(out)
    if side not in set(Side):
        raise UsageError(f"`side` {side!r} is none of {', '.join(Side)}: name one of these")
    refuse_folder(folder, Path(run))
    results = read_results(run, extraction=extraction, redact=redact)
    try:
        files = _files(results, Side(side))
    except OSError as error:
        raise RunDirectoryError(f"{error.filename}: cannot be read ({error.strerror}): make it readable") from None
    write_folder(folder, files)
    return folder


def _files(results: Results, side: Side) -> dict[str, bytes]:
    """The content of each file, by its path in the exhibit."""
    controls = controls_of(results)
    spans = span_pages(results)
    files = {
        "finding.html": finding_page(results, side),
        "works.csv": works_table(works_of(results)),
        "controls.csv": controls_table(controls),
        "controls.html": controls_page(controls),
        **({"spans/spans.csv": spans_table(results)} if results.extraction is not None else {}),
        **spans,
        "README.txt": readme(results),
    }
    manifest = manifest_of(results, side, files).to_json().encode()
    listed = {name: digest_of(content).sha256 for name, content in {**files, MANIFEST: manifest}.items()}
    return {**files, MANIFEST: manifest, SUMS: sums(listed)[0].encode()}
