"""Checks of single leaks: one simple property of a passage, and how well it alone separates the classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..records import Note
from ._blind import TextFeatures
from ._judging import auroc_check, few_arrangements, few_documents, permutations_for
from ._sets import Contrast
from ._verdicts import Check, Verdict
from .permutation import LabelExchange, PermutationResult, category_auroc, exchange_labels, given_test
from .rarity import RARITY

__all__ = ["LEAKS", "fill_missing_years", "leak_checks", "name_check", "source_of"]

Floats = NDArray[np.float64]

LEAKS = (
    *("latest_year", "bytes", "bytes_per_word", "upper", "punctuation", "non_ascii", "other_scripts"),
    *("broken_words", "digits_in_words", "odd_characters", "double_spaces", "spaced_punctuation"),
    *RARITY,
)
_LETTERS = re.compile(r"[^\W\d_]+")
# A name such as "train" shows the user's label of a file, not the source of its text.
_LABEL_WORDS = frozenset(
    (
        *("member", "members", "nonmember", "nonmembers", "non", "candidate", "candidates", "known", "unknown", "set"),
        *("train", "training", "trained", "test", "testing", "val", "validation", "held", "out", "heldout", "holdout"),
        *("seen", "unseen", "in", "positive", "negative", "pos", "neg", "true", "false", "yes", "no", "data"),
        *("doc", "docs", "document", "documents", "passage", "passages", "text", "texts", "txt", "file", "files"),
    )
)


def leak_checks(
    family: str,
    contrast: Contrast,
    features: TextFeatures,
    level: float,
    rng: np.random.Generator,
    leaks: Sequence[str] = LEAKS,
) -> list[Check]:
    """The AUROC of each of *leaks*, in whichever direction it separates.

    If labels are independent of the texts, all are ``sound`` with probability at least 1 − *level* (`given_test`). They
    are skipped where too few documents can be exchanged; the classifiers' checks then have a verdict on that.
    """
    labels = exchange_labels(contrast.labels, contrast.documents)
    if few_arrangements(labels, level, two_sided=True):
        few = (few_documents(contrast, level),)
        return [Check(f"{family}_{leak}", None, Verdict.SKIPPED, notes=few) for leak in leaks]
    columns = features.of(contrast.rows, *leaks)
    for number, leak in enumerate(leaks):
        if leak == "latest_year":
            columns[:, number] = fill_missing_years(columns[:, number])
    results = given_test(columns, labels, level=level, permutations=permutations_for(level), rng=rng)
    return [
        auroc_check(f"{family}_{leak}", columns[:, number], contrast, result, level, two_sided=True)
        for number, (leak, result) in enumerate(zip(leaks, results, strict=True))
    ]


def fill_missing_years(years: Floats) -> Floats:
    """*years* with the median of the named years in place of 0: a passage without a year is evidence for no class.

    >>> fill_missing_years(np.array([1999.0, 0.0, 2005.0, 2001.0])).tolist()
    [1999.0, 2001.0, 2005.0, 2001.0]
    """
    named = years[years > 0]
    return np.where(years > 0, years, np.median(named)) if len(named) else years


def source_of(name: str) -> str:
    """The source that a document's name suggests: its first word that is not a label.

    >>> source_of("arXiv:2301.00001"), source_of("members/pubmed-7"), source_of("test_12")
    ('arxiv', 'pubmed', '')
    """
    words = (word for word in _LETTERS.findall(name.lower()) if len(word) > 1 and word not in _LABEL_WORDS)
    return next(words, "")


def name_check(names: Sequence[str] | None, contrast: Contrast, level: float, rng: np.random.Generator) -> Check:
    """The AUROC of the beginnings of the *names* of documents, n of them; None where the input has none."""
    name = "leak_document_name"
    labels = exchange_labels(contrast.labels, contrast.documents)
    beginnings = _number_beginnings(names or (), contrast.documents)
    distinct = len(np.unique(beginnings))
    if distinct < 2:
        kind = "no_document_names" if names is None else "distinct_beginnings"
        return Check(name, None, Verdict.SKIPPED, notes=(Note(kind, {}),))
    if few_arrangements(labels, level):
        return Check(name, None, Verdict.SKIPPED, notes=(few_documents(contrast, level),))
    _, beginning = np.unique(beginnings, return_inverse=True)
    member_share = np.bincount(beginning, weights=contrast.labels) / np.bincount(beginning)
    result = _categories_test(beginnings, labels, level, rng)
    check = auroc_check(name, member_share[beginning], contrast, result, level)
    # The model never sees a name: where the texts differ too, the other checks show it, and may be void.
    verdict = Verdict.DOUBTFUL if check.verdict is Verdict.VOID else check.verdict
    notes = (Note("shared_beginnings", {"beginnings": distinct}),)
    return replace(check, verdict=verdict, detectable=None, notes=notes)


def _categories_test(
    categories: NDArray[np.intp], labels: LabelExchange, level: float, rng: np.random.Generator
) -> PermutationResult:
    """The permutation test of *categories*, shape (n,), ordered by their share of members in each arrangement."""
    value = float(category_auroc(labels.labels[None, :].astype(np.float32), categories)[0])
    drawn = np.concatenate([category_auroc(block, categories) for block in labels.draw(permutations_for(level), rng)])
    p_value = float((1 + (drawn >= value - 1e-6).sum()) / (len(drawn) + 1))
    return PermutationResult(value, p_value, float(np.quantile(drawn, 1 - level)), float("nan"))


def _number_beginnings(names: Sequence[str], documents: NDArray[np.intp]) -> NDArray[np.intp]:
    """A number for the beginning of each name; 0 for every beginning that only one document has."""
    beginnings = [source_of(name) for name in names]
    documents_of: dict[str, set[int]] = {}
    for beginning, document in zip(beginnings, documents.tolist(), strict=False):
        documents_of.setdefault(beginning, set()).add(document)
    shared = sorted(beginning for beginning, with_it in documents_of.items() if len(with_it) > 1)
    numbers = {beginning: number for number, beginning in enumerate(shared, start=1)}
    return np.array([numbers.get(beginning, 0) for beginning in beginnings], dtype=np.intp)
