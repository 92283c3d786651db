"""A command that a launcher starts in several processes: the first speaks, and the others only compute."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

__all__ = ["as_rank"]

if TYPE_CHECKING:
    from ..signals import Ranks

Run = Callable[[Callable[[], str]], int]
"""Runs a command; takes a function that says which other process has ended, and returns the exit code."""
SIGNALS = 128
"""Exit codes above it are of signals."""
SHARED = "score"
"""The command whose passes several processes compute."""


def as_rank(rank: int, typed: Sequence[str], run: Run) -> int:
    """The exit code of the command that is *typed*, in the process number *rank* of several.

    Args:
        rank: 0 speaks; every other process prints only what ended it, and only where the first cannot.
        typed: the command and its options.
        run: runs the command.
    """
    if (refusal := _refusal(typed)) is not None:
        if rank == 0:
            print(f"llm-mia: {refusal}", file=sys.stderr)
        return 2
    if rank and "--dry-run" in typed:
        return 0  # the first process estimates
    from ..distributed import shared_by_accelerate

    with shared_by_accelerate() as ranks:
        return _lead(ranks, run) if ranks.leads else _follow(ranks, run)


def _lead(ranks: Ranks, run: Run) -> int:
    code = run(ranks.problem)
    if code:
        ranks.leave(f"ended with the exit code {code}")
    return code


def _follow(ranks: Ranks, run: Run) -> int:
    from ..signals import PassesFinished

    with (
        contextlib.redirect_stderr(io.StringIO()) as kept,
        Path(os.devnull).open("w", encoding="utf-8") as discarded,
        contextlib.redirect_stdout(discarded),
    ):
        try:
            code = run(ranks.problem)
        except PassesFinished:
            return 0
    lines = kept.getvalue().strip().splitlines() or [f"ended with the exit code {code}"]
    message = lines[-1].removeprefix("llm-mia: ")
    speaks = bool(code) and (ranks.leads_elsewhere or ranks.leader_died())
    ranks.leave(message if 0 < code < SIGNALS else "")
    if speaks:
        print(f"llm-mia: rank {ranks.index}: {message}", file=sys.stderr)
    return code


def _refusal(typed: Sequence[str]) -> str | None:
    """Why several processes cannot run the command; None where they can."""
    if typed[0] not in (SHARED, "--help", "-h", "--version"):
        return (
            f"only 'llm-mia {SHARED}' runs in several processes: run that with accelerate, and then "
            f"'llm-mia {typed[0]}' without it: 'llm-mia guide machines' shows how it reuses the signals"
        )
    if any(word.partition("=")[0] == "--on" for word in typed[1:]):
        return "accelerate has started several processes, and --on starts others: leave out --on, or accelerate"
    if "-" in typed[1:]:
        return "several processes cannot all read the standard input: write the passages to a file, and name that"
    return None
