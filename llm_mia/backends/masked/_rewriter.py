"""Neighbours of a passage by a masked language model: some words are masked and replaced by other likely words."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from ...errors import ModelError, UsageError
from ...rewriting import choose, draws
from ..checking import missing_config_message
from ..local import (
    AS_TEXT,
    SpecialTokens,
    batches,
    first_line,
    is_out_of_memory,
    locate_model,
    missing_spans_message,
    name_model_in_errors,
    read_tokenizer,
    read_weights,
    reader_of_text,
    resolve_device,
    silence_libraries,
    surrounding_tokens,
)
from ._fillers import Fillers, draw_columns
from ._spans import eligible_units, match_case, replace_spans, units_of

__all__ = ["MaskedRewriter", "RewritingPlan"]

LONGEST_WINDOW = 512
# Every token of a batch gets logits over the whole vocabulary, in float32; at least one window is fed.
LOGITS_BYTES = {"cpu": 1 << 28, "cuda": 1 << 31}
# A mask is replaced by one of this many likeliest words.
CANDIDATES = 5


@dataclass(frozen=True, slots=True)
class RewritingPlan:
    """The masked tokens of a text."""

    text: str
    ids: list[int]
    """The tokens of the text with masks, without special tokens."""
    masked: list[int]
    """The positions of the masks in `ids`, ascending."""
    spans: list[tuple[int, int]]
    """Start and end of each masked word in the text, in characters."""
    originals: list[int]
    """The token under each mask; the mask token itself for a word of several tokens."""
    draws: list[float]
    """A number from [0, 1) for each mask, uniform: it chooses the new word."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text that is fed at once."""

    ids: list[int]
    """The tokens with masks and special tokens."""
    masked: list[int]
    """The positions of the masks in `ids`, ascending."""
    words: list[str]
    """The word of the text under each mask."""
    originals: list[int]
    """The token under each mask."""
    draws: list[float]
    """See `RewritingPlan`."""


