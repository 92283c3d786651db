"""What --dry-run prints in place of running a command: how much there is to compute, and how long it will take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from ..durations import duration
from .forecast import request_words, work_words
from .output import say, show, show_json
from .parameters import spelled

if TYPE_CHECKING:
    from ..signals import Estimate, PassEstimate, TrainingEstimate

__all__ = ["only_estimating", "say_estimate"]

MOST_LINES = 5
"""Passes, or trainings, that have a line each; of more there is a single line."""


@contextmanager
def only_estimating(wanted: bool, *, as_json: bool = False) -> Iterator[None]:
    """Where it is *wanted*: calls in the context are only estimated, and the command ends with the estimate."""
    if not wanted:
        yield
        return
    from ..signals import Estimated, dry_run

    try:
        with dry_run():
            yield
    except Estimated as ended:
        if as_json:
            show_json(_summary(ended.estimate))
        else:
            show(_words(ended.estimate))
        raise typer.Exit(0) from None


def say_estimate(call: Callable[[], object]) -> None:
    """Print on stderr how long *call* will take, where it has models to train; it is measured, and does not run."""
    from ..signals import estimate

    expected = estimate(call)
    if expected.trainings:
        say(f"{_whole(expected)}; it may be stopped, and the same command continues")


def _summary(estimate: Estimate) -> dict[str, Any]:
    """The estimate for machines."""
    return {
        "passages": estimate.passages,
        "canaries": estimate.canaries,
        "seconds": round(estimate.seconds, 1),
        "bytes_on_disk": estimate.bytes_on_disk,
        "kept_signals": str(estimate.kept_signals),
        "passes": [{**asdict(each), "seconds": round(each.seconds, 1)} for each in estimate.passes],
        "loading": {role: round(seconds, 1) for role, seconds in estimate.loading.items()},
        "attacks": list(estimate.attacks),
        "trainings": [{**asdict(each), "seconds": round(each.seconds, 1)} for each in estimate.trainings],
    }


def _words(estimate: Estimate) -> str:
    """The estimate for people."""
    scores = [f"  scores by {', '.join(estimate.attacks)}"] if estimate.attacks else []
    if not (estimate.passes or estimate.trainings):
        nothing = f"{estimate.passages:,} passages: nothing to compute by a model, all signals are stored"
        return "\n".join([nothing, *scores, "Nothing was written."])
    read = "text" if estimate.canaries else "passage"
    work = [*_lines(estimate.trainings, "training ", "trainings"), *_lines(estimate.passes, "", "passes", read)]
    measured = "the first steps and batches" if estimate.trainings else "the first batches of each pass"
    asked = [each for each in estimate.passes if each.requests]
    if asked:
        price = None if any(each.price is None for each in asked) else sum(each.price or 0.0 for each in asked)
        # A model is measured once, whatever its passes are.
        requests = sum(e.requests for e in asked) + sum({e.role: e.probes for e in asked}.values())
        work.append(f"  {request_words(requests, sum(e.tokens for e in asked), price)}")
        work.append("  with the requests that measure a server; what has to be sent again counts in addition")
    scores += [*_removed(estimate), *_slow_stand_in(estimate)]
    return "\n".join([_whole(estimate), *work, *scores, f"Measured on {measured}; nothing was written."])


def _removed(estimate: Estimate) -> list[str]:
    """A line where signals do not stay on disk."""
    from ..report.words import size_words

    if estimate.kept_signals != "none":
        return []
    size = size_words(sum(each.bytes_on_disk for each in estimate.passes))
    option = spelled("`keep_signals`")
    return [f"  signals: {size} on disk until the scores are written, then removed ({option} none)"]


def _slow_stand_in(estimate: Estimate) -> list[str]:
    """A line where the stand-in takes most of the time, and a faster one can be named."""
    from ..backends import ngram
    from ..records import STAND_IN

    share = estimate.share_of(STAND_IN)
    if share <= 0.5 or any(each.role == STAND_IN and each.model == ngram.NAME for each in estimate.passes):
        return []
    faster = f"{spelled('`stand_in`')} ngram is faster, and notices less"
    return [f"  stand-in: {100 * share:.0f} % of the time; {faster}"]


def _whole(estimate: Estimate) -> str:
    """The sum of all that is to be computed."""
    from ..report.words import counted, size_words

    passes, trainings = estimate.passes, estimate.trainings
    if not trainings:
        return work_words(passes[0].passages, passes[0].tokens, len(passes), estimate.seconds)
    size = f"{counted(len(trainings), 'training')} and {len(passes):,} {'pass' if len(passes) == 1 else 'passes'}"
    canaries = f" and {counted(estimate.canaries, 'canary', 'canaries')}" if estimate.canaries else ""
    return (
        f"{size} over {counted(estimate.passages, 'passage')}{canaries}: about {duration(estimate.seconds)}, "
        f"{size_words(estimate.bytes_on_disk)} on disk"
    )


def _lines(work: Sequence[PassEstimate | TrainingEstimate], kind: str, plural: str, read: str = "passage") -> list[str]:
    """A line for each pass or training; of many, a line for all. *read* is the noun for what a pass reads."""
    if len(work) > MOST_LINES:
        return [f"  {len(work)} {plural} ({work[0].name} … {work[-1].name}), {_sum(work)}"]
    width = max((len(each.name) for each in work), default=0)
    return [f"  {kind}{each.name:{width}}  {_read(each, read)}{_sum([each])}" for each in work]


def _read(each: PassEstimate | TrainingEstimate, noun: str) -> str:
    from ..report.words import counted
    from ..signals import PassEstimate

    return f"{counted(each.passages, noun)}, " if isinstance(each, PassEstimate) else ""


def _sum(work: Sequence[PassEstimate | TrainingEstimate]) -> str:
    from ..report.words import size_words
    from ..signals import PassEstimate

    tokens, seconds, size = (
        sum(getattr(each, name) for each in work) for name in ("tokens", "seconds", "bytes_on_disk")
    )
    continuations = sum(each.continuations for each in work if isinstance(each, PassEstimate))
    continued = f"{continuations:,} continuations, at most " if continuations else ""
    return f"{continued}{tokens:,} tokens: about {duration(seconds)}, {size_words(size)}"
