"""The command that plans canaries: canary plan."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import _options as opt
from ._groups import ReadingOptions, RunOptions
from ._models import PilotModelOptions
from .dry_run import only_estimating, say_estimate
from .grouping import OptionGroup
from .output import show, show_json
from .parameters import spelled
from .progress import progress_bars

if TYPE_CHECKING:
    from ..passages import Passages

__all__ = ["plan"]

DESIGN, PILOTS = "Design", "Pilots"


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignOptions(OptionGroup):
    """What is to be published, and what the test is to show."""

    documents: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            help="How many documents you will publish.",
            show_default="all of TEXTS; without TEXTS 100",
            rich_help_panel=DESIGN,
        ),
    ] = None
    variants: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            help="Variants of each document, of which 1 becomes public.",
            show_default="8; of supplied variants all",
            rich_help_panel=DESIGN,
        ),
    ] = None
    repeats: Annotated[
        int,
        typer.Option(
            metavar="NUMBER",
            help="How often you expect a model to see each public variant in its training.",
            rich_help_panel=DESIGN,
        ),
    ] = 1
    level: Annotated[
        float,
        typer.Option(metavar="SHARE", help="The largest p-value with which the test succeeds.", rich_help_panel=DESIGN),
    ] = 0.01
    goal: Annotated[
        float,
        typer.Option(
            "--power",
            metavar="SHARE",
            help="The power, the probability that the test succeeds, that you want: the screen says how many documents "
            "give it.",
            rich_help_panel=DESIGN,
        ),
    ] = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotOptions(OptionGroup):
    """How the effect is measured."""

    pilots: Annotated[
        int,
        typer.Option(
            metavar="NUMBER",
            help="How many models are trained; more of them make the interval narrower. The same command with a larger "
            "number trains only those that are missing.",
            rich_help_panel=PILOTS,
        ),
    ] = 6
    pilot_documents: Annotated[
        int,
        typer.Option(
            metavar="NUMBER",
            help="Documents of each pilot for each number of repeats (1, 2, 4, 8 and --repeats).",
            rich_help_panel=PILOTS,
        ),
    ] = 8
    others: Annotated[
        int,
        typer.Option(
            metavar="NUMBER",
            help="Other texts that each model is trained on once: passages of Python's language reference.",
            rich_help_panel=PILOTS,
        ),
    ] = 150
    learning_rate: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="Learning rate of the training, by AdamW, of all weights. It is low by default, because a model that "
            "is trained on far more texts remembers less of each.",
            show_default="0.00001",
            rich_help_panel=PILOTS,
        ),
    ] = None
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="NUMBER",
            help="Draws the documents, their public variants, the other texts, and the order of the texts in a "
            "training.",
            rich_help_panel=PILOTS,
        ),
    ] = 0
    keep_models: Annotated[
        bool,
        typer.Option(
            "--keep-models",
            help="Keep the trained models in the folder. They know the public variants of the pilots; where you give "
            "CANARIES, these may be sealed variants.",
            rich_help_panel=PILOTS,
        ),
    ] = False


def plan(
    models: PilotModelOptions,
    reading: ReadingOptions,
    design: DesignOptions,
    pilots: PilotOptions,
    run: RunOptions,
    texts: Annotated[
        str | None,
        typer.Argument(
            metavar="[TEXTS|CANARIES]",
            help=f"The texts that you want to publish: {opt.INPUT_KINDS}. Or a folder of 'llm-mia canary make', which "
            "is only read: its sealed variants are used.",
            show_default="passages of Python's language reference",
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="How variants differ, as for 'llm-mia canary make': token, insert (the embedded model writes "
            "sentences, which may take hours) or rephrase.",
            show_default="token; that of CANARIES",
        ),
    ] = None,
    rephrased: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="With --kind rephrase: further variants, a row for each with the columns document and text.",
            show_default="none",
        ),
    ] = None,
    details: opt.Details = False,
) -> None:
    """Show how many documents, variants and repeats canaries need, before anything is published.

    Pilots are models that are trained here on public variants. They show how large the effect of the test is, and so
    the power of a design, which is the probability that the test succeeds.
    """
    from ..canary import plan_canaries
    from ..report import plan_details, plan_screen, plan_summary
    from ..report.figures import write_plan_figure
    from ..signals import report_activity
    from ..training import Method, Recipe

    whole, rate = reading.of_whole_texts(), pilots.learning_rate
    recipe = None if rate is None else Recipe(Method.FULL, 1, learning_rate=rate)
    with only_estimating(run.dry_run, as_json=run.as_json), progress_bars(run.quiet) as progress:
        planned = partial(
            plan_canaries,
            _source(texts, whole),
            out=run.out,
            documents=design.documents,
            variants=design.variants,
            repeats=design.repeats,
            kind=kind,
            rephrased=None if rephrased is None else whole.read_unlabelled(rephrased, "rephrased"),
            model=models.pilot_model(),
            level=design.level,
            goal=design.goal,
            pilots=pilots.pilots,
            pilot_documents=pilots.pilot_documents,
            others=pilots.others,
            recipe=recipe,
            seed=pilots.seed,
            keep_models=pilots.keep_models,
            window_tokens=models.window_tokens,
            progress=progress,
        )
        if not (run.dry_run or run.quiet):
            say_estimate(planned)
        result = planned()
        report_activity(progress, "drawing the figure")
        write_plan_figure(result)
    if run.as_json:
        show_json(plan_summary(result))
    else:
        show(plan_details(result, spelled) if details else plan_screen(result, spelled))


def _source(texts: str | None, reading: ReadingOptions) -> Passages | Path | None:
    """The texts, or the folder of canaries; None where neither is given."""
    if texts is None:
        return None
    is_canaries = (Path(texts) / "manifest.json").is_file()
    return Path(texts) if is_canaries else reading.read_unlabelled(texts, "texts")
