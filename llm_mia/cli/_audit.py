"""Commands that start from passages and end with a verdict: audit, validate, demo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import _options as opt
from ._evidence import EvidenceOptions
from ._groups import ReadingOptions, RunOptions
from ._known_sets import KnownSetOptions, PossibleKnownSetOptions
from ._models import ModelOptions
from .dry_run import only_estimating
from .output import say, say_skipped, show, show_json
from .parameters import spelled, typed_arguments
from .progress import progress_bars, working

if TYPE_CHECKING:
    from ..decision import Flags
    from ..records import Note
    from ..validity import Validity

__all__ = ["REPAIR_KNOWN_SET", "REPAIR_SHADOWS", "VOID", "audit", "demo", "finding_code", "validate"]

FINDING, VOID = 3, 4
REPAIR_KNOWN_SET = "improve the known set, or use --accept-void to state findings nevertheless"
"""What to do about a known set that withholds findings."""
REPAIR_SHADOWS = (
    "train shadow models as the target was trained (epochs, learning rate, share of the pool), audit "
    "with known non-members, or use --accept-void to state findings nevertheless"
)
"""What to do about shadow models that withhold findings."""

NEXT = """
Next, with your texts:
  llm-mia guide formats    how to write them into files
  llm-mia validate         whether they are fit for an audit, without a model
  llm-mia guide book       from a book to an answer, step by step"""
"""What somebody does next who has seen the demo."""


def audit(
    candidates: Annotated[
        str,
        typer.Argument(
            help=f"Passages to decide on: {opt.INPUT_KINDS}.",
            show_default=False,
        ),
    ],
    known: PossibleKnownSetOptions,
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
            help="An attack to score by, also with settings, as in min_k:k=0.1; may be repeated. The first decides, "
            "but 'auto' or 'stack' decides wherever it is named. 'all' is every possible attack. Each word is "
            "explained by 'llm-mia attacks WORD'. With --shadows and without --nonmembers, 'lira' decides unless you "
            "name another, and 'stack' is the shadow classifier: learned from the shadow models alone.",
            show_default="attacks that the inputs allow and that cost little; 'llm-mia attacks default' explains "
            "which of them decides",
        ),
    ] = None,
    stand_in: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="The stand-in: a model that cannot know the passages, in the place of a reference. It reads all of "
            "them: what it separates as well is no sign of training. A model, or: auto (only without a reference: "
            "'embedded', if it is installed and is not the target, else 'ngram'), ngram (a small model that is "
            "trained on half of the non-members; it needs 37 documents of them), none.",
            rich_help_panel=opt.MODELS,
        ),
    ] = "auto",
    fpr: opt.FprOrNone = None,
    fdr: opt.Fdr = None,
    confidence: opt.Confidence = None,
    accept_void: opt.AcceptVoid = False,
    finding_level: opt.FindingLevel = None,
    control: Annotated[
        str | None,
        typer.Option(
            metavar="INPUT",
            help="Sealed non-members: further passages known not to be in the training data. They set no threshold, "
            "and are decided on like candidates; the output shows how many of them are flagged.",
            rich_help_panel=opt.KNOWN,
        ),
    ] = None,
    protocol: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="TOML file that names the decisions, the models and the digests of the inputs before anything is "
            "scored; a decision that deviates from it counts as a further decision. 'llm-mia guide protocol' shows "
            "the format.",
            rich_help_panel=opt.RATES,
        ),
    ] = None,
    no_report: opt.NoReport = False,
    fail_if_flagged: opt.FailIfFlagged = False,
    redact: opt.Redact = False,
    details: opt.Details = False,
) -> int:
    """Decide which candidates a model was trained on: check the known set, score, set the threshold, flag, report."""
    from ..auditing import audit as run_audit
    from ..report import audit_details, audit_screen, audit_summary, note_words, why_withheld

    def report_validity(validity: Validity) -> None:
        if validity.standing is not None and validity.standing.withholds and not run.quiet:
            why = why_withheld(validity.standing, validity, shadows=known.nonmembers is None)
            say(f"note: {why}; the scores are computed nevertheless")

    def report_possible(note: Note) -> None:
        if not run.quiet:
            say(f"note: {note_words(note)}")

    with only_estimating(run.dry_run, as_json=run.as_json), progress_bars(run.quiet) as progress:
        audited = run_audit(
            reading.read_unlabelled(candidates, "candidates"),
            nonmembers=known.read_nonmembers(reading),
            members=known.read_members(reading),
            target=models.target_model(),
            reference=models.reference_models(),
            stand_in=models.stand_in_model(stand_in),
            shadows=evidence.shadow_models(),
            attacks=attacks or (),
            supplies=evidence.supplies(reading, models.device),
            fpr=fpr,
            fdr=fdr,
            confidence=confidence,
            accept_void=accept_void,
            finding_level=finding_level,
            control=None if control is None else reading.read_unlabelled(control, "control"),
            protocol=protocol,
            out=run.out,
            redact=redact,
            report=not no_report,
            command=typed_arguments(),
            window_tokens=models.window_tokens,
            progress=progress,
            report_validity=report_validity,
            report_possible=report_possible,
        )
    if run.as_json:
        show_json(audit_summary(audited))
    else:
        show(audit_details(audited, spelled) if details else audit_screen(audited, spelled))
    if audited.withheld:
        shadows = audited.shadows is not None
        why = why_withheld(audited.standing, audited.validity, shadows=shadows)
        repair = REPAIR_SHADOWS.replace("non-members", "non-members (--nonmembers)") if shadows else REPAIR_KNOWN_SET
        say(f"llm-mia: {why}: {repair}")
        return VOID
    return finding_code(audited.flags) if fail_if_flagged else 0


def finding_code(flags: Flags) -> int:
    """The exit code under --fail-if-flagged; where no finding is possible, a line says that it cannot fail."""
    if flags.finding is None:
        say("note: --fail-if-flagged cannot fail here, because no finding is possible")
    return FINDING if flags.significant else 0


def validate(
    known: KnownSetOptions,
    reading: ReadingOptions,
    candidates: Annotated[
        str | None,
        typer.Option(
            metavar="INPUT",
            help="Passages to decide on; they are compared with the known set.",
            rich_help_panel=opt.KNOWN,
        ),
    ] = None,
    fpr: opt.Fpr = 0.05,
    confidence: opt.Confidence = None,
    details: opt.Details = False,
    as_json: opt.Json = False,
) -> int:
    """Check, without a model, whether a known set can carry a verdict; exit code 4 if it cannot."""
    from ..auditing import validate as run_validate
    from ..report import note_words, validity_screen, validity_table
    from ..validity import RequestedRates

    members, nonmembers = known.read_members(reading), known.read_nonmembers(reading)
    unlabelled = None if candidates is None else reading.read_unlabelled(candidates, "candidates")
    with working("checking the known set"):
        validity = run_validate(
            members,
            nonmembers,
            unlabelled,
            rates=RequestedRates(fpr, confidence),
            report_possible=lambda note: say(f"note: {note_words(note)}"),
        )
    for source in (members, nonmembers, unlabelled):
        if source is not None:
            say_skipped(source)
    if as_json:
        show_json(json.loads(validity.to_json()))
    else:
        show(validity_table(validity) if details else validity_screen(validity))
    return VOID if validity.standing is not None and validity.standing.withholds else 0


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
        int, typer.Option(min=1, metavar="COUNT", help="How many times the model is trained on each passage.")
    ] = 1,
    seed: Annotated[
        int, typer.Option(metavar="NUMBER", help="Seed of the random choice of texts and of their order in training.")
    ] = 0,
    details: opt.Details = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Train a small model on known texts, audit it, and compare the decisions with the truth; needs no input."""
    from ..demo import demo as run_demo, demo_summary, demo_table
    from ..report import audit_details, audit_screen

    with progress_bars(quiet) as progress:
        result = run_demo(out, fpr=fpr, epochs=epochs, seed=seed, progress=progress)
    if as_json:
        show_json(demo_summary(result))
    else:
        show(audit_details(result.audit, spelled) if details else audit_screen(result.audit, spelled))
        show(demo_table(result))
        show(NEXT)
