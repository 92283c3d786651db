"""The command that judges a model before its release: gate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import _options as opt
from ._groups import ReadingOptions, RunOptions
from ._models import ModelOptions
from .dry_run import only_estimating
from .output import say, show, show_json
from .parameters import spelled, typed_arguments
from .progress import progress_bars

if TYPE_CHECKING:
    from ..gate import Limits
    from ..validity import Validity

__all__ = ["gate"]

FAILED = 3
LIMITS = "Limits"


def gate(
    models: ModelOptions,
    reading: ReadingOptions,
    run: RunOptions,
    members: Annotated[
        str,
        typer.Option(
            metavar="INPUT",
            help=f"A sample of the passages that the model was trained on. INPUT is {opt.INPUT_KINDS}.",
            rich_help_panel=opt.KNOWN,
        ),
    ],
    nonmembers: Annotated[
        str,
        typer.Option(
            metavar="INPUT",
            help="Passages from the same source that the model was not trained on.",
            rich_help_panel=opt.KNOWN,
        ),
    ],
    max_gap: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="Largest confidence gap: mean token probability of members less that of non-members.",
            show_default="0.1",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    max_auroc: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Largest AUROC of the strongest attack; 0.5 is guessing.",
            show_default="0.6",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    max_tpr: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TPR@FPR",
            help="Largest true positive rate of the strongest attack at a false positive rate; may be repeated.",
            show_default="0.02@0.01",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    max_epsilon: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="Largest ε of differential privacy. The default limits only the ε that the model's training.json "
            "documents; a value that you give also limits the lower bound on ε that the strongest attack shows.",
            show_default="8, for a documented ε only",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    max_extractable: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Largest share of the members' documents of which the model writes 50 tokens word for word.",
            show_default="0.001",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    limits: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="TOML file with limits, such as max_auroc = 0.6; an option takes the place of its entry.",
            show_default="none",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="A limit fails if the upper end of its interval is above it: if the data do not rule the leak out. "
            "Without this it fails only if the lower end is above it: if the data show the leak.",
            rich_help_panel=LIMITS,
        ),
    ] = False,
    attacks: Annotated[
        list[str] | None,
        typer.Option(
            "-a",
            "--attack",
            metavar="ATTACK",
            help="An attack to choose from, also with settings, as in min_k:k=0.1; may be repeated. 'all' is every "
            "possible attack. A single attack is measured on all documents.",
            show_default="attacks that the models allow and that cost little",
        ),
    ] = None,
    stand_in: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="The stand-in: a model that cannot know the passages. Where it separates members and non-members, "
            "too, their texts differ. A model, or: auto, ngram, none, as for 'llm-mia audit'.",
            rich_help_panel=opt.MODELS,
        ),
    ] = "auto",
    accept_void: opt.AcceptVoid = False,
    junit: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File for the verdict as JUnit XML, a test for each limit; an existing file is replaced.",
            show_default="none",
            rich_help_panel=opt.OUTPUT,
        ),
    ] = None,
    no_report: opt.NoReport = False,
    redact: Annotated[
        bool,
        typer.Option(
            "--redact",
            help="Name no passage and no document, and show no text and no token of one, on the screen, in gate.json, "
            "in report.html and in the file of --junit. The other files of the folder name them: keep those.",
            rich_help_panel=opt.OUTPUT,
        ),
    ] = False,
    details: opt.Details = False,
) -> int:
    """Judge before a release whether a model leaks more of its training data than the limits allow.

    Exit code 0 if it passes, 3 if it fails, 1 if the documents are too few for a limit.
    """
    from ..gate import gate as run_gate
    from ..report import gate_details, gate_junit, gate_screen, gate_summary, why_withheld
    from ..store import write_text

    def report_validity(validity: Validity) -> None:
        if validity.standing is not None and validity.standing.withholds and not run.quiet:
            say(f"note: {why_withheld(validity.standing, validity)}; the limits are judged nevertheless")

    wanted = _limits(max_gap, max_auroc, max_tpr, max_epsilon, max_extractable, limits)
    with only_estimating(run.dry_run, as_json=run.as_json), progress_bars(run.quiet) as progress:
        result = run_gate(
            models.target_model(),
            members=reading.read(members, "members", 1),
            nonmembers=reading.read(nonmembers, "nonmembers", 0),
            reference=models.reference_models(),
            stand_in=models.stand_in_model(stand_in),
            attacks=attacks or (),
            limits=wanted,
            strict=strict,
            accept_void=accept_void,
            out=run.out,
            redact=redact,
            report=not no_report,
            window_tokens=models.window_tokens,
            command=typed_arguments(),
            progress=progress,
            report_validity=report_validity,
        )
    if junit is not None:
        write_text(junit, gate_junit(result))
    if run.as_json:
        show_json(gate_summary(result))
    else:
        show(gate_details(result, spelled) if details else gate_screen(result, spelled))
    return 0 if result.passed else FAILED


def _limits(
    max_gap: float | None,
    max_auroc: float | None,
    max_tpr: list[str] | None,
    max_epsilon: float | None,
    max_extractable: float | None,
    file: Path | None,
) -> Limits:
    """The limits that were typed, and those of the *file* where none was."""
    from ..gate import Limits, TprLimit, read_limits

    rates = None if not max_tpr else tuple(map(TprLimit.of, max_tpr))
    typed = Limits(max_gap, max_auroc, rates, max_epsilon, max_extractable)
    return typed if file is None else typed.or_else(read_limits(file))
