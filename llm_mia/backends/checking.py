"""Whether a model, a device and a precision can be what their names say, before torch is imported or a text is read."""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import ModelError, UsageError
from . import embedded

__all__ = [
    "DTYPE_NAMES",
    "ENDPOINT",
    "HUB_ID",
    "check_device",
    "check_dtype",
    "check_model",
    "check_temperature",
    "missing_config_message",
    "refuse_url",
    "similar_path",
]

DTYPE_NAMES = ("float32", "bfloat16", "float16")
DTYPE_VARIABLE = "LLM_MIA_DTYPE"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+|[\w-][\w.-]*")
DEVICE = re.compile(r"(auto|cpu|mps)|(cuda|xpu|npu|hpu|mlu|musa)(:\d+)?")
MEANT = {"gpu": "cuda", "nvidia": "cuda", "rocm": "cuda", "amd": "cuda", "metal": "mps", "apple": "mps"}
"""What users call a device, and what torch calls it."""
SHORT = {
    **dict.fromkeys(("fp32", "f32", "float", "single", "full"), "float32"),
    **dict.fromkeys(("bf16", "brain"), "bfloat16"),
    **dict.fromkeys(("fp16", "f16", "half"), "float16"),
}
"""What users call a precision, and what torch calls it."""
ENDPOINT = "openai:"
"""With this begins the name of a model behind an endpoint."""
ALIKE = 0.75
"""Likeness from which another name is proposed."""
SECONDS = 5.0
"""How long the hub may take to answer."""


def check_model(name: str | Path, revision: str | None = None, *, causal: bool = True, ask_hub: bool = True) -> None:
    """Refuse a model that does not exist or cannot be had.

    What lies on this machine is looked at there; the hub is asked only for a model that is not in its cache.

    Args:
        name: as for `load_model`.
        revision: branch, tag or commit of a hub model.
        causal: the model predicts the next token; a masked language model cannot be the embedded model.
        ask_hub: ask the hub about a model that is not on this machine; else a name that the hub can have is accepted.

    Raises:
        ModelError: there is no such model, or the hub cannot be reached or does not give it.
        UsageError: a model on this machine has no *revision*.
        MissingExtraError: it is the embedded model, which is not installed.
    """
    path, shown = Path(name).expanduser(), f"model {str(name)!r}"
    if str(name).startswith(ENDPOINT):
        _check_endpoint(str(name), causal=causal)
    elif str(name) == embedded.NAME and causal:
        embedded.gguf_file()
    elif path.is_dir():
        if not any((path / file).is_file() for file in ("config.json", "adapter_config.json")):
            raise ModelError(f"{shown}: {missing_config_message(path)}")
    elif path.is_file():
        if path.suffix != ".gguf":
            raise ModelError(
                f"{shown}: is a file, but not a .gguf file: name the folder that holds config.json and *.safetensors"
            )
    else:
        similar = _similar_model(path, causal=causal)
        _check_hub_name(str(name), shown, similar)
        if ask_hub:
            _check_hub_model(str(name), revision, shown, similar)
        return
    if revision is not None:
        raise UsageError(f"{shown}: is on this machine and has no `revision` {revision!r}: leave out `revision`")


def missing_config_message(folder: Path) -> str:
    """The message for a *folder* without config.json; it names a model that the folder holds."""
    gguf = next((file.name for file in sorted(folder.glob("*.gguf"))), None)
    adapter = next((file.parent.name for file in sorted(folder.glob("*/adapter_config.json"))), None)
    hint = f"; name its file {gguf}" if gguf else f"; name its folder {adapter}, an adapter" if adapter else ""
    return f"holds no config.json, so it is not a model that transformers can load{hint}"


def check_device(device: str) -> None:
    """Refuse a name that no device has; whether the machine has the device is known only to torch.

    Raises:
        UsageError: it is no name of a device.
    """
    if DEVICE.fullmatch(device):
        return
    name, number = re.fullmatch(r"(.*?)(:?\d*)", device.lower(), re.DOTALL).groups()  # type: ignore[union-attr]
    near = [MEANT.get(name, ""), *difflib.get_close_matches(name, ("auto", "cpu", "cuda", "mps"), n=1, cutoff=ALIKE)]
    meant = next(filter(None, near), "")
    number = f":{number.lstrip(':')}" if number.lstrip(":") and meant == "cuda" else ""
    proposal = f"; did you mean {meant + number!r}?" if meant else ""
    raise UsageError(f"`device` is {device!r}: it must be auto, cpu, cuda, cuda:1 … or mps{proposal}")


def check_dtype(dtype: str) -> None:
    """Refuse a name that no precision has; for ``auto`` also in the environment variable that sets what it means.

    Raises:
        UsageError: it is no name of a precision.
        ModelError: the environment variable does not hold the name of a precision.
    """
    if dtype not in ("auto", *DTYPE_NAMES):
        proposal = f"; did you mean {SHORT[dtype.lower()]!r}?" if dtype.lower() in SHORT else ""
        raise UsageError(f"`dtype` must be auto, {', '.join(DTYPE_NAMES)}: got {dtype!r}{proposal}")
    value = os.environ.get(DTYPE_VARIABLE)
    if dtype == "auto" and value and value not in DTYPE_NAMES:
        raise ModelError(f"the environment variable {DTYPE_VARIABLE} is {value!r}: it must be {', '.join(DTYPE_NAMES)}")


