"""Commands that decide by a table of scores, and the list of all. Heavy imports are inside: '--help' is quick."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import _options as opt
from ._audit import FLAGGED, VOID, audit, demo, validate
from ._extract import extract
from ._output import say, show, show_json
from ._score import attacks, frequencies, score

if TYPE_CHECKING:
    from ..scores import ScoreTable

__all__ = ["register"]

Table = Annotated[
    Path, typer.Argument(help="A run directory, or any csv, jsonl or parquet table of scores.", show_default=False)
]


def calibrate(
    table: Table,
    attack: Annotated[
        str,
        typer.Option(
            "-a",
            "--attack",
            help="The column that decides; on a part of the known set kept apart, auto: the best of them, stack: one "
            "score learned from all. default: what an audit is decided by.",
        ),
    ],
    fpr: opt.Fpr = 0.05,
    confidence: opt.Confidence = None,
    by: Annotated[
        str,
        typer.Option(
            help="Hold the rate in each category by itself: 'length', or a column of the table.",
            rich_help_panel=opt.ERRORS,
        ),
    ] = "",
    pool: Annotated[
        list[str] | None,
        typer.Option(help="A category to put together with others; repeatable.", rich_help_panel=opt.ERRORS),
    ] = None,
    split: Annotated[
        float | None,
        typer.Option(
            help="With -a auto or stack: share of the documents kept apart for it.  [default: 0.5]", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="With -a auto or stack: draws the split.")] = 0,
    out: Annotated[Path, typer.Option("-o", "--out", help="Where to write.")] = Path("calibration.json"),
    label_column: opt.LabelColumn = None,
    id_column: opt.IdColumn = None,
    document_column: opt.DocumentColumn = None,
    as_json: opt.Json = False,
) -> None:
    """Set the threshold on a table's known non-members (label 0), with a guarantee on the false positive rate."""
    from ..decision import AUTO, BY_DEFAULT, STACK, calibrate as run_calibrate
    from ..report import calibration_lines, calibration_summary
    from ..store import write_text

    if split is not None and attack not in (AUTO, STACK, BY_DEFAULT):
        raise typer.BadParameter(
            "a part is kept apart to choose an attack on: use it with --attack auto, stack or default"
        )
    if pool and not by:
        raise typer.BadParameter("categories are pooled where there are some: use it with --by")
    scores = _table(table, id_column, label_column, document_column, by)
    calibration = run_calibrate(
        scores,
        attack,
        fpr=fpr,
        confidence=confidence,
        pool=pool or (),
        fraction=0.5 if split is None else split,
        seed=seed,
    )
    write_text(out, calibration.to_json())
    if as_json:
        show_json(calibration_summary(calibration))
    else:
        show(calibration_lines(calibration, out))


def flag(
    table: Table,
    calibration: opt.CalibrationFile,
    out: Annotated[Path, typer.Option("-o", "--out", help="Where to write.")] = Path("flags.csv"),
    fdr: opt.Fdr = None,
    documents: Annotated[
        bool, typer.Option("--documents", help="Decide on documents, calibrated on documents.")
    ] = False,
    labelled: Annotated[bool, typer.Option("--labelled", help="Flag rows that have a label too.")] = False,
    accept_void: opt.AcceptVoid = False,
    label_column: opt.LabelColumn = None,
    id_column: opt.IdColumn = None,
    document_column: opt.DocumentColumn = None,
    as_json: opt.Json = False,
    fail_if_flagged: opt.FailIfFlagged = False,
) -> int:
    """Flag a table's candidates (rows without a label) by a calibration."""
    from ..decision import flag as run_flag, flag_documents, read_calibration
    from ..report import flags_summary, flags_table
    from ..store import write_text

    if documents and labelled:
        raise typer.BadParameter("documents with a label are not flagged: leave out --labelled or --documents")
    rule = read_calibration(calibration)
    scores = _table(table, id_column, label_column, document_column, rule.by)
    if documents:
        flags = flag_documents(scores, rule, fdr=fdr, accept_void=accept_void)
    else:
        flags = run_flag(scores, rule, fdr=fdr, labelled=labelled, accept_void=accept_void)
    write_text(out, flags.to_csv())
    for note in flags.notes:
        say(f"note: {note}")
    if as_json:
        show_json(flags_summary(flags))
    else:
        show(flags_table(flags))
        show(str(out))
    if flags.withheld:
        return _withheld()
    return FLAGGED if fail_if_flagged and flags.flagged else 0


