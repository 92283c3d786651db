"""What other libraries print and raise while a model loads: their output is silenced, their errors are explained."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import transformers
from safetensors import SafetensorError

from ...errors import LlmMiaError, MissingExtraError, ModelError, UsageError

__all__ = ["explain_errors", "first_line", "name_model_in_errors", "silence_libraries"]


def first_line(error: BaseException) -> str:
    """The first line of an error of another library, without the advice below it."""
    first, _, rest = str(error).strip().partition("\n")
    if first.rstrip().endswith(":"):
        first = f"{first.rstrip()} {rest.strip().partition(chr(10))[0]}"
    return (first or type(error).__name__)[:300]


@contextlib.contextmanager
def explain_errors(problem: str) -> Iterator[None]:
    """Turn every error in the block into a `ModelError` that states the *problem* before the error of the library."""
    try:
        yield
    except Exception as error:
        raise ModelError(f"{problem} ({first_line(error)})") from error


@contextlib.contextmanager
def name_model_in_errors(name: str) -> Iterator[None]:
    """Turn every error in the block into an error of this package: one line that starts with the model's name."""
    try:
        yield
    except MissingExtraError:
        raise
    except UsageError as error:
        raise UsageError(f"model {name!r}: {error}") from None
    except LlmMiaError as error:
        raise ModelError(f"model {name!r}: {error}") from None
    except SafetensorError as error:
        raise ModelError(f"model {name!r}: its weights file is damaged or cut short ({first_line(error)})") from None
    except Exception as error:  # hundreds of model classes read the user's files, and each has its own errors
        reason = first_line(error)
        if isinstance(error, KeyError):  # its message is the key alone
            reason = (
                f"a file of it names {reason}, which transformers {transformers.__version__} does not know: correct "
                "config.json, or install the release of transformers that its config.json names"
            )
        if reason.startswith("Unrecognized configuration class"):
            reason = f"not a causal language model ({reason.split('.')[-2].split(' ')[0].rstrip(chr(39) + '>')})"
        raise ModelError(f"model {name!r}: {reason}") from error


@contextlib.contextmanager
def silence_libraries() -> Iterator[None]:
    """Show no progress bars and no advice of transformers and huggingface_hub while the block runs."""
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
