"""Any causal language model that transformers loads: from the hub, a folder, a GGUF file, an adapter, or memory."""

from ._backend import LocalBackend
from ._batching import batches
from ._causality import contribution_of_last_token
from ._devices import share_of_devices, take_share_of_devices
from ._generating import Continuations, continuations
from ._identity import PROBE_TEXT
from ._in_memory import from_memory
from ._lengths import LengthRule
from ._libraries import first_line, name_model_in_errors, silence_libraries
from ._loading import load, read_weights, resolve_device
from ._loading_tokenizer import load_tokenizer
from ._locating import locate_model
from ._memory import MEMORY_ERRORS, is_out_of_memory
from ._precision import choose_dtype, faster_dtype
from ._special_tokens import AS_TEXT, SpecialTokens, reader_of_text
from ._tokenizer import LocalTokenizer, missing_spans_message, read_tokenizer, surrounding_tokens
from .gguf import PRE_TOKENIZERS, GgufTokenizer, read_gguf_tokenizer

__all__ = [
    "AS_TEXT",
    "MEMORY_ERRORS",
    "PRE_TOKENIZERS",
    "PROBE_TEXT",
    "Continuations",
    "GgufTokenizer",
    "LengthRule",
    "LocalBackend",
    "LocalTokenizer",
    "SpecialTokens",
    "batches",
    "choose_dtype",
    "continuations",
    "contribution_of_last_token",
    "faster_dtype",
    "first_line",
    "from_memory",
    "is_out_of_memory",
    "load",
    "load_tokenizer",
    "locate_model",
    "missing_spans_message",
    "name_model_in_errors",
    "read_gguf_tokenizer",
    "read_tokenizer",
    "read_weights",
    "reader_of_text",
    "resolve_device",
    "share_of_devices",
    "silence_libraries",
    "surrounding_tokens",
    "take_share_of_devices",
]
