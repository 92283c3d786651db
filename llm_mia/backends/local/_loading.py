"""From a name to weights and a tokenizer in memory, or to an error of one line that gives the reason."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from ...errors import MissingExtraError, ModelError, UsageError
from ...records import DTypeChoice
from ..digests import files_sha256
from ._backend import LocalBackend
from ._gguf import convert_gguf
from ._gguf_tokenizer import GgufTokenizer, read_gguf_tokenizer
from ._libraries import name_model_in_errors, silence_libraries
from ._locating import locate_base_model, locate_model
from ._precision import DTYPES, choose_dtype
from ._tokenizer import read_tokenizer

__all__ = ["load", "refuse_missing_tensors", "resolve_device"]

PICKLED = {".bin", ".pt", ".pth", ".ckpt"}


@dataclass(frozen=True, slots=True)
class LoadingOptions:
    """How to load weights, whatever the kind of file."""

    dtype: str
    device: str
    trust_remote_code: bool

    def precision(self, folder: Path) -> tuple[torch.dtype, DTypeChoice | None]:
        """The precision of the model in *folder*, and how it was chosen where *dtype* is ``auto``."""
        if self.dtype == "auto":
            config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=self.trust_remote_code)
            choice = choose_dtype(config.get_text_config(), resolve_device(self.device))
            return DTYPES[choice.dtype], choice
        if self.dtype not in DTYPES:
            raise UsageError(f"`dtype` must be auto, {', '.join(DTYPES)}: got {self.dtype!r}")
        return DTYPES[self.dtype], None


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory with all that a `LocalBackend` records about it."""

    model: Any
    tokenizer: Any
    weights_sha256: str
    dtype_choice: DTypeChoice | None
    tokenizer_source: str = ""
    """What the tokenizer was built from where it was not with the model as transformers saves it."""


def load(
    path: str,
    *,
    name: str,
    revision: str | None,
    dtype: str,
    device: str,
    trust_remote_code: bool,
    pre_tokenizer: str | None = None,
    tokens_per_batch: int | None = None,
    compiled: bool = True,
) -> LocalBackend:
    """A backend for the model at *path*; see `llm_mia.load_model`."""
    options = LoadingOptions(dtype, device, trust_remote_code)
    with silence_libraries(), name_model_in_errors(name):
        folder, commit = locate_model(path, revision)
        if folder.suffix == ".gguf":
            # The tokenizer comes first, because its file is read in no time.
            tokenizer = read_gguf_tokenizer(folder, pre_tokenizer=pre_tokenizer)
            loaded = _load_folder(*convert_gguf(folder), options, tokenizer)
        elif (folder / "adapter_config.json").is_file():
            loaded = _load_adapter(folder, options)
        else:
            loaded = _load_folder(folder, None, options)
        return LocalBackend(
            loaded.model,
            loaded.tokenizer,
            name=name,
            revision=commit,
            weights_sha256=loaded.weights_sha256,
            dtype_choice=loaded.dtype_choice,
            tokenizer_source=loaded.tokenizer_source,
            tokens_per_batch=tokens_per_batch,
            compiled=compiled,
        )


def resolve_device(device: str) -> str:
    """*device* itself; for ``auto`` on a machine without CUDA ``cpu``."""
    return "cpu" if device == "auto" and not torch.cuda.is_available() else device


def _load_folder(
    folder: Path, digest: str | None, options: LoadingOptions, of_gguf: GgufTokenizer | None = None
) -> LoadedModel:
    """The model in *folder*; where it was converted from another file, *digest* and *of_gguf* are of that file."""
    _refuse_incomplete_folder(folder)
    dtype, choice = options.precision(folder)
    device = resolve_device(options.device)
    placement: dict[str, Any] = {} if device == "cpu" else {"device_map": device}
    model, report = transformers.AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        use_safetensors=True,
        trust_remote_code=options.trust_remote_code,
        ignore_mismatched_sizes=True,  # or it raises an error that refers to a report that it does not show
        output_loading_info=True,
        **placement,
    )
    refuse_missing_tensors(report, "its weights do not match config.json")
    sha256 = digest or files_sha256(folder.glob("*.safetensors"))
    if of_gguf is not None:
        return LoadedModel(model, of_gguf.tokenizer, sha256, choice, of_gguf.source)
    tokenizer = read_tokenizer(folder, trust_remote_code=options.trust_remote_code)
    return LoadedModel(model, tokenizer, sha256, choice)


def _refuse_incomplete_folder(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise ModelError("holds no config.json, so it is not a model that transformers can load")
    if any(folder.glob("*.safetensors")):
        return
    pickled = next((f.name for f in sorted(folder.iterdir()) if f.suffix in PICKLED), None)
    if pickled:
        raise ModelError(
            f"its weights are pickled ({pickled}), and loading them can run code: save them as safetensors"
        )
    raise ModelError("holds no *.safetensors weights")


def refuse_missing_tensors(report: Any, problem: str) -> None:
    """Raise a `ModelError` where the weights of a model lack tensors, or have them in another shape.

    transformers would fill them with random numbers and go on.

    Args:
        report: what transformers returns for ``output_loading_info``.
        problem: what this means, for the message.
    """
    missing = sorted({*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])})
    if missing:
        raise ModelError(f"{problem}: tensors are missing or have another shape ({len(missing)}, such as {missing[0]})")


def _load_adapter(folder: Path, options: LoadingOptions) -> LoadedModel:
    """A PEFT adapter merged into its base model."""
    try:
        from peft import PeftModel
    except ImportError:
        raise MissingExtraError("peft, which this adapter needs,", "pip install 'llm-mia[peft]'") from None
    if not (folder / "adapter_model.safetensors").is_file():
        raise ModelError("holds no adapter_model.safetensors; pickled weights can run code and are not loaded")
    base_folder = locate_base_model(folder)
    base = _load_folder(base_folder, None, options)
    tokenizer = base.tokenizer
    if (folder / "tokenizer_config.json").is_file():
        tokenizer = read_tokenizer(folder, trust_remote_code=options.trust_remote_code)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # from peft about transformers: the user cannot act on it
        # Of an adapter for another model peft loads the tensors that fit, and only warns about the others.
        warnings.filterwarnings("error", "Found missing adapter keys")
        try:
            model = PeftModel.from_pretrained(base.model, folder).merge_and_unload()
        except UserWarning:
            raise ModelError(
                f"its weights lack tensors that adapter_config.json requires: does it belong to {base_folder}?"
            ) from None
    files = [*base_folder.glob("*.safetensors"), *folder.glob("*.safetensors"), folder / "adapter_config.json"]
    return LoadedModel(model, tokenizer, files_sha256(files), base.dtype_choice)
