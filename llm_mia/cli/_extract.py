"""The command that shows which texts a model emits verbatim: extract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from . import _options as opt
from ._groups import LabelledReadingOptions, RunOptions
from ._models import TargetOptions
from .output import progress_bars, say, show, show_json

__all__ = ["extract"]

WHAT, PROOF = "What is extracted", "Proof by generation"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanReadingOptions(LabelledReadingOptions):
    """As passages are read to be scored, but longer: a span that crosses the end of a passage is cut there."""

    passage_tokens: opt.PassageTokens = 16_384


def extract(
    passages: opt.Input,
    models: TargetOptions,
    reading: SpanReadingOptions,
    run: RunOptions,
    stretch: Annotated[
        int,
        typer.Option(metavar="TOKENS", help="Fewest tokens in a row that count as verbatim.", rich_help_panel=WHAT),
    ] = 50,
    probability: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Least probability with which the model must write a stretch, given the text before it.",
            rich_help_panel=WHAT,
        ),
    ] = 0.001,
    prefix: Annotated[
        int,
        typer.Option(
            metavar="TOKENS",
            help="Tokens of the passage that must precede a stretch; papers use 50.",
            rich_help_panel=WHAT,
        ),
    ] = 1,
    top_k: Annotated[
        int | None,
        typer.Option(
            metavar="COUNT",
            help="The model draws each token among this many likeliest; of a probability only bounds are then known.",
            show_default="among all",
            rich_help_panel=WHAT,
        ),
    ] = None,
    temperature: Annotated[
        float,
        typer.Option(
            metavar="NUMBER",
            help="1: the model draws tokens by their probability; 0: it takes the likeliest. No other value.",
            rich_help_panel=WHAT,
        ),
    ] = 1.0,
    proof: Annotated[
        bool,
        typer.Option(
            "--proof",
            help="Let the model write the likeliest spans, and compare them with the passages.",
            rich_help_panel=PROOF,
        ),
    ] = False,
    samples: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="COUNT",
            help="With --proof: continuations drawn for each span.",
            rich_help_panel=PROOF,
        ),
    ] = 20,
    most_proofs: Annotated[
        int,
        typer.Option(
            min=1, metavar="COUNT", help="With --proof: most spans that the model writes.", rich_help_panel=PROOF
        ),
    ] = 20,
    seed: Annotated[
        int,
        typer.Option(
            min=0, metavar="NUMBER", help="With --proof: which continuations are drawn.", rich_help_panel=PROOF
        ),
    ] = 0,
) -> None:
    """Find the parts of the passages that the model writes word for word, and how probably.

    Rows with label 0 (known non-members) show how often that happens by chance.
    """
    from ..extraction import Sampling, extract as run_extract
    from ..passages import check_inputs
    from ..report import extraction_summary, extraction_table

    sampling = Sampling(temperature, top_k)
    source = reading.read(passages)
    for note in check_inputs([source]).notes:
        say(f"note: {note}")
    with progress_bars(run.quiet) as progress:
        found = run_extract(
            source,
            models.target_model(),
            out=run.out,
            stretch=stretch,
            probability=probability,
            prefix=prefix,
            sampling=sampling,
            proof=proof,
            samples=samples,
            most_proofs=most_proofs,
            seed=seed,
            window_tokens=models.window_tokens,
            progress=progress,
        )
    if run.as_json:
        show_json(extraction_summary(found))
    else:
        show(extraction_table(found))
