"""Versions of a text: the same on every machine, close to the text, and never empty."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import timeit
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings, strategies as st

from llm_mia.errors import UsageError
from llm_mia.rewriting import choose, draws, neighbour, swap_words

from .conftest import sentences

steady = settings(derandomize=True, deadline=None)
BOTH = [neighbour, swap_words]
Rewrite = Callable[..., str]
TEXT = "The river bends under a stone bridge,\n\nwhile Anna counts  seven geese and\twrites their names in her book. "


def gaps(text: str) -> list[str]:
    return re.split(r"\S+", text)


def test_by_hand() -> None:
    """One word of three is dropped; of the gaps around it the longer is kept, and so are the first and the last gap."""
    versions = {neighbour(" one two\n\nthree\n", number) for number in range(60)}
    assert versions == {" two\n\nthree\n", " one\n\nthree\n", " one two\n"}
    versions = {swap_words(" one two\n\nthree\n", number) for number in range(60)}
    assert versions == {" two one\n\nthree\n", " three two\n\none\n", " one three\n\ntwo\n"}


# Versions never change: run directories are resumed, and audits are repeated, with other releases.
KEPT = [
    (
        neighbour,
        0,
        "The river bends under a stone bridge,\n\nwhile counts  seven geese and\twrites their names in book. her ",
    ),
    (
        neighbour,
        1,
        "The river under bends a stone bridge,\n\nwhile Anna counts  seven and\twrites their names in her book. ",
    ),
    (
        swap_words,
        0,
        "The while bends under a stone bridge,\n\nnames Anna counts  in her and\twrites their river book. geese seven ",
    ),
    (
        swap_words,
        1,
        "their geese river under a while bridge,\n\nstone and counts  seven bends Anna\twrites The names in her book. ",
    ),
]


@pytest.mark.parametrize(("rewrite", "number", "version"), KEPT)
def test_versions_are_stable(rewrite: Rewrite, number: int, version: str) -> None:
    assert rewrite(TEXT, number, seed=7) == version


def test_draws_are_stable() -> None:
    assert draws("key", "naïve", 3) == [1299558149984211181, 15974999561989740976, 9201851791600215936]


def test_the_same_in_another_process_with_another_hash_seed() -> None:
    script = f"from llm_mia.rewriting import *; print([f({TEXT!r}, 3, seed=2) for f in (neighbour, swap_words)])"
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True)
        assert done.stdout.decode().strip() == str([neighbour(TEXT, 3, seed=2), swap_words(TEXT, 3, seed=2)])


@pytest.mark.parametrize("rewrite", BOTH)
def test_depends_on_text_number_and_seed_and_not_on_earlier_calls(rewrite: Rewrite) -> None:
    first = rewrite(TEXT, 0)
    random.seed(1)
    versions = {rewrite(TEXT, number, seed=seed) for number in range(10) for seed in range(3)}
    assert len(versions) > 25
    assert rewrite(TEXT, 0) == first
    first_text, second_text = (" ".join(words) for words in (["a", *map(str, range(40))], ["b", *map(str, range(40))]))
    assert rewrite(first_text, 0)[1:] != rewrite(second_text, 0)[1:], "another text changes other words"


@pytest.mark.parametrize("share", [0.01, 0.1, 0.25, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("n", [2, 3, 4, 7, 10, 100])
def test_how_many_words_a_neighbour_loses(n: int, share: float) -> None:
    words = [f"w{i}" for i in range(n)]
    touched = max(1, int(n * share + 0.5))
    for number in range(20):
        left = neighbour(" ".join(words), number, share=share).split()
        assert len(left) == n - (touched + 1) // 2
        assert set(left) <= set(words)
        assert len(set(left)) == len(left)


def test_words_of_a_neighbour_move_by_one_place() -> None:
    words = [f"w{i}" for i in range(100)]
    left = neighbour(" ".join(words), 0, share=0.2).split()
    moved = sum(b < a for a, b in zip(map(words.index, left), map(words.index, left[1:]), strict=False))
    assert 5 <= moved <= 10
    assert max(abs(words.index(word) - i) for i, word in enumerate(left)) <= 14, "dropped words before it, and a few"


@pytest.mark.parametrize("share", [0.01, 0.3, 1.0])
@pytest.mark.parametrize("text", [TEXT, "a b", "a b c", *sentences(10, seed=3)])
def test_swapped_keeps_words_and_gaps(text: str, share: float) -> None:
    for number in range(20):
        version = swap_words(text, number, share=share)
        assert version != text
        assert Counter(version.split()) == Counter(text.split())
        assert gaps(version) == gaps(text)


def test_an_exchange_moves_two_words() -> None:
    words = [f"w{i}" for i in range(100)]
    version = swap_words(" ".join(words), 5, share=0.001).split()
    assert sum(a != b for a, b in zip(words, version, strict=True)) == 2
    version = swap_words(" ".join(words), 5).split()
    assert 40 <= sum(a != b for a, b in zip(words, version, strict=True)) <= 60  # 30 exchanges, some of them crossing


@pytest.mark.parametrize("rewrite", BOTH)
def test_every_place_is_as_likely_as_any_other(rewrite: Rewrite) -> None:
    n, versions = 12, 6000
    words = [f"w{i}" for i in range(n)]
    changed = Counter[str]()
    for number in range(versions):
        version = rewrite(" ".join(words), number, share=0.001).split()
        changed.update(set(words) - set(version) or (a for a, b in zip(words, version, strict=True) if a != b))
    expected = sum(changed.values()) / n
    chi_squared = sum((changed[word] - expected) ** 2 / expected for word in words)
    assert chi_squared < 31.3, "11 degrees of freedom, 0.1 %"


def test_some_are_different_and_even() -> None:
    counts = Counter(tuple(choose(2, 4, draws(str(i), "x", 2))) for i in range(6000))
    assert len(counts) == 12
    assert all(i != j for i, j in counts)
    assert sum((count - 500) ** 2 / 500 for count in counts.values()) < 31.3


@pytest.mark.parametrize("rewrite", BOTH)
def test_a_text_of_one_word_changes_its_characters(rewrite: Rewrite) -> None:
    for number in range(10):
        version = rewrite(" antidisestablishment\n", number)
        assert version != " antidisestablishment\n"
        assert (version[0], version[-1]) == (" ", "\n")
        assert not Counter(version) - Counter(" antidisestablishment\n")
    assert rewrite("ab", 0) in ("a", "b", "ba")


@pytest.mark.parametrize("rewrite", BOTH)
@pytest.mark.parametrize("text", ["", " ", "\n\t ", "a", " é ", "中"])
def test_what_cannot_change_stays(rewrite: Rewrite, text: str) -> None:
    assert rewrite(text, 0) == text


def test_exchanges_that_change_nothing() -> None:
    assert swap_words("so so so", 0) == "so so so"
    assert neighbour("so so so", 0) == "so so"
    assert {swap_words("so so it", number) for number in range(20)} == {"so it so", "it so so"}


@pytest.mark.parametrize("rewrite", BOTH)
@pytest.mark.parametrize(
    "text", ["我们在河边看见七只鹅。", "橋の下で、アンナは七羽の鵞鳥を数える。", "แอนนานับห่านเจ็ดตัว"]
)
def test_scripts_without_spaces_change_character_by_character(rewrite: Rewrite, text: str) -> None:
    version = rewrite(text, 1)
    assert version != text
    assert not Counter(version) - Counter(text)
    assert len(version) > 0.8 * len(text)


@steady
@given(st.text(st.characters(exclude_categories=[])), st.integers(0, 100), st.integers(), st.floats(1e-6, 1.0))
def test_any_text(text: str, number: int, seed: int, share: float) -> None:
    """Lone surrogates too."""
    for rewrite in BOTH:
        version = rewrite(text, number, seed=seed, share=share)
        assert version == rewrite(text, number, seed=seed, share=share)
        assert bool(version.strip()) == bool(text.strip())
        assert bool(version) == bool(text)
        assert not Counter(version) - Counter(text)
    if len(text.split()) > 1 and len(text) < 200:
        assert len(neighbour(text, number, seed=seed, share=share)) < len(text)
        assert len(swap_words(text, number, seed=seed, share=share)) == len(text)


@pytest.mark.parametrize("rewrite", BOTH)
@pytest.mark.parametrize("share", [0.0, -0.1, 1.5, float("nan")])
def test_a_share_outside_the_unit_interval_is_refused(rewrite: Rewrite, share: float) -> None:
    with pytest.raises(UsageError, match=r"^`share` must lie between 0 and 1, 0 excluded: got "):
        rewrite("two words", 0, share=share)


@pytest.mark.timed
@pytest.mark.parametrize("rewrite", BOTH)
def test_rewriting_is_fast(rewrite: Rewrite) -> None:
    text = " ".join(sentences(1, seed=1)[0].split() * 128).split(" ", 128)[:128]
    seconds = min(timeit.repeat(lambda: rewrite(" ".join(text), 1), number=50, repeat=5)) / 50
    sys.stdout.write(f"{rewrite.__name__} {1e6 * seconds:.0f} µs for 128 words\n")  # pytest -rP shows it
    assert seconds < 500e-6  # ten times what it takes on a machine that does nothing else
