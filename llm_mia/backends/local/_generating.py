"""Continuations that a model really generates, beside what its logits say of the text wanted."""

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
from ._evaluating import evaluating
from ._memory import MEMORY_ERRORS, out_of_memory

__all__ = ["Continuations", "continuations"]

# Tokens whose keys and values are held at once: so many continuations are sampled together.
HELD_TOKENS = 1 << 14


@dataclass(frozen=True, slots=True)
class Continuations:
    """What a model wrote after one prompt; a count is of leading tokens or bytes that agree with the text wanted."""

    log_probability: float
    """Of the wanted tokens under the rule that the samples were drawn by, from the model's logits; nats."""
    greedy_tokens: int
    greedy_bytes: int
    sample_tokens: IntArray
    """Shape (samples,)."""
    sample_bytes: IntArray
    """Shape (samples,)."""
    wanted_tokens: int
    wanted_bytes: int


@torch.inference_mode()
def continuations(
    backend: LocalBackend,
    prompt: IntArray,
    wanted: IntArray,
    *,
    samples: int = 0,
    top_k: int | None = None,
    seed: int = 0,
) -> Continuations:
    """Let the model write on from *prompt*, once greedily and *samples* times at temperature 1, and compare.

    Every continuation has as many tokens as *wanted*, written token after token; the end of a text is a token like
    others, and nothing that a repository calls its generation defaults is used. Bytes are compared as the tokenizer
    decodes them, for the same text may come in other tokens.

    Args:
        backend: the model.
        prompt: shape (m,), m ≥ 1: token ids, BOS included where the model has one.
        wanted: shape (n,), n ≥ 1: the token ids that followed it.
        samples: continuations to draw.
        top_k: draw among so many likeliest tokens (ties with the last one stay in); None: among all.
        seed: draws them.

    Raises:
        ModelError: prompt and text exceed the model's context, or the memory.
    """
    if len(prompt) + len(wanted) > backend.info.context:
        raise ModelError(
            f"model {backend.info.id!r} takes {backend.info.context} tokens, which a prompt of {len(prompt)} and "
            f"{len(wanted)} more exceed: ask for a shorter `stretch`"
        )
    generator = torch.Generator(backend.device).manual_seed(seed)
    try:
        with evaluating(backend.model):
            greedy = next(_written(backend, prompt, len(wanted), 1, None, None))
            rows = max(1, HELD_TOKENS // (len(prompt) + len(wanted)))
            drawn = list(_written(backend, prompt, len(wanted), samples, top_k, generator, rows=rows))
            log_probability = _log_probability(backend, prompt, wanted, top_k)
    except MEMORY_ERRORS as error:
        if not out_of_memory(error):
            raise
        raise ModelError(
            f"model {backend.info.id!r}: out of memory with a prompt of {len(prompt)} tokens: ask for shorter windows "
            "with `window_tokens`, or for another `device`"
        ) from None
    sampled = np.concatenate([np.empty((0, len(wanted)), np.int32), *drawn])
    text = _bytes(backend, wanted)
    return Continuations(
        log_probability=log_probability,
        greedy_tokens=int(_leading(greedy == wanted)[0]),
        greedy_bytes=_same_bytes(_bytes(backend, greedy[0]), text),
        sample_tokens=_leading(sampled == wanted),
        sample_bytes=np.array([_same_bytes(_bytes(backend, one), text) for one in sampled], dtype=np.int32),
        wanted_tokens=len(wanted),
        wanted_bytes=len(text),
    )


def _written(
    backend: LocalBackend,
    prompt: IntArray,
    length: int,
    count: int,
    top_k: int | None,
    generator: torch.Generator | None,
    *,
    rows: int = 1,
) -> Iterator[IntArray]:
    """*count* continuations, shapes (up to *rows*, *length*); the likeliest one where no *generator* draws."""
    for start in range(0, count, rows):
        fed, logits, cache = _read(backend, prompt, min(rows, count - start))
        while True:
            drawn = logits.argmax(-1, keepdim=True) if generator is None else _drawn(logits, top_k, generator)
            fed = torch.cat([fed, drawn.to(backend.device)], dim=1)
            if fed.shape[1] == len(prompt) + length:
                break
            logits, cache = _next(backend, fed if cache is None else fed[:, -1:], cache)
        yield fed[:, len(prompt) :].cpu().numpy().astype(np.int32)


def _read(backend: LocalBackend, prompt: IntArray, rows: int) -> tuple[Tensor, Tensor, Any]:
    """*prompt* in as many rows, the logits after it, shape (rows, vocabulary), and a cache: it is read once for all."""
    ids = torch.from_numpy(prompt).long().to(backend.device)[None]
    logits, cache = _next(backend, ids, None)
    if rows > 1 and cache is not None:
        cache.batch_repeat_interleave(rows)
    return ids.expand(rows, -1), logits.expand(rows, -1), cache


def _next(backend: LocalBackend, ids: Tensor, cache: Any) -> tuple[Tensor, Any]:
    """The logits after *ids*, shape (rows, vocabulary), and what the model keeps: None where it can't go on from it."""
    # Of a whole prompt only the last row is wanted, so the head is not applied to the others.
    model = backend.model if backend.head is None else backend.model.base_model
    output = model(input_ids=ids, use_cache=True, **({} if cache is None else {"past_key_values": cache}))
    # Some architectures keep a state of their own, each in its own way: to them all is fed again for every token.
    cache = getattr(output, "past_key_values", None)
    cache = cache if hasattr(cache, "batch_repeat_interleave") else None
    if backend.head is None:
        return output.logits[:, -1].float(), cache
    states = output.last_hidden_state[:, -1].to(backend.head.weight.device)
    return backend.head.logits(states).float(), cache


def _drawn(logits: Tensor, top_k: int | None, generator: torch.Generator) -> Tensor:
    probabilities = _kept(logits, top_k).softmax(-1)
    return torch.multinomial(probabilities.to(generator.device), 1, generator=generator)


def _kept(logits: Tensor, top_k: int | None) -> Tensor:
    """The logits, those of tokens with *top_k* or more strictly likelier ones at -inf."""
    if top_k is None or top_k >= logits.shape[-1]:
        return logits
    least = logits.topk(top_k, dim=-1).values[..., -1:]
    return logits.masked_fill(logits < least, -torch.inf)


def _log_probability(backend: LocalBackend, prompt: IntArray, wanted: IntArray, top_k: int | None) -> float:
    ids = torch.from_numpy(np.concatenate([prompt, wanted])).long().to(backend.device)[None]
    states = backend.states(ids, backend.head)[0, len(prompt) - 1 : -1]
    logits = states if backend.head is None else backend.head.logits(states)
    logp = _kept(logits.double(), top_k).log_softmax(-1)
    return float(logp.gather(1, ids[0, len(prompt) :, None].to(logp.device)).sum())


def _leading(same: np.ndarray[Any, np.dtype[np.bool_]]) -> IntArray:
    """How many leading entries of each row are true."""
    counts: IntArray = np.logical_and.accumulate(same, axis=1).sum(axis=1).astype(np.int32)
    return counts


def _bytes(backend: LocalBackend, ids: IntArray) -> bytes:
    text: str = backend.tokenizer.decode(ids.tolist(), skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return text.encode()


def _same_bytes(one: bytes, other: bytes) -> int:
    """How many leading bytes agree."""
    n = min(len(one), len(other))
    same = np.frombuffer(one[:n], np.uint8) == np.frombuffer(other[:n], np.uint8)
    return int(np.logical_and.accumulate(same).sum())
