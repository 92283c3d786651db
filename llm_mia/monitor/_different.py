"""Whether the logs under test and the benign logs are different files, with different content."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ..errors import UsageError

__all__ = ["refuse_equal_logs"]


def refuse_equal_logs(logs: Sequence[Path], benign: Sequence[Path]) -> None:
    """Raise `UsageError` where a log under test is also a benign log: its attacks would set the thresholds.

    Only files of the same size are read, so that this costs little.
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
    size = log.stat().st_size
    return size > 0 and size == other.stat().st_size and _digest(log) == _digest(other)


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
