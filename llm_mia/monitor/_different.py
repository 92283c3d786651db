"""Whether the logs under test and the benign logs are different files, with different content."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from ..errors import UsageError
from .lines import BrokenFileError, lines_of

__all__ = ["refuse_equal_logs"]


def refuse_equal_logs(logs: Sequence[Path], benign: Sequence[Path]) -> None:
    """Raise `UsageError` where a log under test is also a benign log: its attacks would set the thresholds.

    Two logs are read up to the first line that differs, so that this costs little.
    """
    for log in logs:
        for other in benign:
            if log.is_file() and other.is_file() and (log.samefile(other) or _equal_content(log, other)):
                what = "is also" if log.samefile(other) else f"has the same content as {other},"
                raise UsageError(
                    f"{log}: {what} the benign log, so an attack in it would set the thresholds and cause no alert: "
                    "give as `benign` a log of the same traffic at another time, without attacks"
                )


def _equal_content(log: Path, other: Path) -> bool:
    """Whether both have the same lines, compressed or not; of a file that is cut off, as far as it can be read."""
    same = False
    try:
        for one, line in zip_longest(lines_of(log), lines_of(other)):
            if one != line:
                return False
            same = True
    except BrokenFileError:
        pass
    return same
