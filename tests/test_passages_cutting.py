"""A document is cut at paragraph and sentence ends, and not a character of it is lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from llm_mia.passages import cut_document

documents = st.one_of(
    st.text(st.characters(codec="utf-8")),
    # Dense in what the cutter looks for.
    st.text(st.sampled_from(list("ab.!?…。！\"')”\n\r\t é😀\u3000"))),
    st.lists(st.sampled_from(["Word ", "end. ", "line\n", "\n\n", "\r\n\r\n", "读书。", "x" * 90, " " * 90])).map(
        "".join
    ),
).filter(lambda text: bool(text) and not text.isspace())


@settings(max_examples=400, deadline=None)
@given(text=documents, tokens=st.integers(1, 20))
def test_cutting_loses_nothing_and_keeps_to_the_limit(text: str, tokens: int) -> None:
    passages = list(cut_document(text, tokens))
    assert "".join(passages) == text
    assert all(passage.strip() for passage in passages)
    assert all(len(passage.strip().encode()) <= 4 * tokens for passage in passages)
    assert all(not passage[0].isspace() for passage in passages[1:])


@settings(max_examples=100, deadline=None)
@given(text=documents)
def test_a_document_within_the_limit_is_one_passage(text: str) -> None:
    assert list(cut_document(text, 10**6)) == [text]


@given(lengths=st.lists(st.integers(1, 50), min_size=1, max_size=60))
def test_no_sentence_within_the_limit_is_cut(lengths: list[int]) -> None:
    text = "".join(f"{'w ' * length}end. " for length in lengths)  # at most 105 bytes, of 128
    assert all(passage.endswith("end. ") for passage in cut_document(text, 32))


@pytest.mark.parametrize(
    ("text", "tokens", "expected"),
    [
        ("One one one. Two two. Three.", 4, ["One one one. ", "Two two. Three."]),
        ("A title\n\nThe body is here. And it goes on.", 7, ["A title\n\nThe body is here. ", "And it goes on."]),
        ("Twelve bytes.\n\nSix. Seven. Eight.", 6, ["Twelve bytes.\n\n", "Six. Seven. Eight."]),
        ("It costs 3.14 euro", 3, ["It costs ", "3.14 euro"]),
        ('"Yes!" he said. "No."', 4, ['"Yes!" he said. ', '"No."']),
        ("读书。写字！", 3, ["读书。", "写字！"]),
        ("one two three four", 2, ["one two ", "three ", "four"]),
        ("😀😀😀", 2, ["😀😀", "😀"]),
        ("\n\n  abcdefgh", 1, ["\n\n  abcd", "efgh"]),
    ],
)
def test_where_a_document_is_cut(text: str, tokens: int, expected: list[str]) -> None:
    assert list(cut_document(text, tokens)) == expected


@pytest.mark.parametrize("piece", [".", " ", "\n", "x", ".'", "。", "a. ", "\r\n", "😀"])
def test_cutting_two_million_characters_of_anything_is_quick(piece: str) -> None:
    text = "x" + piece * (2_000_000 // len(piece)) + "y"
    assert sum(len(passage) for passage in cut_document(text, 128)) == len(text)
