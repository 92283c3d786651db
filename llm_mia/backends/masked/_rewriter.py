"""Neighbours of a passage by a masked language model: some words masked, each filled with another that fits there."""

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
from numpy.typing import NDArray

from ...errors import ModelError, UsageError
from ...rewriting import choose, draws
from ..local._batching import batches
from ..local._loading import Options, _folder, _readable, _refuse_absent, _tokenizer, quiet
from ..local._tokenizer import without_spans
from ._fillers import Fillers
from ._spans import eligible, in_the_case_of, spliced, units

__all__ = ["MaskedRewriter"]

LONGEST_WINDOW = 512
# Every token of a batch gets logits over the whole vocabulary, in float32; one window is fed at least.
LOGITS_BYTES = {"cpu": 1 << 28, "cuda": 1 << 31}
CANDIDATES = 5
DOUBLES = 2.0**-64


@dataclass(frozen=True, slots=True)
class Plan:
    """Which tokens of one text are masked."""

    text: str
    ids: list[int]
    """The tokens of the text, without special tokens, masks set."""
    masked: list[int]
    """Their places in `ids`, ascending."""
    spans: list[tuple[int, int]]
    """Where the words under the masks stand in the text, in characters."""
    originals: list[int]
    """The token under each mask; the mask's own where there were several."""
    draws: list[float]
    """One for each mask, even over [0, 1): they choose what is filled in."""


@dataclass(frozen=True, slots=True)
class Piece:
    """As much of a text as is fed at once."""

    ids: list[int]
    """Special tokens included, masks set."""
    places: list[int]
    """Of the masks in `ids`."""
    words: list[str]
    """What the text has there."""
    originals: list[int]
    """The token under each mask."""
    draws: list[float]
    """One for each mask; see `Plan`."""


