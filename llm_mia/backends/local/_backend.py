"""Any causal language model that transformers loads: one forward pass for each batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import ModelError
from ...records import CONTINUATIONS, FIELDS, DTypeChoice, IntArray, ModelRecord, TokenSignals, Window
from .. import Report
from .._context import WindowError, describe_lengths, refuse_beyond_context, refuse_no_numbers
from ..moments import Moments, Reducer
from ._batching import batches, fitting_tokens
from ._context_length import context_of
from ._embeddings import count_embeddings, refuse_beyond_embeddings
from ._evaluation import evaluation_mode
from ._forward import FailedWindow, Forward
from ._identity import config_sha256, tensors_sha256
from ._libraries import name_model_in_errors
from ._memory import MEMORY_ERRORS, is_out_of_memory
from ._model_check import checked_head
from ._prefix import ComputedPrefix, PrefixCache, compute_prefix
from ._sampling import sample
from ._tokenizer import LocalTokenizer
from .float32 import copy_in_float32, load_in_float32

__all__ = ["LocalBackend"]

# The largest difference that rounding explains between two ways to compute the same logits, relative to their spread.
PROBE_TOLERANCE = {"float32": 1e-4, "bfloat16": 5e-2, "float16": 1e-2}


class LocalBackend:
    """A model and its tokenizer, already in memory.

    The model is in evaluation mode while it computes; afterwards its mode and its gradients are as before.

    Args:
        model: a model of transformers with its weights.
        tokenizer: its tokenizer.
        name: the name in records and messages.
        revision: the commit of a hub model.
        weights_sha256: the digest of the weights; None: it is computed.
        dtype_choice: how ``auto`` chose the precision, for the record.
        tokenizer_source: as in `ModelRecord.tokenizer_source`.
        templated: as for `LocalTokenizer`.
        temperature: divides the logits.
        tokens_per_batch: most tokens fed at once; None: the backend chooses, on CUDA by the free memory.
        compiled: see `llm_mia.backends.moments.Reducer`.
        read_float32: reads the model in float32 from its files; None: it is a copy of *model*.

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
        tokenizer_source: str = "",
        templated: bool = False,
        temperature: float = 1.0,
        tokens_per_batch: int | None = None,
        compiled: bool = True,
        read_float32: Callable[[], Any] | None = None,
    ) -> None:
        self.model = model
        self._read_float32 = read_float32 or partial(copy_in_float32, model)
        self.tokenizer = tokenizer
        self.tokens = LocalTokenizer(tokenizer, name=name, templated=templated)
        """The same tokenizer, as a `llm_mia.backends.Tokenizer`."""
        self.opening = self.tokens.opening
        self._embeddings = count_embeddings(model)
        refuse_beyond_embeddings(self.opening, self._embeddings, tokenizer)
        self.device = model.get_input_embeddings().weight.device
        self._config = model.config.get_text_config()
        self.tokens_per_batch = tokens_per_batch or fitting_tokens(self._config, self.device, model.dtype)
        dtype = str(model.dtype).removeprefix("torch.")
        self.tolerance = PROBE_TOLERANCE.get(dtype, 5e-2)
        """See `PROBE_TOLERANCE`."""
        self.forward = Forward(model, tokenizer, self.device, name)
        """Feeds token ids to the model."""
        with evaluation_mode(model):
            self.head = self.forward.head = checked_head(self.forward, model, self.device, self.tolerance)
            """Computes logits from `states`, by blocks of rows; None where only the model itself can compute them."""
        self.prefix: ComputedPrefix | None = None
        """The last prefix, which is computed once for as long as it stays the same."""
        like = torch.empty(0, dtype=model.dtype, device=self.device if self.head is None else self.head.weight.device)
        self._reduce = Reducer(self.head, self._config.vocab_size, like, compiled=compiled, temperature=temperature)
        self.offers = frozenset({*FIELDS, CONTINUATIONS})
        self.info = ModelRecord(
            id=name,
            revision=revision,
            weights_sha256=weights_sha256 or tensors_sha256(model),
            config_sha256=config_sha256(model.config, temperature),
            dtype=dtype,
            tokenizer=self.tokens.fingerprint,
            context=context_of(model, self._config, tokenizer),
            head="whole" if self.head is None else "blocked",
            dtype_choice=dtype_choice,
            tokenizer_source=tokenizer_source,
            templated=templated,
            temperature=temperature,
            opening=self.opening,
            opening_text=tuple(tokenizer.convert_ids_to_tokens(list(self.opening))),
        )

    def in_float32(self) -> LocalBackend:
        """The same model in float32, see `llm_mia.backends.Comparable`; its reductions are not compiled."""
        info = self.info

        def load() -> LocalBackend:
            return LocalBackend(
                self._read_float32(),
                self.tokenizer,
                name=info.id,
                weights_sha256=info.weights_sha256,
                templated=info.templated,
                temperature=info.temperature,
                tokens_per_batch=self.tokens_per_batch,
                compiled=False,
            )

        return load_in_float32(load, self.model, self.device, info.id)

    def encode(self, texts: Sequence[str]) -> list[IntArray]:
        """Token ids of each text, shape (n,), without special tokens added and without a limit on length.

        Raises:
            ModelError: the model has no embedding of a token, or the tokenizer cannot read a special token as text.
        """
        encoded = self.tokens.encode(texts)
        with name_model_in_errors(self.info.id):
            for ids in encoded:
                refuse_beyond_embeddings(ids, self._embeddings, self.tokenizer)
        return encoded

    def special_token_in(self, text: str) -> str | None:
        """The first special token of the tokenizer that is written in *text*; None where there is none."""
        return self.tokens.special_tokens.first_in(text)

    def score(
        self, windows: Sequence[Window], report: Report | None = None, *, prefix: IntArray | None = None
    ) -> list[TokenSignals]:
        """The signals of each window's scored tokens, in the order of *windows*; *report* is called after every batch.

        Where the memory is too small for a batch, all later batches are at most half as large. Windows are fed together
        only where the model computes both lengths alike, see `LengthRule`.

        Raises:
            WindowError: the model fails on a window.
        """
        before = 0 if prefix is None else len(prefix)
        lengths = [before + len(window.tokens) for window in windows]
        results: dict[int, TokenSignals] = {}
        with evaluation_mode(self.model):
            rule = self.forward.length_rule(max(lengths, default=0), self.tolerance)
            groups: dict[int, list[int]] = {}
            for i in np.argsort(lengths, kind="stable")[::-1].tolist():  # the longest first: it needs most memory
                groups.setdefault(rule.group(lengths[i]), []).append(i)
            for group, positions in groups.items():
                positions.sort()
                scored = self._score_group([windows[i] for i in positions], report, prefix, group)
                results.update(zip(positions, scored, strict=True))
            self.forward.forget_lengths()  # the caller may go on with the model
        return [results[i] for i in range(len(windows))]

    def _score_group(
        self, windows: Sequence[Window], report: Report | None, prefix: IntArray | None, group: int
    ) -> list[TokenSignals]:
        computed = None
        if prefix is not None:
            refuse_beyond_context(self.info, prefix, windows)
            # In a group of a single length the prefix would be computed again for each group.
            computed = None if group > 0 else self._compute_prefix(prefix, windows, group)
            if computed is None or computed.cache is None:
                windows, computed = _prepend(prefix, windows), None
        try:
            return self._score(windows, report, computed)
        except FailedWindow as failed:
            fed = failed.window.tokens if computed is None else np.concatenate([computed.tokens, failed.window.tokens])
            problem = self.forward.describe_failure(fed, failed.error, 0 if prefix is None else len(prefix))
            raise WindowError(f"model {self.info.id!r} {problem}", failed.window.passage) from failed.error

    def _score(
        self, windows: Sequence[Window], report: Report | None, prefix: ComputedPrefix | None
    ) -> list[TokenSignals]:
        results: dict[int, TokenSignals] = {}
        costs = [len(w.tokens) + (prefix.cost if prefix else 0) for w in windows]
        queue = deque(batches(costs, self.tokens_per_batch))
        while queue:
            batch = queue.popleft()
            scored = self._score_batch_or_none([windows[i] for i in batch], prefix)
            if scored is None:
                self._reduce_batches(costs[batch[0]] * len(batch), [windows[i] for i in batch])
                remaining = sorted(set(batch).union(*queue))
                smaller = batches([costs[i] for i in remaining], self.tokens_per_batch)
                queue = deque([remaining[i] for i in positions] for positions in smaller)
                continue
            results.update(zip(batch, scored, strict=True))
            if report:
                report(sum(map(len, scored)))
        return [results[i] for i in range(len(windows))]

    def _reduce_batches(self, cost: int, windows: Sequence[Window]) -> None:
        """Halve the size of all later batches, after the memory was too small for *windows*, of *cost* tokens."""
        if len(windows) == 1:
            raise WindowError(
                f"model {self.info.id!r}: out of memory with a single window of {len(windows[0].tokens)} tokens: "
                "give a smaller `window_tokens`, or another `device`",
                windows[0].passage,
            )
        self.tokens_per_batch = max(1, min(self.tokens_per_batch, cost) // 2)
        torch.cuda.empty_cache()

    def _compute_prefix(self, prefix: IntArray, windows: Sequence[Window], group: int) -> ComputedPrefix:
        """The computed *prefix*; the last one where it serves *windows*, whose lengths with it are in *group*.

        Raises:
            ModelError: it does not fit the memory with the longest of *windows*.
        """
        longest = max((w.tokens for w in windows), key=len)
        if self.prefix is None or not self.prefix.serves(prefix, len(longest), group):
            self.prefix = None  # frees its memory
            try:
                self.prefix = compute_prefix(self._states_with_cache, prefix, longest, self.tolerance, group)
            except MEMORY_ERRORS as error:
                if not is_out_of_memory(error):
                    raise
                raise ModelError(
                    f"model {self.info.id!r}: out of memory with {describe_lengths(prefix, windows)}: give fewer or "
                    "shorter `shots`, or another `device`"
                ) from None
        return self.prefix

    def _states_with_cache(self, ids: Tensor, cache: PrefixCache) -> Tensor:
        return self.forward.states(ids.to(self.device), self.head, cache)

    def _score_batch_or_none(
        self, windows: Sequence[Window], prefix: ComputedPrefix | None
    ) -> list[TokenSignals] | None:
        """The signals of a batch; None where the memory was too small.

        Raises:
            FailedWindow: the model fails on one of *windows*.
        """
        try:
            return self._score_batch(windows, prefix)
        except WindowError:
            raise
        except Exception as error:  # hundreds of model classes, each of which fails in its own way
            if is_out_of_memory(error):
                return None
            if len(windows) == 1:
                raise FailedWindow(windows[0], error) from error
        # One after another they show which of them it is, or that the model takes a single row at a time.
        alone = [self._score_batch_or_none([window], prefix) for window in windows]
        return None if None in alone else [signals for (signals,) in filter(None, alone)]

    def sample(
        self, prompts: Sequence[str], *, number: int, max_tokens: int, temperature: float, seed: int
    ) -> list[list[str]]:
        """Continuations of each prompt, see `llm_mia.backends.Sampler`."""
        return sample(self, prompts, number=number, max_tokens=max_tokens, temperature=temperature, seed=seed)

    def check_length(self, tokens: int, prefix: int = 0) -> None:
        """Feed *prefix* and *tokens* random tokens to the first layer of the model: faults with length show there.

        Raises:
            ModelError: the model fails on it.
        """
        with evaluation_mode(self.model):
            self.forward.check_length(tokens, prefix)

    @torch.inference_mode()
    def _score_batch(self, windows: Sequence[Window], prefix: ComputedPrefix | None) -> list[TokenSignals]:
        # Padding is on the right, and a causal model never looks there: it needs no mask and changes no score.
        longest = max(len(w.tokens) for w in windows)
        padded = np.stack([np.pad(w.tokens, (0, longest - len(w.tokens)), mode="edge") for w in windows])
        ids = torch.from_numpy(padded).long().to(self.device)
        targets = torch.cat([ids[i, w.first_scored : len(w.tokens)] for i, w in enumerate(windows)])
        rows = []
        of_windows = self.forward.states(ids, self.head, prefix.cache if prefix else None)
        for w, states in zip(windows, of_windows, strict=True):
            if w.first_scored == 0:
                assert prefix is not None, "without a prefix nothing predicts the first token"
                rows.append(prefix.last_state)
            rows.append(states[max(0, w.first_scored - 1) : len(w.tokens) - 1])
        predictions = torch.cat(rows)
        return self._split(self._reduce(predictions, targets.to(predictions.device)), windows)

    def _split(self, moments: Moments, windows: Sequence[Window]) -> list[TokenSignals]:
        logprob, mean, std, top, rank = (column.cpu().numpy() for column in moments)
        rank = rank.astype(np.int32)
        ends = np.cumsum([len(w.tokens) - w.first_scored for w in windows])
        scored = [
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
        refuse_no_numbers(self.info, windows, scored)
        return scored


def _prepend(prefix: IntArray, windows: Sequence[Window]) -> list[Window]:
    """The *windows* with *prefix* in each of them, unscored."""
    n = len(prefix)
    return [replace(w, tokens=np.concatenate([prefix, w.tokens]), first_scored=w.first_scored + n) for w in windows]
