"""Commands that test texts of which the model may have read a version: canary test, paired."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import _options as opt
from ._groups import RunOptions
from ._models import PairOptions
from .dry_run import only_estimating
from .output import show, show_json
from .parameters import spelled
from .progress import progress_bars

__all__ = ["canary_test", "paired"]

Redact = Annotated[
    bool,
    typer.Option(
        "--redact",
        help="Name documents by numbers, on the screen and in the result. The other files of the folder hold their "
        "names and tokens: keep those.",
        rich_help_panel=opt.OUTPUT,
    ),
]


def canary_test(
    canaries: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="The folder of 'llm-mia canary make', whose public variants are drawn and were published.",
            show_default=False,
        ),
    ],
    models: PairOptions,
    run: RunOptions,
    attack: Annotated[
        str | None,
        typer.Option(
            "-a",
            "--attack",
            metavar="ATTACK",
            help="The score by which variants are compared, also with settings. Decide before you see a result: each "
            "other attack is another test, and all are counted.",
            show_default="reference with a reference model, else loss",
        ),
    ] = None,
    secret: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The file with the secret, where it is not in DIR.",
            show_default="DIR/sealed/secret",
        ),
    ] = None,
    redact: Redact = False,
    details: opt.Details = False,
) -> None:
    """Test whether a model prefers the published variants of documents to those that stayed sealed.

    The p-value assumes only that the published variants were drawn at random.
    """
    from ..canary import run_canary_test
    from ..report import canary_details, canary_screen, canary_summary
    from ..report.figures import write_canary_figure
    from ..signals import report_activity

    with only_estimating(run.dry_run, as_json=run.as_json), progress_bars(run.quiet) as progress:
        result = run_canary_test(
            canaries,
            models.target_model(),
            models.reference_model(),
            attack=attack,
            out=run.out,
            secret=secret,
            window_tokens=models.window_tokens,
            redact=redact,
            progress=progress,
        )
        report_activity(progress, "drawing the figure")
        write_canary_figure(result)
    if run.as_json:
        show_json(canary_summary(result))
    else:
        show(canary_details(result, spelled) if details else canary_screen(result, spelled))


def paired(
    pairs: Annotated[
        Path,
        typer.Argument(
            metavar="PAIRS",
            help="A jsonl file with a pair in each line: published and withheld (texts), and perhaps document and id.",
            show_default=False,
        ),
    ],
    models: PairOptions,
    run: RunOptions,
    placebo: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="A model that was released before the texts were published. With --reference too, the larger p-value "
            "of the two is the result.",
            show_default="the reference",
            rich_help_panel=opt.MODELS,
        ),
    ] = None,
    unpublished: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A control set: a jsonl file of pairs that were edited in the same way, and of which neither version "
            "was published; 'published' is the edited version there. With it no placebo is needed.",
            show_default="none",
        ),
    ] = None,
    redact: Redact = False,
    details: opt.Details = False,
) -> None:
    """Test whether a model prefers published texts to withheld versions by more than control texts or a placebo do.

    With --unpublished the finding assumes only that the control pairs were edited as the published ones were.

    Else it rests on the placebo: a model that was trained on neither version, and is as like the target as can be.
    """
    from ..canary import run_paired_test
    from ..report import paired_details, paired_screen, paired_summary
    from ..report.figures import write_paired_figure
    from ..signals import report_activity

    with only_estimating(run.dry_run, as_json=run.as_json), progress_bars(run.quiet) as progress:
        result = run_paired_test(
            pairs,
            models.target_model(),
            models.reference_model(),
            placebo=None if placebo is None else models.model_spec(placebo, None),
            unpublished=unpublished,
            out=run.out,
            window_tokens=models.window_tokens,
            redact=redact,
            progress=progress,
        )
        report_activity(progress, "drawing the figure")
        write_paired_figure(result)
    if run.as_json:
        show_json(paired_summary(result))
    else:
        show(paired_details(result, spelled) if details else paired_screen(result, spelled))
