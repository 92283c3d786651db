"""From the name of a model to its tokenizer, without its weights."""

from __future__ import annotations

from ._libraries import name_model_in_errors, silence_libraries
from ._locating import TOKENIZER_FILES, locate_base_model, locate_model
from ._tokenizer import LocalTokenizer, read_tokenizer
from .gguf import read_gguf_tokenizer

__all__ = ["load_tokenizer"]


def load_tokenizer(
    path: str, *, name: str, revision: str | None, trust_remote_code: bool, pre_tokenizer: str | None, templated: bool
) -> LocalTokenizer:
    """The tokenizer of the model at *path*; see `llm_mia.backends.ModelSpec.tokenizer`."""
    with silence_libraries(), name_model_in_errors(name):
        folder, _ = locate_model(path, revision, TOKENIZER_FILES)
        if (folder / "adapter_config.json").is_file() and not (folder / "tokenizer_config.json").is_file():
            folder = locate_base_model(folder, TOKENIZER_FILES)
        if folder.suffix == ".gguf":
            tokenizer = read_gguf_tokenizer(folder, pre_tokenizer=pre_tokenizer).tokenizer
        else:
            tokenizer = read_tokenizer(folder, trust_remote_code=trust_remote_code)
        return LocalTokenizer(tokenizer, name=name, templated=templated)
