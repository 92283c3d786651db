"""Progress on stderr: bars in a terminal, elsewhere lines; and what a command that is stopped has kept."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ..durations import duration
from .forecast import Forecast, WholePace, endpoint_line
from .output import say
from .pace import Pace

if TYPE_CHECKING:
    from rich.console import Console

    from ..signals import Progress, Step

__all__ = ["Lines", "kept_words", "noting_steps", "progress_bars", "working"]

LABELS = {
    "training": "fine-tuning",
    "target": "target model",
    "lowered": "target model, lower case",
    "prefixed": "target, after shots",
    "member_prefixed": "target, after members",
    "population_target": "target, population",
    "reference": "reference model",
    "stand-in": "stand-in for a reference",
    "population_reference": "reference, population",
    "scores": "scores",
}
FIRST_LINE, LINES_EVERY = 3.0, 60.0
"""Seconds before the first line of what is being done, and between two lines."""
FEW_NAMES = 3

_steps: ContextVar[dict[str, Step]] = ContextVar("steps")
"""The last step of each pass of the running command."""


class Lines:
    """Progress as lines of text: a first line soon, then a line a minute, and a line for each finished pass.

    Args:
        write: takes a line.
        clock: returns seconds.
    """

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._write, self._clock = write, clock
        self._lock = threading.Lock()
        self._step: Step | None = None
        self._pace, self._forecast = Pace(), Forecast()
        self._announced = False
        self._next_line = 0.0
        self._finished: set[str] = set()

    def __call__(self, step: Step) -> None:
        """Take in a step."""
        with self._lock:
            now = self._clock()
            if self._step is None or step.name != self._step.name:
                self._pace, self._next_line = Pace(), now + FIRST_LINE
            self._step = step
            self._pace.add(now, step)
            self._forecast.add(now, step)
            if line := endpoint_line(step.work):
                self._write(line)
            if not self._announced and (line := self._forecast.line(now)):
                self._announced = True
                self._write(line)
            if _is_finished(step):
                self._step = None
                if step.name not in self._finished:
                    self._finished.add(step.name)
                    size = f"{step.tokens:,} tokens" if step.tokens else "finished before"
                    self._write(f"{_label(step)}: {_passages(step.passages)}, {size}")

    def tick(self) -> None:
        """Write a line if it is time; called several times a second."""
        with self._lock:
            now = self._clock()
            if self._step is None or now < self._next_line:
                return
            self._next_line = now + LINES_EVERY
            self._write(self._line(self._step, now))

    def _line(self, step: Step, now: float) -> str:
        if not step.total_bytes:
            return f"{_label(step)} …"
        rate, left = self._pace.tokens_per_second(now), self._pace.seconds_left(now, step.total_bytes)
        parts = [f"{100 * step.bytes / step.total_bytes:.0f} % of {_passages(step.total_passages)}"]
        parts += [f"{rate:,.0f} tokens/s"] if rate else []
        parts += [f"about {duration(left)} left"] if left is not None else []
        of_all = self._forecast.seconds_left() if self._forecast.passes_left > 1 else None
        parts += [f"about {duration(of_all)} of all passes"] if of_all is not None else []
        return f"{_label(step)}: {', '.join(parts)}"


@contextlib.contextmanager
def progress_bars(quiet: bool) -> Iterator[Progress]:
    """Takes the steps of a run and shows them on stderr, unless *quiet*; where the run is stopped, keeps the last."""
    from ..signals import report_activity

    steps = _steps.get({})
    with _display(quiet) as show:

        def progress(step: Step) -> None:
            steps[step.name] = step
            show(step)

        report_activity(progress, "preparing")
        yield progress


@contextlib.contextmanager
def working(what: str, *, quiet: bool = False) -> Iterator[None]:
    """Shows on stderr that *what* is being done, while the context is open."""
    from ..signals import report_activity

    with _display(quiet) as show:
        report_activity(show, what)
        yield


@contextlib.contextmanager
def noting_steps() -> Iterator[Mapping[str, Step]]:
    """While the context is open, the last step of each pass is noted, by name, for `kept_words`."""
    steps: dict[str, Step] = {}
    token = _steps.set(steps)
    try:
        yield steps
    finally:
        _steps.reset(token)


def kept_words(noted: Mapping[str, Step]) -> str:
    """What a command that was stopped has kept on disk, by its last steps, and what the same command will do.

    It may have been stopped before it looked at what an earlier call kept.
    """
    steps = [step for step in noted.values() if step.kept]
    if not steps:
        return "nothing new could be kept yet; the same command starts again where this command started"
    finished = [step.name for step in steps if step.kept >= step.total_passages]
    parts = []
    if len(finished) > FEW_NAMES:
        parts.append(f"{len(finished)} finished passes")
    elif finished:
        parts.append(f"the finished pass{'es' if len(finished) > 1 else ''} {', '.join(finished)}")
    parts += [
        f"{step.kept:,} of {_passages(step.total_passages)} of {'' if ' ' in step.name else 'the pass '}{step.name}"
        for step in steps
        if step.name not in finished
    ]
    return f"kept: {' and '.join(parts)}; the same command continues"


def _is_finished(step: Step) -> bool:
    return 0 < step.total_passages == step.passages


def _passages(number: int) -> str:
    # Not `counted` of the report, which takes 0.3 s to import.
    return f"{number:,} passage{'' if number == 1 else 's'}"


def _label(step: Step) -> str:
    return LABELS.get(step.name, step.name)


def _show_nothing(_: Step) -> None:
    pass


@contextlib.contextmanager
def _display(quiet: bool) -> Iterator[Progress]:
    if quiet:
        yield _show_nothing
    elif not sys.stderr.isatty():
        lines = Lines(say)
        with _ticking(lines.tick):
            yield lines
    else:
        with _bars() as progress:
            yield progress


@contextlib.contextmanager
def _ticking(tick: Callable[[], None]) -> Iterator[None]:
    """Calls *tick* twice a second, from another thread, while the context is open."""
    stopped = threading.Event()

    def run() -> None:
        while not stopped.wait(0.5):
            tick()

    thread = threading.Thread(target=run, name="llm-mia-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


class _Bars:
    """A bar for each pass in a terminal, and a line for what else is being done."""

    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._tasks: dict[str, Any] = {}
        self._activity: Any = None
        self._whole: Any = None
        self._forecast = Forecast()
        self._announced = False

    def __call__(self, step: Step) -> None:
        """Take in a step."""
        self.end_activity()
        now = time.monotonic()
        self._forecast.add(now, step)
        if line := endpoint_line(step.work):
            self._bars.console.print(line, highlight=False)
        if not self._announced and (line := self._forecast.line(now)):
            self._announced = True
            self._bars.console.print(line, highlight=False)
        self._show_whole(now, step)
        if not step.total_bytes:
            self._activity = self._bars.add_task(_label(step), total=None, step=step, pace=Pace())
            return
        if step.name not in self._tasks:
            fields = {"step": step, "pace": Pace()}
            self._tasks[step.name] = self._bars.add_task(_label(step), total=step.total_bytes, **fields)
        task = self._tasks[step.name]
        self._bars.tasks[self._bars.task_ids.index(task)].fields["pace"].add(now, step)
        self._bars.update(task, completed=step.bytes, step=step)

    def _show_whole(self, now: float, step: Step) -> None:
        """A bar for all passes together, where there are several."""
        share = self._forecast.share(now)
        if self._whole is None and share is not None and self._forecast.passes_left > 1:
            fields = {"step": step, "pace": WholePace(self._forecast)}
            self._whole = self._bars.add_task("all passes", total=1.0, **fields)
        if self._whole is not None and share is not None:
            self._bars.update(self._whole, completed=share)

    def end_activity(self) -> None:
        """Remove the line of what is being done besides passes."""
        if self._activity is not None:
            self._bars.remove_task(self._activity)
            self._activity = None


@contextlib.contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    with Bars(*_columns(console), console=console) as bars:
        shown = _Bars(bars)
        try:
            yield shown
        finally:
            shown.end_activity()


def _columns(console: Console) -> tuple[Any, ...]:
    """What a bar shows, as far as the terminal is wide enough."""
    from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            rate = task.fields["pace"].tokens_per_second(time.monotonic())
            return Text(f"{rate:,.0f} tokens/s" if rate and not task.finished else "", justify="right", no_wrap=True)

    class Left(ProgressColumn):
        def render(self, task: Task) -> Text:
            if task.total is None or task.finished:
                words = f"since {duration(task.elapsed or 0.0)}" if task.total is None else "finished"
            else:
                left = task.fields["pace"].seconds_left(time.monotonic(), int(task.total))
                words = "" if left is None else f"{duration(left)} left"
            return Text(words, justify="right", no_wrap=True)

    class Share(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text("" if task.total is None else f"{task.percentage:3.0f} %", justify="right", no_wrap=True)

    description = TextColumn("{task.description}")
    if console.width < 60:
        return (description, Share(), Left())
    if console.width < 80:
        return (description, BarColumn(10), Share(), Left())
    return (description, BarColumn(16), Share(), Rate(), Left())
