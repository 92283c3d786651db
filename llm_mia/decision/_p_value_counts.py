"""How many p-values lie in each part of 0..1, and how many would where no candidate was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UsageError
from ..records import SharedNames, count_distinct

__all__ = ["PValueCounts", "p_value_counts"]

Floats = NDArray[np.float64]
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class PValueCounts:
    """A histogram of p-values; all but `edges` have shape (bins,)."""

    edges: Floats
    """From 0 to 1, shape (bins + 1,); a bin holds its right edge and not its left."""
    counts: NDArray[np.intp]
    expected: Floats
    """Where no candidate was trained on."""
    interval: tuple[Floats, Floats] | None
    """The ends of the 95 % interval of each count by itself, where no candidate was trained on; None where passages
    share documents or have categories: what chance gives then depends on how alike the passages of a document are."""


def p_value_counts(
    p_values: ArrayLike, documents: Sequence[str], n: int, *, n_documents: int | None = None, bins: int = 20
) -> PValueCounts:
    """The histogram of conformal p-values, with the counts to expect where no candidate was trained on.

    Where every passage is a document by itself, the p-values lie on the grid 1/(n + 1), …, 1, and bins end on it. The
    number of p-values in a bin of r grid points is beta-binomial with parameters r and n + 1 − r, since all candidates
    share the calibration set; it is exact for exchangeable candidates without ties. Where documents are shared,
    no such law holds, and there is no interval: of passages of a document that are all alike a bin may hold many times
    as many as of independent ones. The expected counts are then approximate; but the number of p-values up to
    a rate is at most m times the rate on average, as always.

    Args:
        p_values: of the candidates; NaN is left out.
        documents: the document of each.
        n: known non-members compared with.
        n_documents: the documents of these, where some hold several.
        bins: at most so many; fewer where that makes them equally wide.

    Raises:
        UsageError: lengths differ, or no candidate has a p-value.

    >>> counted = p_value_counts([0.05, 0.5, 1.0], "abc", 19, bins=4)
    >>> counted.edges.tolist(), counted.counts.tolist(), counted.expected.tolist()
    ([0.0, 0.25, 0.5, 0.75, 1.0], [1, 1, 0, 1], [0.75, 0.75, 0.75, 0.75])
    """
    from scipy.stats import betabinom

    values = np.asarray(p_values, dtype=np.float64)
    if len(values) != len(documents):
        raise UsageError(f"{len(values)} p-values but {len(documents)} documents")
    scored = ~np.isnan(values)
    if not scored.any():
        raise UsageError("no candidate has a p-value")
    m = int(scored.sum())
    names = SharedNames.of(documents)
    names = names if m == len(names) else names.take(scored)
    grid = (n if n_documents is None else n_documents) + 1
    points = np.unique(np.rint(np.linspace(0, grid, _bins_of(grid, bins) + 1)))
    edges = points / grid
    # A p-value of 3/20 is 0.15000000000000002: half a millionth keeps it in the bin that ends there.
    lowered = values[scored]
    lowered -= 1e-9
    counts = np.histogram(lowered, bins=np.append(edges[:-1], 1.0))[0]
    width = np.diff(points)
    interval = None
    if count_distinct(names) == m and n_documents in (None, n):
        tail = (1 - CONFIDENCE) / 2
        low, high = (np.asarray(betabinom.ppf(at, m, width, grid - width)) for at in (tail, 1 - tail))
        everything = np.array([float(m)])
        interval = (everything, everything) if len(width) == 1 else (low, high)  # a single bin holds them all
    return PValueCounts(edges, counts, m * width / grid, interval)


def _bins_of(grid: int, most: int) -> int:
    """At most *most* bins for *grid* points: as many as divide them evenly, if these are at least a third of *most*.

    >>> _bins_of(32, 20), _bins_of(100, 20), _bins_of(101, 20), _bins_of(5, 20)
    (16, 20, 20, 5)
    """
    even = [bins for bins in range(1, min(most, grid) + 1) if grid % bins == 0]
    return even[-1] if 3 * even[-1] >= most or grid <= most else most
