"""Proof by generation: the model writes on from what precedes a stretch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..backends import Backend, ModelSpec, Tokenizer
from ..errors import ModelError
from ..metrics import clopper_pearson
from ..records import IntArray, WindowRule
from ..signals import Progress, Step, cut
from ._records import ExtractedSpan, Proof
from ._sampling import Sampling

__all__ = ["Candidates", "prompt_before", "prove"]


class Candidates:
    """The likeliest *most* spans that were offered, the earlier of equals, with the texts of their passages."""

    def __init__(self, most: int, window: WindowRule, tokenizer: Tokenizer) -> None:
        self.rule = window
        self.tokenizer = tokenizer
        self.spans: list[tuple[ExtractedSpan, str]] = []
        self._most = most

    def __len__(self) -> int:
        return len(self.spans)

    def add(self, span: ExtractedSpan, text: str) -> None:
        """Offer a span and the whole text of its passage."""
        if self._most:
            self.spans.append((span, text))
        if len(self.spans) > self._most:
            self.spans.sort(key=lambda one: -one[0].likeliest.log_probability)
            del self.spans[self._most :]


def prove(
    candidates: Candidates,
    source: Backend | ModelSpec,
    sampling: Sampling,
    stretch: int,
    samples: int,
    seed: int,
    progress: Progress | None = None,
) -> list[Proof]:
    """Load the model where need be, and let it write on from what precedes the likeliest stretch of each span.

    Samples are drawn at temperature 1 with the top-k of *sampling*; none where that is greedy.

    Raises `ModelError` where the model is not one that is loaded here.
    """
    from ..backends.local import LocalBackend, continuations

    backend = source.load(compiled=False) if isinstance(source, ModelSpec) else source
    if not isinstance(backend, LocalBackend):
        raise ModelError(
            f"model {backend.info.id!r} is not loaded here, so it cannot continue a text: leave out `proof`"
        )
    samples = 0 if sampling.greedy else samples
    proofs: list[Proof] = []
    tokens, total = 0, len(candidates)
    ordered = sorted(candidates.spans, key=lambda one: -one[0].likeliest.log_probability)
    for at, (span, text) in enumerate(ordered):
        (ids,) = candidates.tokenizer.encode([text])
        start = span.likeliest.start_token
        prompt = prompt_before(ids, candidates.rule, candidates.tokenizer.bos, start, stretch)
        wanted = ids[start : start + stretch]
        drawn = continuations(
            backend, prompt, wanted, samples=samples, top_k=sampling.top_k if samples else None, seed=seed + at
        )
        matched = int((drawn.sample_tokens == drawn.wanted_tokens).sum())
        proofs.append(
            Proof(
                id=span.id,
                start_token=start,
                tokens=drawn.wanted_tokens,
                bytes=drawn.wanted_bytes,
                prompt_tokens=len(prompt),
                probability=math.exp(drawn.log_probability),
                greedy=drawn.greedy_tokens == drawn.wanted_tokens,
                greedy_tokens=drawn.greedy_tokens,
                greedy_bytes=drawn.greedy_bytes,
                samples=samples,
                matched=matched,
                matched_bytes=int((drawn.sample_bytes == drawn.wanted_bytes).sum()),
                share=clopper_pearson(matched, samples) if samples else None,
            )
        )
        tokens += stretch * (samples + 1)
        if progress:
            progress(Step("proof", at + 1, tokens, at + 1, total, total))
    return proofs


def prompt_before(
    ids: Sequence[int] | IntArray, rule: WindowRule, bos: int | None, start: int, length: int
) -> IntArray:
    """What precedes token *start* in the window that scores it, cut on the left where *length* more would not fit.

    >>> prompt_before(np.arange(10), WindowRule(tokens=6, context=2), None, 7, 2)  # see `llm_mia.signals`
    array([4, 5, 6], dtype=int32)
    >>> prompt_before(np.arange(10), WindowRule(tokens=6, context=2), None, 7, 4)
    array([5, 6], dtype=int32)
    """
    opening = np.array([] if bos is None else [bos], dtype=np.int32)
    before: IntArray = np.empty(0, dtype=np.int32)
    scored = 0 if bos is not None else 1
    for window in cut(np.asarray(ids, dtype=np.int32), rule, bos=bos):
        new = len(window.tokens) - window.first_scored
        if start < scored + new:
            before = window.tokens[len(opening) : window.first_scored + start - scored]
            break
        scored += new
    room = rule.tokens - len(opening) - length
    return np.concatenate([opening, before[max(0, len(before) - room) :]])
