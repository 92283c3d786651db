"""Commands that decide by a table of scores. Heavy imports are inside: '--help' is quick."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from . import _options as opt
from ._audit import REPAIR_KNOWN_SET, REPAIR_SHADOWS, VOID, finding_code
from ._tables import OfAttack, TableOptions
from .output import say, show, show_json
from .parameters import spelled
from .progress import working

if TYPE_CHECKING:
    from ..records import Standing

__all__ = ["calibrate", "evaluate", "flag", "withheld_code"]


def calibrate(
    table: TableOptions,
    attack: Annotated[
        str,
        typer.Option(
            "-a",
            "--attack",
            metavar="COLUMN",
            help=f"The column of scores that decides. {opt.REVERSED} Or 'auto', 'stack', 'default': a part of the "
            "known set selects what decides; each word is explained by 'llm-mia attacks WORD'.",
        ),
    ],
    scores: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="With -a auto, stack or default: a column that these may use; may be repeated.",
            show_default="all attacks of a run directory; a table has no default",
        ),
    ] = None,
    fpr: opt.Fpr = 0.05,
    confidence: opt.Confidence = None,
    by: Annotated[
        str,
        typer.Option(
            metavar="COLUMN",
            help="Hold the rate within each category. A column of the table gives the categories, or 'length': bands "
            "of length, each twice as long as the band before.",
            show_default="no categories",
            rich_help_panel=opt.RATES,
        ),
    ] = "",
    pool: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="With --by: a category that is too small. All categories named by --pool are treated as a single "
            "category; may be repeated.",
            rich_help_panel=opt.RATES,
        ),
    ] = None,
    fit_share: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="With -a auto, stack or default: share of the known documents that selects or fits what decides; the "
            "others set the threshold.",
            show_default="0.5",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="NUMBER", help="With -a auto, stack or default: seed of the draw of that share.")
    ] = 0,
    out: opt.CalibrationOut = None,
    as_json: opt.Json = False,
) -> None:
    """Set the threshold on the known non-members of a table (label 0), which guarantees a false positive rate."""
    from ..decision import (
        AUTO,
        BY_DEFAULT,
        STACK,
        calibrate as run_calibrate,
        calibration_to_json,
        validation_notes,
    )
    from ..report import calibration_lines, calibration_summary, note_words
    from ..store import write_text

    if fit_share is not None and attack not in (AUTO, STACK, BY_DEFAULT):
        raise UsageError(
            f"`fit_share` is for an attack that the known set selects, and `attack` {attack} names an attack: leave "
            "out `fit_share`, or name auto, stack or default"
        )
    if pool and not by:
        raise UsageError("`pool` joins categories, and there are none: give `by`, or leave out `pool`")
    written = table.output(out, "calibration.json")
    with working("setting the threshold"):
        known = table.read(by, scores or ())
        calibration = run_calibrate(
            known,
            attack,
            fpr=fpr,
            confidence=confidence,
            pool=pool or (),
            fit_share=0.5 if fit_share is None else fit_share,
            seed=seed,
        )
    write_text(written, calibration_to_json(calibration))
    for note in [*calibration.notes, *validation_notes(known, evaluated=True)]:
        say(f"note: {note_words(note)}")
    if as_json:
        show_json(calibration_summary(calibration))
    else:
        show(calibration_lines(calibration, written))


def flag(
    table: TableOptions,
    calibration: opt.CalibrationFile = None,
    out: opt.FlagsOut = None,
    others: opt.Others = None,
    fdr: opt.FdrOfFlags = None,
    documents: Annotated[
        bool,
        typer.Option(
            "--documents",
            help="Decide on whole documents instead of passages; the error rate then holds for documents.",
        ),
    ] = False,
    labelled: Annotated[
        bool, typer.Option("--labelled", help="Decide also on rows that have a label, not only on candidates.")
    ] = False,
    accept_void: opt.AcceptVoid = False,
    finding_level: opt.FindingLevel = None,
    details: opt.Details = False,
    as_json: opt.Json = False,
    fail_if_flagged: opt.FailIfFlagged = False,
) -> int:
    """Flag the candidates of a table (its rows without a label) by a threshold that 'llm-mia calibrate' set."""
    from ..auditing import precision_note
    from ..decision import NoteKind, flag as run_flag, read_calibration
    from ..history import flag_on_record
    from ..report import by_shadows, flags_screen, flags_summary, flags_table, note_words, standing_note
    from ..store import read_beginnings, write_text

    if documents and labelled:
        raise UsageError("`documents` decides on candidates alone, not on labelled rows: leave out `labelled`")
    if labelled and fail_if_flagged:
        raise UsageError("`labelled` decides on labelled rows too, which gives no finding: leave out `fail_if_flagged`")
    threshold = table.calibration_file(calibration)
    written = table.output(out, "flags-documents.csv" if documents else "flags.csv", threshold)
    rule = read_calibration(threshold)
    with working("deciding"):
        scores = table.read(rule.by, others=OfAttack(rule.attack, others or ()))
        if labelled:  # there is no finding, so there is nothing to count
            flags = run_flag(scores, rule, fdr=fdr, labelled=True, accept_void=accept_void)
        else:
            flags = flag_on_record(
                scores,
                rule,
                table.history(),
                documents=documents,
                fdr=fdr,
                accept_void=accept_void,
                finding_level=finding_level,
                protocol=table.protocol(),
            )
            if not documents and (precision := precision_note(scores, rule, flags, fdr=fdr)) is not None:
                flags = replace(flags, notes=(*flags.notes, precision))
    write_text(written, flags.csv_blocks(read_beginnings(table.table) if table.table.is_dir() else None))
    everything = as_json or details  # else the answer counts the notes; they are not part of the JSON
    if everything and (warning := standing_note(flags.standing)):
        say(f"note: {warning}")
    for note in flags.notes:
        if everything or note.kind == NoteKind.SCORE_REVERSED:  # exchanged labels turn the answer round
            say(f"note: {note_words(note)}")
    if as_json:
        show_json(flags_summary(flags))
    elif details:
        show(flags_table(flags))
        show(str(written))
    else:
        show(flags_screen(flags, written, spelled))
    if flags.withheld:
        return withheld_code(flags.standing, shadows=by_shadows(flags))
    return finding_code(flags) if fail_if_flagged else 0


def evaluate(
    table: TableOptions,
    attacks: Annotated[
        list[str] | None,
        typer.Option(
            "-a",
            "--attack",
            metavar="COLUMN",
            help=f"A column of scores to evaluate; may be repeated. {opt.REVERSED}",
            show_default="all attacks of a run directory; of a table, the columns of -c and --compare",
        ),
    ] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="COLUMN COLUMN",
            help="Test which of two columns separates members from non-members better.",
            show_default="no test",
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            "-c",
            "--calibration",
            metavar="FILE",
            help="Show also the rates at the threshold in this file, which 'llm-mia calibrate' wrote. No figure counts "
            "rows that selected or fitted what decides.",
        ),
    ] = None,
    randomised: Annotated[
        bool,
        typer.Option(
            "--randomised",
            help="With -c: members and non-members were drawn at random from one pool before the training. Only then "
            "is a lower bound on ε (differential privacy) shown.",
        ),
    ] = False,
    details: opt.Details = False,
    as_json: opt.Json = False,
) -> None:
    """Show how well each attack separates known members from known non-members, with intervals."""
    from ..decision import (
        NOT_VALIDATED,
        compare as run_compare,
        confidence_gap,
        evaluate as run_evaluate,
        evaluation_notes,
        evaluation_part,
        rates_at,
        read_calibration,
    )
    from ..report import (
        comparison_line,
        comparison_summary,
        evaluation_screen,
        evaluation_summary,
        evaluation_table,
        note_words,
        threshold_lines,
        threshold_summary,
        void_note,
    )

    if randomised and calibration is None:
        raise UsageError("`randomised` is for the rates at a threshold: name its file with `calibration`")
    rule = None if calibration is None else read_calibration(calibration)
    with working("evaluating"):
        scores = table.read(rule.by if rule else "")
        judged = evaluation_part(scores, rule) if rule else scores
        # In another program's table only columns that are named here are scores.
        others = [] if scores.named else [*([rule.attack] if rule else []), *(compare or [])]
        evaluations, gap = run_evaluate(judged, attacks or list(dict.fromkeys(others))), confidence_gap(scores)
        compared = run_compare(judged, *compare) if compare else None
        at = rates_at(scores, rule, randomised=randomised) if rule else None
    if warning := void_note(scores.standing, shadows=bool(scores.places)):
        say(f"note: {warning}")
    for note in evaluation_notes(judged, evaluations):
        say(f"note: {note_words(note)}")
    if as_json:
        summary = evaluation_summary(evaluations, gap) | {"standing": scores.standing or NOT_VALIDATED}
        summary |= {"comparison": comparison_summary(compared)} if compared else {}
        show_json(summary | ({"at_threshold": threshold_summary(at)} if at else {}))
        return
    show(evaluation_table(evaluations, gap) if details else evaluation_screen(evaluations))
    if compared:
        show(comparison_line(compared))
    if at:
        show(threshold_lines(at, spelled))


def withheld_code(standing: Standing | None, *, shadows: bool = False) -> int:
    """The exit code where a finding is withheld; a line says why, and what to do."""
    from ..report import why_withheld

    say(f"llm-mia: {why_withheld(standing, shadows=shadows)}: {REPAIR_SHADOWS if shadows else REPAIR_KNOWN_SET}")
    return VOID
