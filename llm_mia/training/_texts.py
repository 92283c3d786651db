"""The texts of a training as token ids: which are trained on, and which are set aside."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..backends.local import LocalBackend
from ..errors import UsageError
from ..records import IntArray
from ._recipe import Recipe

__all__ = ["TrainingTexts", "prepare_texts", "texts_sha256"]


@dataclass(frozen=True, slots=True)
class TrainingTexts:
    """The texts of a training as token ids, each with the tokens that open every text."""

    trained: list[Tensor]
    validation: list[Tensor]
    set_aside: tuple[int, ...]
    """Positions of the texts that early stopping sets aside for validation."""
    tokens: int
    """Tokens of the trained texts, without those that open every text."""
    cut: int
    """How many of the trained texts are longer than the model's context, where they are cut."""


def prepare_texts(
    base: LocalBackend, texts: Sequence[str], recipe: Recipe, validation: Sequence[str] = ()
) -> TrainingTexts:
    """The token ids of *texts* and of the texts for validation.

    A text with fewer than two tokens, opening included, is left out, because nothing in it is predicted.

    Raises:
        UsageError: no text is left to train on, or too few to set some aside.
    """
    if not texts:
        raise UsageError("`texts` is empty: give the texts to train on")
    first: dict[str, int] = {}
    for i, text in enumerate(texts):
        first.setdefault(text, i)
    kept = [*first.values()] if recipe.deduplicate else [*range(len(texts))]
    set_aside = () if recipe.early_stopping is None or validation else _set_aside(texts, kept, recipe)
    without = set(set_aside)
    kept = [i for i in kept if i not in without]
    encoded = base.encode([texts[i] for i in kept])
    opening, context = torch.tensor(base.opening, dtype=torch.long), base.info.context

    def whole(ids: IntArray) -> Tensor:
        return torch.cat([opening, torch.from_numpy(ids).long()])

    trained = [ids for ids in map(whole, encoded) if len(ids) > 1]
    if not trained:
        raise UsageError("`texts` has no text of two tokens or more, so nothing can be predicted: give longer texts")
    aside = validation or [texts[i] for i in set_aside]
    checked = [ids[:context] for ids in map(whole, base.encode(aside) if aside else []) if len(ids) > 1]
    if recipe.early_stopping is not None and not checked:
        raise UsageError("`validation` has no text of two tokens or more: give longer texts for `early_stopping`")
    fitting = [ids[:context] for ids in trained]
    return TrainingTexts(
        fitting,
        checked,
        tuple(set_aside),
        sum(map(len, fitting)) - len(opening) * len(fitting),
        sum(len(ids) < len(before) for ids, before in zip(fitting, trained, strict=True)),
    )


def _set_aside(texts: Sequence[str], kept: Sequence[int], recipe: Recipe) -> tuple[int, ...]:
    """Positions of the share of the different texts that early stopping sets aside; copies of a text stay together."""
    assert recipe.early_stopping is not None
    distinct = sorted({texts[i]: None for i in kept}, key=lambda text: _drawn(text, recipe.seed))
    number = max(1, round(recipe.early_stopping.share * len(distinct)))
    if number >= len(distinct):
        raise UsageError(
            f"`texts` has {len(distinct)} different texts, and `early_stopping` sets {number} of them aside: give more "
            "texts, or leave out `early_stopping`"
        )
    chosen = set(distinct[:number])
    return tuple(i for i in kept if texts[i] in chosen)


def _drawn(text: str, seed: int) -> bytes:
    """A number that is random in the seed and the text, and does not depend on the other texts."""
    return hashlib.sha256(f"early stopping\0{seed}\0{text}".encode()).digest()


def texts_sha256(texts: Sequence[str]) -> str:
    """The digest of *texts* in their order."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
