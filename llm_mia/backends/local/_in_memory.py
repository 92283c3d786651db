"""A model of transformers that is in memory already and belongs to the caller: to a training loop, or a notebook."""

from __future__ import annotations

from typing import Any

from ...errors import ModelError, UsageError
from ._adapters import PROMPTS_MESSAGE
from ._backend import LocalBackend

__all__ = ["from_memory"]


def from_memory(
    model: Any,
    tokenizer: Any,
    *,
    tokens_per_batch: int | None,
    compiled: bool,
    templated: bool = False,
    temperature: float = 1.0,
) -> LocalBackend:
    """A backend for *model*, which keeps its device, its precision and its mode; see `llm_mia.load_model`.

    Raises:
        UsageError: there is no *tokenizer*, or *model* is not a model of transformers.
        ModelError: the model looks at tokens that come later, or reads learned prompts before every text.
    """
    if tokenizer is None:
        raise UsageError("`model` is in memory, and a model does not hold its tokenizer: give it as `tokenizer`")
    for method in ("get_input_embeddings", "get_output_embeddings", "state_dict"):
        if not hasattr(model, method) or not hasattr(model, "config"):
            raise UsageError(
                f"`model` is of the type {type(model).__name__}: give the name of a model, or a causal language model "
                "of transformers"
            )
    if not callable(tokenizer) or not hasattr(tokenizer, "get_vocab"):
        raise UsageError(f"`tokenizer` is of the type {type(tokenizer).__name__}: give a tokenizer of transformers")
    if any(parameter.is_meta for parameter in model.parameters()):
        raise UsageError("`model` has weights on the device 'meta', which holds no numbers: load them first")
    name = f"{getattr(model.config, 'name_or_path', '') or 'model'} in memory"
    try:
        return LocalBackend(
            _unwrap_peft(model),
            tokenizer,
            name=name,
            tokens_per_batch=tokens_per_batch,
            compiled=compiled,
            templated=templated,
            temperature=temperature,
        )
    except ModelError as error:
        raise ModelError(f"model {name!r}: {error}") from None
    except Exception as error:  # hundreds of model classes, each of which fails in its own way
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"model {name!r}: does not compute as a causal language model ({reason[:300]})") from error


def _unwrap_peft(model: Any) -> Any:
    """The model inside a ``PeftModel``: its layers hold the adapters, so it makes the same predictions."""
    configs = getattr(model, "peft_config", None)
    if not configs or not hasattr(model, "get_base_model"):
        return model
    if any(config.is_prompt_learning for config in configs.values()):
        raise ModelError(PROMPTS_MESSAGE)
    return model.get_base_model()
