"""Passages that end the process which computes them: they are stored without signals, and recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ..records import LeftOut, RunRecord
from ..store import RunDirectory
from ._inputs import Inputs

__all__ = ["left_out_notes", "left_out_passages", "recorder_of_left_out", "still_left_out"]

MOST_NAMED = 3
"""Passages that a note names."""


def left_out_passages(inputs: Inputs, position: int, copied: NDArray[np.intp]) -> list[LeftOut]:
    """The passage at *position*, and those of the positions *copied* that have the same text."""
    positions = [position, *_copies(inputs, position, copied)]
    wanted, passages = set(positions), islice(inputs, max(positions) + 1)
    return [LeftOut(at, each.id, each.where or "") for at, each in enumerate(passages) if at in wanted]


def _copies(inputs: Inputs, position: int, copied: NDArray[np.intp]) -> list[int]:
    repeated = inputs.check.repeated
    at = int(np.searchsorted(repeated, position))
    if at == len(repeated) or repeated[at] != position:
        return []
    digests = inputs.repeated_digests
    same = repeated[(digests == digests[at]).all(axis=1)]
    copies: list[int] = np.setdiff1d(np.intersect1d(same, copied), [position]).tolist()
    return copies


def recorder_of_left_out(run: RunDirectory, name: str) -> Callable[[Sequence[LeftOut]], None]:
    """A function that records passages which the pass *name* of *run* leaves without signals."""

    def record(left_out: Sequence[LeftOut]) -> None:
        passes = run.record.passes
        together = sorted({*passes[name].left_out, *left_out}, key=lambda each: each.position)
        run.update(passes={**passes, name: replace(passes[name], left_out=tuple(together))})

    return record


def still_left_out(left_out: Sequence[LeftOut], missing: Sequence[range]) -> tuple[LeftOut, ...]:
    """Those of *left_out* that are stored: none at the positions *missing*."""
    return tuple(each for each in left_out if not any(each.position in gap for gap in missing))


def left_out_notes(record: RunRecord) -> tuple[str, ...]:
    """A sentence for each pass of a run in which passages have no signals, because they end the process."""
    return tuple(_note(name, made_by.left_out) for name, made_by in record.passes.items() if made_by.left_out)


def _note(name: str, left_out: Sequence[LeftOut]) -> str:
    named = [f"{each.id!r} ({each.where})" if each.where else repr(each.id) for each in left_out[:MOST_NAMED]]
    more = [f"{len(left_out) - MOST_NAMED:,} more"] if len(left_out) > MOST_NAMED else []
    several = len(left_out) > 1
    return (
        f"{len(left_out):,} passage{'s have' if several else ' has'} no signals of the pass {name}, and no scores that "
        f"need them, because a process ended each time that it computed {'them' if several else 'it'}: "
        f"{', '.join([*named, *more])}"
    )
