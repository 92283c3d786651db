"""A tokenizer without its model: what counts tokens, or says where one stands, has no use for the weights."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import transformers
from numpy.typing import NDArray

from ...errors import MissingExtraError, ModelError
from ...records import IntArray
from ._backend import _bos
from ._identity import files_sha256, tokenizer_fingerprint
from ._loading import (
    HUB_FILES,
    HUB_LEAVE,
    Options,
    _cache,
    _explained,
    _first_line,
    _folder,
    _readable,
    _tokenizer,
    quiet,
)

__all__ = ["LocalTokenizer", "load_tokenizer"]

FILES = [pattern for pattern in HUB_FILES if pattern != "*.safetensors"]


class LocalTokenizer:
    """A tokenizer of transformers; its ids, BOS and fingerprint are those of a `LocalBackend` that has it.

    Args:
        tokenizer: of transformers, loaded.
        name: what it is called in messages.
    """

    def __init__(self, tokenizer: Any, *, name: str = "in memory") -> None:
        self.tokenizer = tokenizer
        self.name = name
        self.bos = _bos(tokenizer)
        self.fingerprint = tokenizer_fingerprint(tokenizer, self.bos)
        # Not the number of entries: some vocabularies leave ids out.
        self.vocabulary = 1 + max(tokenizer.get_vocab().values())

    def encode(self, texts: Sequence[str]) -> list[IntArray]:
        """Token ids of each text, shape (n,), without special tokens added and without a limit on length."""
        ids = self.tokenizer(list(texts), add_special_tokens=False, truncation=False, verbose=False).input_ids
        return [np.array(one, dtype=np.int32) for one in ids]

    def spans(self, text: str) -> NDArray[np.int64]:
        """Start and end of each token in *text*, in characters, shape (tokens, 2); see `Tokenizer.spans`.

        Raises:
            ModelError: the tokenizer runs in Python, and does not keep track of where a token comes from.
        """
        if not self.tokenizer.is_fast:
            raise ModelError(
                f"model {self.name!r}: its tokenizer ({type(self.tokenizer).__name__}) does not say where in a text "
                "a token stands; a fast one (tokenizer.json) does"
            )
        encoded = self.tokenizer(
            text, add_special_tokens=False, truncation=False, verbose=False, return_offsets_mapping=True
        )
        return np.array(encoded.offset_mapping, dtype=np.int64).reshape(-1, 2)


def load_tokenizer(path: str, *, name: str, revision: str | None, trust_remote_code: bool) -> LocalTokenizer:
    """The tokenizer of the model at *path*; see `llm_mia.backends.ModelSpec.tokenizer`."""
    options = Options("auto", "cpu", trust_remote_code)
    with quiet(), _readable(name):
        folder = _found(path, revision)
        if folder.suffix == ".gguf":
            return LocalTokenizer(_from_gguf(folder, options), name=name)
        if (folder / "adapter_config.json").is_file() and not (folder / "tokenizer_config.json").is_file():
            folder = _base_of(folder)
        return LocalTokenizer(_tokenizer(folder, options), name=name)


def _found(path: str, revision: str | None) -> Path:
    """The folder or GGUF file of a model, fetched from the hub without its weights."""
    if Path(path).expanduser().exists():
        return _folder(path, revision)[0]
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(snapshot_download(path, revision=revision, allow_patterns=FILES, ignore_patterns=HUB_LEAVE))
    except HFValidationError:
        raise ModelError("no such folder or file") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"no such folder here, and the hub gives none: {_first_line(error)}") from None


def _base_of(adapter: Path) -> Path:
    """The folder of the model that an adapter without a tokenizer was made for."""
    try:
        base = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"]
        return _found(base, None)
    except (ValueError, KeyError, TypeError):
        raise ModelError("its adapter_config.json is damaged, or has no base_model_name_or_path") from None
    except ModelError as error:
        raise ModelError(f"its base model {base!r}: {error}") from None


def _from_gguf(file: Path, options: Options) -> Any:
    """The tokenizer inside a GGUF file, by the same way as that of the converted model: saved, and read again."""
    converted = _cache() / f"gguf-{files_sha256([file])[:16]}"
    if (converted / "config.json").is_file():
        return _tokenizer(converted, options)
    if importlib.util.find_spec("gguf") is None:
        raise MissingExtraError("gguf, which reads GGUF files,", "pip install 'llm-mia[gguf]'")
    names = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
    with tempfile.TemporaryDirectory() as folder:
        with (
            _explained("a GGUF file that is damaged, or of a kind that transformers cannot read"),
            contextlib.redirect_stderr(io.StringIO()),  # a bar of its own that no switch turns off
        ):
            transformers.AutoConfig.from_pretrained(**names).save_pretrained(folder)
            transformers.AutoTokenizer.from_pretrained(**names).save_pretrained(folder)
        return _tokenizer(Path(folder), options)
