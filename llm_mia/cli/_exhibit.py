"""The command that writes what an audit or a test shows for a court, and checks what was written: exhibit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from . import _options as opt
from ._checks import refuse_without_audit
from .output import show, show_json

if TYPE_CHECKING:
    from ..report.exhibit import Verification

__all__ = ["exhibit"]

CHECK = "Checking an exhibit"


def exhibit(
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN",
            help="A run directory of 'llm-mia audit', 'canary test' or 'paired'. With --verify it may be left out; if "
            "it is given, its files and the inputs that it names are compared, too.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FOLDER",
            help="The exhibit: a new folder, or that of an exhibit, which is replaced.",
            show_default=False,
            rich_help_panel=opt.OUTPUT,
        ),
    ] = None,
    extraction: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="A run directory of 'llm-mia extract', for the texts that the model writes word for word.",
            show_default="RUN, if it holds an extraction",
        ),
    ] = None,
    side: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="SIDE",
            help="For whom the finding is worded: 'claimant', or 'defence' (what was looked for, what was not found, "
            "with what power). Both have the same figures.",
        ),
    ] = "claimant",
    redact: Annotated[
        bool,
        typer.Option(
            "--redact",
            help="Write no text and no token of a passage into the exhibit; of 'canary test' and 'paired', name "
            "documents by numbers.",
        ),
    ] = False,
    verify: Annotated[
        Path | None,
        typer.Option(
            metavar="EXHIBIT",
            help="Write nothing, but check the exhibit in this folder: which files are unchanged, changed, missing or "
            "added. Exit code 1 where anything differs.",
            show_default=False,
            rich_help_panel=CHECK,
        ),
    ] = None,
    manifest_sha256: Annotated[
        str | None,
        typer.Option(
            "--digest",
            metavar="SHA256",
            help="With --verify: the digest of manifest.json that was noted when the exhibit was written. Without it, "
            "a change by somebody who changed the manifest, too, is not noticed.",
            show_default=False,
            rich_help_panel=CHECK,
        ),
    ] = None,
    as_json: opt.Json = False,
) -> int:
    """Write an exhibit: the finding on a page, tables of works, spans and controls, and the SHA-256 of everything."""
    if verify is not None:
        return _verify(verify, run, out, manifest_sha256, as_json)
    if run is None or out is None:
        missing = (
            "RUN is missing: name the run directory of an audit, or of a test of published texts"
            if run is None
            else "`out` is missing: name it"
        )
        raise UsageError(f"{missing}; or give `verify`, with the folder of an exhibit")
    if manifest_sha256 is not None:
        raise UsageError("`manifest_sha256` is for `verify`: leave it out, or give `verify`")
    from ..report import exhibit_lines, exhibit_summary, holds_published_test, write_exhibit

    if not holds_published_test(run):
        refuse_without_audit(run)

    folder = write_exhibit(run, out, extraction=extraction, side=side, redact=redact)
    if as_json:
        show_json(exhibit_summary(folder))
    else:
        show(exhibit_lines(folder))
    return 0


def _verify(verify: Path, run: Path | None, out: Path | None, manifest_sha256: str | None, as_json: bool) -> int:
    """Check an exhibit, and print what differs; 1 where anything does."""
    from ..report import verification_lines, verification_summary, verify_exhibit

    if out is not None:
        raise UsageError("`verify` writes nothing: leave out `out`")
    checked: Verification = verify_exhibit(verify, run=run, manifest_sha256=manifest_sha256)
    if as_json:
        show_json(verification_summary(checked))
    else:
        show(verification_lines(checked))
    return 0 if checked.intact else 1
