"""Attacks on texts with which the model continues the beginning of the passage: they need no probabilities."""

from __future__ import annotations

import math
import re
import statistics
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from ..rewriting import UNSPACED
from ._registry import AtLeast, attack
from ._sample_set import Samples, words_of

__all__ = ["ngram_coverage", "samia"]

PARTS = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+|[^\w\s]")
LONGEST = 12
"""The longest n-gram of the creativity index, as in the authors' code."""


@attack("samia", paper="Kaneko et al. 2024, arXiv:2404.11262")
def samia(samples: Samples, *, n: AtLeast = 1, weighting: Literal["none", "zlib"] = "none") -> float:
    """Mean share of the n-grams of words in the rest of the passage that a continuation has too (ROUGE-N recall).

    With *weighting* ``zlib`` the share of each continuation is multiplied by the size of its zlib compression in bytes,
    so that repetitions count for less. The authors' code (nlp-titech/samia, ``src/eval_samia.py``) divides by the
    number of words where the paper divides by the number of n-grams, as is done here; for n = 1 both are equal. The
    authors draw among the 50 likeliest tokens, and here all tokens can be drawn. NaN where the rest has fewer than *n*
    words.

        1/m · Σ_j Σ_g min(count of g in rest, count of g in text_j) / Σ_g count of g in rest  [· zlib(text_j)]

    >>> from llm_mia.attacks import Samples
    >>> samia(Samples("the river bends twice", ("the river the end", "geese")))  # 2 of 4 words, and 0
    0.25
    """
    expected = Counter(_ngrams(words_of(samples.rest), n))
    if not expected or not samples.texts:
        return math.nan
    scores = []
    for words in map(words_of, samples.texts):
        recall = (expected & Counter(_ngrams(words, n))).total() / expected.total()
        scores.append(recall * (len(zlib.compress(" ".join(words).encode())) if weighting == "zlib" else 1))
    return statistics.fmean(scores)


@attack("ngram_coverage", paper="Hallinan et al. 2025, arXiv:2508.09603")
def ngram_coverage(
    samples: Samples,
    *,
    measure: Literal["coverage", "creativity", "words", "characters"] = "coverage",
    n: AtLeast = 3,
    aggregate: Literal["max", "mean", "median", "min"] = "max",
) -> float:
    """How much of a continuation is in the rest of the passage, too: the largest value over the continuations.

    Words and punctuation marks count alike. ``coverage`` is the share of the continuation's words and marks that lie in
    an n-gram which the rest has; ``creativity`` is the sum of the coverages by n-grams from *n* to 12; ``words`` and
    ``characters`` are the lengths of the longest text that both have. *aggregate* says how the values of all
    continuations become a score. The authors' code (shallinan1/NGramCoverageAttack) turns texts into ASCII, splits them
    by NLTK, and looks for n-grams as strings, so that the last word of an n-gram may be the beginning of a word of the
    rest. NaN where the rest has fewer than *n* words and marks.

        max_j |{i : x_i lies in an n-gram of text_j that the rest has}| / |text_j|

    >>> from llm_mia.attacks import Samples
    >>> ngram_coverage(Samples("the river bends twice", ("so the river bends", "geese")))  # 3 of 4 words, and 0
    0.75
    """
    rest = PARTS.findall(samples.rest)
    if len(rest) < n or not samples.texts:
        return math.nan
    scores = [_similarity(text, samples.rest, rest, measure, n) for text in samples.texts]
    if aggregate in ("max", "min"):
        return max(scores) if aggregate == "max" else min(scores)
    return statistics.fmean(scores) if aggregate == "mean" else statistics.median(scores)


def _similarity(text: str, rest: str, parts_of_rest: Sequence[str], measure: str, n: int) -> float:
    """How similar a continuation is to the rest of the passage, see `ngram_coverage`."""
    if measure == "characters":
        return _longest_in_common(rest, text)
    parts = PARTS.findall(text)
    if measure == "words":
        return _longest_in_common(parts_of_rest, parts)
    lengths = range(n, max(n, LONGEST) + 1) if measure == "creativity" else (n,)
    return sum(_coverage(parts, parts_of_rest, length) for length in lengths)


def _ngrams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[at : at + n]) for at in range(len(words) + 1 - n)]


def _coverage(words: Sequence[str], rest: Sequence[str], n: int) -> float:
    """The share of *words* that lie in an n-gram that *rest* has, too."""
    there, covered = {*_ngrams(rest, n)}, set[int]()
    for at, ngram in enumerate(_ngrams(words, n)):
        if ngram in there:
            covered.update(range(at, at + n))
    return len(covered) / len(words) if words else 0.0


def _longest_in_common(left: Sequence[str], right: Sequence[str]) -> int:
    """The length of the longest run that both sequences have.

    >>> _longest_in_common("the river bends", "a river barge")
    8
    """
    low, high = 0, min(len(left), len(right))
    while low < high:  # where they have a run of some length in common, they have all shorter ones
        length = (low + high + 1) // 2
        runs = ({_as_key(text[at : at + length]) for at in range(len(text) + 1 - length)} for text in (left, right))
        low, high = (low, length - 1) if next(runs).isdisjoint(next(runs)) else (length, high)
    return low


def _as_key(run: Sequence[str]) -> str | tuple[str, ...]:
    return run if isinstance(run, str) else tuple(run)