class MaskedRewriter:
    """A masked language model that rewrites texts as in 2305.18462: words of a text replaced by others that fit.

    A share of the words that are single tokens is masked (of a text that has few of them, of its tokens), and each mask
    is filled with one of the five likeliest whole words other than the one that stood there, drawn by their
    probabilities. Everything else in the text stays to the letter: the words are put into the text as it came, with the
    case of those they replace. The authors' code (justusmattern27/neighbour-mia, ``attack.py``) returns what the
    tokenizer makes of the tokens instead, so an uncased model's neighbours differ from the passage in every capital
    too; it replaces one token however long the text is, may put pieces of words anywhere, and cuts at 512 tokens. Here
    a text that is longer than the model's context is filled in several windows. It hides the word by dropout of its
    embedding; here it is masked, as the model was trained to see it.

    A version depends on the text, its number, the seed and the model, and on the texts beside it only as far as they
    change the rounding of the arithmetic.

    Args:
        name: a hub id or a folder.
        revision: branch, tag or commit of a hub model.
        device: ``auto`` (CUDA where there is one, else the CPU) or a torch device.
        seed: of the choice of words.
        share: of the words of a text that are replaced; one at least.

    Raises:
        ModelError: there is no such model, it is no masked language model, or its tokenizer can't say where tokens are.
        UsageError: *share* is not in (0, 1].
    """

    def __init__(
        self, name: str, revision: str | None = None, device: str = "auto", seed: int = 0, share: float = 0.1
    ) -> None:
        if not 0 < share <= 1:
            raise UsageError(f"`share` must lie between 0 and 1, 0 excluded: got {share}")
        self.name, self.seed, self.share = name, seed, share
        options = Options("float32", device, trust_remote_code=False)
        with quiet(), _readable(name):
            folder, self.revision = _folder(name, revision)
            self.tokenizer = _fast_tokenizer(folder, options)
            model = _masked_model(folder)
            self.model = model.to("cuda" if options.torch_device == "auto" else options.torch_device).eval()
            self._before, self._after = _special(self.tokenizer)
            vocabulary = model.get_input_embeddings().num_embeddings
            self._fillers = Fillers(self.tokenizer, vocabulary)
        self.room = _context(model, self.tokenizer) - len(self._before) - len(self._after)
        self.tokens_per_batch = LOGITS_BYTES.get(self.model.device.type, LOGITS_BYTES["cuda"]) // (4 * vocabulary)

    def rewrite(self, texts: Sequence[str], number: int) -> list[str]:
        """The version *number* of each text; a text without anything but blanks stays as it is.

        Raises:
            ModelError: the model gives NaN.
        """
        plans = [self._plan(text, number) for text in texts]
        pieces = [piece for plan in plans for piece in self._pieces(plan)]
        filled: list[list[str]] = [[] for _ in pieces]
        for batch in batches([len(piece.ids) for piece in pieces], self.tokens_per_batch):
            words = iter(self._fill([pieces[i] for i in batch]))
            for i in batch:
                filled[i] = [next(words) for _ in pieces[i].places]
        in_order = iter([word for several in filled for word in several])
        return [spliced(plan.text, plan.spans, in_order) for plan in plans]

    def _plan(self, text: str, number: int) -> Plan:
        encoded = self.tokenizer(
            text, add_special_tokens=False, truncation=False, verbose=False, return_offsets_mapping=True
        )
        candidates = eligible(text, units(text, encoded))
        count = min(len(candidates), max(1, int(self.share * len(candidates) + 0.5)))
        numbers = draws(f"masked {self.seed} {number}", text, 2 * count)
        masked = [candidates[i] for i in sorted(choose(count, len(candidates), numbers[:count]))]
        mask, done = self.tokenizer.mask_token_id, 0
        ids: list[int] = []
        places = []
        for unit in masked:
            ids += encoded.input_ids[done : unit.first]
            places.append(len(ids))
            ids.append(mask)
            done = unit.stop
        return Plan(
            text,
            ids + encoded.input_ids[done:],
            places,
            [(unit.start, unit.end) for unit in masked],
            [encoded.input_ids[unit.first] if unit.stop == unit.first + 1 else mask for unit in masked],
            [one * DOUBLES for one in numbers[count:]],
        )

    def _pieces(self, plan: Plan) -> Iterator[Piece]:
        """The text in windows of like length that fit the model; those without a mask need not be fed."""
        count = -(-len(plan.ids) // self.room)
        for start, end in pairwise(len(plan.ids) * i // max(1, count) for i in range(count + 1)):
            here = slice(bisect_left(plan.masked, start), bisect_left(plan.masked, end))
            if here.start < here.stop:
                yield Piece(
                    [*self._before, *plan.ids[start:end], *self._after],
                    [i - start + len(self._before) for i in plan.masked[here]],
                    [plan.text[start:end] for start, end in plan.spans[here]],
                    plan.originals[here],
                    plan.draws[here],
                )

    @torch.inference_mode()
    def _fill(self, pieces: Sequence[Piece]) -> list[str]:
        """A word for each mask, in order."""
        longest, padding = max(len(piece.ids) for piece in pieces), self.tokenizer.pad_token_id or 0
        ids = torch.tensor([piece.ids + [padding] * (longest - len(piece.ids)) for piece in pieces])
        seen = torch.tensor([[1] * len(piece.ids) + [0] * (longest - len(piece.ids)) for piece in pieces])
        logits = self.model(input_ids=ids.to(self.model.device), attention_mask=seen.to(self.model.device)).logits
        rows = torch.tensor([(i, place) for i, piece in enumerate(pieces) for place in piece.places]).T
        words = [word for piece in pieces for word in piece.words]
        originals = [token for piece in pieces for token in piece.originals]
        found, values = self._fillers.likeliest(logits[rows[0], rows[1]].float().cpu(), originals, words, CANDIDATES)
        if np.isnan(values).any():
            raise ModelError(f"model {self.name!r} gives NaN: are its weights damaged?")
        columns = _drawn(values, [number for piece in pieces for number in piece.draws])
        chosen = [self._fillers.words[token] for token in found[np.arange(len(found)), columns].tolist()]
        return [in_the_case_of(*pair) for pair in zip(words, chosen, strict=True)]


def _fast_tokenizer(folder: Path, options: Options) -> Any:
    if not folder.is_dir():
        raise ModelError("a GGUF file, which holds no masked language model; name a folder or a hub id")
    tokenizer = _tokenizer(folder, options)
    if not tokenizer.is_fast:
        raise ModelError(without_spans(tokenizer))
    if tokenizer.mask_token_id is None:
        raise ModelError("not a masked language model: its tokenizer has no mask token; name one such as BERT")
    return tokenizer


def _masked_model(folder: Path) -> Any:
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise ModelError("holds no config.json, or no *.safetensors weights")
    config = transformers.AutoConfig.from_pretrained(folder)
    if type(config) not in transformers.MODEL_FOR_MASKED_LM_MAPPING:
        raise ModelError(f"not a masked language model ({type(config).__name__}); name one such as BERT")
    model, found = transformers.AutoModelForMaskedLM.from_pretrained(
        folder,
        config=config,
        dtype=torch.float32,
        use_safetensors=True,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
    )
    _refuse_absent(found, "of a masked language model")
    return model


def _special(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The tokens that open and close a window."""
    encoded = tokenizer("a word", return_special_tokens_mask=True)
    own = [i for i, special in enumerate(encoded.special_tokens_mask) if not special]
    return list(encoded.input_ids[: own[0]]), list(encoded.input_ids[own[-1] + 1 :])


def _context(model: Any, tokenizer: Any) -> int:
    """Longest input in tokens, special ones included."""
    longest = min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", None) or LONGEST_WINDOW)
    for name, module in model.named_modules():
        # RoBERTa and its kin count positions from the one after the padding's.
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            longest = min(longest, module.num_embeddings - module.padding_idx - 1)
    return int(min(longest, LONGEST_WINDOW))


def _drawn(values: NDArray[np.float64], numbers: Sequence[float]) -> NDArray[np.intp]:
    """A column for each row of logits, drawn by their softmax with a number from [0, 1); −inf has no share."""
    p = np.exp(values - values.max(axis=1, keepdims=True))
    reached = np.cumsum(p, axis=1) > np.array(numbers)[:, None] * p.sum(axis=1, keepdims=True)
    return np.asarray(reached.argmax(axis=1))
