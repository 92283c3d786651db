"""Digests by which a run directory recognises a model and a tokenizer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch

__all__ = ["config_sha256", "tensors_sha256", "tokenizer_fingerprint"]

# Holds what tokenizers cut differently: digits, blanks, line ends, capitals, contractions, signs and scripts.
PROBE_TEXT = (
    "Cafe\u0301 – naïve ΑΒΓ 中文 かな 가나, 🙂 \t x=1.5;\nThe End\n\n1. It's  IT'S don't;  12 1234567 ١٢٣ "
    "camelCaseHTML/\n/* (a)?! (b),\r\n \n  c_d e\u0301\u0302 ა 。《中》 ...\n\n\n$9+1=10 Ada'sun two words "
    ",,a\u00a0b   "
)
# Entries that do not change what a model computes.
IRRELEVANT = {"_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version", "use_cache"}


def config_sha256(config: Any, temperature: float = 1.0) -> str:
    """The digest of a configuration, without its name and the release and precision that it was saved with.

    At another *temperature* than 1 the digest is another: every comparison of two models then sees the difference.
    """
    entries = {key: value for key, value in config.to_dict().items() if key not in IRRELEVANT and value is not None}
    if temperature != 1:
        entries["llm_mia temperature"] = float(temperature)
    return hashlib.sha256(json.dumps(entries, sort_keys=True, default=str).encode()).hexdigest()


def tensors_sha256(model: Any) -> str:
    """The digest of the weights of a model in memory."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        # Flattened: a tensor without dimensions has no view of another type.
        digest.update(tensor.detach().cpu().flatten().contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()


def tokenizer_fingerprint(vocabulary: Mapping[str, int], probed: Sequence[int], opening: Sequence[int]) -> str:
    """Equal for two tokenizers that give equal ids: it covers vocabulary and behaviour, not the layout of the files.

    Args:
        vocabulary: the id of each token.
        probed: the ids of `PROBE_TEXT`.
        opening: the ids before every text.
    """
    digest = hashlib.sha256()
    for token, index in sorted(vocabulary.items()):
        digest.update(f"{token!r} {index}\n".encode())
    digest.update(repr([list(probed), list(opening)]).encode())
    return digest.hexdigest()[:16]
