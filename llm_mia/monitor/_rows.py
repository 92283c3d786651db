"""Queries → rows: what traffic takes in of each request, computed from the request alone."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from enum import IntFlag
from functools import cache
from typing import NamedTuple

from ..queries import Query, Request, sketch_prompts

__all__ = ["MANY", "Kind", "Row", "Sampled", "kind_of", "rows_of", "sampled_of", "shape_of"]

MANY = 8
"""Continuations of the same prompt that are several."""


class Kind(IntFlag):
    """What a request wants that an attack needs."""

    NONE = 0
    SCORES = 1
    """Log-probabilities of the prompt; where the log does not record that, at most one generated token."""
    DISTRIBUTION = 2
    """Log-probabilities of alternatives of generated tokens."""
    SAMPLES = 4
    """Several continuations of a prompt, by chance."""


class Sampled(NamedTuple):
    """A request of the sample of a log."""

    time: float
    figures: tuple[float, ...]
    """What windows of traffic are compared by: sizes, limits, and what it wants."""


Row = tuple[int, str, bytes | None, int, int, bool, str, int, bytes | None, Sampled]
"""A request as `Traffic` takes it in, which a process can hand to another: its line, the client, what selects it, what
it wants, how many continuations, whether they are drawn by chance, its shape, the bytes of its prompt, the sketch."""


def rows_of(queries: Sequence[tuple[int, Query]], key: bytes) -> list[Row]:
    """Queries with the numbers of their lines, as `Traffic` takes them in; *key* is that of its sketches.

    All work that does not depend on other requests is here, so that several processes can share it.
    """
    texts = [query.prompt for _, query in queries if query.sketch is None and query.prompt]
    sketches = iter(sketch_prompts([text for text in texts if text], key))
    rows = []
    for line, query in queries:
        sketch = query.sketch
        if sketch is None and query.prompt:
            sketch = next(sketches)
        kind, samples = _kind(query), query.samples or 1
        # The first place of the sketch selects, so that requests with similar prompts are kept or left out together.
        selects = None if sketch is None else sketch[:4] + sketch[-8:]
        sampled = Sampled(query.time, _figures(query, kind))
        shape, size = shape_of(query), query.prompt_bytes or 0
        rows.append((line, query.client, selects, kind, samples, query.temperature != 0, shape, size, sketch, sampled))
    return rows


def _figures(query: Query, kind: int) -> tuple[float, ...]:
    return (
        query.prompt_bytes or 4 * (query.prompt_tokens or 0), query.max_tokens or 0, query.completion_tokens or 0,
        query.top_logprobs or 0, kind & 1, bool(query.logprobs), query.samples or 1,
        1.0 if query.temperature is None else query.temperature,
    )  # fmt: skip


def sampled_of(query: Query) -> Sampled:
    """*query* as a request of the sample of a log."""
    return Sampled(query.time, _figures(query, _kind(query)))


def kind_of(query: Query) -> Kind:
    """What *query* wants that an attack needs."""
    return Kind(_kind(query))


def _kind(query: Query) -> int:
    """The value of `kind_of`: flags of an enumeration are slow, and every line of a log needs them."""
    kind = 0
    wants = query.logprobs or bool(query.top_logprobs)
    if query.prompt_logprobs or (query.echo and wants):
        kind |= 1
    elif query.prompt_logprobs is None and query.echo is None and query.logprobs is None:
        # The log is blind to log-probabilities: what generates almost nothing may want them.
        short = query.max_tokens if query.max_tokens is not None else query.completion_tokens
        kind |= short is not None and short <= 1 and query.request in (Request.COMPLETION, Request.CHAT)
    elif wants:
        kind |= 2
    if (query.samples or 1) >= MANY:
        kind |= 4
    return kind


def shape_of(query: Query) -> str:
    """The parameters of *query*, coarsely, so that a campaign that varies them a little has few shapes."""
    limit, samples, top = query.max_tokens, query.samples or 1, query.top_logprobs or 0
    return _shape(
        str.__str__(query.request),  # quicker than its value
        -1 if limit is None else bisect_left(LIMITS, limit),
        bisect_left(NUMBERS, samples),
        bisect_left(ALTERNATIVES, top),
        bool(query.echo),
        bool(query.logprobs),
        bool(query.prompt_logprobs),
        query.temperature == 0,
    )


LIMITS, NUMBERS, ALTERNATIVES = (1, 16, 256), (1, MANY - 1), (0, 1, 5)
"""The largest values of each class of parameters but the last."""


@cache
def _shape(
    request: str, limit: int, samples: int, top: int, echo: bool, logprobs: bool, prompt_logprobs: bool, greedy: bool
) -> str:
    """The words for classes of parameters, of which there are a few thousand at most."""
    parts = [
        request,
        f"max_tokens={('0-1', '2-16', '17-256', '257-', '?')[limit]}",
        f"n={('1', f'2-{MANY - 1}', f'{MANY}-')[samples]}",
        f"top={('0', '1', '2-5', '6-')[top]}",
        "echo" if echo else "",
        "logprobs" if logprobs else "",
        "prompt_logprobs" if prompt_logprobs else "",
        "greedy" if greedy else "",
    ]
    return " ".join(part for part in parts if part)
