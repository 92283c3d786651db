"""Models that compute the same tokens differently in a longer text: which lengths may share a batch, and a cache.

Rotary positions of the type ``longrope`` have other frequencies above a length, and those of the type ``dynamic`` have
other frequencies for every length above one. Both take the length of everything that is fed, padding included.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["LengthRule", "forget_lengths", "growing_modules", "is_known"]

# Types of rotary positions whose frequencies are the same for every length.
CONSTANT = {"default", "linear", "llama3", "proportional", "yarn"}
# A type that is computed anew for every length, in whatever spelling, and the types with two sets of frequencies.
GROWING, SWITCHING = "dynamic", {"longrope", "su"}
ENTRY = "original_max_position_embeddings"


@dataclass(frozen=True, slots=True)
class LengthRule:
    """The lengths, in tokens, between which the predictions of a model for the same tokens change."""

    switches: tuple[int, ...] = ()
    """Ascending: above each of these lengths the model computes differently."""
    separate_above: int | None = None
    """Above this length the model computes differently for every length; None: there is no such length."""

    def group(self, length: int) -> int:
        """A number that is equal for two lengths exactly where the model computes both alike.

        It is 1 or more where no other length is in the group, and else 0 or less.

        >>> rule = LengthRule(switches=(64,), separate_above=100)
        >>> [rule.group(length) for length in (63, 64, 65, 100, 101, 102)]
        [0, 0, -1, -1, 101, 102]
        """
        if self.separate_above is not None and length > self.separate_above:
            return length
        return -bisect_left(self.switches, length)

    @classmethod
    def of(cls, model: Any) -> LengthRule:
        """The rule of a *model* of transformers, from the types of its rotary positions."""
        switches, separate = set[int](), list[int]()
        for module, kind in _rotary_kinds(model):
            if GROWING in kind:
                separate.append(int(module.original_max_seq_len))
            elif kind not in CONSTANT:
                switches |= set(_original_lengths(module.config))
        return cls(tuple(sorted(switches)), min(separate, default=None))


def is_known(model: Any) -> bool:
    """Whether `LengthRule.of` knows how *model* depends on the length: code of transformers, of known types."""
    classes = {type(model), type(getattr(model, "base_model", model))}
    kinds = {kind for _, kind in _rotary_kinds(model)}
    of_transformers = all(known.__module__.startswith("transformers.") for known in classes)
    return of_transformers and all(kind in CONSTANT | SWITCHING or GROWING in kind for kind in kinds)


def growing_modules(model: Any) -> list[Any]:
    """The modules of *model* that compute frequencies for a new length, and keep them for later calls."""
    return [module for module, kind in _rotary_kinds(model) if GROWING in kind]


def forget_lengths(modules: list[Any]) -> None:
    """Give `growing_modules` the frequencies that they had before the first call.

    transformers keeps the frequencies of the longest text so far for every text above the original length.
    """
    for module in modules:
        layers = module.rope_type if isinstance(module.rope_type, dict) else [None]
        for name in ("" if layer is None else f"{layer}_" for layer in layers):
            current = getattr(module, f"{name}inv_freq", None)
            if current is None:  # a layer type that no layer has
                continue
            with torch.inference_mode(False):  # the caller may train the model
                original = getattr(module, f"{name}original_inv_freq").to(current.device).clone()
            module.register_buffer(f"{name}inv_freq", original, persistent=False)
            setattr(module, f"{name}max_seq_len_cached", module.original_max_seq_len)


def _rotary_kinds(model: Any) -> Iterator[tuple[Any, str]]:
    """Each module that computes rotary positions, with the type of them; several types where layers differ."""
    for module in model.modules():
        kinds = getattr(module, "rope_type", None)
        for kind in kinds.values() if isinstance(kinds, dict) else [kinds]:
            if isinstance(kind, str):
                yield module, kind


def _original_lengths(config: Any) -> Iterator[int]:
    """Every length that *config* names as the original one; a length too many costs a batch, and changes nothing."""
    # The entry is called rope_scaling in transformers 4, and holds an entry for each layer type in some models.
    for parameters in (getattr(config, "rope_parameters", None), getattr(config, "rope_scaling", None)):
        if isinstance(parameters, dict):
            for entries in (parameters, *parameters.values()):
                if isinstance(entries, dict) and isinstance(entries.get(ENTRY), int):
                    yield entries[ENTRY]
    for name in (ENTRY, "max_position_embeddings"):
        if isinstance(getattr(config, name, None), int):
            yield getattr(config, name)
