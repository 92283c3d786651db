"""Texts as an editor leaves them: published and withheld versions of texts that every computer has or can fetch."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.attack_corpora import CORPORA, passages_of
from llm_mia.rewriting import neighbour

TOKENS = 48
"""Of a text, about."""
SHORTEST = 150
"""Bytes of the shortest text."""
FOR_EDITS = 2_900
"""Docstrings that may be edited; models may be trained on the others."""
CONTRACTIONS = {
    "do not": "don't",
    "does not": "doesn't",
    "did not": "didn't",
    "is not": "isn't",
    "are not": "aren't",
    "was not": "wasn't",
    "were not": "weren't",
    "has not": "hasn't",
    "have not": "haven't",
    "can not": "can't",
    "cannot": "can't",
    "could not": "couldn't",
    "should not": "shouldn't",
    "would not": "wouldn't",
    "will not": "won't",
    "need not": "needn't",
    "must not": "mustn't",
    "it is": "it's",
    "that is": "that's",
    "there is": "there's",
    "it will": "it'll",
    "they are": "they're",
}
MODERN = {
    "thou art": "you are",
    "thou hast": "you have",
    "thou wilt": "you will",
    "thou shalt": "you shall",
    "thou dost": "you do",
    "thou canst": "you can",
    "thou wert": "you were",
    "thou": "you",
    "thee": "you",
    "ye": "you",
    "thy": "your",
    "thine": "yours",
    "thyself": "yourself",
    "art": "are",
    "hast": "have",
    "hath": "has",
    "doth": "does",
    "dost": "do",
    "wilt": "will",
    "shalt": "shall",
    "canst": "can",
    "wouldst": "would",
    "shouldst": "should",
    "couldst": "could",
    "didst": "did",
    "hadst": "had",
    "wert": "were",
    "saith": "says",
    "'tis": "it is",
    "'twas": "it was",
    "'twere": "it were",
    "o'er": "over",
    "ne'er": "never",
    "e'er": "ever",
    "e'en": "even",
    "ere": "before",
    "oft": "often",
    "nay": "no",
    "aye": "yes",
    "whence": "from where",
    "hither": "here",
    "thither": "there",
    "wherefore": "why",
    "prithee": "please",
    "hence": "away",
    "mine own": "my own",
}


@dataclass(frozen=True, slots=True)
class Edit:
    """A way in which published texts differ from withheld ones."""

    name: str
    corpus: str
    published: Callable[[str, int], str]
    """Of an original and its number."""
    withheld: Callable[[str, int], str]


def _original(text: str, _: int) -> str:
    return text


def _exchanged(words: Mapping[str, str], text: str, _: int) -> str:
    """*text* with the *words* exchanged, in the case of their first letters."""
    pattern = re.compile(rf"(?<![\w'])({'|'.join(map(re.escape, sorted(words, key=len, reverse=True)))})(?!\w)", re.I)

    def exchange(match: re.Match[str]) -> str:
        new = words[" ".join(match[0].lower().split())]
        return new[:1].upper() + new[1:] if match[0].lstrip("'")[:1].isupper() else new

    return pattern.sub(exchange, text)


def _slipped(text: str, number: int) -> str:
    """*text* with two pairs of neighbouring letters exchanged, as a typist may leave them."""
    letters, rng = [*text], random.Random(number)  # noqa: S311 - reproducible, no secret
    places = [at for at in range(len(text) - 1) if text[at : at + 2].isalpha() and text[at] != text[at + 1]]
    for at in rng.sample(places, min(2, len(places))):
        letters[at], letters[at + 1] = letters[at + 1], letters[at]
    return "".join(letters)


def _lowered(text: str, _: int) -> str:
    return text.lower()


def _moved(text: str, number: int) -> str:
    return neighbour(text, number, share=0.1)


EDITS = (
    Edit("slips of the draft corrected", "topics", _original, _slipped),
    Edit("a tenth of the words dropped or moved", "topics", _moved, _original),
    Edit("lower case", "topics", _lowered, _original),
    Edit("contractions", "docstrings", partial(_exchanged, CONTRACTIONS), _original),
    Edit("old words modernised", "shakespeare", partial(_exchanged, MODERN), _original),
)


def edited_pairs(edit: Edit, documents: int, work: Path) -> list[tuple[str, str]]:
    """Published and withheld versions of *documents* texts at most, without texts that the edit does not change."""
    originals = passages_of(edit.corpus, CORPORA[edit.corpus], TOKENS, work)
    originals = originals[:FOR_EDITS] if edit.corpus == "docstrings" else originals
    pairs = [
        (edit.published(text, number), edit.withheld(text, number))
        for number, text in enumerate(originals)
        if len(text.encode()) >= SHORTEST
    ]
    return [pair for pair in pairs if pair[0] != pair[1]][:documents]


def other_texts(work: Path) -> list[str]:
    """Docstrings that no edit takes, to train models on."""
    return passages_of("docstrings", CORPORA["docstrings"], TOKENS, work)[FOR_EDITS:]
