"""Any causal language model that transformers loads: hub, folder, GGUF file, PEFT adapter, or one in memory."""

from ._backend import LocalBackend
from ._loading import load, quiet
from ._masked import MaskedRewriter

__all__ = ["LocalBackend", "MaskedRewriter", "load", "quiet"]
