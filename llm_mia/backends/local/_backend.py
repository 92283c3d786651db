"""Any causal language model that transformers loads, one forward pass a batch."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import ModelError
from ...records import FIELDS, DTypeChoice, IntArray, ModelRecord, TokenSignals, Window
from .. import Report
from .._context import refuse_beyond_context, sizes
from ..moments import Head, Moments, Reducer
from ._batching import batches
from ._causality import refuse_looking_ahead
from ._evaluating import evaluating
from ._identity import config_sha256, tensors_sha256
from ._memory import MEMORY_ERRORS, out_of_memory
from ._prefix import PrefixCache, ReadPrefix, read_prefix
from ._tokenizer import LocalTokenizer

__all__ = ["LocalBackend"]

# Tokens fed at once, padding included. A CPU is fastest where one layer's states stay in its cache; a GPU wants all it
# can hold.
CPU_TOKENS, CUDA_TOKENS = 1024, (1024, 65536)
# Largest difference between two ways to the same logits, relative to their spread, that rounding explains.
PROBE_TOLERANCE = {"float32": 1e-4, "bfloat16": 5e-2, "float16": 1e-2}


class LocalBackend:
    """A model and its tokenizer, already in memory.

    The model is in evaluation mode while it computes; otherwise it stays as it is, and so do its gradients.

    Args:
        model: of transformers, weights loaded.
        tokenizer: its tokenizer.
        name: what it is called in records and messages.
        revision: commit of a hub model.
        weights_sha256: digest of the weights, where it is known already.
        dtype_choice: how the precision was chosen, for the record, where ``auto`` chose it.
        tokens_per_batch: most tokens fed at once; None finds out, on CUDA from the memory that is free.
        compiled: see `llm_mia.backends.moments.Reducer`.

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
        dtype_choice: DTypeChoice | None = None,
        tokens_per_batch: int | None = None,
        compiled: bool = True,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.tokens = LocalTokenizer(tokenizer, name=name)
        """The same tokenizer, as `llm_mia.backends.Tokenizer` has it."""
        self.bos = self.tokens.bos
        self.device = model.get_input_embeddings().weight.device
        self._config = model.config.get_text_config()
        self.tokens_per_batch = tokens_per_batch or _tokens_per_batch(self._config, self.device, model.dtype)
        dtype = str(model.dtype).removeprefix("torch.")
        self._tolerance = PROBE_TOLERANCE.get(dtype, 5e-2)
        with evaluating(model):
            self.head = self._probe(self._tolerance)
        """What makes logits of `states`, by blocks of the vocabulary; None where only the model itself does."""
        self._kept: ReadPrefix | None = None
        like = torch.empty(0, dtype=model.dtype, device=self.device if self.head is None else self.head.weight.device)
        self._reduce = Reducer(self.head, self._config.vocab_size, like, compiled=compiled)
        self.offers = frozenset(FIELDS)
        self.info = ModelRecord(
            id=name,
            revision=revision,
            weights_sha256=weights_sha256 or tensors_sha256(model),
            config_sha256=config_sha256(model.config),
            dtype=dtype,
            tokenizer=self.tokens.fingerprint,
            context=_context(self._config, tokenizer),
            head="whole" if self.head is None else "blocked",
            dtype_choice=dtype_choice,
        )

    def encode(self, texts: Sequence[str]) -> list[IntArray]:
        """Token ids of each text, shape (n,), without special tokens added and without a limit on length."""
        return self.tokens.encode(texts)

    def score(
        self, windows: Sequence[Window], report: Report | None = None, *, prefix: IntArray | None = None
    ) -> list[TokenSignals]:
        """The signals of each window's scored tokens, in the order given; *report* gets each batch's tokens.

        A *prefix* runs once, for as long as it stays the same; the backend keeps the keys and values of the last one.
        """
        with evaluating(self.model):
            return self._score(windows, report, prefix)

    def _score(self, windows: Sequence[Window], report: Report | None, prefix: IntArray | None) -> list[TokenSignals]:
        read = None if prefix is None or not windows else self._read(prefix, windows)
        if read is not None and read.cache is None:
            shift = len(read.tokens)
            windows = [
                replace(w, tokens=np.concatenate([read.tokens, w.tokens]), first_scored=w.first_scored + shift)
                for w in windows
            ]
            read = None
        results: list[TokenSignals | None] = [None] * len(windows)
        costs = [len(w.tokens) + (read.cost if read else 0) for w in windows]
        waiting = deque(batches(costs, self.tokens_per_batch))
        while waiting:
            batch = waiting.popleft()
            try:
                scored = self._score_batch([windows[i] for i in batch], read)
            except MEMORY_ERRORS as error:
                if not out_of_memory(error):
                    raise
                waiting.extendleft(reversed(self._halved(batch, costs, len(windows[batch[0]].tokens))))
                continue
            for position, signals in zip(batch, scored, strict=True):
                results[position] = signals
            if report:
                report(sum(map(len, scored)))
        return [one for one in results if one is not None]

    def _halved(self, batch: Sequence[int], costs: Sequence[int], longest: int) -> list[list[int]]:
        """The same windows in two batches, after one was too much for the memory; so are all later ones."""
        if len(batch) == 1:
            raise ModelError(
                f"model {self.info.id!r}: out of memory with one window of {longest} tokens: "
                "ask for shorter ones with `window_tokens`, or for another `device`"
            )
        self.tokens_per_batch = max(1, min(self.tokens_per_batch, costs[batch[0]] * len(batch)) // 2)
        torch.cuda.empty_cache()
        middle = len(batch) // 2
        return [list(batch[:middle]), list(batch[middle:])]

    def _read(self, prefix: IntArray, windows: Sequence[Window]) -> ReadPrefix:
        """What is kept of *prefix*, read now if need be.

        Raises:
            ModelError: it does not fit the model's context, or the memory, with the longest of *windows*.
        """
        refuse_beyond_context(self.info, prefix, windows)
        longest = max((w.tokens for w in windows), key=len)
        if self._kept is None or not self._kept.serves(prefix, len(longest)):
            self._kept = None  # its memory may be wanted
            try:
                self._kept = read_prefix(self._states_after, prefix, longest, self._tolerance)
            except MEMORY_ERRORS as error:
                if not out_of_memory(error):
                    raise
                raise ModelError(
                    f"model {self.info.id!r}: out of memory with {sizes(prefix, windows)}: give fewer or shorter "
                    "`shots`, or ask for another `device`"
                ) from None
        return self._kept

    def _states_after(self, ids: Tensor, cache: PrefixCache) -> Tensor:
        return self.states(ids.to(self.device), self.head, cache)

    @torch.inference_mode()
    def _score_batch(self, windows: Sequence[Window], read: ReadPrefix | None) -> list[TokenSignals]:
        # Padding stands on the right of a causal model, which never looks there: no mask, no effect on any score.
        longest = max(len(w.tokens) for w in windows)
        padded = np.stack([np.pad(w.tokens, (0, longest - len(w.tokens)), mode="edge") for w in windows])
        ids = torch.from_numpy(padded).long().to(self.device)
        targets = torch.cat([ids[i, w.first_scored : len(w.tokens)] for i, w in enumerate(windows)])
        rows = []
        for w, own in zip(windows, self.states(ids, self.head, read.cache if read else None), strict=True):
            if w.first_scored == 0:
                assert read is not None, "without a prefix nothing predicts the first token"
                rows.append(read.last)
            rows.append(own[max(0, w.first_scored - 1) : len(w.tokens) - 1])
        states = torch.cat(rows)
        return self._split(self._reduce(states, targets.to(states.device)), windows)

    def states(self, ids: Tensor, head: Head | None, cache: PrefixCache | None = None) -> Tensor:
        """What *head* takes, shape (batch, tokens, width), or the model's own logits where there is none."""
        # Models go on from a cache that is given, whatever use_cache says: it only asks for a new one.
        given = {} if cache is None else {"past_key_values": cache}
        if head is None:
            logits: Tensor = self.model(input_ids=ids, use_cache=False, **given).logits
            return logits
        states: Tensor = self.model.base_model(input_ids=ids, use_cache=False, **given).last_hidden_state
        return states.to(head.weight)  # the device and the precision: some models keep their last state in float32

    def _split(self, moments: Moments, windows: Sequence[Window]) -> list[TokenSignals]:
        logprob, mean, std, top, rank = (column.cpu().numpy() for column in moments)
        if np.isnan(logprob).any():
            raise ModelError(f"model {self.info.id!r} gives NaN in {self.info.dtype}: try `dtype` float32 or bfloat16")
        rank = rank.astype(np.int32)
        ends = np.cumsum([len(w.tokens) - w.first_scored for w in windows])
        return [
            TokenSignals(
                token_ids=w.tokens[w.first_scored :],
                logprob=logprob[start:end],
                mean=mean[start:end],
                std=std[start:end],
                top=top[start:end],
                rank=rank[start:end],
                tokenizer=self.info.tokenizer,
            )
            for w, start, end in zip(windows, [0, *ends[:-1]], ends, strict=True)
        ]

    @torch.inference_mode()
    def _probe(self, tolerance: float) -> Head | None:
        """The head that gives the model's own logits, if there is one; refuse a model that sees what comes later."""
        generator = torch.Generator().manual_seed(0)
        ids = torch.randint(0, self._config.vocab_size, (1, 12), generator=generator).to(self.device)
        own = self.model(input_ids=ids, use_cache=False).logits.float()
        spread = float(own.std()) or 1.0
        if not math.isfinite(spread) and not bool(own.isneginf().any()):
            raise ModelError("its logits are not numbers: weights damaged, or out of the range of this dtype")
        refuse_looking_ahead(self.model, ids, tolerance)
        head = None if self.model.base_model is self.model else Head.of(self.model)
        if head is None:
            return None
        logits = head.logits(self.states(ids, head)[0])[None].float().to(own.device)
        same = logits.shape == own.shape and float((logits - own).abs().max()) <= tolerance * spread
        return head if same else None


def _tokens_per_batch(config: Any, device: torch.device, dtype: torch.dtype) -> int:
    """As many as half of the free memory holds, where memory is what speed is bounded by."""
    if device.type != "cuda":
        return CPU_TOKENS
    free, _ = torch.cuda.mem_get_info(device)
    width = config.hidden_size
    # One layer's states live at a time: the residual stream, queries, keys, values, and the wide middle of the MLP.
    bytes_per_token = dtype.itemsize * (12 * width + 4 * (getattr(config, "intermediate_size", None) or 4 * width))
    least, most = CUDA_TOKENS
    return int(min(most, max(least, free // 2 // bytes_per_token)))


def _context(config: Any, tokenizer: Any) -> int:
    """Longest input in tokens: what the positions allow, else what the tokenizer says, else no limit to speak of."""
    positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    return int(positions or min(tokenizer.model_max_length, 1 << 20))
