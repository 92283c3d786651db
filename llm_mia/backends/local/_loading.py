"""From a name to weights and a tokenizer in memory, or to one line that says why not."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import logging
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError

from ...errors import LlmMiaError, MissingExtraError, ModelError, UsageError
from ...records import DTypeChoice
from ._backend import LocalBackend
from ._identity import files_sha256
from ._precision import DTYPES, automatic

__all__ = ["load", "quiet"]

HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
HUB_LEAVE = ["original/*", "consolidated*", "onnx/*", "*.onnx.json"]


@dataclass(frozen=True, slots=True)
class Options:
    """How to load, whatever the kind of file."""

    dtype: str
    device: str
    trust_remote_code: bool

    def precision(self, folder: Path) -> tuple[torch.dtype, DTypeChoice | None]:
        """The precision of the forward pass for the model in *folder*, and how it was chosen where that is ``auto``."""
        if self.dtype == "auto":
            config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=self.trust_remote_code)
            choice = automatic(config.get_text_config(), self.torch_device)
            return DTYPES[choice.dtype], choice
        if self.dtype not in DTYPES:
            raise UsageError(f"`dtype` must be auto, {', '.join(DTYPES)}: got {self.dtype!r}")
        return DTYPES[self.dtype], None

    @property
    def torch_device(self) -> str:
        """``cpu``, or what the user named, or ``auto`` where there is CUDA to spread over."""
        if self.device == "auto" and not torch.cuda.is_available():
            return "cpu"
        return self.device


def load(
    path: str,
    *,
    name: str,
    revision: str | None,
    dtype: str,
    device: str,
    trust_remote_code: bool,
    tokens_per_batch: int | None = None,
    compiled: bool = True,
) -> LocalBackend:
    """A backend for the model at *path*; see `llm_mia.load_model`."""
    options = Options(dtype, device, trust_remote_code)
    with quiet(), _readable(name):
        folder, commit = _folder(path, revision)
        if folder.suffix == ".gguf":
            digest = files_sha256([folder])
            folder = _converted_gguf(folder, digest)
            model, tokenizer, choice = _from_folder(folder, options)
        elif (folder / "adapter_config.json").is_file():
            model, tokenizer, choice, digest = _from_adapter(folder, options)
        else:
            model, tokenizer, choice = _from_folder(folder, options)
            digest = files_sha256(folder.glob("*.safetensors"))
        return LocalBackend(
            model,
            tokenizer,
            name=name,
            revision=commit,
            weights_sha256=digest,
            dtype_choice=choice,
            tokens_per_batch=tokens_per_batch,
            compiled=compiled,
        )


def _folder(path: str, revision: str | None, files: Sequence[str] = HUB_FILES) -> tuple[Path, str | None]:
    """The local folder or GGUF file of a model, fetched from the hub where it is named by a hub id."""
    local = Path(path).expanduser()
    if local.is_dir() or (local.is_file() and local.suffix == ".gguf"):
        if revision is not None:
            raise UsageError(f"is on this machine, so it has no `revision` {revision!r}: leave that out")
        return local, None
    if local.is_file():
        raise ModelError("is a file, but no .gguf; name the folder that holds config.json and *.safetensors")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+|[\w-][\w.-]*", path) or path.startswith("."):
        raise ModelError("no such folder or file")
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(path, revision=revision, allow_patterns=list(files), ignore_patterns=HUB_LEAVE)
    except (OSError, ValueError) as error:
        raise ModelError(f"no such folder here, and the hub gives none: {_first_line(error)}") from None
    return Path(found), Path(found).name


def _from_folder(folder: Path, options: Options) -> tuple[Any, Any, DTypeChoice | None]:
    if not (folder / "config.json").is_file():
        raise ModelError("holds no config.json, so it is not a model that transformers can load")
    if not any(folder.glob("*.safetensors")):
        pickled = next((f.name for f in sorted(folder.iterdir()) if f.suffix in {".bin", ".pt", ".pth", ".ckpt"}), None)
        if pickled:
            raise ModelError(
                f"its weights are pickled ({pickled}), which can run code when loaded; save as safetensors"
            )
        raise ModelError("holds no *.safetensors weights")
    dtype, choice = options.precision(folder)
    placed: dict[str, Any] = {} if options.torch_device == "cpu" else {"device_map": options.torch_device}
    model, found = transformers.AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        use_safetensors=True,
        trust_remote_code=options.trust_remote_code,
        ignore_mismatched_sizes=True,  # or it raises, and points to a report that it doesn't show
        output_loading_info=True,
        **placed,
    )
    _refuse_absent(found, "that config.json asks for, or in that shape")
    return model, _tokenizer(folder, options), choice


def _refuse_absent(loading_info: Any, asked: str) -> None:
    # transformers fills what is missing or of another shape with random numbers and goes on.
    absent = sorted({*loading_info["missing_keys"], *(key for key, *_ in loading_info["mismatched_keys"])})
    if absent:
        raise ModelError(f"its weights lack {len(absent)} tensors {asked}, such as {absent[0]}")


def _tokenizer(folder: Path, options: Options) -> Any:
    with _explained("its tokenizer cannot be loaded; is tokenizer.json there, and whole?"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=options.trust_remote_code)
    if not len(tokenizer("a word", add_special_tokens=False).input_ids):
        raise ModelError("its tokenizer has no vocabulary; the folder lacks tokenizer.json")
    return tokenizer


def _from_adapter(folder: Path, options: Options) -> tuple[Any, Any, DTypeChoice | None, str]:
    """A PEFT adapter merged into its base model."""
    try:
        from peft import PeftModel
    except ImportError:
        raise MissingExtraError("peft, which this adapter needs,", "pip install 'llm-mia[peft]'") from None
    if not (folder / "adapter_model.safetensors").is_file():
        raise ModelError("holds no adapter_model.safetensors; pickled weights can run code and are not loaded")
    base_folder = _base_of(folder)
    model, tokenizer, choice = _from_folder(base_folder, options)
    if (folder / "tokenizer_config.json").is_file():
        tokenizer = _tokenizer(folder, options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # between peft and transformers: nothing that a user can mend
        # Of an adapter that was made for another model peft loads what fits, and goes on.
        warnings.filterwarnings("error", "Found missing adapter keys")
        try:
            model = PeftModel.from_pretrained(model, folder).merge_and_unload()
        except UserWarning:
            raise ModelError(
                f"its weights lack tensors that adapter_config.json asks for; was it made for {base_folder}?"
            ) from None
    return (
        model,
        tokenizer,
        choice,
        files_sha256(
            [*base_folder.glob("*.safetensors"), *folder.glob("*.safetensors"), folder / "adapter_config.json"]
        ),
    )


def _base_of(folder: Path, files: Sequence[str] = HUB_FILES) -> Path:
    """The folder of the model that an adapter was made for."""
    try:
        base = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (ValueError, KeyError, TypeError):
        base = None
    if not isinstance(base, str):
        raise ModelError("its adapter_config.json is damaged, or has no base_model_name_or_path")
    try:
        return _folder(base, None, files)[0]
    except ModelError as error:
        raise ModelError(f"its base model {base!r}: {error}") from None


def _converted_gguf(file: Path, digest: str) -> Path:
    """A folder with the same model in safetensors, made once and kept in the user's cache."""
    target = _cache() / f"gguf-{digest[:16]}"
    if (target / "config.json").is_file():
        return target
    if importlib.util.find_spec("gguf") is None:
        raise MissingExtraError("gguf, which reads GGUF files,", "pip install 'llm-mia[gguf]'")
    names = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
    with (
        _explained("a GGUF file that is damaged, or of a kind that transformers cannot read"),
        contextlib.redirect_stderr(io.StringIO()),  # a bar of its own that no switch turns off
    ):
        tokenizer = transformers.AutoTokenizer.from_pretrained(**names)
        read = transformers.AutoModelForCausalLM.from_pretrained(**names, dtype=torch.float32)
    config = read.config
    # As long as the config says that it is quantised, transformers refuses to save the (dequantised) weights.
    del config.quantization_config
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(read.state_dict())
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=target.parent, prefix="converting-"))
    try:
        model.save_pretrained(beside)
        tokenizer.save_pretrained(beside)
        beside.chmod(0o755)
        with contextlib.suppress(OSError):  # another process was faster: its folder is as good
            beside.rename(target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return target


def _cache() -> Path:
    """Where converted models are kept: ``$LLM_MIA_CACHE``, else ``llm_mia`` in the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("LLM_MIA_CACHE") or Path(home) / "llm_mia")


def _first_line(error: BaseException) -> str:
    """What another library says, without the advice below it."""
    first, _, rest = str(error).strip().partition("\n")
    if first.rstrip().endswith(":"):
        first = f"{first.rstrip()} {rest.strip().partition(chr(10))[0]}"
    return (first or type(error).__name__)[:300]


@contextlib.contextmanager
def _explained(problem: str) -> Iterator[None]:
    """Say what the *problem* is before what another library says of it."""
    try:
        yield
    except Exception as error:
        raise ModelError(f"{problem} ({_first_line(error)})") from error


@contextlib.contextmanager
def _readable(name: str) -> Iterator[None]:
    """Put the model's name before what went wrong, on one line."""
    try:
        yield
    except MissingExtraError:
        raise
    except UsageError as error:
        raise UsageError(f"model {name!r}: {error}") from None
    except LlmMiaError as error:
        raise ModelError(f"model {name!r}: {error}") from None
    except SafetensorError as error:
        raise ModelError(f"model {name!r}: its weights file is damaged or cut short ({_first_line(error)})") from None
    except Exception as error:  # hundreds of model classes read the user's files, each failing in its own way
        reason = _first_line(error)
        if reason.startswith("Unrecognized configuration class"):
            reason = f"not a causal language model ({reason.split('.')[-2].split(' ')[0].rstrip(chr(39) + '>')})"
        raise ModelError(f"model {name!r}: {reason}") from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No bars and no advice from the libraries while a model loads; what matters is raised."""
    hub = logging.getLogger("huggingface_hub")
    level, hub_level = transformers.logging.get_verbosity(), hub.level
    bars = transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    hub.setLevel(logging.ERROR)
    try:
        yield
    finally:
        transformers.logging.set_verbosity(level)
        hub.setLevel(hub_level)
        if bars:
            transformers.logging.enable_progress_bar()
