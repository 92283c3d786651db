"""What --dry-run prints in place of running a command: how much there is to compute, and how long it will take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from .forecast import request_words, work_words
from .output import show, show_json
from .pace import duration

if TYPE_CHECKING:
    from ..signals import Estimate

__all__ = ["only_estimating"]


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


def _summary(estimate: Estimate) -> dict[str, Any]:
    """The estimate for machines."""
    return {
        "passages": estimate.passages,
        "seconds": round(estimate.seconds, 1),
        "bytes_on_disk": estimate.bytes_on_disk,
        "passes": [{**asdict(each), "seconds": round(each.seconds, 1)} for each in estimate.passes],
        "attacks": list(estimate.attacks),
    }


def _words(estimate: Estimate) -> str:
    """The estimate for people."""
    from ..report.words import size_words

    scores = [f"  scores by {', '.join(estimate.attacks)}"] if estimate.attacks else []
    if not estimate.passes:
        nothing = f"{estimate.passages:,} passages: nothing to compute by a model, all signals are stored"
        return "\n".join([nothing, *scores, "Nothing was written."])
    first, n = estimate.passes[0], len(estimate.passes)
    width = max(len(each.name) for each in estimate.passes)
    passes = [
        f"  {each.name:{width}}  {each.passages:,} {'passage' if each.passages == 1 else 'passages'}, "
        f"{each.tokens:,} tokens: about {duration(each.seconds)}, {size_words(each.bytes_on_disk)}"
        for each in estimate.passes
    ]
    asked = [each for each in estimate.passes if each.requests]
    if asked:
        price = None if any(each.price is None for each in asked) else sum(each.price or 0.0 for each in asked)
        passes.append(f"  {request_words(sum(e.requests for e in asked), sum(e.tokens for e in asked), price)}")
    lines = [work_words(first.passages, first.tokens, n, estimate.seconds), *passes, *scores]
    return "\n".join([*lines, "Measured on the first batches of each pass; nothing was written."])
