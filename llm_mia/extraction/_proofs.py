"""Proof by generation: the model continues what precedes a stretch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from ..backends import Backend, ModelSpec, Tokenizer
from ..errors import ModelError
from ..metrics import clopper_pearson
from ..records import IntArray, WindowRule
from ..signals import Progress, Step, cut, report_activity
from ._records import Proof
from ._sampling import Sampling
from ._span_records import ExtractedSpan

__all__ = ["LikeliestSpans", "prompt_before", "prove"]


class LikeliestSpans:
    """The *most* likeliest of the spans that are added, with the texts of their passages; of equals, the earlier."""

    def __init__(self, most: int, window: WindowRule, tokenizer: Tokenizer) -> None:
        self.window = window
        self.tokenizer = tokenizer
        self._most = most
        self._spans: list[tuple[ExtractedSpan, str]] = []

    def __len__(self) -> int:
        return len(self._spans)

    def __iter__(self) -> Iterator[tuple[ExtractedSpan, str]]:
        """The likeliest first."""
        return iter(sorted(self._spans, key=_unlikeliness))

    def add(self, span: ExtractedSpan, text: str) -> None:
        """Add a span, with the whole text of its passage."""
        if self._most:
            self._spans.append((span, text))
        if len(self._spans) > self._most:
            self._spans.sort(key=_unlikeliness)
            del self._spans[self._most :]


def _unlikeliness(offered: tuple[ExtractedSpan, str]) -> float:
    return -offered[0].likeliest.log_probability


def prove(
    likeliest: LikeliestSpans,
    source: Backend | ModelSpec,
    sampling: Sampling,
    stretch: int,
    samples: int,
    seed: int,
    progress: Progress | None = None,
) -> list[Proof]:
    """What the model writes after the tokens that precede the likeliest stretch of each span.

    Samples are drawn at temperature 1 with the top-k of *sampling*; none where that is greedy.

    Args:
        likeliest: the spans.
        source: the model.
        sampling: how tokens are drawn.
        stretch: tokens of a stretch.
        samples: continuations drawn for each span.
        seed: draws them.
        progress: called after each span.

    Raises:
        ModelError: the model does not run on this machine, or cannot be loaded.
    """
    from ..backends.local import LocalBackend, continuations

    report_activity(progress, "loading the model, and generating the likeliest span")
    backend = source.load(compiled=False) if isinstance(source, ModelSpec) else source
    if not isinstance(backend, LocalBackend):
        raise ModelError(
            f"model {backend.info.id!r} gives signals and writes no text: leave out `proof`, or give a model that "
            "transformers loads"
        )
    samples = 0 if sampling.greedy else samples
    proofs: list[Proof] = []
    tokens, total = 0, len(likeliest)
    for at, (span, text) in enumerate(likeliest):
        (ids,) = likeliest.tokenizer.encode([text])
        start = span.likeliest.start_token
        prompt = prompt_before(ids, likeliest.window, likeliest.tokenizer.opening, start, stretch)
        wanted = ids[start : start + stretch]
        drawn = continuations(
            backend, prompt, wanted, samples=samples, top_k=sampling.top_k if samples else None, seed=seed + at
        )
        before, original = _texts(likeliest.tokenizer, text, start, len(prompt), stretch)
        matched = int((drawn.sample_tokens == drawn.expected_tokens).sum())
        proofs.append(
            Proof(
                id=span.id,
                start_token=start,
                tokens=drawn.expected_tokens,
                bytes=drawn.expected_bytes,
                prompt_tokens=len(prompt),
                probability=math.exp(drawn.log_probability),
                greedy=drawn.greedy_tokens == drawn.expected_tokens,
                greedy_tokens=drawn.greedy_tokens,
                greedy_bytes=drawn.greedy_bytes,
                samples=samples,
                matched=matched,
                matched_bytes=int((drawn.sample_bytes == drawn.expected_bytes).sum()),
                share=clopper_pearson(matched, samples) if samples else None,
                prompt=before,
                output=drawn.greedy_text,
                original=original,
            )
        )
        tokens += stretch * (samples + 1)
        if progress:
            progress(Step("proof", at + 1, tokens, at + 1, total, total))
    return proofs


def _texts(tokenizer: Tokenizer, text: str, start: int, prompt_tokens: int, stretch: int) -> tuple[str, str]:
    """The text of the prompt, which ends before token *start*, and the text of the stretch that follows it.

    Together they are a part of *text*. A character that the last token of the prompt shares with the stretch belongs
    to the stretch.
    """
    places = tokenizer.spans(text)
    end = int(places[start + stretch - 1, 1])
    if start == 0:
        return "", text[:end]
    edge = int(min(places[start - 1, 1], places[start, 0]))  # a blank before a word is outside of the word's token
    first = start - (prompt_tokens - len(tokenizer.opening))
    return text[int(places[first, 0]) : edge], text[edge:end]


def prompt_before(
    ids: Sequence[int] | IntArray, rule: WindowRule, opening: Sequence[int], start: int, length: int
) -> IntArray:
    """What precedes token *start* in the window that scores it, cut on the left so that *length* more tokens fit.

    >>> prompt_before(np.arange(10), WindowRule(tokens=6, context=2), (), 7, 2)  # see `llm_mia.signals`
    array([4, 5, 6], dtype=int32)
    >>> prompt_before(np.arange(10), WindowRule(tokens=6, context=2), (), 7, 4)
    array([5, 6], dtype=int32)
    """
    before: IntArray = np.empty(0, dtype=np.int32)
    scored = 0 if opening else 1
    for window in cut(np.asarray(ids, dtype=np.int32), rule, opening=opening):
        new = len(window.tokens) - window.first_scored
        if start < scored + new:
            before = window.tokens[len(opening) : window.first_scored + start - scored]
            break
        scored += new
    room = rule.tokens - len(opening) - length
    return np.concatenate([np.array(opening, dtype=np.int32), before[max(0, len(before) - room) :]])
