"""Texts that a model continues prompts with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import ModelError
from ...records import IntArray
from ...rewriting import draws
from ._evaluation import evaluation_mode
from ._feeding import feed, feed_prompt, padded_length
from ._libraries import first_line
from ._memory import is_out_of_memory

if TYPE_CHECKING:
    from ._backend import LocalBackend

__all__ = ["sample"]

HELD_TOKENS = 1 << 14
"""Most tokens whose keys and values are held at once; so many continuations of a prompt are drawn together."""


@torch.inference_mode()
def sample(
    backend: LocalBackend, prompts: Sequence[str], *, number: int, max_tokens: int, temperature: float, seed: int
) -> list[list[str]]:
    """*number* continuations of each prompt; see `llm_mia.backends.Sampler`.

    The prompt is fed once, and its continuations are drawn together, with the keys and values of the model. Prompts are
    not fed together, so that rounding does not make a continuation depend on other prompts.

    The temperature of *backend*, by which it divides its logits, comes before *temperature*.
    """
    room = backend.info.context - max_tokens - len(backend.opening)
    if room < 1:
        raise ModelError(
            f"model {backend.info.id!r} takes {backend.info.context} tokens, so {max_tokens} tokens leave no room for "
            "a prompt: give fewer `sample_tokens`"
        )
    ends = _ends(backend)
    continued = []
    with evaluation_mode(backend.model):
        for prompt, ids in zip(prompts, backend.encode(prompts), strict=True):
            keys = [draws(f"sample {seed} {at}", prompt, max_tokens) for at in range(number)]
            uniform = (np.array(keys, dtype=np.uint64) >> 11).astype(np.float64) * 2.0**-53
            fed = np.concatenate([backend.opening, ids[-room:]]).astype(np.int32)
            tokens = _continue(backend, fed, uniform, temperature, ends)
            continued.append([_decode(backend, row, ends) for row in tokens])
    return continued


def _ends(backend: LocalBackend) -> IntArray:
    """The tokens with which the model ends a text."""
    configured = getattr(getattr(backend.model, "generation_config", None), "eos_token_id", None)
    several = configured if isinstance(configured, list) else [configured]
    ids = {each for each in (*several, backend.tokenizer.eos_token_id) if each is not None}
    return np.array(sorted(ids), dtype=np.int32)


def _decode(backend: LocalBackend, tokens: IntArray, ends: IntArray) -> str:
    """The text of *tokens* up to the end of the text."""
    ended = np.flatnonzero(np.isin(tokens, ends))
    ids = tokens[: ended[0]] if len(ended) else tokens
    text: str = backend.tokenizer.decode(
        ids.tolist(), skip_special_tokens=not backend.info.templated, clean_up_tokenization_spaces=False
    )
    return text


def _continue(
    backend: LocalBackend, prompt: IntArray, uniform: NDArray[np.float64], temperature: float, ends: IntArray
) -> IntArray:
    """The tokens of the continuations, shape (rows of *uniform*, tokens); with less memory, fewer rows at once."""
    rows = max(1, HELD_TOKENS // (len(prompt) + uniform.shape[1]))
    while True:
        try:
            parts = [
                _draw_rows(backend, prompt, uniform[start : start + rows], temperature, ends)
                for start in range(0, len(uniform), rows)
            ]
            return np.concatenate(parts)
        except Exception as error:  # hundreds of model classes, each of which fails in its own way
            if isinstance(error, ModelError):
                raise
            if not is_out_of_memory(error):
                raise ModelError(
                    f"model {backend.info.id!r} fails when it continues a prompt of {len(prompt)} tokens "
                    f"({first_line(error)}): leave out the attacks on `samples`"
                ) from error
            if min(rows, len(uniform)) == 1:
                raise ModelError(
                    f"model {backend.info.id!r} is out of memory with a prompt of {len(prompt)} tokens: give another "
                    "`device`, or leave out the attacks on `samples`"
                ) from error
            rows = min(rows, len(uniform)) // 2


def _draw_rows(
    backend: LocalBackend, prompt: IntArray, uniform: NDArray[np.float64], temperature: float, ends: IntArray
) -> IntArray:
    """A continuation for each row of *uniform*, which end with 0 where all have ended before; shape of *uniform*."""
    drawn = np.zeros(uniform.shape, np.int32)
    running = np.ones(len(uniform), dtype=bool)
    padded = padded_length(backend, len(prompt), len(prompt) + uniform.shape[1])
    fed, logits, cache = feed_prompt(backend, prompt, len(uniform), padded)
    for at in range(uniform.shape[1]):
        tokens = _draw(backend, logits, torch.from_numpy(uniform[:, at]), temperature)
        drawn[:, at] = tokens.cpu().numpy()
        running &= ~np.isin(drawn[:, at], ends)
        if at + 1 == uniform.shape[1] or not running.any():
            return drawn
        fed = torch.cat([fed, tokens.to(backend.device)[:, None]], dim=1)
        logits, cache = feed(backend, fed if cache is None else fed[:, -1:], cache, padded)
    return drawn


def _draw(backend: LocalBackend, logits: Tensor, uniform: Tensor, temperature: float) -> Tensor:
    """A token for each row of *logits*: the first whose cumulative probability exceeds *uniform*, shape (rows,)."""
    if torch.isnan(logits).any():
        raise ModelError(f"model {backend.info.id!r} gives NaN: leave out the attacks on `samples`")
    if temperature == 0:
        return logits.argmax(-1)
    cumulative = (logits.double() / temperature).softmax(-1).cumsum(-1)
    at = uniform.to(cumulative.device)[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, at, right=True)[:, 0].clamp(max=logits.shape[-1] - 1)
