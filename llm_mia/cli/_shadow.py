"""The command that trains shadow models: shadow."""

from __future__ import annotations

from typing import Annotated

import typer

from . import _options as opt
from ._groups import ReadingOptions, RunOptions
from ._models import BaseOptions
from ._recipe import TRAINING, RecipeOptions
from .dry_run import only_estimating
from .output import say, say_input_notes, show, show_json
from .parameters import spelled
from .progress import progress_bars

__all__ = ["shadow"]


def shadow(
    passages: opt.Input,
    models: BaseOptions,
    training: RecipeOptions,
    reading: ReadingOptions,
    run: RunOptions,
    shadows: Annotated[
        int,
        typer.Option(
            metavar="COUNT",
            help="How many models are trained: an even number, at least 4. Each document is in half of them.",
            rich_help_panel=TRAINING,
        ),
    ] = 8,
    processes: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="COUNT",
            help="Number of models that are trained, and then read the pool, at the same time; only on the CPU. They "
            "share its cores, so this is faster for small models only, and each needs memory for itself.",
            rich_help_panel=TRAINING,
        ),
    ] = 1,
    details: opt.Details = False,
) -> None:
    """Train shadow models, each on a random half of the documents, for attacks with 'llm-mia audit --shadows'.

    Train them as the target was trained: the same base, the same kind of training, texts of the same kind.
    """
    from ..report import shadows_details, shadows_screen, shadows_summary, shadows_work
    from ..shadow import plan_shadows, train_shadows
    from ..signals import report_activity

    recipe, base = training.recipe(), models.base_model()
    with only_estimating(run.dry_run, as_json=run.as_json), progress_bars(run.quiet) as progress:
        report_activity(progress, "reading the passages")
        pool = reading.read_unlabelled(passages, "passages")
        say_input_notes(pool)
        plan = plan_shadows(pool, base, shadows=shadows, recipe=recipe, seed=training.seed)
        if not run.quiet:
            say(shadows_work(plan))
        trained = train_shadows(
            pool,
            base,
            out=run.out,
            shadows=shadows,
            recipe=recipe,
            seed=training.seed,
            processes=processes,
            window_tokens=models.window_tokens,
            progress=progress,
        )
    if run.as_json:
        show_json(shadows_summary(trained))
    else:
        show(shadows_details(trained, spelled) if details else shadows_screen(trained, spelled))
