"""The command that needs no attack: perplexity."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from . import _options as opt
from ._groups import ReadingOptions
from ._models import PairOptions
from .dry_run import only_estimating
from .output import say, say_skipped, show, show_json
from .progress import progress_bars

__all__ = ["perplexity"]


def perplexity(
    passages: opt.Input,
    models: PairOptions,
    reading: ReadingOptions,
    out: opt.Out = Path("perplexity.csv"),
    per_token: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.parquet",
            help="Write also the log-probability of every token (nats), with its piece of text, to this Parquet file.",
            rich_help_panel=opt.OUTPUT,
        ),
    ] = None,
    dry_run: opt.DryRun = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Write the perplexity and the number of tokens of every passage, by the target and by a reference."""
    from ..perplexities import write_perplexities
    from ..report.words import counted

    source = reading.read(passages, "passages")
    with only_estimating(dry_run, as_json=as_json), progress_bars(quiet) as progress:
        written = write_perplexities(
            source,
            models.target_model(),
            models.reference_model(),
            out=out,
            per_token=per_token,
            window_tokens=models.window_tokens,
            progress=progress,
        )
    say_skipped(source)
    if as_json:
        show_json({**asdict(written), "path": str(written.path)})
        return
    for note in written.notes:
        say(f"note: {note}")
    if written.unscored:
        are = "is" if written.unscored == 1 else "are"
        say(f"note: {counted(written.unscored, 'passage')} {are} too short to have a perplexity")
    precisions = " and ".join(dict.fromkeys(written.dtypes.values()))
    tokens = f"{written.tokens['target']:,} tokens of the target"
    show(f"{counted(written.passages, 'passage')}, {tokens}, computed in {precisions}: {written.path}")
