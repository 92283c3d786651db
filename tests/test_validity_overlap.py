"""Shared runs of words and near duplicates, against a comparison of every pair."""

from __future__ import annotations

import time

import numpy as np
import pytest

from llm_mia.validity.counts import COUNTS, counts, latest_year
from llm_mia.validity.ngrams import tf_idf, words
from llm_mia.validity.overlap import hash_words, near_duplicates, shared_share


def runs(text: str, n: int) -> list[tuple[str, ...]]:
    parts = words(text) or text.split()
    return [tuple(parts)] if 0 < len(parts) < n else [tuple(parts[i : i + n]) for i in range(len(parts) - n + 1)]


def changed(text: str, rng: np.random.Generator, times: int) -> str:
    parts = text.split()
    for _ in range(times):
        parts[rng.integers(len(parts))] = f"new{rng.integers(1000)}"
    return " ".join(parts)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Texts of 0 to 60 words over a small vocabulary, and copies of them with up to 4 words changed."""
    rng = np.random.default_rng(0)
    originals = [" ".join(f"w{k}" for k in rng.integers(0, 400, size)) for size in rng.integers(1, 60, 90)]
    copies = [changed(text, rng, int(times)) for text in originals for times in rng.integers(0, 5, 2)]
    return [*originals, *copies, "", "…", originals[0].upper(), " " + originals[1] + "\n"]


@pytest.mark.parametrize("n", [1, 2, 7, 13])
def test_shared_runs_by_counting(texts: list[str], n: int) -> None:
    rng = np.random.default_rng(n)
    side = rng.random(len(texts)) < 0.5
    first, second = np.flatnonzero(side), np.flatnonzero(~side)
    in_second = {run for row in second for run in runs(texts[row], n)}
    in_first = [runs(texts[row], n) for row in first]
    expected = [sum(run in in_second for run in each) / max(1, len(each)) for each in in_first]
    assert shared_share(hash_words(texts), first, second, n) == pytest.approx(expected)


def jaccard(first: str, second: str) -> float:
    a, b = set(runs(first, 3)), set(runs(second, 3))
    return len(a & b) / len(a | b) if a and b else 0.0


def test_near_duplicates_by_comparing_all(texts: list[str]) -> None:
    rng = np.random.default_rng(0)
    side = rng.random(len(texts)) < 0.5
    first, second = np.flatnonzero(side), np.flatnonzero(~side)
    partners = near_duplicates(hash_words(texts), first, second)
    for row, partner in zip(first, partners, strict=True):
        similarity = max(jaccard(texts[row], texts[other]) for other in second)
        assert (partner >= 0) == (similarity >= 0.8), texts[row]
        if partner >= 0:
            assert partner in second
            assert jaccard(texts[row], texts[partner]) >= 0.8
    assert 10 < (partners >= 0).sum() < len(partners) - 10


def test_passages_without_words_have_no_duplicates() -> None:
    hashes = hash_words(["", " ", ""])
    assert near_duplicates(hashes, np.array([0, 1]), np.array([2])).tolist() == [-1, -1]
    assert shared_share(hashes, np.array([0, 1]), np.array([2]), 7).tolist() == [0, 0]


def test_a_text_in_a_thousand_versions_is_not_compared_with_all_of_them() -> None:
    base = [f"w{k}" for k in range(100)]
    versions = [" ".join([*base[: k % 100], f"x{k}", *base[k % 100 :]]) for k in range(2000)]
    began = time.process_time()
    partners = near_duplicates(hash_words(versions), np.arange(1000), np.arange(1000, 2000))
    assert (partners >= 1000).all()
    assert time.process_time() - began < 5


# --- features ---------------------------------------------------------------------------------------------------------


def test_tf_idf_is_scikit_learns() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    rng = np.random.default_rng(0)
    given = [" ".join(f"Word{k}," for k in rng.integers(0, 30, size)) for size in rng.integers(1, 40, 25)]
    given += ["naïve Über-façade 1999", "naïve 日本語 1999", ""]
    common = {"min_df": 2, "sublinear_tf": True}
    by_word = TfidfVectorizer(token_pattern=r"\w+", ngram_range=(1, 2), **common).fit_transform(given)
    pieces = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), lowercase=False, **common).fit_transform(given)
    table = tf_idf(given)
    assert table.shape == (len(given), by_word.shape[1] + pieces.shape[1])
    # The order of columns differs: rows are compared by their products with each other.
    expected = (by_word @ by_word.T + pieces @ pieces.T).toarray()
    assert (table @ table.T).toarray() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("texts", [["", ""], ["a", "b"], ["…", "…"]])
def test_texts_without_common_terms_have_no_features_but_a_row_each(texts: list[str]) -> None:
    assert tf_idf(texts).shape[0] == len(texts)
    assert np.isfinite(counts(texts)).all()


def test_counts_by_hand() -> None:
    row = dict(zip(COUNTS, counts(["In 1999 Anna wrote: é, я! Two\nlines of 2003."])[0].tolist(), strict=True))
    assert (row["bytes"], row["words"], row["lines"], row["years"]) == (46, 10, 2, 2)
    assert (row["latest_year"], row["earliest_year"], row["longest_word"]) == (2003, 1999, 6)
    assert row["words_per_sentence"] == 5
    shares = {
        name: row[name] * 44 for name in ("upper", "punctuation", "digits", "space", "non_ascii", "other_scripts")
    }
    assert {name: round(share, 6) for name, share in shares.items()} == {
        "upper": 3,
        "punctuation": 4,
        "digits": 8,
        "space": 9,
        "non_ascii": 2,
        "other_scripts": 1,
    }
    assert latest_year("1899, 2101, 12000, v2.2020b") == 2020
