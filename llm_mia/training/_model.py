"""The model that a training begins with: the base, an adapter on it, or random weights of its architecture."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch

from ..backends import ModelSpec, embedded
from ..backends.local import LocalBackend, first_line, load
from ..errors import MissingExtraError, ModelError
from ._recipe import Method, Recipe

__all__ = ["Trainee", "build_model", "cuda_devices", "dropping"]


@dataclass(frozen=True, slots=True)
class Trainee:
    """A model that is ready to be trained: the weights to train require gradients, and no others do."""

    base: LocalBackend
    """The model, in which the adapter is a part of the layers."""
    adapter: Any = None
    """The ``PeftModel`` around the same model, for LoRA."""


def build_model(spec: ModelSpec, recipe: Recipe) -> Trainee:
    """The model to train, in float32, with the weights that it begins with, which the seed decides.

    Raises:
        ModelError: the base model cannot be loaded, or has no layer for an adapter.
        MissingExtraError: the recipe or the base needs a package that is not installed.
    """
    if spec.is_endpoint:
        raise ModelError(f"model {str(spec.name)!r} is behind an endpoint: only a model on this machine can be trained")
    if recipe.method is Method.LORA:
        _require_peft()
    path = embedded.gguf_file() if str(spec.name) == embedded.NAME else spec.name
    base = load(
        str(path),
        name=str(spec.name),
        revision=spec.revision,
        dtype="float32",
        device=spec.device,
        trust_remote_code=spec.trust_remote_code,
        pre_tokenizer=spec.pre_tokenizer,
        templated=spec.templated,
        compiled=False,  # training computes no signals
    )
    with torch.random.fork_rng(devices=cuda_devices()):
        torch.manual_seed(recipe.seed)
        if recipe.method is Method.LORA:
            return Trainee(base, _add_adapter(base, recipe))
        if recipe.method is Method.SCRATCH:
            return Trainee(_from_scratch(base, templated=spec.templated))
    return Trainee(base)


def cuda_devices() -> list[int]:
    """The numbers of the CUDA devices of this machine."""
    return list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []


def _require_peft() -> None:
    try:
        import peft  # noqa: F401
    except ImportError:
        raise MissingExtraError("peft, which LoRA needs,", "pip install 'llm-mia[peft]'") from None


def _add_adapter(base: LocalBackend, recipe: Recipe) -> Any:
    """Put a low-rank adapter into the layers of *base*, on whose device it is created."""
    import peft

    error: Exception = ValueError()
    # The layers that peft adapts by default in an architecture; where it does not know them, all linear layers but the
    # head.
    for layers in (None, "all-linear"):
        config = peft.LoraConfig(
            task_type="CAUSAL_LM",
            r=recipe.lora_rank,
            lora_alpha=2 * recipe.lora_rank,
            lora_dropout=recipe.dropout or 0.0,
            target_modules=layers,
        )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it corrects the order of the weights of GPT-2's layers
                return peft.get_peft_model(base.model, config)
        except (ValueError, KeyError) as refused:
            error = refused
    raise ModelError(
        f"model {base.info.id!r} has no layer to which peft can add an adapter ({first_line(error)}): use `method` full"
    ) from error


def _from_scratch(base: LocalBackend, *, templated: bool) -> LocalBackend:
    """A model of the architecture of *base* with random weights, and its tokenizer."""
    model = type(base.model)(deepcopy(base.model.config)).float().to(base.device)
    return LocalBackend(model, base.tokenizer, name=base.info.id, templated=templated, compiled=False)


@contextmanager
def dropping(trainee: Trainee, probability: float | None) -> Iterator[None]:
    """While the block runs, the model drops activations with *probability*; None leaves it as it is configured.

    It is the probability of every layer that can drop: of dropout layers, of attention where its configuration provides
    for dropout, and of the adapter.

    Raises:
        ModelError: nothing in the model can drop activations.
    """
    before = [] if probability is None else [*_probabilities(trainee.base.model)]
    try:
        for module, name, _ in before:
            setattr(module, name, probability)
        if probability and not _drops(trainee.base):
            raise ModelError(
                f"model {trainee.base.info.id!r} has no layer that can drop activations: leave out `dropout`, or use "
                "`method` lora, whose adapter can"
            )
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


def _probabilities(model: Any) -> Iterator[tuple[Any, str, float]]:
    """Each probability of dropping an activation in *model*: the layer, its attribute, and the value.

    Layers copy it from the configuration when they are created. The configuration stays as it is, for the saved model.
    """
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            yield module, "p", module.p
            continue
        for name, value in vars(module).items():
            if "drop" in name and "layer" not in name and type(value) in (float, int):
                yield module, name, float(value)


def _drops(base: LocalBackend) -> bool:
    """Whether the same text has another result in training mode when it is computed again."""
    vocabulary = base.model.config.get_text_config().vocab_size
    ids = torch.arange(min(16, base.info.context), device=base.device)[None] % vocabulary
    base.model.train()
    with torch.no_grad(), torch.random.fork_rng(devices=cuda_devices()):
        torch.manual_seed(0)
        first, second = (base.model(input_ids=ids, use_cache=False).logits for _ in range(2))
    base.model.eval()
    return not torch.equal(first, second)
