"""PEFT adapters: merged into their base model, completely or not at all."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import MissingExtraError, ModelError
from ._completeness import StoredTensor, name_some, refuse_pointer, stored_tensors
from ._libraries import explain_errors
from ._locating import read_adapter_config

__all__ = ["PROMPTS_MESSAGE", "check_adapter", "merge_adapter"]

WEIGHTS = "adapter_model.safetensors"
PROMPTS_MESSAGE = (
    "its adapter puts learned prompts before every text, and no text has a likelihood without them: name its base model"
)
# Later versions of peft write more settings, most of which are not used.
SWITCHED_OFF: tuple[object, ...] = (None, False, "", [], {})
# Ways to begin a training that change the base model and cannot be repeated: their numbers are drawn at random, or come
# from data. peft repeats the first with other numbers, and leaves the others out.
CHANGED_BASE = ("pissa_niter", "corda", "lora_ga")
# Parts that peft puts into the names of the tensors of a base model.
WRAPPERS = re.compile(r"^base_model\.model\.|(?<=\.)(base_layer|original_module|modules_to_save)\.")


def check_adapter(folder: Path) -> None:
    """Refuse an adapter that cannot be merged, before its base model is loaded.

    Raises:
        MissingExtraError: peft is not installed.
        ModelError: the adapter lacks its weights, is of an unknown kind, consists of learned prompts, or was trained
            on a base model that peft had changed.
    """
    try:
        import peft
    except ImportError:
        raise MissingExtraError("peft, which this adapter needs,", "pip install 'llm-mia[peft]'") from None
    if not (folder / WEIGHTS).is_file():
        raise ModelError(f"holds no {WEIGHTS}; pickled weights can run code and are not loaded")
    refuse_pointer(folder / WEIGHTS)
    settings = read_adapter_config(folder)
    kind = settings.get("peft_type")
    if kind not in peft.PeftType.__members__:
        raise ModelError(
            f"its kind of adapter, {kind!r}, is unknown to peft {peft.__version__}: install a newer peft, or merge the "
            "adapter into its base model where it was trained"
        )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        config = peft.PeftConfig.from_pretrained(folder)
    messages = [str(warning.message) for warning in caught]
    named = {name for m in messages if m.startswith("Unexpected keyword") for name in re.findall(r"'(\w+)'", m)}
    ignored = sorted(name for name in named & {*settings} if settings[name] not in SWITCHED_OFF)
    if ignored:
        raise ModelError(
            f"its adapter_config.json has settings that peft {peft.__version__} would ignore ({', '.join(ignored)}): "
            "install a newer peft, or merge the adapter into its base model where it was trained"
        )
    if config.is_prompt_learning:
        raise ModelError(PROMPTS_MESSAGE)
    _refuse_unrepeatable(settings)


def _refuse_unrepeatable(settings: Mapping[str, Any]) -> None:
    """Refuse an adapter that peft would load without an error, and give other weights than those of the training."""
    start = settings.get("init_lora_weights")
    if isinstance(start, str) and start.startswith(CHANGED_BASE):
        raise ModelError(
            f"it was trained on a base model that peft had changed at random (init_lora_weights {start!r}), and does "
            "not hold that change: merge it into that base model where it was trained"
        )
    if settings.get("layer_replication"):
        raise ModelError(
            "it repeats layers of its base model (layer_replication), which share their weights, so it cannot be "
            "merged: load it in Python, and give `load_model` the model in memory"
        )


def merge_adapter(base: Any, folder: Path, base_name: str) -> Any:
    """The model *base* with the adapter in *folder* merged into its weights.

    Args:
        base: a model of transformers; it changes.
        folder: the adapter, which `check_adapter` has accepted.
        base_name: the base model in messages.
    """
    import peft

    tensors = stored_tensors([folder / WEIGHTS])
    _resize_embeddings(base, tensors, base_name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what peft only warns about is checked below
        with explain_errors(
            f"it does not fit its base model {base_name}: is that the model, and are target_modules and r in its "
            "adapter_config.json those of the training?"
        ):
            model = peft.PeftModel.from_pretrained(base, folder)
        expected = _names(model, embeddings=False)
        missing = expected - set(tensors)
        if missing:
            raise ModelError(
                f"its weights lack tensors that adapter_config.json requires ({name_some(missing)}): does it belong to "
                f"{base_name}?"
            )
        unused = set(tensors) - expected - _names(model, embeddings=True)
        if unused:
            raise ModelError(
                f"its weights hold tensors that have no place in {base_name} with this adapter_config.json "
                f"({name_some(unused)}): does it belong to that model?"
            )
        if not hasattr(model.base_model, "merge_and_unload"):
            raise ModelError(
                f"peft cannot merge an adapter of its kind ({model.active_peft_config.peft_type.value}), and only "
                "merged adapters are scored: name its base model, or a model with another kind of adapter"
            )
        return model.merge_and_unload()


def _names(model: Any, *, embeddings: bool) -> set[str]:
    from peft import get_peft_model_state_dict

    return set(get_peft_model_state_dict(model, save_embedding_layers=embeddings))


def _resize_embeddings(base: Any, tensors: dict[str, StoredTensor], base_name: str) -> None:
    """Give the embeddings of *base* as many rows as the adapter has.

    They differ where tokens were added before the training; the adapter holds all rows then, the old ones included.
    """
    rows = {WRAPPERS.sub("", name): tensor.shape[0] for name, tensor in tensors.items() if len(tensor.shape) == 2}
    modules = [base.get_input_embeddings(), base.get_output_embeddings()]
    names = [f"{name}.weight" for name, module in base.named_modules() if any(module is m for m in modules)]
    tied = modules[1] is None or modules[0].weight is modules[1].weight
    now = modules[0].weight.shape[0]
    stored = {rows[name] for name in names if name in rows}
    if not stored or stored == {now}:
        return
    complete = len(stored) == 1 and (tied or all(name in rows for name in names))
    if not complete:
        raise ModelError(
            f"it was trained after tokens were added ({max(stored)} for {now} in {base_name}), and does not hold all "
            "embeddings of these tokens: merge it into its base model where it was trained"
        )
    base.resize_token_embeddings(stored.pop(), mean_resizing=False)
