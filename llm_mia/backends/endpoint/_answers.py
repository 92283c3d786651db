"""A completion as a server gives it → the log-probability of each token of the prompt."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ModelError
from ...records import IntArray
from ._spelling import token_ends

__all__ = ["Answer", "AnswerError", "Choice", "answer_of", "count_of", "digest_id", "read_choice", "without_surrogates"]

SURROGATE = re.compile("[\ud800-\udfff]")
LEAST = -9999.0
"""What vLLM gives for the probability 0, because JSON has no infinity."""

Floats = NDArray[np.float64]


class AnswerError(ModelError):
    """An answer that holds no usable log-probabilities of the prompt."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What an answer holds: a list entry for each token, of the prompt and then generated."""

    tokens: list[str]
    logprobs: list[float]
    """NaN where the server gives none, as for the first token."""
    tops: list[dict[str, float]] | None
    """The likeliest tokens at each position; empty where there are none."""
    details: list[dict[str, Any] | None] | None
    """vLLM's ``prompt_logprobs``: by token id, with the rank; of the prompt only."""
    prompt_ids: list[int] | None
    prompt_tokens: int | None
    generated: int | None
    """How many tokens were generated; None where the server does not count them."""
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The tokens of a text; arrays of shape (tokens,)."""

    ends: IntArray
    """Where each token ends in the text, in UTF-8 bytes."""
    ids: IntArray
    logprob: Floats
    """NaN for a first token that nothing precedes."""
    top: Floats
    """NaN where the server does not give it."""
    rank: IntArray
    """−1 where the server does not give it."""
    opening: tuple[int, ...] = ()
    """Ids of the tokens that the server shows before the text."""

    def __len__(self) -> int:
        return len(self.ids)


def read_choice(value: Any) -> Choice:
    """What the JSON *value* of an answer holds.

    Raises:
        AnswerError: it has no log-probabilities, or its lists do not fit together.
    """
    choices = value.get("choices") if isinstance(value, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise AnswerError("its answers are not those of a completions endpoint")
    choice = choices[0]
    listed = choice.get("logprobs")
    tokens = listed.get("tokens") if isinstance(listed, dict) else None
    if (
        not isinstance(listed, dict)
        or not isinstance(tokens, list)
        or not isinstance(listed.get("token_logprobs"), list)
    ):
        raise AnswerError("it gives no log-probabilities")
    tokens = [without_surrogates(token) if isinstance(token, str) else token for token in tokens]
    logprobs = [_number(value) for value in listed["token_logprobs"]]
    tops = listed.get("top_logprobs")
    if len(logprobs) != len(tokens) or not all(isinstance(token, str) for token in tokens):
        raise AnswerError("its answers have lists of tokens and of log-probabilities that do not fit together")
    usage = value.get("usage") if isinstance(value.get("usage"), dict) else {}
    return Choice(
        tokens=tokens,
        logprobs=logprobs,
        tops=[_likeliest(each) for each in tops] if isinstance(tops, list) and len(tops) == len(tokens) else None,
        details=_details(choice.get("prompt_logprobs")),
        prompt_ids=_ids(choice.get("prompt_token_ids")),
        prompt_tokens=count_of(usage.get("prompt_tokens")),
        generated=count_of(usage.get("completion_tokens")),
        text=without_surrogates(str(choice.get("text") or "")),
    )


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    # No log-probability is so large, and not every whole number of JSON fits into a float.
    return -math.inf if value <= LEAST else float(min(value, -LEAST))


def _likeliest(entry: Any) -> dict[str, float]:
    return {str(token): _number(value) for token, value in entry.items()} if isinstance(entry, dict) else {}


def _details(value: Any) -> list[dict[str, Any] | None] | None:
    return [each if isinstance(each, dict) else None for each in value] if isinstance(value, list) else None


def _ids(value: Any) -> list[int] | None:
    fits = isinstance(value, list) and all(count_of(each) is not None for each in value)
    return value if fits else None


def count_of(value: Any) -> int | None:
    """*value*, where it is a whole number from 0 that 32 bits hold; else None.

    >>> count_of(7), count_of(True), count_of(-1), count_of(10**400)
    (7, None, None, None)
    """
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31
    return value if fits else None


def without_surrogates(text: str) -> str:
    """*text* with the mark of an unknown character for halves of surrogate pairs, which no UTF-8 holds."""
    return SURROGATE.sub("\ufffd", text)


def digest_id(token: bytes) -> int:
    """A number for a token whose id the server does not show: from a digest of its bytes.

    >>> digest_id(b" the") == digest_id(b" the"), 0 <= digest_id(b"") < 2**31
    (True, True)
    """
    return int.from_bytes(hashlib.sha256(token).digest()[:4], "big") >> 1


def answer_of(choice: Choice, text: str, opening: str = "") -> Answer | None:
    """The tokens of *text* in *choice*; None where its tokens do not spell it.

    *opening* is a text that was sent before it. The server may show it, show another token in its place (such as BOS),
    or leave it out.
    """
    wanted = text.encode()
    for generated in _possible_generated(choice):
        last = len(choice.tokens) - generated
        for first in range(min(2, last)):
            ends = token_ends(choice.tokens[first:last], wanted)
            if ends is None and opening and first == 0:
                ends, first = _after_opening(choice.tokens[:last], opening.encode(), wanted)
            if ends is not None and first == 0 and wanted and ends[0] == 0 and math.isnan(choice.logprobs[0]):
                ends, first = ends[1:], 1  # an opening token that the server writes as nothing
            if ends is not None:
                return _answer(choice, wanted, ends, first)
    return None


def _possible_generated(choice: Choice) -> Sequence[int]:
    """How many of the last tokens may be generated, the likeliest number first."""
    if choice.generated is not None and choice.generated <= len(choice.tokens):
        return tuple(dict.fromkeys((choice.generated, 0)))
    return (1, 0)


def _after_opening(tokens: Sequence[str], opening: bytes, wanted: bytes) -> tuple[list[int] | None, int]:
    """The ends of the tokens after those that spell *opening*, and how many of these there are."""
    ends = token_ends(tokens, opening + wanted)
    if ends is None or len(opening) not in ends:
        return None, 0
    first = ends.index(len(opening)) + 1
    return [end - len(opening) for end in ends[first:]], first


def _answer(choice: Choice, text: bytes, ends: Sequence[int], first: int) -> Answer:
    span = range(first, first + len(ends))
    ids, ranks = _ids_and_ranks(choice, span)
    if ids is None:
        starts = [0, *ends[:-1]]
        ids = [digest_id(text[start:end]) for start, end in zip(starts, ends, strict=True)]
        opening: tuple[int, ...] = tuple(digest_id(choice.tokens[at].encode()) for at in range(first))
    else:
        opening, ids = tuple(ids[:first]), ids[first:]
    tops = [max(choice.tops[at].values(), default=math.nan) if choice.tops else math.nan for at in span]
    logprob = np.array([choice.logprobs[at] for at in span])
    top = np.maximum(np.array(tops, dtype=np.float64), logprob)  # NaN stays NaN
    return Answer(np.array(ends, np.int32), np.array(ids, np.int32), logprob, top, np.array(ranks, np.int32), opening)


def _ids_and_ranks(choice: Choice, span: range) -> tuple[list[int] | None, list[int]]:
    """The ids of the tokens up to the end of *span*, and the ranks of those in it; None and −1 where not given."""
    entries: list[tuple[int | None, int]] = [(None, -1)] * span.stop
    if choice.details is not None and len(choice.details) >= span.stop:
        entries = [_own_entry(choice, at) for at in range(span.stop)]
    ids = [entry[0] for entry in entries if entry[0] is not None]
    if choice.prompt_ids is not None and len(choice.prompt_ids) >= span.stop:
        ids = choice.prompt_ids[: span.stop]
    return (ids if len(ids) == span.stop else None), [entries[at][1] for at in span]


def _own_entry(choice: Choice, at: int) -> tuple[int | None, int]:
    """The id of the token at the position *at* and its rank, from 0; None and −1 where they are not given."""
    assert choice.details is not None
    for key, entry in (choice.details[at] or {}).items():
        token = count_of(int(key)) if str(key).isdecimal() and len(str(key)) < 12 else None
        if not isinstance(entry, dict) or token is None:
            continue
        wanted = choice.prompt_ids[at] if choice.prompt_ids is not None and at < len(choice.prompt_ids) else None
        if token == wanted or (wanted is None and _number(entry.get("logprob")) == choice.logprobs[at]):
            return token, (count_of(entry.get("rank")) or 0) - 1
    return None, -1
