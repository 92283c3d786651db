"""One function a command. Heavy imports are inside them: '--help' answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import _options as opt
from ._options import PassageOptions
from ._output import progress_bars, say, show, show_json

if TYPE_CHECKING:
    from ..scores import ScoreTable

__all__ = ["register"]

FLAGGED = 3

Table = Annotated[
    Path, typer.Argument(help="A run directory, or any csv, jsonl or parquet table of scores.", show_default=False)
]


def audit(
    candidates: Annotated[
        str, typer.Argument(help="Passages to decide on: file, folder, hf://…, or -.", show_default=False)
    ],
    nonmembers: Annotated[
        str,
        typer.Option(
            help="Passages known not to be in the training data; they set the threshold.", rich_help_panel=opt.INPUT
        ),
    ],
    model: opt.Model,
    out: opt.RunOut,
    members: Annotated[
        str | None,
        typer.Option(
            help="Passages known to be in it; they show how well the attacks work.", rich_help_panel=opt.INPUT
        ),
    ] = None,
    reference: opt.Reference = None,
    attack: Annotated[
        list[str] | None,
        typer.Option(
            "-a",
            "--attack",
            help="Attack with settings, as min_k:k=0.1; repeatable, the first decides. "
            "Default: all that the models allow, 'reference' or else 'min_k' deciding.",
        ),
    ] = None,
    fpr: opt.FprOrNone = None,
    fdr: opt.Fdr = None,
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
    """Score, calibrate on the non-members, flag the candidates, and report: the whole in one command."""
    from ..auditing import audit as run_audit
    from ..backends import ModelSpec
    from ..report import audit_summary, audit_table, write_report

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
            fpr=fpr,
            fdr=fdr,
            out=out,
            window_tokens=window_tokens,
            progress=progress,
        )
    write_report(found)
    if as_json:
        show_json(audit_summary(found))
    else:
        show(audit_table(found))
    return FLAGGED if fail_if_flagged and found.flags.flagged else 0


def score(
    passages: Annotated[str, typer.Argument(help="File, folder, hf://…, or - for standard input.", show_default=False)],
    model: opt.Model,
    out: opt.RunOut,
    reference: opt.Reference = None,
    attack: opt.Attacks = None,
    text_column: opt.TextColumn = None,
    id_column: opt.IdColumn = None,
    label_column: opt.LabelColumn = None,
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
) -> None:
    """Score passages by every attack; the scores lie in OUT/scores.parquet."""
    from ..backends import ModelSpec
    from ..passages import check_inputs
    from ..scoring import score_to_disk

    source = PassageOptions(text_column, id_column, label_column, document_column, passage_tokens).read(passages)
    how = (dtype, device, trust_remote_code, tokens_per_batch)
    check = check_inputs([source])
    for note in check.notes:
        say(f"note: {note}")
    with progress_bars(quiet) as progress:
        done = score_to_disk(
            source,
            ModelSpec(model, revision, *how),
            ModelSpec(reference, reference_revision, *how) if reference else None,
            attacks=attack or (),
            out=out,
            window_tokens=window_tokens,
            check=check,
            progress=progress,
        )
    table = out / "scores.parquet"
    if as_json:
        counts = ("passages", "members", "nonmembers", "candidates", "attacks", "unscored")
        show_json({**{name: getattr(done, name) for name in counts}, "scores": str(table)})
    else:
        if done.unscored:
            say(f"note: {done.unscored} passages are too short to have a score")
        show(f"{done.passages:,} passages scored by {', '.join(done.attacks)}: {table}")


def calibrate(
    table: Table,
    attack: Annotated[str, typer.Option("-a", "--attack", help="The column that decides.")],
    fpr: opt.Fpr = 0.05,
    out: Annotated[Path, typer.Option("-o", "--out", help="Where to write.")] = Path("calibration.json"),
    label_column: opt.LabelColumn = None,
    id_column: opt.IdColumn = None,
    document_column: opt.DocumentColumn = None,
    as_json: opt.Json = False,
) -> None:
    """Set the threshold on a table's known non-members (label 0), with a guarantee on the false positive rate."""
    from ..decision import calibrate as run_calibrate
    from ..report import calibration_summary
    from ..store import write_text

    calibration = run_calibrate(_table(table, id_column, label_column, document_column), attack, fpr=fpr)
    write_text(out, calibration.to_json())
    if as_json:
        show_json(calibration_summary(calibration))
    else:
        basis = f"{calibration.n:,} non-members, FPR ≤ {100 * fpr:g} %"
        show(f"threshold {calibration.threshold:.6g} on {attack} ({basis}): {out}")


