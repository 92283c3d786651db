"""Continuations that a model generates, and the probability that it gives to the expected text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import ModelError
from ...records import IntArray
from ._backend import LocalBackend
from ._evaluation import evaluation_mode
from ._feeding import feed, feed_prompt, padded_length
from ._libraries import first_line
from ._memory import MEMORY_ERRORS, is_out_of_memory

__all__ = ["Continuations", "continuations"]


@dataclass(frozen=True, slots=True)
class Continuations:
    """What a model generated after a prompt; counts are of leading tokens or bytes that equal the expected text."""

    log_probability: float
    """Of the expected tokens, by the rule that draws the samples, from the model's logits; nats."""
    greedy_text: str
    """The continuation that takes the likeliest token each time."""
    greedy_tokens: int
    greedy_bytes: int
    sample_tokens: IntArray
    """Shape (samples,)."""
    sample_bytes: IntArray
    """Shape (samples,)."""
    expected_tokens: int
    expected_bytes: int


@torch.inference_mode()
def continuations(
    backend: LocalBackend,
    prompt: IntArray,
    expected: IntArray,
    *,
    samples: int = 0,
    top_k: int | None = None,
    seed: int = 0,
    held_tokens: int = 1 << 14,
) -> Continuations:
    """Continue *prompt* once greedily and *samples* times at random, and compare with *expected*.

    Samples are drawn at the temperature of *backend*, which is 1 unless it was loaded with another.

    Every continuation has as many tokens as *expected*. Each of its tokens comes from the prediction that the model
    makes where the whole of prompt and continuation is fed at once, as its log-probability does: some models compute a
    token differently in a longer text (see `LengthRule`). The end-of-text token is an ordinary token here, and the
    generation defaults of the model's repository are not used. Bytes are compared after decoding, because the same text
    can consist of other tokens.

    Args:
        backend: the model.
        prompt: shape (m,), m ≥ 1: token ids, after the opening.
        expected: shape (n,), n ≥ 1: the token ids that follow the prompt in the text.
        samples: the number of continuations to draw.
        top_k: draw among this many likeliest tokens, and those as likely as the last of them; None: among all.
        seed: of the draws.
        held_tokens: most tokens whose keys and values are held at once; so many continuations are drawn together.

    Raises:
        ModelError: prompt and expected text exceed the model's context, or the memory; or the model fails.
    """
    if len(prompt) + len(expected) > backend.info.context:
        raise ModelError(
            f"model {backend.info.id!r} takes {backend.info.context} tokens, fewer than a prompt of {len(prompt)} "
            f"tokens and {len(expected)} more: give a shorter `stretch`"
        )
    try:
        with evaluation_mode(backend.model):
            greedy = next(_generate(backend, prompt, len(expected), 1, None, None))
            log_probability = _log_probability(backend, prompt, expected, top_k)
            drawn = _draw_samples(backend, prompt, len(expected), samples, top_k, seed, held_tokens)
    except Exception as error:  # hundreds of model classes, each of which fails in its own way
        problem = f"fails on a prompt of {len(prompt)} tokens ({first_line(error)}): leave out `proof`"
        if is_out_of_memory(error):
            problem = (
                f"is out of memory with a prompt of {len(prompt)} tokens: give a smaller `window_tokens`, or another "
                "`device`"
            )
        raise ModelError(f"model {backend.info.id!r} {problem}") from error
    if np.isnan(log_probability):
        raise ModelError(
            f"model {backend.info.id!r} gives NaN after a prompt of {len(prompt)} tokens: leave out `proof`"
        )
    sampled = np.concatenate([np.empty((0, len(expected)), np.int32), *drawn])
    greedy_text, text = _decode(backend, greedy[0]), _decode(backend, expected).encode()
    return Continuations(
        log_probability=log_probability,
        greedy_text=greedy_text,
        greedy_tokens=int(_count_leading(greedy == expected)[0]),
        greedy_bytes=_same_bytes(greedy_text.encode(), text),
        sample_tokens=_count_leading(sampled == expected),
        sample_bytes=np.array([_same_bytes(_decode(backend, ids).encode(), text) for ids in sampled], dtype=np.int32),
        expected_tokens=len(expected),
        expected_bytes=len(text),
    )


