"""Models for passes: loaded in the precision with which a run began, recognised in its record, and given prefixes."""

from __future__ import annotations

import platform
import zlib
from importlib import metadata
from typing import Any

import numpy as np

from ..backends import Backend, ModelSpec
from ..records import FilesRecord, IntArray, ModelRecord, PassRecord, WindowRule
from ._plan import PlannedPass
from ._sharing import Sharing

__all__ = ["is_of_model", "load", "prefix_of", "versions"]

PRECISIONS = ("float32", "bfloat16", "float16")


def is_of_model(record: PassRecord, digest: str, source: ModelSpec, rule: WindowRule) -> bool:
    """Whether the pass of *record* is by the model with this digest, in the precision and window that are wanted."""
    return (
        record.files is not None
        and record.files.sha256 == digest
        and source.dtype in ("auto", record.model.dtype)
        and source.pre_tokenizer == record.files.pre_tokenizer
        and source.templated == record.model.templated
        and source.temperature == record.model.temperature
        and record.window == rule
    )


def load(
    source: Backend | ModelSpec, begun: ModelRecord | None, shared: Sharing | None, *, compiled: bool
) -> tuple[Backend, FilesRecord | None]:
    """The model in the precision with which the run began, and the record of its files."""
    if not isinstance(source, ModelSpec):
        return source, None
    dtype = source.dtype
    if begun is not None and begun.dtype in PRECISIONS:
        source = source.in_precision(begun.dtype)
    if shared is None:
        backend = source.load(compiled=compiled)
        # The digest comes second: until it was loaded, a model of the hub may not have been on this machine.
        digest = source.sha256()
    else:
        backend, digest = shared.load(source, compiled=compiled)
    return backend, FilesRecord(digest, dtype, source.pre_tokenizer)


def prefix_of(backend: Backend, wanted: PlannedPass) -> tuple[IntArray | None, dict[str, Any]]:
    """The tokens that precede each window, and what the signals depend on besides the model."""
    if not wanted.prefix:
        return None, dict(wanted.depends)
    tokens = backend.encode([wanted.prefix])[0]
    prefix = np.array([*backend.opening, *tokens], dtype=np.int32)
    return prefix, {**wanted.depends, "shots_tokens": len(tokens)}


def versions() -> dict[str, str]:
    """The versions of what the signals may depend on."""
    packages = ("llm-mia", "torch", "transformers", "numpy")
    return {
        "python": platform.python_version(),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        **{name: metadata.version(name) for name in packages},
    }
