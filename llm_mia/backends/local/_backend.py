"""Any causal language model that transformers loads, one forward pass a batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import ModelError
from ...records import IntArray, ModelInfo, TokenSignals, Window
from .. import Report
from ..moments import Moments, token_moments
from ._identity import config_sha256, tensors_sha256, tokenizer_fingerprint

__all__ = ["LocalBackend"]

# Tokens fed at once, padding included. The blocks of logits bound the memory whatever the vocabulary.
TOKENS_PER_BATCH = {"cpu": 2048, "cuda": 16384}
# Largest difference between two ways to the same logits, relative to their spread, that rounding explains.
PROBE_TOLERANCE = {"float32": 1e-4, "bfloat16": 5e-2, "float16": 1e-2}


class LocalBackend:
    """A model and its tokenizer, already in memory.

    Raises:
        ModelError: the model looks at tokens that come later, so it has no likelihood to report.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        name: str = "in memory",
        revision: str | None = None,
        weights_sha256: str | None = None,
        tokens_per_batch: int | None = None,
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.bos = _bos(tokenizer)
        self.device = model.get_input_embeddings().weight.device
        self.tokens_per_batch = tokens_per_batch or TOKENS_PER_BATCH.get(self.device.type, 2048)
        self._config = model.config.get_text_config()
        self._blocked = False
        dtype = str(model.dtype).removeprefix("torch.")
        self._probe(PROBE_TOLERANCE.get(dtype, 5e-2))
        self.info = ModelInfo(
            id=name,
            revision=revision,
            weights_sha256=weights_sha256 or tensors_sha256(model),
            config_sha256=config_sha256(model.config),
            dtype=dtype,
            tokenizer=tokenizer_fingerprint(tokenizer, self.bos),
            context=_context(self._config, tokenizer),
            head="blocked" if self._blocked else "whole",
        )

    def encode(self, texts: Sequence[str]) -> list[IntArray]:
        """Token ids of each text, shape (n,), without special tokens added and without a limit on length."""
        ids = self.tokenizer(list(texts), add_special_tokens=False, truncation=False, verbose=False).input_ids
        return [np.array(one, dtype=np.int32) for one in ids]

    def score(self, windows: Sequence[Window], report: Report | None = None) -> list[TokenSignals]:
        """The signals of each window's scored tokens, in the order given; *report* is told of tokens a batch."""
        results: list[TokenSignals | None] = [None] * len(windows)
        for batch in self._batches(windows):
            scored = self._score_batch([windows[i] for i in batch])
            for position, signals in zip(batch, scored, strict=True):
                results[position] = signals
            if report:
                report(sum(map(len, scored)))
        return [one for one in results if one is not None]

    def _batches(self, windows: Sequence[Window]) -> Iterator[list[int]]:
        """Positions of windows of like length, as many at a time as the token budget holds."""
        batch: list[int] = []
        for position in sorted(range(len(windows)), key=lambda i: -len(windows[i].tokens)):
            longest = len(windows[batch[0]].tokens) if batch else 0
            if batch and longest * (len(batch) + 1) > self.tokens_per_batch:
                yield batch
                batch = []
            batch.append(position)
        if batch:
            yield batch

    @torch.inference_mode()
    def _score_batch(self, windows: Sequence[Window]) -> list[TokenSignals]:
        # Padding stands on the right of a causal model, which never looks there: no mask, no effect on any score.
        longest = max(len(w.tokens) for w in windows)
        padded = np.stack([np.pad(w.tokens, (0, longest - len(w.tokens)), mode="edge") for w in windows])
        ids = torch.from_numpy(padded).long().to(self.device)
        rows = [(i, slice(w.first_scored - 1, len(w.tokens) - 1)) for i, w in enumerate(windows)]
        targets = torch.cat([ids[i, s.start + 1 : s.stop + 1] for i, s in rows])
        states, head = self._head_input(ids)
        states = torch.cat([states[i, s] for i, s in rows])
        moments = token_moments(states, targets.to(states.device), head, self._config.vocab_size)
        return self._split(moments, windows)

    def _head_input(self, ids: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """What the head takes, shape (batch, tokens, …), and the head: or the model's own logits and nothing."""
        if not self._blocked:
            return self.model(input_ids=ids, use_cache=False).logits, _identity
        states = self.model.base_model(input_ids=ids, use_cache=False).last_hidden_state
        return states, self._head

    def _head(self, states: Tensor) -> Tensor:
        """The output layer with what some families do to its logits (Cohere, Granite, Gemma)."""
        logits: Tensor = self.model.get_output_embeddings()(states)
        logits = logits * (getattr(self._config, "logit_scale", None) or 1.0)
        logits = logits / (getattr(self._config, "logits_scaling", None) or 1.0)
        cap = getattr(self._config, "final_logit_softcapping", None)
        return logits if cap is None else torch.tanh(logits / cap) * cap

    def _split(self, moments: Moments, windows: Sequence[Window]) -> list[TokenSignals]:
        logprob, mean, std, top, rank = (column.cpu().numpy() for column in moments)
        if np.isnan(logprob).any():
            raise ModelError(f"model {self.info.id!r} gives NaN in {self.info.dtype}: try --dtype float32 or bfloat16")
        ends = np.cumsum([len(w.tokens) - w.first_scored for w in windows])
        return [
            TokenSignals(
                token_ids=w.tokens[w.first_scored :],
                logprob=logprob[start:end],
                mean=mean[start:end],
                std=std[start:end],
                top=top[start:end],
                rank=rank[start:end].astype(np.int32),
                tokenizer=self.info.tokenizer,
            )
            for w, start, end in zip(windows, [0, *ends[:-1]], ends, strict=True)
        ]

    @torch.inference_mode()
    def _probe(self, tolerance: float) -> None:
        """Choose the head that gives the model's own logits, and refuse a model that sees what comes later."""
        generator = torch.Generator().manual_seed(0)
        ids = torch.randint(0, self._config.vocab_size, (1, 12), generator=generator).to(self.device)
        own = self.model(input_ids=ids, use_cache=False).logits.float()
        spread = float(own.std()) or 1.0
        if not math.isfinite(spread) and not bool(own.isneginf().any()):
            raise ModelError("its logits are not numbers: weights damaged, or out of the range of this dtype")
        changed = ids.clone()
        changed[0, -1] = (changed[0, -1] + 1) % self._config.vocab_size
        seen = self.model(input_ids=changed, use_cache=False).logits.float()
        if float((seen - own)[0, :-1].abs().max()) > tolerance * spread:
            raise ModelError("not a causal language model: its prediction depends on tokens that come later")
        self._blocked = self.model.get_output_embeddings() is not None and self.model.base_model is not self.model
        if self._blocked:
            states, head = self._head_input(ids)
            logits = head(states).float().to(own.device)
            same = logits.shape == own.shape and float((logits - own).abs().max()) <= tolerance * spread
            self._blocked = same


def _identity(logits: Tensor) -> Tensor:
    return logits


def _bos(tokenizer: Any) -> int | None:
    """The BOS token where the tokenizer puts one before a text, which is how the model was trained."""
    bos: int | None = tokenizer.bos_token_id
    ids = tokenizer("a", verbose=False).input_ids
    return bos if bos is not None and ids and ids[0] == bos else None


def _context(config: Any, tokenizer: Any) -> int:
    """Longest input in tokens: what the positions allow, else what the tokenizer says, else no limit to speak of."""
    positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    return int(positions or min(tokenizer.model_max_length, 1 << 20))