class MaskedRewriter:
    """A masked language model that replaces words of a text by other likely words, as in arXiv:2305.18462.

    A share of the words that are single tokens is masked (in a text with few such words, a share of the tokens). Each
    mask is replaced by one of the five likeliest whole words other than the original, drawn by their probabilities.
    Everything else in the text stays the same, and the new words take the case of the words that they replace. A text
    that is longer than the model's context is rewritten in several windows.

    The authors' code (justusmattern27/neighbour-mia, ``attack.py``) differs. It returns the decoded tokens, so the
    neighbours of an uncased model also lose every capital; it replaces one token whatever the length of the text; it
    may insert parts of words anywhere; it cuts texts at 512 tokens; and it hides the word by dropout of its embedding,
    where this class masks it, as in the model's training.

    A version depends on the text, its number, the seed and the model; other texts only change the rounding.

    Args:
        name: a hub id or a folder.
        revision: branch, tag or commit of a hub model.
        device: ``auto`` (CUDA where there is one, else the CPU) or a torch device.
        seed: draws the words.
        share: the share of a text's words that are replaced; at least one word is.
        tokens_per_batch: most tokens fed at once; None: as many as the memory for logits allows.

    Raises:
        ModelError: there is no such model, it is not a masked language model, or its tokenizer does not report the
            position of each token in a text.
        UsageError: *share* is not in (0, 1].
    """

    def __init__(
        self,
        name: str,
        revision: str | None = None,
        device: str = "auto",
        seed: int = 0,
        share: float = 0.1,
        tokens_per_batch: int | None = None,
    ) -> None:
        if not 0 < share <= 1:
            raise UsageError(f"`share` must be above 0 and at most 1: got {share}")
        self.name, self.seed, self.share = name, seed, share
        with silence_libraries(), name_model_in_errors(name):
            folder, self.revision = locate_model(name, revision)
            self.tokenizer = _read_fast_tokenizer(folder)
            model = _read_masked_model(folder)
            device = resolve_device(device)
            self.model = model.to("cuda" if device == "auto" else device).eval()
            self._reader = reader_of_text(self.tokenizer, SpecialTokens(self.tokenizer))
            self._before, self._after = surrounding_tokens(self.tokenizer)
            vocabulary = model.get_input_embeddings().num_embeddings
            self._fillers = Fillers(self.tokenizer, vocabulary)
        self.room = _context(model, self.tokenizer) - len(self._before) - len(self._after)
        logits_bytes = LOGITS_BYTES.get(self.model.device.type, LOGITS_BYTES["cuda"])
        self.tokens_per_batch = tokens_per_batch or logits_bytes // (4 * vocabulary)

    def rewrite(self, texts: Sequence[str], number: int) -> list[str]:
        """The version *number* of each text; a text of blanks alone is not changed.

        Raises:
            ModelError: the model gives NaN, fails, or has too little memory for a single window.
        """
        plans = [self.plan(text, number) for text in texts]
        pieces = [piece for plan in plans for piece in self._pieces(plan)]
        words_of: list[list[str]] = [[] for _ in pieces]
        for batch in batches([len(piece.ids) for piece in pieces], self.tokens_per_batch):
            words = iter(self._choose_words_in_parts([pieces[i] for i in batch]))
            for i in batch:
                words_of[i] = [next(words) for _ in pieces[i].masked]
        all_words = iter([word for words in words_of for word in words])
        return [replace_spans(plan.text, plan.spans, all_words) for plan in plans]

    def plan(self, text: str, number: int) -> RewritingPlan:
        """Which words of *text* its version *number* replaces."""
        encoded = self._reader(text, **AS_TEXT, return_offsets_mapping=True)
        candidates = eligible_units(text, units_of(text, encoded))
        count = min(len(candidates), max(1, int(self.share * len(candidates) + 0.5)))
        numbers = draws(f"masked {self.seed} {number}", text, 2 * count)
        units = [candidates[i] for i in sorted(choose(count, len(candidates), numbers[:count]))]
        mask, copied = self.tokenizer.mask_token_id, 0
        ids: list[int] = []
        masked = []
        for unit in units:
            ids += encoded.input_ids[copied : unit.first]
            masked.append(len(ids))
            ids.append(mask)
            copied = unit.stop
        return RewritingPlan(
            text,
            ids + encoded.input_ids[copied:],
            masked,
            [(unit.start, unit.end) for unit in units],
            [encoded.input_ids[unit.first] if unit.stop == unit.first + 1 else mask for unit in units],
            [number * 2.0**-64 for number in numbers[count:]],
        )

    def _pieces(self, plan: RewritingPlan) -> Iterator[Piece]:
        """The text in windows of similar length that fit the model, but for windows without a mask."""
        count = -(-len(plan.ids) // self.room)
        for start, end in pairwise(len(plan.ids) * i // max(1, count) for i in range(count + 1)):
            window = slice(bisect_left(plan.masked, start), bisect_left(plan.masked, end))
            if window.start < window.stop:
                yield Piece(
                    [*self._before, *plan.ids[start:end], *self._after],
                    [i - start + len(self._before) for i in plan.masked[window]],
                    [plan.text[start:end] for start, end in plan.spans[window]],
                    plan.originals[window],
                    plan.draws[window],
                )

    def _choose_words_in_parts(self, pieces: Sequence[Piece]) -> list[str]:
        """`_choose_words`; where the memory is too small, of one half and then of the other."""
        try:
            return self._choose_words(pieces)
        except ModelError:
            raise
        except Exception as error:  # hundreds of model classes, each of which fails in its own way
            size = f"a window of {len(pieces[0].ids)} tokens"
            if not is_out_of_memory(error):
                raise ModelError(
                    f"model {self.name!r} fails on {size} ({first_line(error)}): give another masked language model"
                ) from error
            if len(pieces) == 1:
                raise ModelError(f"model {self.name!r} is out of memory with {size}: give another `device`") from error
        torch.cuda.empty_cache()
        self.tokens_per_batch = max(1, self.tokens_per_batch // 2)
        middle = len(pieces) // 2
        return self._choose_words_in_parts(pieces[:middle]) + self._choose_words_in_parts(pieces[middle:])

    @torch.inference_mode()
    def _choose_words(self, pieces: Sequence[Piece]) -> list[str]:
        """A new word for each mask, in order."""
        longest, padding = max(len(piece.ids) for piece in pieces), self.tokenizer.pad_token_id or 0
        ids = torch.tensor([piece.ids + [padding] * (longest - len(piece.ids)) for piece in pieces])
        seen = torch.tensor([[1] * len(piece.ids) + [0] * (longest - len(piece.ids)) for piece in pieces])
        logits = self.model(input_ids=ids.to(self.model.device), attention_mask=seen.to(self.model.device)).logits
        rows = torch.tensor([(i, place) for i, piece in enumerate(pieces) for place in piece.masked]).T
        words = [word for piece in pieces for word in piece.words]
        originals = [token for piece in pieces for token in piece.originals]
        tokens, values = self._fillers.likeliest(logits[rows[0], rows[1]].float().cpu(), originals, words, CANDIDATES)
        if np.isnan(values).any():
            raise ModelError(f"model {self.name!r} gives NaN: are its weights damaged?")
        columns = draw_columns(values, [number for piece in pieces for number in piece.draws])
        chosen = [self._fillers.words[token] for token in tokens[np.arange(len(tokens)), columns].tolist()]
        return [match_case(*pair) for pair in zip(words, chosen, strict=True)]


def _read_fast_tokenizer(folder: Path) -> Any:
    if not folder.is_dir():
        raise ModelError("is a GGUF file, which holds no masked language model: name a folder or a hub id")
    tokenizer = read_tokenizer(folder)
    if not tokenizer.is_fast:
        raise ModelError(missing_spans_message(tokenizer))
    if tokenizer.mask_token_id is None:
        raise ModelError("not a masked language model: its tokenizer has no mask token; name a model such as BERT")
    return tokenizer


def _read_masked_model(folder: Path) -> Any:
    if not (folder / "config.json").is_file():
        raise ModelError(missing_config_message(folder))
    config = transformers.AutoConfig.from_pretrained(folder)
    if type(config) not in transformers.MODEL_FOR_MASKED_LM_MAPPING:
        raise ModelError(f"not a masked language model ({type(config).__name__}): name a model such as BERT")
    return read_weights(
        transformers.AutoModelForMaskedLM,
        folder,
        torch.float32,
        problem="its weights are not those of a masked language model",
        remedy="name a model such as BERT, with its head for masks",
        config=config,
    )


def _context(model: Any, tokenizer: Any) -> int:
    """The longest input in tokens, special tokens included."""
    longest = min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", None) or LONGEST_WINDOW)
    for name, module in model.named_modules():
        # RoBERTa and similar models count positions from the position after the padding.
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            longest = min(longest, module.num_embeddings - module.padding_idx - 1)
    return int(min(longest, LONGEST_WINDOW))
