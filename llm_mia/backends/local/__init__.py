"""Any causal language model that transformers loads: hub, folder, GGUF file, PEFT adapter, or one in memory."""

from ._backend import LocalBackend
from ._generating import continuations
from ._in_memory import from_memory
from ._loading import load, quiet
from ._loading_tokenizer import load_tokenizer
from ._tokenizer import LocalTokenizer

__all__ = ["LocalBackend", "LocalTokenizer", "continuations", "from_memory", "load", "load_tokenizer", "quiet"]
