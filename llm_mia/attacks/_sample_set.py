"""Where a passage is divided for a model to continue it, and what an attack compares then."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from ..rewriting import UNSPACED

__all__ = ["SampleSettings", "Samples", "split_passage", "words_of"]

WORD = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")


@dataclass(frozen=True, slots=True)
class SampleSettings:
    """How a model continues the beginnings of passages."""

    number: int = 10
    """Of the continuations of each passage."""
    tokens: int = 64
    """Most tokens of a continuation."""
    prefix_share: float = 0.5
    """Share of the passage's words that the model reads."""
    temperature: float = 1.0
    seed: int = 0

    @property
    def cost(self) -> int:
        """About how many tokens could be scored while a passage is continued.

        Measured with SmolLM2-135M on a core: the continuations of a passage are written side by side, and for each
        token of them the model reads its weights, which takes as long as to score 10 tokens.
        """
        return self.tokens * (10 + self.number)

    @property
    def record(self) -> dict[str, Any]:
        """JSON values: what the continuations depend on besides model and passage."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Samples:
    """What follows the beginning of a passage: in the passage, and in the continuations by a model."""

    rest: str
    """In the passage; empty where it is too short to be divided."""
    texts: tuple[str, ...]
    """The continuations; none where the passage is too short."""


def split_passage(text: str, share: float) -> tuple[str, str] | None:
    """The beginning of *text*, with a *share* of its words (rounded down), and the rest; None where either has none.

    White space between the two is in neither. In scripts without spaces each character counts as a word.

    >>> split_passage("The river bends twice.", 0.5), split_passage("河流弯曲", 0.25), split_passage("Rivers", 0.5)
    (('The river', 'bends twice.'), ('河', '流弯曲'), None)
    """
    words = list(WORD.finditer(text))
    count = int(share * len(words) + 1e-9)
    if not 0 < count < len(words):
        return None
    return text[: words[count - 1].end()], text[words[count].start() :]


def words_of(text: str) -> list[str]:
    """The words of *text* between white space; in scripts without spaces its characters.

    >>> words_of(" The river, twice  河流")
    ['The', 'river,', 'twice', '河', '流']
    """
    return WORD.findall(text)
