"""The command that shows which texts a model emits verbatim: extract."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from . import _options as opt
from ._options import PassageOptions
from ._output import progress_bars, say, show, show_json

__all__ = ["extract"]

WHAT, PROOF = "What is extracted", "Proof by generation"


def extract(
    passages: Annotated[str, typer.Argument(help="File, folder, hf://…, or - for standard input.", show_default=False)],
    model: opt.Model,
    out: opt.RunOut,
    stretch: Annotated[int, typer.Option(help="Tokens that must come in one go.", rich_help_panel=WHAT)] = 50,
    probability: Annotated[
        float, typer.Option(help="Least probability of a stretch that counts.", rich_help_panel=WHAT)
    ] = 0.001,
    prefix: Annotated[
        int, typer.Option(help="Tokens of the passage that must precede a stretch (papers: 50).", rich_help_panel=WHAT)
    ] = 1,
    top_k: Annotated[
        int | None,
        typer.Option(
            help="Tokens are drawn among the k likeliest (default: among all); probabilities are then bounds.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    temperature: Annotated[
        float, typer.Option(help="1, or 0 for greedy decoding; signals tell no other.", rich_help_panel=WHAT)
    ] = 1.0,
    proof: Annotated[
        bool,
        typer.Option("--proof", help="Let the model write the likeliest spans, and compare.", rich_help_panel=PROOF),
    ] = False,
    samples: Annotated[int, typer.Option(min=0, help="Continuations drawn for each span.", rich_help_panel=PROOF)] = 20,
    most_proofs: Annotated[int, typer.Option(min=1, help="Most spans that are proved.", rich_help_panel=PROOF)] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Draws the continuations.", rich_help_panel=PROOF)] = 0,
    text_column: opt.TextColumn = None,
    id_column: opt.IdColumn = None,
    label_column: opt.LabelColumn = None,
    document_column: opt.DocumentColumn = None,
    # Far longer than where passages are compared: a span that crosses the end of a passage is cut there.
    passage_tokens: opt.PassageTokens = 16_384,
    revision: opt.Revision = None,
    dtype: opt.DType = "auto",
    device: opt.Device = "auto",
    trust_remote_code: opt.TrustRemoteCode = False,
    tokens_per_batch: opt.TokensPerBatch = None,
    window_tokens: opt.WindowTokens = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Find what the model emits verbatim, and how probably, given what precedes it; label 0 rows calibrate."""
    from ..backends import ModelSpec
    from ..extraction import Sampling, extract as run_extract
    from ..passages import check_inputs
    from ..report import extraction_table

    sampling = Sampling(temperature, top_k)
    source = PassageOptions(text_column, id_column, label_column, document_column, passage_tokens).read(passages)
    check = check_inputs([source])
    for note in check.notes:
        say(f"note: {note}")
    with progress_bars(quiet) as progress:
        found = run_extract(
            source,
            ModelSpec(model, revision, dtype, device, trust_remote_code, tokens_per_batch),
            out=out,
            stretch=stretch,
            probability=probability,
            prefix=prefix,
            sampling=sampling,
            proof=proof,
            samples=samples,
            most_proofs=most_proofs,
            seed=seed,
            window_tokens=window_tokens,
            check=check,
            progress=progress,
        )
    if as_json:
        show_json({**json.loads(found.to_json()), "spans_csv": str(found.path / "spans.csv")})
    else:
        show(extraction_table(found))
