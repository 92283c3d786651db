"""Edited texts, their scores under models that were trained on no version of them, and the p-values that these give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.attack_models import Recipe, scratch, trained
from benchmarks.edited_texts import EDITS, Edit, edited_pairs, other_texts
from benchmarks.figures import Figure
from llm_mia import training
from llm_mia.backends import embedded
from llm_mia.canary import flip_test, split_test
from llm_mia.metrics import clopper_pearson
from llm_mia.passages import Passages
from llm_mia.records import Interval
from llm_mia.scoring import score

Floats = NDArray[np.float64]
FLIPS = 999
"""Choices of signs of a p-value."""
LEVELS = (0.05, 0.01)
SIZE = 60
"""Documents of a test."""

EMBEDDED, TUNED = "SmolLM2", "SmolLM2 fine-tuned"
SMALL, SIBLING, SMALL_TUNED, READER = "small", "sibling", "small fine-tuned", "small that read them"
"""The last was trained on the published versions of the first kind of edit, and is no model without training."""
BASES = {TUNED: EMBEDDED, SMALL_TUNED: SMALL, READER: SMALL}
"""What a model was fine-tuned from."""
SMALL_RECIPE = Recipe("paired-2x64", (3,), 64, 5e-4)
SMALL_TEXTS, TUNING_TEXTS = 600, 150
"""Docstrings that each small model, and a fine-tuned one, is trained on."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A target and its placebo."""

    target: str
    placebo: str
    fit: bool
    """Whether the guide advises such a placebo: the model before its fine-tuning, or one of the same kind and size."""

    @property
    def unit(self) -> str:
        """``token``; ``byte`` where the models have different tokenizers."""
        return "token" if (self.target in LARGE) == (self.placebo in LARGE) else "byte"


LARGE = (EMBEDDED, TUNED)
SMALL_COMPARISONS = (
    Comparison(SMALL_TUNED, SMALL, True),
    Comparison(SMALL, SIBLING, True),
    Comparison(SIBLING, SMALL, True),
)
LARGE_COMPARISONS = (
    Comparison(TUNED, EMBEDDED, True),
    Comparison(EMBEDDED, SMALL, False),
    Comparison(SMALL, EMBEDDED, False),
)
READING = Comparison(READER, SMALL, True)


@dataclass(frozen=True, slots=True)
class Scores:
    """What a model gives published and withheld versions; arrays have shape (documents, 2)."""

    per_token: Floats
    """Mean log-likelihood, nats per token."""
    per_byte: Floats

    def preferences(self, unit: str) -> Floats:
        """Of each document that for the published version, per ``token`` or ``byte``."""
        each = self.per_token if unit == "token" else self.per_byte
        return each[:, 0] - each[:, 1]


class Trials:
    """Edited texts of every kind, and what each model gives them; all that takes long is kept in a folder."""

    def __init__(self, work: Path, documents: int) -> None:
        self._work, self._documents = work, documents
        self.pairs = {edit.name: edited_pairs(edit, documents, work) for edit in EDITS}
        self._tables: dict[str, tuple[Floats, Floats, dict[str, int]]] = {}

    def scores(self, model: str, edit: Edit) -> Scores:
        """The scores of the pairs of *edit* under *model*."""
        if model not in self._tables:
            self._tables[model] = self._table(model)
        per_token, per_byte, at = self._tables[model]
        rows = np.array([[at[text] for text in pair] for pair in self.pairs[edit.name]])
        return Scores(per_token[rows], per_byte[rows])

    def _table(self, model: str) -> tuple[Floats, Floats, dict[str, int]]:
        """Likelihoods of texts per token and per byte, and the row of each text."""
        edits = EDITS[:1] if model == READER else EDITS
        texts = sorted({text for edit in edits for pair in self.pairs[edit.name] for text in pair})
        out = self._work / "scores" / f"{model.replace(' ', '-')}-{self._documents}"
        score(Passages.of(texts), self._model(model), attacks=["loss"], out=out, window_tokens=256)
        table = pq.read_table(out / "scores.parquet", columns=["loss", "n_tokens", "n_bytes"])
        loss, tokens, size = (table[name].to_numpy().astype(np.float64) for name in table.column_names)
        return loss, loss * tokens / size, {text: row for row, text in enumerate(texts)}

    def differences(self, comparison: Comparison, edit: Edit) -> Floats:
        """Of each document the preference of the target less that of the placebo, as `run_paired_test` computes it."""
        target, placebo = (
            self.scores(model, edit).preferences(comparison.unit) for model in (comparison.target, comparison.placebo)
        )
        return target - placebo

    def _model(self, model: str) -> str:
        if model == EMBEDDED:
            return embedded.NAME
        others = other_texts(self._work)
        if model in BASES:
            texts = others[-TUNING_TEXTS:]
            if model == READER:
                texts = [*texts, *(published for published, _ in self.pairs[EDITS[0].name])]
            folder = self._work / "models" / f"{model.replace(' ', '-')}-{self._documents}"
            if not (folder / "training.json").exists():
                training.train(self._model(BASES[model]), texts, folder, _tuning(model))
            return str(folder)
        part = (SMALL, SIBLING).index(model)
        texts = others[part * SMALL_TEXTS : (part + 1) * SMALL_TEXTS]
        # Both have the tokenizer of all these texts, as models of the same kind have.
        both = others[: 2 * SMALL_TEXTS]
        return str(trained(self._work, SMALL_RECIPE, lambda: scratch(both, part), texts, part)[SMALL_RECIPE.epochs[-1]])


