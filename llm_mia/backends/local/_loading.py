"""From a name to weights and a tokenizer in memory, or to an error of one line that gives the reason."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import transformers

from ...errors import ModelError, UsageError
from ...records import DTypeChoice
from ..checking import missing_config_message
from ..digests import files_sha256, gguf_parts
from ._adapters import check_adapter, merge_adapter
from ._backend import LocalBackend
from ._completeness import refuse_incomplete, stored_tensors, weight_files
from ._libraries import first_line, name_model_in_errors, silence_libraries
from ._locating import locate_base_model, locate_model
from ._precision import DTYPES, choose_dtype
from ._tokenizer import read_tokenizer
from .gguf import convert_gguf, read_gguf_tokenizer

__all__ = ["load", "read_weights", "resolve_device"]

# How transformers reports that it cannot put tensors of a file together; the reason is in a report that is not shown.
NOT_CONVERTED = "We encountered some issues during automatic conversion"


@dataclass(frozen=True, slots=True)
class LoadingOptions:
    """How to load weights, whatever the kind of file."""

    dtype: str
    device: str
    trust_remote_code: bool
    pre_tokenizer: str | None = None

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
    files: list[Path]
    """The files that hold its weights."""
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
    templated: bool = False,
    temperature: float = 1.0,
    tokens_per_batch: int | None = None,
    compiled: bool = True,
) -> LocalBackend:
    """A backend for the model at *path*; see `llm_mia.load_model`."""
    options = LoadingOptions(dtype, device, trust_remote_code, pre_tokenizer)
    with silence_libraries(), name_model_in_errors(name):
        folder, commit = locate_model(path, revision)
        loaded = _load(folder, options)
        return LocalBackend(
            loaded.model,
            loaded.tokenizer,
            name=name,
            revision=commit,
            weights_sha256=files_sha256(loaded.files),
            dtype_choice=loaded.dtype_choice,
            tokenizer_source=loaded.tokenizer_source,
            templated=templated,
            temperature=temperature,
            tokens_per_batch=tokens_per_batch,
            compiled=compiled,
            read_float32=lambda: _load(folder, replace(options, dtype="float32")).model,
        )


def resolve_device(device: str) -> str:
    """*device* itself; for ``auto`` on a machine without CUDA ``cpu``.

    Raises:
        UsageError: the machine has no such device.
    """
    if device == "auto":
        return device if torch.cuda.is_available() else "cpu"
    kind, _, number = device.partition(":")
    devices: Any = torch.backends.mps if kind == "mps" else getattr(torch, kind, None)
    if kind != "cpu":
        if devices is None or not devices.is_available():
            raise UsageError(f"`device` is {device!r}, and torch finds no such device here: leave out `device`")
        if number and int(number) >= devices.device_count():
            raise UsageError(
                f"`device` is {device!r}, which this machine does not have: the last is "
                f"{kind}:{devices.device_count() - 1}"
            )
    return device


def _load(folder: Path, options: LoadingOptions) -> LoadedModel:
    """The model in a folder, which may hold an adapter, or in a GGUF file."""
    return _load_adapter(folder, options) if _is_adapter(folder) else _load_whole(folder, options)


def _is_adapter(folder: Path) -> bool:
    return (folder / "adapter_config.json").is_file()


def _load_whole(path: Path, options: LoadingOptions) -> LoadedModel:
    """The model in a folder or a GGUF file, with all of its weights."""
    if path.suffix == ".gguf":
        # The tokenizer comes first: it is read in no time, and may be refused.
        of_gguf = read_gguf_tokenizer(path, pre_tokenizer=options.pre_tokenizer)
        folder, files = convert_gguf(path), gguf_parts(path)
    else:
        if not (path / "config.json").is_file():
            raise ModelError(missing_config_message(path))
        of_gguf = None
        folder, files = path, weight_files(path)
    dtype, choice = options.precision(folder)
    device = resolve_device(options.device)
    placement: dict[str, Any] = {} if device == "cpu" else {"device_map": device}
    model = read_weights(
        transformers.AutoModelForCausalLM,
        folder,
        dtype,
        problem="its weights do not match config.json",
        remedy="copy or download the whole model again",
        trust_remote_code=options.trust_remote_code,
        **placement,
    )
    if of_gguf is not None:
        return LoadedModel(model, of_gguf.tokenizer, files, choice, of_gguf.source)
    return LoadedModel(model, read_tokenizer(folder, trust_remote_code=options.trust_remote_code), files, choice)


def read_weights(
    model_class: Any, folder: Path, dtype: torch.dtype, *, problem: str, remedy: str, **options: Any
) -> Any:
    """The model in *folder* with exactly the weights of its files, in the precision *dtype*.

    Args:
        model_class: a class of transformers with ``from_pretrained``.
        folder: holds config.json and safetensors.
        dtype: the precision of all weights.
        problem: what it means if tensors are missing, for the message.
        remedy: what to do then.
        options: more arguments of ``from_pretrained``.

    Raises:
        ModelError: a tensor is missing, has another shape, or has no place in the model; or the weights are quantised
            in a way that cannot be read here.
    """
    tensors = stored_tensors(weight_files(folder))
    config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=options.get("trust_remote_code", False))
    method = quantisation(config)
    _refuse_ignored_settings(config)
    if method == "fp8":  # on some devices transformers would quantise the activations, too
        options["quantization_config"] = transformers.FineGrainedFP8Config(dequantize=True)
    try:
        model, report = model_class.from_pretrained(
            folder,
            dtype=dtype,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # or it raises an error that refers to a report that it does not show
            output_loading_info=True,
            **options,
        )
    except (ImportError, ValueError, RuntimeError, NotImplementedError) as error:
        if method is None and str(error).startswith(NOT_CONVERTED):
            raise ModelError(f"{problem}: a tensor of its experts is missing or has another shape: {remedy}") from None
        if method is None:
            raise
        raise ModelError(
            f"its weights are quantised ({method}), and transformers cannot read them here ({first_line(error)}): name "
            "the unquantised model"
        ) from error
    refuse_incomplete(report, folder, tensors, problem=problem, remedy=remedy, quantised=method is not None)
    if method == "fp8":
        _use_precision(model, dtype)
    return model


def quantisation(config: Any) -> str | None:
    """The method by which the weights of a model are quantised; None where they are ordinary numbers."""
    entry = getattr(config, "quantization_config", None)
    if entry is None:
        return None
    method = entry.get("quant_method", "unknown") if isinstance(entry, dict) else entry.quant_method
    return str(getattr(method, "value", method))


def _use_precision(model: Any, dtype: torch.dtype) -> None:
    """Cast weights that kept the precision of their scales; layers that a model always keeps in float32 keep it."""
    kept = tuple(getattr(model, "_keep_in_fp32_modules", None) or ())
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point() and not any(part in name for part in kept):
            parameter.data = parameter.data.to(dtype)


def _refuse_ignored_settings(config: Any) -> None:
    """Refuse a setting of config.json that changes what a model computes, and that transformers ignores."""
    if config.model_type == "mpt" and config.logit_scale is not None:
        raise ModelError(
            f"its config.json sets logit_scale ({config.logit_scale!r}), which transformers does not apply to MPT: its "
            "probabilities would be those of another model"
        )


def _load_adapter(folder: Path, options: LoadingOptions) -> LoadedModel:
    """A PEFT adapter merged into its base model."""
    if (folder / "model.safetensors").is_file():
        raise ModelError(
            "holds a whole model and an adapter: move adapter_config.json and adapter_model.safetensors to another "
            "folder, and name the folder that you mean"
        )
    check_adapter(folder)
    base_path = locate_base_model(folder)
    if _is_adapter(base_path):
        raise ModelError(f"its base model {base_path} is an adapter, too: merge that adapter into its base model first")
    base = _load_whole(base_path, options)
    model = merge_adapter(base.model, folder, str(base_path))
    tokenizer, source = base.tokenizer, base.tokenizer_source
    if (folder / "tokenizer_config.json").is_file():
        tokenizer, source = read_tokenizer(folder, trust_remote_code=options.trust_remote_code), ""
    files = [*base.files, *folder.glob("*.safetensors"), folder / "adapter_config.json"]
    return LoadedModel(model, tokenizer, files, base.dtype_choice, source)
