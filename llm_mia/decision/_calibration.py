"""A calibration: the threshold, the scores that set it, and what it takes to apply it to other scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..calibration import Floats, Split, conformal_p_values, hierarchical_p_values, in_blocks
from ..errors import CalibrationError, UsageError
from ..records import Note, Standing
from ._origin import Origin
from ._rules import Guarantee
from ._selection import Selection
from .stack import Stack

__all__ = ["Calibration", "Category"]


@dataclass(frozen=True, slots=True)
class Category:
    """Non-members of one kind (a length band, a language, a source), which set the threshold for this kind."""

    threshold: float
    """Scores of this category strictly above it are flagged."""
    n: int
    """Known non-members of it."""
    scores: tuple[float, ...]
    """Their scores, ascending."""
    documents: tuple[int, ...] = ()
    """The number of the document of each, as in `Calibration.documents`."""
    pooled: tuple[str, ...] = ()
    """Names of the categories pooled into it; empty where it is a single category."""
    pooled_by_size: bool = False
    """Whether their sizes in the calibration set decided which are pooled."""

    @property
    def n_documents(self) -> int:
        """Documents that its non-members come from; no p-value is below 1 / (this number + 1)."""
        return len(set(self.documents)) or self.n

    def p_values(self, scores: Floats) -> Floats:
        """`hierarchical_p_values` of *scores* where passages share documents, else `conformal_p_values`."""
        if not self.documents:
            return conformal_p_values(scores, self.scores)
        # Scores between the same two scores of non-members have the same p-value: that of the upper, or of any above.
        known = np.unique(self.scores)
        levels = hierarchical_p_values(np.append(known, np.inf), self.scores, np.array(self.documents))
        p_values = in_blocks(lambda block: levels[np.searchsorted(known, block, side="left")], scores)
        p_values[np.isnan(scores)] = np.nan
        return p_values


@dataclass(frozen=True, slots=True, repr=False)
class Calibration:
    """A threshold, and all it takes to check it and to apply it again. `calibrate` gives it; ``calibration.json``."""

    attack: str
    """As the user named it, settings included: ``min_k:k=0.1``."""
    fpr: float
    """The false positive rate to hold."""
    threshold: float
    """Scores strictly above it are flagged. With categories the highest of their thresholds, so it holds in each."""
    guarantee: Guarantee
    n: int
    """Number of known non-members that set the threshold."""
    n_documents: int
    """Documents that they come from."""
    scores: tuple[float, ...]
    """Their scores, ascending."""
    documents: tuple[int, ...] = ()
    """The number of the document of each, in the order of first appearance; empty where each is a document by
    itself."""
    origin: Origin | None = None
    """The models, rules and attacks behind the scores; None where the table does not record them."""
    confidence: float | None = None
    """Over the draw of the calibration set; None where the guarantee is marginal."""
    categories: Mapping[str, Category] = field(default_factory=dict)
    """By name; empty where all passages share a threshold."""
    by: str = ""
    """What the categories are: ``length``, or a column of the table; empty where there are none."""
    split: Split | None = None
    """Which part of the known set selected the attack; None where nothing was kept apart."""
    selection: Selection = field(default_factory=Selection)
    """How the attack was selected."""
    stack: Stack | None = None
    """What computes the score from several columns; None where the attack is a column."""
    standing: Standing | None = None
    """Of the known set; None where it was not checked."""
    by_shadows: bool = False
    """Whether the scores are those of shadow models in the target's place, and not of known non-members."""
    notes: tuple[Note, ...] = ()
    """What a reader ought to know about the scores and the known set."""

    @property
    def thresholds(self) -> dict[str, float]:
        """The threshold of each category, by the name that passages carry; pooled categories share that of the pool."""
        return {name: category.threshold for name, category in self._by_passage_category().items()}

    @property
    def share_above(self) -> float:
        """The share of the known non-members, each passage by itself, that lie above the threshold that they set."""
        kinds = list(self.categories.values()) or [Category(self.threshold, self.n, self.scores)]
        above = sum(float(np.sum(np.asarray(kind.scores) > kind.threshold)) for kind in kinds)
        return above / sum(len(kind.scores) for kind in kinds)

    def __repr__(self) -> str:
        held = "" if self.confidence is None else f" with confidence {self.confidence:g}"
        basis = f"{self.n:,} non-members of {self.n_documents:,} documents"
        return f"<Calibration of {self.attack}: threshold {self.threshold:.6g}, fpr {self.fpr:g}{held}, {basis}>"

    def flagged(self, scores: ArrayLike, categories: Sequence[str] | None = None) -> NDArray[np.bool_]:
        """Which of *scores*, shape (m,), lie above the threshold, or above that of their category; NaN never does.

        Raises:
            CalibrationError: *categories* are missing or not allowed, or hold a category without a threshold.
        """
        values = np.asarray(scores, dtype=np.float64)
        flags = np.zeros(values.shape, dtype=bool)
        for category, rows in self.rows_by_category(len(values), categories):
            flags[rows] = values[rows] > category.threshold
        return flags

    def p_values(self, scores: ArrayLike, categories: Sequence[str] | None = None) -> Floats:
        """The p-value of each of *scores*, shape (m,), among the non-members of its category; see `Category.p_values`.

        p-values of several categories, or of passages that share documents, are not proven to be PRDS;
        `benjamini_yekutieli` holds over them.

        Raises:
            CalibrationError: as `flagged` does.
        """
        values = np.asarray(scores, dtype=np.float64)
        p_values = np.full(values.shape, np.nan)
        for category, rows in self.rows_by_category(len(values), categories):
            p_values[rows] = category.p_values(values[rows])
        return p_values

    def _by_passage_category(self) -> dict[str, Category]:
        return {
            name: category
            for category_name, category in self.categories.items()
            for name in (category.pooled or (category_name,))
        }

    def rows_by_category(
        self, m: int, categories: Sequence[str] | None
    ) -> Iterator[tuple[Category, slice | NDArray[np.intp]]]:
        """Each category with the positions of those of *m* scores that belong to it; without categories, all of them.

        Raises:
            CalibrationError: as `flagged` does.
        """
        calibrated = self._by_passage_category()
        if (categories is not None) != bool(calibrated):
            names = ", ".join(map(repr, sorted(calibrated)))
            has = f"has the categories {names}" if calibrated else "has no categories"
            advice = "give the category of each score" if calibrated else "give no `categories`"
            raise CalibrationError(f"the calibration {has}: {advice}")
        if categories is None:
            yield Category(self.threshold, self.n, self.scores, self.documents), slice(None)
            return
        if len(categories) != m:
            raise UsageError(f"{m} scores but {len(categories)} categories: give the category of each score")
        kinds, kind = np.unique(np.array([str(name) for name in categories], dtype=object), return_inverse=True)
        unknown = [name for name in kinds if name not in calibrated]
        if unknown:
            raise CalibrationError(
                f"no known non-member is of the category {' or '.join(map(repr, unknown))}, so no passage of it can be "
                "flagged: calibrate with non-members of each category, or leave out the candidates of the others "
                f"(calibrated are {', '.join(map(repr, sorted(calibrated)))})"
            )
        for number, name in enumerate(kinds):
            yield calibrated[name], np.flatnonzero(kind == number)
