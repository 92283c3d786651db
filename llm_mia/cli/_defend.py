"""The command that compares defences: defend."""

from __future__ import annotations

from typing import Annotated

import typer

from . import _options as opt
from ._groups import ReadingOptions, RunOptions
from ._models import BaseOptions
from ._recipe import RecipeOptions
from ._stretch import StretchOptions
from .dry_run import only_estimating
from .output import say_input_notes, show, show_json
from .parameters import spelled
from .progress import progress_bars

__all__ = ["defend"]

MEASURED = "What is measured"


def defend(
    passages: opt.Input,
    models: BaseOptions,
    training: RecipeOptions,
    reading: ReadingOptions,
    run: RunOptions,
    extracted: StretchOptions,
    with_: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="DEFENCE",
            help="A defence, also with settings; may be repeated. Training: dp:epsilon=8, dropout:p=0.2, "
            "weight_decay:w=0.1, early_stopping, label_smoothing:a=0.1, epochs:n=1, deduplication. Outputs: top_k:k=5, "
            "rounding:d=2, temperature:t=2, noise:sd=0.5, sampled_text, no_prompt_logprobs, logprobs_only. "
            "Several at once are joined by +: dp:epsilon=8+rounding:d=2.",
            show_default="none: only the model without defence",
        ),
    ] = None,
    canaries: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="COUNT",
            help="Number of canaries: random texts that are added to measure ε, about half of them to the training. "
            "0: none.",
            rich_help_panel=MEASURED,
        ),
    ] = 64,
    fprs: Annotated[
        list[float] | None,
        typer.Option(
            "--fpr",
            metavar="RATE",
            help="A false positive rate at which the true positive rate is shown; may be repeated.",
            show_default="0.01 and 0.001",
            rich_help_panel=MEASURED,
        ),
    ] = None,
    details: opt.Details = False,
) -> None:
    """Train a model without defence and with each defence, and show how much each leaks and what it costs.

    Half of the documents are trained on, the same half for every defence; the other half is held out.
    """
    from ..defenses import defend as run_defend
    from ..report import defenses_screen, defenses_summary, defenses_table
    from ..report.figures import write_defenses_figure
    from ..signals import report_activity

    recipe = training.recipe()
    with only_estimating(run.dry_run, as_json=run.as_json), progress_bars(run.quiet) as progress:
        report_activity(progress, "reading the passages")
        source = reading.read_unlabelled(passages, "passages")
        say_input_notes(source)
        result = run_defend(
            source,
            models.base_model(),
            with_=with_ or (),
            out=run.out,
            recipe=recipe,
            canaries=canaries,
            fprs=fprs or (0.01, 0.001),
            seed=training.seed,
            stretch=extracted.stretch,
            probability=extracted.probability,
            window_tokens=models.window_tokens,
            progress=progress,
        )
        report_activity(progress, "drawing the figure")
        write_defenses_figure(result)
    if run.as_json:
        show_json(defenses_summary(result))
    else:
        show(defenses_table(result, spelled) if details else defenses_screen(result, spelled))