def _tuning(model: str) -> training.Recipe:
    if model == TUNED:
        return training.Recipe(epochs=1, batch_size=8)
    return training.Recipe(training.Method.FULL, epochs=3, batch_size=8, learning_rate=1e-3)


@dataclass(frozen=True, slots=True)
class Share:
    """Of the p-values of many draws of documents."""

    value: float
    low: float
    """The lower end of the 95 % interval, by documents."""
    high: float


@dataclass(frozen=True, slots=True)
class Summary:
    """The p-values that differences of documents give, in tests of `SIZE` documents each."""

    shares: Mapping[float, Share]
    """Of those that are at most a level, by level."""
    distance: float
    """The largest difference between the share of p-values of at most u and u, over all u (Kolmogorov, Smirnov)."""
    shift: Share
    """The mean sum of a test, in standard deviations of such sums; without training it should be 0."""


def summary_of(differences: Floats, *, subsets: int = 2_000, resamples: int = 100) -> Summary:
    """The p-values of *subsets* draws of `SIZE` documents, with intervals.

    Draws of the same documents overlap, so their number says nothing about the error. For the intervals all documents
    are drawn anew *resamples* times, with repetition (a bootstrap by document), and the tests from these.
    """
    rng = np.random.default_rng(0)
    signs = rng.choice([-1.0, 1.0], (SIZE, FLIPS))
    without_repetition = rng.random((subsets, len(differences))).argsort(axis=1)[:, :SIZE]
    p_values = _p_values(differences[without_repetition], signs)
    assert abs(p_values[0] - flip_test(differences[without_repetition[0]]).p_value) < 0.1, "these are those of the test"
    shares: dict[float, list[float]] = {level: [] for level in LEVELS}
    shifts = []
    for _ in range(resamples):
        resampled = rng.choice(differences, len(differences))
        of_resample = _p_values(resampled[rng.integers(0, len(resampled), (250, SIZE))], signs)
        shifts.append(_shift(resampled))
        for level in LEVELS:
            shares[level].append(float((of_resample <= level).mean()))
    return Summary(
        {level: _share(float((p_values <= level).mean()), each) for level, each in shares.items()},
        distance(p_values),
        _share(_shift(differences), shifts),
    )


def control_shares(differences: Floats, *, subsets: int = 2_000) -> Mapping[float, Interval]:
    """Of tests with a control set: the share of p-values of at most each of `LEVELS`, with an exact interval.

    In each test `SIZE` documents are drawn as the published ones, and as many others as the control set.
    """
    rng = np.random.default_rng(0)
    drawn = differences[rng.random((subsets, len(differences))).argsort(axis=1)[:, : 2 * SIZE]]
    marks = rng.permuted(np.tile(np.arange(2 * SIZE) < SIZE, (FLIPS, 1)), axis=1).T.astype(np.float64)
    sums = drawn[:, :SIZE].sum(1, keepdims=True)
    p_values = (1 + (drawn @ marks >= sums - 1e-9).sum(1)) / (1 + FLIPS)
    of_first = split_test(drawn[0, :SIZE], drawn[0, SIZE:]).p_value
    assert abs(p_values[0] - of_first) < 0.1, "these are those of the test"
    return {level: clopper_pearson(int((p_values <= level).sum()), subsets) for level in LEVELS}


