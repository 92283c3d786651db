"""The command that prints the result in a run directory again, without a model: show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import RunDirectoryError
from . import _options as opt
from .output import say, show as print_result, show_json
from .parameters import spelled

__all__ = ["show"]


def show(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="A folder of results: of 'llm-mia audit', 'extract', 'gate', 'shadow', 'defend', 'monitor', "
            "'canary plan', 'canary test' or 'paired'.",
            show_default=False,
        ),
    ],
    decisions: Annotated[
        bool,
        typer.Option(
            "--decisions",
            help="List every decision on the candidates of this run directory, the first decision first.",
        ),
    ] = False,
    details: opt.Details = False,
    all_attacks: Annotated[
        bool,
        typer.Option(
            "--all-attacks",
            help="With --details: a row for each attack, and not for ten at most.",
            rich_help_panel=opt.OUTPUT,
        ),
    ] = False,
    as_json: opt.Json = False,
) -> None:
    """Print the result in a folder again, or its details: of a command that leaves a folder of results."""
    if not run.is_dir():
        raise RunDirectoryError(f"{run}: no such folder")
    if decisions:
        _show_decisions(run, as_json)
    elif (run / "audit.json").is_file():
        _show_audit(run, details or all_attacks, all_attacks, as_json)
    elif (run / "gate.json").is_file():  # which leaves an extraction.json, too
        _show_gate(run, details, as_json)
    elif (run / "extraction.json").is_file():
        _show_extraction(run, details, as_json)
    elif (run / "shadows.json").is_file():
        _show_shadows(run, details, as_json)
    elif (run / "defences.json").is_file():
        _show_defenses(run, details, as_json)
    elif (run / "monitor.json").is_file():
        _show_monitor(run, details, as_json)
    elif (run / "canary.json").is_file():
        _show_canary_test(run, details, as_json)
    elif (run / "paired.json").is_file():
        _show_paired(run, details, as_json)
    elif (run / "plan.json").is_file() and (run / "pilots").is_dir():  # defences have a plan.json, too
        _show_plan(run, details, as_json)
    elif (run / "scores.parquet").is_file():
        raise RunDirectoryError(
            f"{run}: holds scores (scores.parquet), and no decision: go on with 'llm-mia evaluate' or 'calibrate' "
            "on this folder, or, where an audit was stopped, repeat its command"
        )
    else:
        raise RunDirectoryError(
            f"{run}: holds no audit.json, gate.json, extraction.json, shadows.json, defences.json, monitor.json, "
            "canary.json, paired.json or plan.json, so there is no result: repeat the command that began this run, or "
            "name the folder of a finished run of 'llm-mia audit', 'extract', 'gate', 'shadow', 'defend', 'monitor', "
            "'canary plan', 'canary test' or 'paired'"
        )


def _show_decisions(run: Path, as_json: bool) -> None:
    from ..history import History
    from ..report import decisions_summary, decisions_table

    history = History(run)
    entries = history.of_run()
    for problem in history.problems:
        say(f"note: {problem}")
    if as_json:
        show_json(decisions_summary(entries))
    else:
        print_result(decisions_table(entries))


def _show_audit(run: Path, details: bool, all_attacks: bool, as_json: bool) -> None:
    from ..auditing import read_audit
    from ..report import audit_details, audit_screen, audit_summary

    audit = read_audit(run)
    if as_json:
        show_json(audit_summary(audit))
    elif details:
        print_result(audit_details(audit, spelled, all_attacks=all_attacks))
    else:
        print_result(audit_screen(audit, spelled))


def _show_gate(run: Path, details: bool, as_json: bool) -> None:
    from ..gate import read_gate
    from ..report import gate_details, gate_screen, gate_summary

    result = read_gate(run)
    if as_json:
        show_json(gate_summary(result))
    else:
        print_result(gate_details(result, spelled) if details else gate_screen(result, spelled))


def _show_extraction(run: Path, details: bool, as_json: bool) -> None:
    from ..extraction import read_extraction
    from ..report import extraction_screen, extraction_summary, extraction_table

    extraction = read_extraction(run)
    if as_json:
        show_json(extraction_summary(extraction))
    else:
        print_result(extraction_table(extraction, spelled) if details else extraction_screen(extraction, spelled))


def _show_shadows(run: Path, details: bool, as_json: bool) -> None:
    from ..report import shadows_details, shadows_screen, shadows_summary
    from ..shadow import read_shadows

    shadows = read_shadows(run)
    if as_json:
        show_json(shadows_summary(shadows))
    else:
        print_result(shadows_details(shadows, spelled) if details else shadows_screen(shadows, spelled))


def _show_defenses(run: Path, details: bool, as_json: bool) -> None:
    from ..defenses import read_defenses
    from ..report import defenses_screen, defenses_summary, defenses_table

    result = read_defenses(run)
    if as_json:
        show_json(defenses_summary(result))
    else:
        print_result(defenses_table(result, spelled) if details else defenses_screen(result, spelled))


def _show_monitor(run: Path, details: bool, as_json: bool) -> None:
    from ..monitor import read_monitor
    from ..report import monitor_details, monitor_screen, monitor_summary

    result = read_monitor(run)
    if as_json:
        show_json(monitor_summary(result))
    else:
        print_result(monitor_details(result, spelled) if details else monitor_screen(result, spelled))


def _show_canary_test(run: Path, details: bool, as_json: bool) -> None:
    from ..canary import read_canary_test
    from ..report import canary_details, canary_screen, canary_summary

    result = read_canary_test(run)
    if as_json:
        show_json(canary_summary(result))
    else:
        print_result(canary_details(result, spelled) if details else canary_screen(result, spelled))


def _show_paired(run: Path, details: bool, as_json: bool) -> None:
    from ..canary import read_paired
    from ..report import paired_details, paired_screen, paired_summary

    result = read_paired(run)
    if as_json:
        show_json(paired_summary(result))
    else:
        print_result(paired_details(result, spelled) if details else paired_screen(result, spelled))


def _show_plan(run: Path, details: bool, as_json: bool) -> None:
    from ..canary import read_plan
    from ..report import plan_details, plan_screen, plan_summary

    result = read_plan(run)
    if as_json:
        show_json(plan_summary(result))
    else:
        print_result(plan_details(result, spelled) if details else plan_screen(result, spelled))
