"""Commands that do the whole: audit, validate, demo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import _options as opt
from ._groups import EvidenceOptions, KnownSetOptions, ReadingOptions, RunOptions
from ._models import ModelOptions
from .output import progress_bars, say, show, show_json

if TYPE_CHECKING:
    from ..validity import Validity

__all__ = ["FLAGGED", "VOID", "audit", "demo", "validate"]

FLAGGED, VOID = 3, 1


def audit(
    candidates: Annotated[
        str,
        typer.Argument(
            help="Passages to decide on: a file (jsonl, json, csv, tsv, parquet, txt), a folder of such files, "
            "hf://DATASET, or - for standard input.",
            show_default=False,
        ),
    ],
    known: KnownSetOptions,
    models: ModelOptions,
    evidence: EvidenceOptions,
    reading: ReadingOptions,
    run: RunOptions,
    attacks: Annotated[
        list[str] | None,
        typer.Option(
            "-a",
            "--attack",
            metavar="ATTACK",
            help="An attack, with settings if wanted, as in min_k:k=0.1; may be repeated, and the first decides. "
            "'auto', 'stack', 'all': see 'llm-mia attacks auto' and so on.",
            show_default="those that the models and the other inputs allow and that cost little; which of them "
            "decides: see 'llm-mia attacks default'",
        ),
    ] = None,
    fpr: opt.FprOrNone = None,
    fdr: opt.Fdr = None,
    confidence: opt.Confidence = None,
    accept_void: opt.AcceptVoid = False,
    fail_if_flagged: opt.FailIfFlagged = False,
) -> int:
    """Audit a model: check the known set, score, set the threshold on known non-members, flag candidates, report."""
    from ..auditing import audit as run_audit
    from ..report import audit_summary, audit_table, why_withheld

    def report_validity(validity: Validity) -> None:
        if validity.verdict == "void" and not run.quiet:
            say(f"note: {why_withheld(validity)}; scoring goes on all the same")

    with progress_bars(run.quiet) as progress:
        found = run_audit(
            reading.read_unlabelled(candidates),
            nonmembers=known.read_nonmembers(reading),
            members=known.read_members(reading),
            target=models.target_model(),
            reference=models.reference_model(),
            attacks=attacks or (),
            supplies=evidence.supplies(reading, models.device),
            fpr=fpr,
            fdr=fdr,
            confidence=confidence,
            accept_void=accept_void,
            out=run.out,
            window_tokens=models.window_tokens,
            progress=progress,
            report_validity=report_validity,
        )
    if run.as_json:
        show_json(audit_summary(found))
    else:
        show(audit_table(found))
    if found.withheld:
        say(f"llm-mia: {why_withheld(found.validity)}: repair it, or state findings all the same: --accept-void")
        return VOID
    return FLAGGED if fail_if_flagged and found.flags.flagged else 0


def validate(
    known: KnownSetOptions,
    reading: ReadingOptions,
    candidates: Annotated[
        str | None,
        typer.Option(
            metavar="INPUT",
            help="Passages to decide on; checks whether they are like the known set.",
            rich_help_panel=opt.KNOWN,
        ),
    ] = None,
    fpr: opt.Fpr = 0.05,
    confidence: opt.Confidence = None,
    as_json: opt.Json = False,
) -> int:
    """Check, without a model, whether a known set can carry a verdict; exit code 1 if it can not."""
    from ..auditing import validate as run_validate
    from ..report import validity_table
    from ..validity import RequestedRates

    found = run_validate(
        known.read_members(reading),
        known.read_nonmembers(reading),
        None if candidates is None else reading.read_unlabelled(candidates),
        rates=RequestedRates(fpr, confidence),
    )
    if as_json:
        show_json(json.loads(found.to_json()))
    else:
        show(validity_table(found))
    return VOID if found.verdict == "void" else 0


def demo(
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="FOLDER",
            help="Folder for the texts, the model and the run directory.",
            rich_help_panel=opt.OUTPUT,
        ),
    ] = Path("llm-mia-demo"),
    fpr: opt.Fpr = 0.05,
    epochs: Annotated[
        int, typer.Option(min=1, metavar="COUNT", help="How often the model is trained on each passage.")
    ] = 1,
    seed: Annotated[
        int, typer.Option(metavar="NUMBER", help="Which texts are drawn, and in which order they are trained on.")
    ] = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Train a small model on known texts, audit it, and compare the decisions with the truth; needs no input."""
    from ..demo import demo as run_demo, demo_summary, demo_table
    from ..report import audit_table

    with progress_bars(quiet) as progress:
        found = run_demo(out, fpr=fpr, epochs=epochs, seed=seed, progress=progress)
    if as_json:
        show_json(demo_summary(found))
    else:
        show(audit_table(found.audit))
        show(demo_table(found))
