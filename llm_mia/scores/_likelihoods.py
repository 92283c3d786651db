"""What the target found of each passage of a run, whatever the attacks are: its loss, and how long it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ScoresError
from ._files import read_file

__all__ = ["PassageLosses", "read_losses"]

COLUMNS = ("target_perplexity", "n_tokens", "n_bytes")


@dataclass(frozen=True, slots=True, eq=False)
class PassageLosses:
    """Loss and length of the passages of a run under its target, in the order of its table; shapes (passages,)."""

    per_token: NDArray[np.float64]
    """Mean negative log-probability, nats; NaN where a passage has no scored token."""
    tokens: NDArray[np.int64]
    """That were scored."""
    bytes: NDArray[np.int64]
    """UTF-8."""

    @property
    def per_byte(self) -> NDArray[np.float64]:
        """The negative log-probability of a passage over its bytes, which models with other tokens share, nats."""
        return np.asarray(self.per_token * self.tokens / np.maximum(self.bytes, 1))


def read_losses(run: str | Path) -> PassageLosses:
    """The losses in ``scores.parquet`` of the run directory *run*.

    Raises:
        ScoresError: there is no such file, or it lacks a column.
    """
    path = Path(run) / "scores.parquet"
    table = read_file(path, as_written=lambda _: ())
    missing = [name for name in COLUMNS if name not in table.names]
    if missing:
        raise ScoresError(f"{path}: has no column {missing[0]!r}; run the same command again")
    perplexity, tokens, n_bytes = (table.numbers(name) for name in COLUMNS)
    with np.errstate(invalid="ignore", divide="ignore"):
        per_token = np.log(perplexity)
    return PassageLosses(per_token, tokens.astype(np.int64), n_bytes.astype(np.int64))