def check_temperature(temperature: float) -> None:
    """Refuse a temperature by which no logits can be divided.

    Raises:
        UsageError: it is not a finite number above 0.
    """
    if not (math.isfinite(temperature) and temperature > 0):
        raise UsageError(f"`temperature` is {temperature!r}: it must be a number above 0; 1 leaves the model unchanged")


def similar_path(path: Path, suitable: Callable[[Path], bool] = Path.exists) -> str | None:
    """A *suitable* path beside the missing *path*, whose name, less its suffix, is almost the same; or None."""
    try:
        others = [other for other in sorted(path.parent.iterdir(), reverse=True) if suitable(other)]
    except OSError:
        return None
    names = {other.stem.lower(): other.name for other in others}
    near = difflib.get_close_matches(path.stem.lower(), names, n=1, cutoff=ALIKE)
    return str(path.with_name(names[near[0]])) if near else None


def _similar_model(path: Path, *, causal: bool) -> str:
    """The end of a message, with the name that was probably meant; empty where no name is similar."""
    similar = similar_path(path, lambda other: other.is_dir() or other.suffix == ".gguf")
    if similar is None and causal and difflib.get_close_matches(str(path).lower(), [embedded.NAME], cutoff=ALIKE):
        similar = embedded.NAME
    return f"; did you mean {similar!r}?" if similar else ""


def _check_endpoint(name: str, *, causal: bool) -> None:
    from .endpoint import Address

    address = Address.of(name)
    if not causal:
        raise ModelError(
            f"model {address.model!r} is behind an endpoint, which rewrites no passages: name a masked language model, "
            "such as BERT"
        )


def refuse_url(name: object) -> None:
    """Refuse a URL in place of the name of a model, and say how a model behind an endpoint is named.

    Raises:
        ModelError: it is a URL.
    """
    if isinstance(name, str) and name.lower().startswith(("http://", "https://")):
        # A URL with a user or a query may hold a key, so it is not repeated.
        url = "URL" if "@" in name or "?" in name else name
        raise ModelError(f"the name of a model is a URL: for the model NAME of a server write {ENDPOINT}NAME@{url}")


def _check_hub_name(name: str, shown: str, similar: str) -> None:
    refuse_url(name)
    if not HUB_ID.fullmatch(name) or name.startswith(("-", ".")):
        raise ModelError(f"{shown}: no such folder or file{similar or ': correct the path'}")
    if similar and "/" not in name:  # for a hub id without an owner no network is needed to see what was meant
        raise ModelError(f"{shown}: no such folder or file{similar}")


def _check_hub_model(name: str, revision: str | None, shown: str, similar: str) -> None:
    from huggingface_hub import constants, try_to_load_from_cache

    files = ("config.json", "adapter_config.json")
    try:
        if any(isinstance(try_to_load_from_cache(name, file, revision=revision), str) for file in files):
            return
    except ValueError:  # no repository can have this name
        raise ModelError(f"{shown}: no such folder or file{similar or ': correct the name'}") from None
    if constants.HF_HUB_OFFLINE:
        raise ModelError(
            f"{shown}: no such folder here, and it is not in the cache of the hub; the environment variable "
            f"HF_HUB_OFFLINE forbids to fetch it: unset it, or name a folder{similar}"
        )
    _refuse_unwritable_cache(Path(constants.HF_HUB_CACHE), shown)
    _ask_hub(name, revision, shown, similar)


def _refuse_unwritable_cache(cache: Path, shown: str) -> None:
    existing = next(path for path in (cache, *cache.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise ModelError(
            f"{shown}: would be fetched from the hub to {cache}, and {existing} cannot be written: set the environment "
            "variable HF_HOME to another folder"
        )


def _ask_hub(name: str, revision: str | None, shown: str, similar: str) -> None:
    """Refuse a model that the hub does not have or does not give."""
    from huggingface_hub import HfApi, errors

    api: Any = HfApi()
    try:
        if api.model_info(name, revision=revision, timeout=SECONDS).gated:
            api.auth_check(name)
    except errors.GatedRepoError:
        problem = (
            "the hub gives it only to users who accepted its terms: accept them on its page on the hub, and log in "
            "with 'hf auth login' or set HF_TOKEN"
        )
    except errors.RepositoryNotFoundError:
        problem = (
            "no such folder here, and the hub has no such model, or it is private: correct the name, or for a private "
            f"model log in with 'hf auth login' or set HF_TOKEN{similar}"
        )
    except errors.RevisionNotFoundError:
        problem = f"the hub has no `revision` {revision!r} of it: correct the branch, tag or commit"
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "unknown")
        problem = f"no such folder here, and the hub answered with status {status}: try again later, or name a folder"
    except Exception as error:  # noqa: BLE001 - the classes are those of whichever HTTP library the hub's client uses
        problem = (
            f"no such folder here, and the hub cannot be reached ({type(error).__name__}): connect to the network, or "
            f"name a folder{similar}"
        )
    else:
        return
    raise ModelError(f"{shown}: {problem}")
