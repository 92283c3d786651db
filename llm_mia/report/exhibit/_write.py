"""From a run directory to an exhibit."""

from __future__ import annotations

from pathlib import Path

from ...errors import RunDirectoryError, UsageError
from .._digests import digest_of, sums
from .._published import PublishedResults, holds_published_test, read_published
from .._results import Results, read_results
from ..words import Side
from ._controls import controls_of, controls_page, controls_table
from ._finding import finding_page
from ._folder import refuse_folder, write_folder
from ._manifest import MANIFEST, SUMS, Manifest, manifest_of
from ._published import passes_of, published_page, published_tables
from ._readme import audit_files, published_files, readme
from ._spans import span_pages, spans_table
from ._works import works_of, works_table

__all__ = ["write_exhibit"]

PAGE, TESTS_BESIDE_AUDIT = "finding.html", "published.html"
NO_TEXT = "No file holds a text or a token of a passage."
NO_NAME = f"{NO_TEXT} Documents are named by numbers."


def write_exhibit(
    run: str | Path,
    out: str | Path,
    *,
    extraction: str | Path | None = None,
    side: Side | str = Side.CLAIMANT,
    redact: bool = False,
) -> Path:
    """Write what an audit or a test shows, in a form that can be handed to a court, into the folder *out*.

    The same run directory gives the same bytes. The folder is written completely or not at all. Both sides get the same
    figures; they differ in what is asked first, and in the order of the sentences.

    Args:
        run: the run directory of an audit, of a test of canaries, or of a test of published and withheld versions.
        out: a new or an empty folder, or that of an exhibit, which is replaced.
        extraction: a run directory of `extract`; None: *run*, if it holds an extraction.
        side: for whom the finding is worded, ``claimant`` or ``defence``.
        redact: hold no text and no token of a passage; of tests of published texts, no name of a document, either.

    Raises:
        UsageError: *out* holds other files, or there is no such side.
        RunDirectoryError, InputError: a directory holds no result, or a damaged one; or *out* cannot be written.
    """
    folder = Path(out)
    if side not in set(Side):
        raise UsageError(f"`side` {side!r} is none of {', '.join(Side)}: name one of these")
    refuse_folder(folder, Path(run))
    try:
        if not (Path(run) / "audit.json").is_file() and holds_published_test(Path(run)):
            if extraction is not None:
                raise UsageError(f"`extraction` belongs to an audit, and {run} holds none: leave it out")
            files = _files_of_tests(read_published(run, redact=redact), Path(run), Side(side))
        else:
            files = _files(read_results(run, extraction=extraction, redact=redact), Side(side))
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
    }
    listed = audit_files(results)
    tests = results.published
    if tests.shown:
        files |= {TESTS_BESIDE_AUDIT: published_page(tests, results.audit.path, side), **published_tables(tests)}
        listed += published_files(tests.shown, TESTS_BESIDE_AUDIT)
    files["README.txt"] = readme(listed, "an audit", NO_TEXT if results.redact else "")
    audit, extraction = results.audit, results.extraction
    manifest = manifest_of(
        audit.path,
        audit.passes,
        files,
        side=side,
        redacted=results.redact,
        extraction=None if extraction is None else extraction.path,
        protocol=audit.protocol,
    )
    return _with_sums(files, manifest)


def _files_of_tests(tests: PublishedResults, run: Path, side: Side) -> dict[str, bytes]:
    """The content of each file of an exhibit of tests of published texts."""
    files = {PAGE: published_page(tests, run, side), **published_tables(tests)}
    files["README.txt"] = readme(
        published_files(tests.shown, PAGE), "tests of published texts", NO_NAME if tests.redacted else ""
    )
    manifest = manifest_of(run, passes_of(tests), files, side=side, redacted=tests.redacted, of_texts=True)
    return _with_sums(files, manifest)


def _with_sums(files: dict[str, bytes], of_files: Manifest) -> dict[str, bytes]:
    """*files* with their manifest and their digests."""
    manifest = of_files.to_json().encode()
    digests = {name: digest_of(content).sha256 for name, content in {**files, MANIFEST: manifest}.items()}
    return {**files, MANIFEST: manifest, SUMS: sums(digests)[0].encode()}
