"""What goes to stdout and what to stderr."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .parameters import spelled

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..passages import Passages
    from ..signals import Progress, Step

__all__ = ["progress_bars", "say", "say_skipped", "show", "show_json"]

UNBOUNDED = 100_000
"""Columns that no result takes."""
LABELS = {
    "training": "fine-tuning",
    "target": "target model",
    "lowered": "target model, lower case",
    "prefixed": "target, after shots",
    "member_prefixed": "target, after members",
    "population_target": "target, population",
    "reference": "reference model",
    "population_reference": "reference, population",
    "scores": "scores",
}


def show(result: RenderableType) -> None:
    """Print a table for people; to a pipe or a file it is as wide as it needs to be, never folded."""
    from rich.console import Console
    from rich.measure import Measurement

    console = Console(highlight=False, emoji=False, markup=not isinstance(result, str))
    if not sys.stdout.isatty():
        anything = console.options.update(width=UNBOUNDED)
        console.width = Measurement.get(console, anything, result).maximum
    console.print(result)


def show_json(result: Mapping[str, Any]) -> None:
    """Print a result for machines."""
    print(json.dumps(result, indent=2, ensure_ascii=False))


def say(message: str) -> None:
    """One line for people on stderr: a note or progress."""
    print(spelled(message), file=sys.stderr)


def say_skipped(passages: Passages) -> None:
    """What the reading of *passages* left out, a line each; which files were left out was shown before."""
    for note in passages.contents().counts.notes:
        if note not in passages.notes:
            say(f"note: {note}")


@contextlib.contextmanager
def progress_bars(quiet: bool) -> Iterator[Progress | None]:
    """Progress on stderr: a bar for each pass, or without a terminal a line for each finished pass; none if *quiet*."""
    if quiet:
        yield None
    elif not sys.stderr.isatty():
        yield _lines
    else:
        with _bars() as progress:
            yield progress


def _lines(step: Step) -> None:
    if step.passages == step.total_passages:
        say(f"{LABELS.get(step.name, step.name)}: {step.passages:,} passages, {step.tokens:,} tokens")


@contextlib.contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress as Bars, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:24}"),
        BarColumn(),
        TextColumn("{task.completed:>11,.0f} tokens"),
        TextColumn("{task.fields[rate]:>8}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def progress(step: Step) -> None:
            if step.name not in tasks:
                tasks[step.name] = bars.add_task(LABELS.get(step.name, step.name), total=None, rate="")
            # How many tokens all bytes will make is known only at the end; until then the share so far tells.
            total = step.tokens * step.total_bytes / step.bytes if step.bytes else None
            seconds = bars.tasks[tasks[step.name]].elapsed or 0.0
            rate = f"{step.tokens / seconds:,.0f}/s" if seconds > 1 else ""
            bars.update(tasks[step.name], completed=step.tokens, total=total, rate=rate)

        yield progress
