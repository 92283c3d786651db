"""Single leaks: one plain property of a passage, and how well it alone tells the classes apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ._counts import COUNTS
from ._judging import LEAKS as LEVEL, Rule, auroc_check, times
from ._material import Contrast
from ._permutation import Exchange, Tested, exchange, given_test
from ._verdicts import Check

__all__ = ["LEAKS", "leak_checks", "neutral_year", "source"]

Floats = NDArray[np.float64]

LEAKS = ("latest_year", "bytes", "bytes_per_word", "upper", "punctuation", "non_ascii", "other_scripts")
_MEND = {
    "latest_year": "Take members and non-members of the same period, not from before and after a cut-off.",
    "bytes": "Cut both classes to passages of the same length, by the same rule.",
    "non_ascii": "Take both classes in the same languages and in the same encoding.",
    "other_scripts": "Take both classes in the same languages and scripts.",
}
_WHY = "If {} alone tells the classes apart, so may a score that depends on it."
_ELSE = "Take both classes from the same source, and clean and cut them by the same rule."
_WHY_NAME = "Names that begin differently in the two classes point to different sources."
_LETTERS = re.compile(r"[^\W\d_]+")
# A name that says which set a file was put in tells the user's labels, not where the text came from.
_ROLES = frozenset(
    (
        *("member", "members", "nonmember", "nonmembers", "non", "candidate", "candidates", "known", "unknown", "set"),
        *("train", "training", "trained", "test", "testing", "val", "validation", "held", "out", "heldout", "holdout"),
        *("seen", "unseen", "in", "positive", "negative", "pos", "neg", "true", "false", "yes", "no", "data"),
        *("doc", "docs", "document", "documents", "passage", "passages", "text", "texts", "txt", "file", "files"),
    )
)


def leak_checks(
    contrast: Contrast, counted: Floats, names: Sequence[str] | None, rng: np.random.Generator
) -> list[Check]:
    """AUROC of each of `LEAKS` and of the documents' *names* alone, in whichever direction it separates.

    The labels say nothing of the text: all are ``sound`` with probability at least 0.99 (`given_test`, Bonferroni).
    *counted* is (n, `COUNTS`); *names* are n names of documents, None where none were given.
    """
    labels = exchange(contrast.labels, contrast.documents)
    level = LEVEL / (len(LEAKS) + 1)
    columns = counted[:, [COUNTS.index(leak) for leak in LEAKS]]
    columns[:, 0] = neutral_year(columns[:, 0])
    found = []
    for at, tested in enumerate(given_test(columns, labels, level=level, times=times(level), rng=rng)):
        leak = LEAKS[at]
        found.append(
            auroc_check(
                f"leak_{leak}",
                columns[:, at],
                contrast,
                labels,
                tested,
                Rule(level, _WHY.format(leak.replace("_", " ")), _MEND.get(leak, _ELSE)),
                two_sided=True,
            )
        )
    return [*found, _names_check(names, contrast, labels, Rule(level, _WHY_NAME, _ELSE), rng)]


def neutral_year(years: Floats) -> Floats:
    """A passage that names no year (0) speaks for neither class: it stands at the median of those that do.

    >>> neutral_year(np.array([1999.0, 0.0, 2005.0, 2001.0])).tolist()
    [1999.0, 2001.0, 2005.0, 2001.0]
    """
    named = years[years > 0]
    return np.where(years > 0, years, np.median(named)) if len(named) else years


def source(name: str) -> str:
    """The first word of a document's name that isn't one for membership.

    >>> source("arXiv:2301.00001"), source("members/pubmed-7"), source("test_12")
    ('arxiv', 'pubmed', '')
    """
    letters = (word for word in _LETTERS.findall(name.lower()) if len(word) > 1 and word not in _ROLES)
    return next(letters, "")


def _names_check(
    names: Sequence[str] | None, contrast: Contrast, labels: Exchange, rule: Rule, rng: np.random.Generator
) -> Check:
    name = "leak_document_name"
    of = _kinds(names or (), contrast.documents)
    kinds = len(np.unique(of))
    if kinds < 2:
        seen = "documents have no names" if names is None else "no two ways to begin are shared by several documents"
        return Check(name, None, "skipped", rule.why, rule.mend, None, seen)
    value = float(_best_auroc(labels.labels[None, :].astype(np.float32), of)[0])
    drawn = np.concatenate([_best_auroc(block, of) for block in labels.draws(times(rule.level), rng)])
    p_value = float((1 + (drawn >= value - 1e-6).sum()) / (len(drawn) + 1))
    tested = Tested(value, p_value, float(np.quantile(drawn, 1 - rule.level)))
    _, kind = np.unique(of, return_inverse=True)
    members = np.bincount(kind, weights=contrast.labels) / np.bincount(kind)
    check = auroc_check(name, members[kind], contrast, labels, tested, rule)
    seen = f"{kinds} beginnings, ordered by the members' share among them, which favours separation"
    # The model never sees a name: where the texts differ too, the other checks say so, and may say void.
    verdict = "doubtful" if check.verdict == "void" else check.verdict
    return replace(check, verdict=verdict, found=f"{check.found}; {seen}".removeprefix("; "))


def _kinds(names: Sequence[str], documents: NDArray[np.intp]) -> NDArray[np.intp]:
    """A number for the way each name begins; 0 for all that only one document has."""
    begins = [source(name) for name in names]
    documents_of: dict[str, set[int]] = {}
    for begin, document in zip(begins, documents.tolist(), strict=False):
        documents_of.setdefault(begin, set()).add(document)
    shared = sorted(begin for begin, own in documents_of.items() if len(own) > 1)
    numbers = {begin: number for number, begin in enumerate(shared, start=1)}
    return np.array([numbers.get(begin, 0) for begin in begins], dtype=np.intp)


def _best_auroc(members: NDArray[np.float32], of: NDArray[np.intp]) -> Floats:
    """AUROC of the order of kinds by their share of members, for rows of labels (rows, n)."""
    from scipy.sparse import csr_matrix

    kinds, column = np.unique(of, return_inverse=True)
    table = csr_matrix((np.ones(len(of), np.float32), (column, np.arange(len(of)))), shape=(len(kinds), len(of)))
    m = np.asarray((table @ members.T).T, dtype=np.float64)
    n = np.bincount(column) - m
    order = np.argsort(m / (m + n), axis=1)
    m, n = np.take_along_axis(m, order, 1), np.take_along_axis(n, order, 1)
    below = np.cumsum(n, axis=1) - n / 2
    return np.asarray((m * below).sum(axis=1) / (m.sum(axis=1) * n.sum(axis=1)))
