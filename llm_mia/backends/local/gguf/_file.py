"""A GGUF file, or the files of a model that was split: their entries and all of their tensors."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import MissingExtraError, ModelError
from ...digests import gguf_parts
from .._libraries import explain_errors
from ._metadata import DAMAGED, read_metadata

__all__ = ["GgufFile", "read_gguf"]


@dataclass(frozen=True, slots=True)
class GgufFile:
    """The contents of a model in GGUF."""

    entries: Mapping[str, Any]
    """The settings of the model, its tokenizer and notes, by their names."""
    stored: Mapping[str, Any]
    """The tensors as they are stored, by their names."""

    @property
    def architecture(self) -> str:
        """The name that llama.cpp gives to the kind of model."""
        return str(self.entries.get("general.architecture", ""))

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of the tensor *name*, in the order of torch."""
        return tuple(int(size) for size in reversed(self.stored[name].shape))

    def values(self, name: str) -> NDArray[np.float32]:
        """The tensor *name*, with the numbers that its codes stand for."""
        from gguf import dequantize

        tensor = self.stored[name]
        try:
            values: NDArray[np.float32] = np.array(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
        except NotImplementedError:
            raise ModelError(
                f"its tensor {name} is stored as {tensor.tensor_type.name}, which the package gguf cannot read: name a "
                "file with another quantisation, such as Q8_0"
            ) from None
        return values.reshape(self.shape(name))


def read_gguf(file: Path) -> GgufFile:
    """The contents of a GGUF *file*, and of the other files where the model was split.

    Raises:
        MissingExtraError: the package gguf is not installed.
        ModelError: a file is damaged, or the files do not hold one complete model.
    """
    if importlib.util.find_spec("gguf") is None:
        raise MissingExtraError("gguf, which reads GGUF files,", "pip install 'llm-mia[gguf]'")
    parts = gguf_parts(file)
    entries: dict[str, Any] = {}
    stored: dict[str, Any] = {}
    for part in parts:
        part_entries, part_tensors = _read_part(part)
        entries = entries or part_entries
        twice = sorted(set(stored) & set(part_tensors))
        if twice:
            raise ModelError(f"{part.name} repeats the tensor {twice[0]} of an earlier file: split the model again")
        stored.update(part_tensors)
    count, expected = int(entries.get("split.count", 1) or 1), entries.get("split.tensors.count")
    if count != len(parts):
        raise ModelError(
            f"it is one of {count} files of a split model, and its name does not say which: name the files "
            f"NAME-00001-of-{count:05}.gguf and so on, as when they were written"
        )
    if expected is not None and int(expected) != len(stored):
        raise ModelError(f"its files hold {len(stored)} tensors of {expected}: download or copy them again")
    return GgufFile(entries, stored)


def _read_part(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    from gguf import GGUFReader

    entries = read_metadata(file)
    with explain_errors(DAMAGED):
        return entries, {tensor.name: tensor for tensor in GGUFReader(file).tensors}
