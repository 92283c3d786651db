"""Models in GGUF files: their weights, converted to safetensors completely or refused, and their tokenizers."""

from ._converting import convert_gguf
from ._pre_tokenizers import PRE_TOKENIZERS
from ._tokenizer import GgufTokenizer, read_gguf_tokenizer

__all__ = ["PRE_TOKENIZERS", "GgufTokenizer", "convert_gguf", "read_gguf_tokenizer"]