def evaluate(
    table: Table,
    attack: Annotated[
        list[str] | None, typer.Option("-a", "--attack", help="Columns to evaluate; repeatable. Default: all.")
    ] = None,
    compare: Annotated[
        tuple[str, str] | None, typer.Option(help="Two columns: which separates better?", show_default=False)
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            "-c",
            "--calibration",
            help="Also TPR, FPR and ε at this threshold, set by others than these. What it was chosen or fitted on is "
            "left out.",
        ),
    ] = None,
    label_column: opt.LabelColumn = None,
    id_column: opt.IdColumn = None,
    document_column: opt.DocumentColumn = None,
    as_json: opt.Json = False,
) -> None:
    """Show how well each attack separates known members from known non-members, with intervals."""
    from ..decision import (
        compare as run_compare,
        evaluate as run_evaluate,
        exposure,
        rates_at,
        read_calibration,
        unseen,
    )
    from ..records import Standing
    from ..report import (
        comparison_line,
        comparison_summary,
        evaluation_summary,
        evaluation_table,
        threshold_lines,
        threshold_summary,
    )

    rule = None if calibration is None else read_calibration(calibration)
    scores = _table(table, id_column, label_column, document_column, rule.by if rule else "")
    judged = unseen(scores, rule) if rule else scores
    evaluations, gap = run_evaluate(judged, attack or ()), exposure(scores)
    compared = run_compare(judged, *compare) if compare else None
    at = rates_at(scores, rule) if rule else None
    if scores.standing in (Standing.VOID, Standing.ACCEPTED):
        accepted = ", accepted by the user" if scores.standing is Standing.ACCEPTED else ""
        say(f"note: the known set is void{accepted}: what separates it need not be membership")
    if as_json:
        found = evaluation_summary(evaluations, gap)
        found |= {"comparison": comparison_summary(compared)} if compared else {}
        show_json(found | ({"at_threshold": threshold_summary(at)} if at else {}))
        return
    show(evaluation_table(evaluations, gap))
    if compared:
        show(comparison_line(compared))
    if at:
        show(threshold_lines(at))


def collection(
    table: Table,
    attack: Annotated[
        list[str] | None,
        typer.Option("-a", "--attack", help="Columns; several are joined by weights learned on half of the documents."),
    ] = None,
    level: Annotated[float, typer.Option(help="What the p-value is held against.", rich_help_panel=opt.ERRORS)] = 0.05,
    seed: Annotated[int, typer.Option(help="Draws permutations and splits.")] = 0,
    accept_void: opt.AcceptVoid = False,
    label_column: opt.LabelColumn = None,
    id_column: opt.IdColumn = None,
    document_column: opt.DocumentColumn = None,
    as_json: opt.Json = False,
) -> int:
    """Test all candidates together, document by document, against the known non-members."""
    from ..decision import judge_collection
    from ..report import collection_summary, collection_table

    scores = _table(table, id_column, label_column, document_column, "")
    found = judge_collection(scores, attack or (), level=level, seed=seed, accept_void=accept_void)
    if as_json:
        show_json(collection_summary(found))
    else:
        show(collection_table(found))
    return _withheld() if found.withheld else 0


def register(app: typer.Typer) -> None:
    """Add every command, in the order in which '--help' lists them."""
    for command in (audit, validate, score, calibrate, flag, collection, evaluate, extract, attacks, frequencies, demo):
        app.command()(command)


def _withheld() -> int:
    say("llm-mia: the known set is void, so no finding may rest on it: mend it, or --accept-void")
    return VOID


def _table(
    path: Path, id_column: str | None, label_column: str | None, document_column: str | None, by: str
) -> ScoreTable:
    from ..scores import read_scores

    return read_scores(path, id_column=id_column, label_column=label_column, document_column=document_column, by=by)
