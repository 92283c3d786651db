"""Commands that do the whole: audit, validate, demo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import _options as opt
from ._options import PassageOptions
from ._output import progress_bars, say, show, show_json

if TYPE_CHECKING:
    from ..validity import Validity

__all__ = ["FLAGGED", "VOID", "audit", "demo", "validate"]

FLAGGED, VOID = 3, 1


def audit(
    candidates: Annotated[
        str, typer.Argument(help="Passages to decide on: file, folder, hf://…, or -.", show_default=False)
    ],
    nonmembers: opt.Nonmembers,
    model: opt.Model,
    out: opt.RunOut,
    members: opt.Members = None,
    reference: opt.Reference = None,
    attack: Annotated[
        list[str] | None,
        typer.Option(
            "-a",
            "--attack",
            help="Attack with settings, as min_k:k=0.1; repeatable, the first decides; auto: the best on one half of "
            "the known set decides; stack: one score learned from all on one half. Default: all that the models allow, "
            "the stack deciding where the known set is large, else 'reference' or 'min_k'.",
        ),
    ] = None,
    fpr: opt.FprOrNone = None,
    fdr: opt.Fdr = None,
    confidence: opt.Confidence = None,
    accept_void: opt.AcceptVoid = False,
    shots: opt.Shots = None,
    population: opt.Population = None,
    frequencies: opt.Frequencies = None,
    neighbours: opt.Neighbours = 10,
    neighbour_model: opt.NeighbourModel = None,
    text_column: opt.TextColumn = None,
    id_column: opt.IdColumn = None,
    document_column: opt.DocumentColumn = None,
    passage_tokens: opt.PassageTokens = 128,
    revision: opt.Revision = None,
    reference_revision: opt.ReferenceRevision = None,
    dtype: opt.DType = "auto",
    device: opt.Device = "auto",
    trust_remote_code: opt.TrustRemoteCode = False,
    tokens_per_batch: opt.TokensPerBatch = None,
    window_tokens: opt.WindowTokens = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    fail_if_flagged: opt.FailIfFlagged = False,
) -> int:
    """Validate the known set, score, calibrate on the non-members, flag the candidates, and report: all in one."""
    from ..auditing import audit as run_audit
    from ..backends import ModelSpec
    from ..report import audit_summary, audit_table, why_withheld, write_report

    def told(validity: Validity) -> None:
        if validity.verdict == "void" and not quiet:
            say(f"note: {why_withheld(validity)}; scoring goes on all the same")

    files = PassageOptions(text_column, id_column, None, document_column, passage_tokens)
    how = (dtype, device, trust_remote_code, tokens_per_batch)
    with progress_bars(quiet) as progress:
        found = run_audit(
            files.read_unlabelled(candidates),
            nonmembers=files.read(nonmembers, 0),
            members=None if members is None else files.read(members, 1),
            target=ModelSpec(model, revision, *how),
            reference=ModelSpec(reference, reference_revision, *how) if reference else None,
            attacks=attack or (),
            aids=opt.aids(files, shots, population, frequencies, neighbours, neighbour_model, device),
            fpr=fpr,
            fdr=fdr,
            confidence=confidence,
            accept_void=accept_void,
            out=out,
            window_tokens=window_tokens,
            progress=progress,
            told=told,
        )
    write_report(found)
    if as_json:
        show_json(audit_summary(found))
    else:
        show(audit_table(found))
    if found.withheld:
        say(f"llm-mia: {why_withheld(found.validity)}: mend it, or --accept-void")
        return VOID
    return FLAGGED if fail_if_flagged and found.flags.flagged else 0


def validate(
    nonmembers: opt.Nonmembers,
    members: opt.Members = None,
    candidates: Annotated[
        str | None, typer.Option(help="Passages to decide on: could they be non-members?", rich_help_panel=opt.INPUT)
    ] = None,
    fpr: opt.Fpr = 0.05,
    confidence: opt.Confidence = None,
    text_column: opt.TextColumn = None,
    id_column: opt.IdColumn = None,
    document_column: opt.DocumentColumn = None,
    passage_tokens: opt.PassageTokens = 128,
    as_json: opt.Json = False,
) -> int:
    """Ask whether a known set may carry a verdict, without any model; exits with 1 where it is void."""
    from ..auditing import validate_files
    from ..report import validity_table
    from ..validity import RequestedRates

    files = PassageOptions(text_column, id_column, None, document_column, passage_tokens)
    found = validate_files(
        None if members is None else files.read(members, 1),
        files.read(nonmembers, 0),
        None if candidates is None else files.read_unlabelled(candidates),
        rates=RequestedRates(fpr, confidence),
    )
    if as_json:
        show_json(json.loads(found.to_json()))
    else:
        show(validity_table(found))
    return VOID if found.verdict == "void" else 0


def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for corpus, model and run directory.")] = Path(
        "llm-mia-demo"
    ),
    fpr: opt.Fpr = 0.05,
    epochs: Annotated[int, typer.Option(min=1, help="Times that the model sees its training passages.")] = 1,
    seed: Annotated[int, typer.Option(help="Draws the corpus and orders the training.")] = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Train a small real model here, audit it, and hold the decisions against the truth."""
    from ..demo import demo as run_demo, demo_summary, demo_table
    from ..report import audit_table, write_report

    with progress_bars(quiet) as progress:
        found = run_demo(out, fpr=fpr, epochs=epochs, seed=seed, progress=progress)
    write_report(found.audit)
    if as_json:
        show_json(demo_summary(found))
    else:
        show(audit_table(found.audit))
        show(demo_table(found))
