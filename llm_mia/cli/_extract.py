"""The command that shows which texts a model emits verbatim: extract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from . import _options as opt
from ._groups import ReadingOptions, RunOptions
from ._models import PairOptions
from ._stretch import EXTRACTED, StretchOptions
from .dry_run import only_estimating
from .output import say_input_notes, show, show_json
from .parameters import spelled
from .progress import progress_bars

__all__ = ["extract"]

PROOF = "Proof by generation"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanReadingOptions(ReadingOptions):
    """How passages are read, but with longer passages: a span that crosses the end of a passage is cut there."""

    passage_tokens: opt.PassageTokens = 16_384


def extract(
    passages: opt.Input,
    models: PairOptions,
    reading: SpanReadingOptions,
    run: RunOptions,
    extracted: StretchOptions,
    nonmembers: Annotated[
        str | None,
        typer.Option(
            metavar="INPUT",
            help="Passages known not to be in the training data, of like length: they show how often a span is chance. "
            f"INPUT is {opt.INPUT_KINDS}.",
            show_default="the rows with label 0",
            rich_help_panel=opt.KNOWN,
        ),
    ] = None,
    prefix: Annotated[
        int,
        typer.Option(
            metavar="TOKENS",
            help="Smallest number of tokens before a stretch in its passage; papers use 50.",
            rich_help_panel=EXTRACTED,
        ),
    ] = 1,
    top_k: Annotated[
        int | None,
        typer.Option(
            metavar="COUNT",
            help="Draw each token from this many likeliest tokens only; probabilities are then bounds, not values.",
            show_default="all tokens",
            rich_help_panel=EXTRACTED,
        ),
    ] = None,
    temperature: Annotated[
        float,
        typer.Option(
            metavar="NUMBER",
            help="1: each token is drawn by its probability. 0: the likeliest token is taken. Other values are "
            "refused.",
            rich_help_panel=EXTRACTED,
        ),
    ] = 1.0,
    proof: Annotated[
        bool,
        typer.Option(
            "--proof",
            help="Let the model generate the likeliest spans, and compare its text with the passages.",
            rich_help_panel=PROOF,
        ),
    ] = False,
    samples: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="COUNT",
            help="With --proof: number of random continuations for each span.",
            rich_help_panel=PROOF,
        ),
    ] = 20,
    most_proofs: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="COUNT",
            help="With --proof: largest number of spans that the model generates.",
            rich_help_panel=PROOF,
        ),
    ] = 20,
    seed: Annotated[
        int,
        typer.Option(
            min=0, metavar="NUMBER", help="With --proof: seed of the random continuations.", rich_help_panel=PROOF
        ),
    ] = 0,
    redact: opt.Redact = False,
    details: opt.Details = False,
) -> None:
    """Show how much of the passages the model writes word for word, with the probability of each span.

    A reference model (-r) and known non-members (--nonmembers, or rows with label 0) show how much of it is chance.
    """
    from ..extraction import Sampling, extract as run_extract
    from ..report import extraction_screen, extraction_summary, extraction_table
    from ..signals import report_activity

    sampling = Sampling(temperature, top_k)
    with only_estimating(run.dry_run, as_json=run.as_json), progress_bars(run.quiet) as progress:
        report_activity(progress, "reading the passages")
        source = reading.read(passages, "passages")
        say_input_notes(source)
        known = None if nonmembers is None else reading.read(nonmembers, "nonmembers", 0)
        extraction = run_extract(
            source,
            models.target_model(),
            reference=models.reference_model(),
            nonmembers=known,
            out=run.out,
            stretch=extracted.stretch,
            probability=extracted.probability,
            prefix=prefix,
            sampling=sampling,
            proof=proof,
            samples=samples,
            most_proofs=most_proofs,
            seed=seed,
            redact=redact,
            window_tokens=models.window_tokens,
            progress=progress,
        )
    if run.as_json:
        show_json(extraction_summary(extraction))
    else:
        show(extraction_table(extraction, spelled) if details else extraction_screen(extraction, spelled))