def flag(
    table: Table,
    calibration: Annotated[Path, typer.Option("-c", "--calibration", help="What 'llm-mia calibrate' wrote.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Where to write.")] = Path("flags.csv"),
    fdr: opt.Fdr = None,
    labelled: Annotated[bool, typer.Option("--labelled", help="Flag rows that have a label too.")] = False,
    label_column: opt.LabelColumn = None,
    id_column: opt.IdColumn = None,
    document_column: opt.DocumentColumn = None,
    as_json: opt.Json = False,
    fail_if_flagged: opt.FailIfFlagged = False,
) -> int:
    """Flag a table's candidates (rows without a label) by a calibration."""
    from ..decision import flag as run_flag, read_calibration
    from ..report import flags_summary, flags_table
    from ..store import write_text

    scores = _table(table, id_column, label_column, document_column)
    flags = run_flag(scores, read_calibration(calibration), fdr=fdr, labelled=labelled)
    write_text(out, flags.to_csv())
    for note in flags.notes:
        say(f"note: {note}")
    if as_json:
        show_json(flags_summary(flags))
    else:
        show(flags_table(flags))
        show(str(out))
    return FLAGGED if fail_if_flagged and flags.flagged else 0


def evaluate(
    table: Table,
    attack: Annotated[
        list[str] | None, typer.Option("-a", "--attack", help="Columns to evaluate; repeatable. Default: all.")
    ] = None,
    label_column: opt.LabelColumn = None,
    id_column: opt.IdColumn = None,
    document_column: opt.DocumentColumn = None,
    as_json: opt.Json = False,
) -> None:
    """Show how well each attack separates known members from known non-members, with intervals."""
    from ..decision import evaluate as run_evaluate, exposure
    from ..report import evaluation_summary, evaluation_table

    scores = _table(table, id_column, label_column, document_column)
    evaluations = run_evaluate(scores, attack or ())
    gap = exposure(scores)
    if as_json:
        show_json(evaluation_summary(evaluations, gap))
    else:
        show(evaluation_table(evaluations, gap))


def attacks(
    name: Annotated[str | None, typer.Argument(help="One attack, for all there is to say of it.")] = None,
    as_json: opt.Json = False,
) -> None:
    """List the attacks: what each needs, the passes it costs, its paper."""
    from ..attacks import ATTACKS, parse_attack
    from ..report import attack_details, attacks_table

    chosen = [parse_attack(name)] if name else list(ATTACKS.values())
    if as_json:
        show_json(
            {
                one.name: {
                    "evidence": list(one.evidence),
                    "passes": list(one.passes),
                    "hyper_parameters": dict(one.hyper_parameters),
                    "paper": one.paper,
                    "summary": one.summary,
                }
                for one in chosen
            }
        )
    else:
        show(attack_details(chosen[0]) if name else attacks_table(chosen))


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
    from ..demo import demo as run_demo
    from ..report import audit_table, demo_summary, demo_table, write_report

    with progress_bars(quiet) as progress:
        found = run_demo(out, fpr=fpr, epochs=epochs, seed=seed, progress=progress)
    write_report(found.audit)
    if as_json:
        show_json(demo_summary(found))
    else:
        show(audit_table(found.audit))
        show(demo_table(found))


def register(app: typer.Typer) -> None:
    """Add every command, in the order in which '--help' lists them."""
    for command in (audit, score, calibrate, flag, evaluate, attacks, demo):
        app.command()(command)


def _table(path: Path, id_column: str | None, label_column: str | None, document_column: str | None) -> ScoreTable:
    from ..scores import read_scores

    return read_scores(path, id_column=id_column, label_column=label_column, document_column=document_column)
