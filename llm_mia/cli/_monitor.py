"""The commands that watch query logs: monitor, and registry for the data sets that it knows."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from . import _options as opt
from ._groups import ReadingOptions
from .output import say, show, show_json
from .parameters import spelled
from .progress import working

if TYPE_CHECKING:
    from ..monitor import Alert

__all__ = ["monitor", "registry"]

THRESHOLDS = "Thresholds"


def monitor(
    logs: Annotated[
        list[Path],
        typer.Argument(
            metavar="LOG...",
            help="Query logs, also compressed by gzip: of 'llm-mia guard', LiteLLM, Kong AI Gateway, Portkey, "
            "Cloudflare AI Gateway, OpenTelemetry, vLLM, or request bodies as OpenAI's API has them. The format is "
            "recognised.",
            show_default=False,
        ),
    ],
    benign: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="LOG",
            help="A log without attacks, which sets the thresholds; may be repeated. Take the same traffic at another "
            "time: the same users and fields. Its lines must name clients.",
            show_default=False,
            rich_help_panel=THRESHOLDS,
        ),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Instead of --benign: baseline.json of an earlier call, or the folder with it, for its thresholds.",
            show_default=False,
            rich_help_panel=THRESHOLDS,
        ),
    ] = None,
    false_alarms: Annotated[
        float,
        typer.Option(
            metavar="RATE",
            help="Share of benign clients, and of benign families of requests, that may cause an alert.",
            rich_help_panel=THRESHOLDS,
        ),
    ] = 0.003,
    fdr: Annotated[
        float,
        typer.Option(
            metavar="RATE",
            help="False discovery rate: also count the alerts that hold at this rate. On average at most this share of "
            "them is wrong.",
            rich_help_panel=THRESHOLDS,
        ),
    ] = 0.05,
    registry: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File of 'llm-mia registry': prompts with text of its data sets are counted.",
            show_default="none",
        ),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="For a log of another format: a TOML file with a path for each field, such as client = 'auth.key_id'.",
            show_default="none",
        ),
    ] = None,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Go on reading as the log grows, and print each new alert, until interrupted."),
    ] = False,
    inspect: Annotated[
        bool,
        typer.Option(
            "--inspect",
            help="Only show what is understood of the first 20 lines, and which detectors are blind on this log; also "
            "'llm-mia monitor inspect LOG'.",
        ),
    ] = False,
    processes: Annotated[
        int,
        typer.Option(
            min=1,
            help="How many processes parse lines at the same time, with the same result; 1 with --follow.",
        ),
    ] = 1,
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="FOLDER",
            help="For the alerts, the report and the thresholds; what an earlier call left there is replaced.",
            rich_help_panel=opt.OUTPUT,
        ),
    ] = Path("monitor"),
    details: opt.Details = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Name the clients, and the families of requests of many clients, that look like membership inference.

    A family: all requests with the same parameters. At most the share --false-alarms of benign clients has an alert.
    """
    from ..monitor import monitor as run_monitor
    from ..report import monitor_details, monitor_screen, monitor_summary, write_monitor_page

    if len(logs) > 1 and logs[0] == Path("inspect") and not logs[0].exists():
        inspect, logs = True, logs[1:]
    if inspect:
        _inspect(logs, mapping, as_json)
        return
    if follow and not quiet:
        say(f"following {logs[0]}: each new alert is printed; end with Ctrl-C, and the results so far stay in {out}")
    with working("reading the logs", quiet=quiet or follow):
        result = run_monitor(
            logs,
            benign=benign or None,
            baseline=baseline,
            out=out,
            false_alarms=false_alarms,
            fdr=fdr,
            registry=registry,
            mapping=mapping,
            follow=partial(_print_alert, as_json) if follow else None,
            processes=processes,
        )
    write_monitor_page(result)
    if as_json:
        show_json(monitor_summary(result))
    else:
        show(monitor_details(result, spelled) if details else monitor_screen(result, spelled))


def _print_alert(as_json: bool, alert: Alert) -> None:
    """Print an alert at once, as a line."""
    from ..report.words import alert_sentence

    if as_json:
        print(json.dumps(asdict(alert), ensure_ascii=False), flush=True)
    else:
        show(f"{alert.kind} {alert_sentence(alert)}")


def _inspect(logs: list[Path], mapping: Path | None, as_json: bool) -> None:
    """Show what is understood of each log."""
    from ..monitor import inspect_log
    from ..report import inspection_lines, inspection_summary

    inspections = [inspect_log(path, mapping=mapping) for path in logs]
    if as_json:
        show_json(inspection_summary(inspections))
        return
    for inspection in inspections:
        show(inspection_lines(inspection))


def registry(
    corpora: Annotated[
        list[str],
        typer.Argument(
            metavar="CORPUS...",
            help=f"Data sets, or records of data subjects. Each is {opt.INPUT_KINDS}.",
            show_default=False,
        ),
    ],
    reading: ReadingOptions,
    public: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CORPUS",
            help="A data set that is a public benchmark: prompts with its text are benign; may be repeated.",
            show_default="none",
        ),
    ] = None,
    secret: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="For a log with sketches in the place of prompts: the file with the secret of 'llm-mia guard'.",
            show_default="a new key, for logs that keep prompts",
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="The registry; an existing file is replaced.",
            rich_help_panel=opt.OUTPUT,
        ),
    ] = Path("registry.json"),
    as_json: opt.Json = False,
) -> None:
    """Register data sets by keyed hashes of their text, so that the monitor recognises prompts about them."""
    from ..monitor import build_registry, registry_to_json
    from ..report.words import counted
    from ..store import write_text

    named = [*corpora, *(public or ())]
    with working("registering the data sets"):
        sets = {source: (passage.text for passage in reading.read_unlabelled(source, "corpora")) for source in named}
        built = build_registry(sets, key=None if secret is None else _sketch_key(secret), public=public or ())
    write_text(out, registry_to_json(built))
    if as_json:
        sets_of = [{"name": s.name, "public": s.public, "texts": s.texts, "hashes": len(s.hashes)} for s in built.sets]
        show_json({"registry": str(out), "sets": sets_of})
        return
    for each in built.sets:
        kind = "public benchmark" if each.public else "data set"
        show(f"{each.name}: {kind}, {counted(each.texts, 'text')}, {counted(len(each.hashes), 'hash', 'hashes')}")
    show(f"{out}: no text, but the key: whoever has this file can test guesses of 24 characters")


def _sketch_key(secret: Path) -> bytes:
    """The key of the sketches in the logs of a guard with this secret."""
    from ..guard import SECRET_VARIABLE, Secret

    if not (secret.is_file() or os.environ.get(SECRET_VARIABLE)):
        raise InputError(f"{secret}: no such file: name as `secret` the file that the guard wrote at its first start")
    return Secret.read(secret).sketch_key