def _draw_samples(
    backend: LocalBackend, prompt: IntArray, length: int, samples: int, top_k: int | None, seed: int, held_tokens: int
) -> list[IntArray]:
    """*samples* continuations; where the memory is too small, all are drawn again, half as many at once."""
    rows = max(1, held_tokens // (len(prompt) + length))
    while True:
        generator = torch.Generator(backend.device).manual_seed(seed)
        try:
            return list(_generate(backend, prompt, length, samples, top_k, generator, rows=rows))
        except MEMORY_ERRORS as error:
            if not is_out_of_memory(error) or min(rows, samples) == 1:
                raise
            rows = min(rows, samples) // 2


def _generate(
    backend: LocalBackend,
    prompt: IntArray,
    length: int,
    count: int,
    top_k: int | None,
    generator: torch.Generator | None,
    *,
    rows: int = 1,
) -> Iterator[IntArray]:
    """*count* continuations, shapes (up to *rows*, *length*); greedy where there is no *generator*."""
    whole = len(prompt) + length
    padded = padded_length(backend, len(prompt), whole)
    for start in range(0, count, rows):
        fed, logits, cache = feed_prompt(backend, prompt, min(rows, count - start), padded)
        while True:
            tokens = logits.argmax(-1, keepdim=True) if generator is None else _draw(logits, top_k, generator)
            fed = torch.cat([fed, tokens.to(backend.device)], dim=1)
            if fed.shape[1] == whole:
                break
            logits, cache = feed(backend, fed if cache is None else fed[:, -1:], cache, padded)
        yield fed[:, len(prompt) :].cpu().numpy().astype(np.int32)


def _draw(logits: Tensor, top_k: int | None, generator: torch.Generator) -> Tensor:
    probabilities = _restrict(logits, top_k).softmax(-1)
    return torch.multinomial(probabilities.to(generator.device), 1, generator=generator)


def _restrict(logits: Tensor, top_k: int | None) -> Tensor:
    """The logits, with −inf for every token that has *top_k* or more strictly likelier tokens."""
    if top_k is None or top_k >= logits.shape[-1]:
        return logits
    least = logits.topk(top_k, dim=-1).values[..., -1:]
    return logits.masked_fill(logits < least, -torch.inf)


def _log_probability(backend: LocalBackend, prompt: IntArray, expected: IntArray, top_k: int | None) -> float:
    ids = torch.from_numpy(np.concatenate([prompt, expected])).long().to(backend.device)[None]
    states = backend.forward.states(ids, backend.head)[0, len(prompt) - 1 : -1]
    logits = states if backend.head is None else backend.head.logits(states)
    logp = _restrict(logits.double() / backend.info.temperature, top_k).log_softmax(-1)
    return float(logp.gather(1, ids[0, len(prompt) :, None].to(logp.device)).sum())


def _count_leading(same: np.ndarray[Any, np.dtype[np.bool_]]) -> IntArray:
    """The number of leading entries of each row that are true."""
    counts: IntArray = np.logical_and.accumulate(same, axis=1).sum(axis=1).astype(np.int32)
    return counts


def _decode(backend: LocalBackend, ids: IntArray) -> str:
    text: str = backend.tokenizer.decode(ids.tolist(), skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return text


def _same_bytes(left: bytes, right: bytes) -> int:
    """The number of leading bytes that agree."""
    n = min(len(left), len(right))
    same = np.frombuffer(left[:n], np.uint8) == np.frombuffer(right[:n], np.uint8)
    return int(np.logical_and.accumulate(same).sum())