def _p_values(tests: Floats, signs: Floats) -> Floats:
    """What `flip_test` gives each row of *tests*, with the same *signs* for all of them."""
    p_values: Floats = (1 + (tests @ signs >= tests.sum(1, keepdims=True)).sum(1)) / (1 + FLIPS)
    return p_values


def _shift(differences: Floats) -> float:
    return float(differences.mean() / differences.std() * np.sqrt(SIZE))


def _share(value: float, resampled: Sequence[float]) -> Share:
    low, high = np.quantile(resampled, (0.025, 0.975))
    return Share(value, float(low), float(high))


def distance(p_values: Floats) -> float:
    """The largest difference between the share of p-values of at most u and u, over all u.

    >>> distance(np.array([0.5, 1.0]))
    0.5
    """
    ordered = np.sort(p_values)
    steps = np.arange(len(ordered) + 1) / len(ordered)
    return float(max((steps[1:] - ordered).max(), (ordered - steps[:-1]).max()))


def paired_figures(work: Path, small: int, large: int) -> list[Figure]:
    """How often a test of `SIZE` documents has a small p-value, by kind of edit, target and placebo.

    Args:
        work: a folder for models and scores.
        small: documents of each kind that the small models read.
        large: documents of each kind that SmolLM2 reads, too; 0 leaves its rows out.
    """
    figures = list[Figure]()
    families = [(small, SMALL_COMPARISONS), *([(large, LARGE_COMPARISONS)] if large else [])]
    for documents, comparisons in families:
        trials = Trials(work, documents)
        for comparison in comparisons:
            for edit in EDITS:
                figures += _compared(trials, comparison, edit)
                figures += _controlled(trials, comparison, edit)
        if comparisons is SMALL_COMPARISONS:
            figures += _compared(trials, READING, EDITS[0])
    return figures


def _compared(trials: Trials, comparison: Comparison, edit: Edit) -> list[Figure]:
    differences, name = trials.differences(comparison, edit), f"paired, {edit.name}, {comparison.target}"
    with_placebo = summary_of(differences)
    alone = summary_of(trials.scores(comparison.target, edit).preferences("token"), resamples=2)
    share, rare = (with_placebo.shares[level] for level in LEVELS)
    note = (
        f"[{share.low:.3f}, {share.high:.3f}]; p ≤ 0.01: {rare.value:.3f} [{rare.low:.3f}, {rare.high:.3f}]; mean of a "
        f"sum {with_placebo.shift.value:+.2f} [{with_placebo.shift.low:+.2f}, {with_placebo.shift.high:+.2f}] standard "
        f"deviations; distance from uniform {with_placebo.distance:.2f}, without a placebo {alone.distance:.2f}; "
        f"{len(differences)} documents"
    )
    goal = 0.5 if comparison is READING else None
    row = Figure(f"{name} against {comparison.placebo}: share of p ≤ 0.05", share.value, at_least=goal, note=note)
    if not comparison.fit or comparison is READING:
        return [row]
    return [row, Figure("lower end of that", share.low, at_most=0.05)]


def _controlled(trials: Trials, comparison: Comparison, edit: Edit) -> list[Figure]:
    """The same pairs with a control set, with the placebo taken off in both groups and without a placebo."""
    with_placebo = control_shares(trials.differences(comparison, edit))
    alone = control_shares(trials.scores(comparison.target, edit).preferences("token"))
    share, other = with_placebo[LEVELS[0]], alone[LEVELS[0]]
    rest = "; ".join(
        f"{name} p ≤ 0.01: {each[LEVELS[1]].value:.4f}" for name, each in (("", with_placebo), ("without it", alone))
    )
    name = (
        f"paired with a control set, {edit.name}, {comparison.target} against {comparison.placebo}: share of p ≤ 0.05"
    )
    note = f"[{share.low:.4f}, {share.high:.4f}] over 2,000 splits; without a placebo {other.value:.4f} "
    return [
        Figure(name, share.value, note=f"{note}[{other.low:.4f}, {other.high:.4f}]; {rest.strip()}"),
        Figure("lower end of that", share.low, at_most=LEVELS[0]),
    ]
