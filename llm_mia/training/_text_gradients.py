"""The gradient of each text by itself, which DP-SGD clips: of several texts at once, or of each text alone.

Opacus computes the gradients of several texts at once, from the input and the gradient of the output of each layer. It
takes for granted that the first dimension of a layer's input is the texts, which mixtures of experts, for example, do
not observe. So its gradients are compared with those of each text alone before they are used; where they differ, each
text is computed alone. Both ways give the same gradients, so privacy does not depend on which is used.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ..backends.local import LocalBackend
from ..errors import ModelError
from ._updates import IGNORED, pad_with_targets

__all__ = ["TextGradients"]

LARGEST_BYTES = 2**30
"""Of the gradients of the texts that are computed at once."""
PROBE_TOKENS = 16
"""Length of the texts on which the gradients are compared."""
# Of the norm of a text's gradient. Rounding in float32 is 1e-6 of it for each layer at most, a hundred layers included;
# the gradient of another text, or of two texts together, differs by about its norm.
ROUNDING = 1e-3


class TextGradients:
    """Sets ``grad_sample`` of each trained weight: the gradients of a group of texts, the first dimension the texts.

    The objective of a text is the mean over its predicted tokens.

    Args:
        base: the model.
        label_smoothing: of the objective.
    """

    def __init__(self, base: LocalBackend, label_smoothing: float) -> None:
        self._model: Any = base.model
        self._device, self._smoothing = base.device, label_smoothing
        self._name = base.info.id
        # Opacus keeps what it computes in attributes of the weights.
        self.trained: list[Any] = [weights for weights in base.model.parameters() if weights.requires_grad]
        self._hooks: Any = None
        self._positions = "position_ids" in inspect.signature(base.model.forward).parameters

    @property
    def most_texts(self) -> int:
        """How many texts at once keep the gradients within their memory."""
        count: int = sum(weights.numel() for weights in self.trained)
        return max(1, LARGEST_BYTES // (4 * count))

    def choose(self, texts: Sequence[Tensor]) -> bool:
        """Decide, with the model in training mode and without dropout, whether several texts are computed at once.

        Returns:
            Whether they are. False also where a text alone already fills the memory for gradients.

        Raises:
            ModelError: a layer keeps something of a text for later steps, outside the gradient.
        """
        probe = _probe(texts)
        buffers = {name: buffer.clone() for name, buffer in self._model.named_buffers()}
        with _nothing_zero(self.trained), torch.no_grad():
            alone = [self._alone(ids) for ids in probe]
            self._refuse_memory(buffers)
            if self.most_texts > 1 and len(probe) > 1:
                self._attach()
                if not self._agrees(probe, alone):
                    self.only_alone()
        self.clear()
        return self._hooks is not None

    def only_alone(self) -> None:
        """From now on, compute each text alone."""
        if self._hooks is not None:
            self._hooks.remove_hooks()
            self._hooks = None
        for module in self._model.modules():  # of a computation that was broken off
            for name in ("activations", "max_batch_len"):
                module.__dict__.pop(name, None)
        for weights in self.trained:
            weights.__dict__.pop("_current_grad_sample", None)
        self.clear()

    def compute(self, group: Sequence[Tensor]) -> float:
        """Set ``grad_sample`` for *group*; returns its loss, summed over the predicted tokens, in nats.

        Several texts need `choose` to have allowed them.
        """
        self.clear()
        several = self._hooks is not None and len(group) > 1
        ids, targets = pad_with_targets(group, self._device)
        if self._hooks is not None:
            (self._hooks.enable_hooks if several else self._hooks.disable_hooks)()
        positions = {}
        if several and self._positions:  # an embedding of positions is else computed once for all texts
            positions["position_ids"] = torch.arange(ids.shape[1], device=ids.device).expand(ids.shape)
        logits = self._model(input_ids=ids, use_cache=False, **positions).logits.float()
        targets = targets.to(logits.device)
        settings: dict[str, Any] = {"ignore_index": IGNORED, "reduction": "none"}
        each = cross_entropy(logits.transpose(1, 2), targets, label_smoothing=self._smoothing, **settings).sum(1) / (
            targets != IGNORED
        ).sum(1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch on hooks of layers whose input needs no gradient
            torch.autograd.backward(each.sum())
        for weights in self.trained:
            if several:
                gradients: Tensor | None = getattr(weights, "grad_sample", None)
            else:
                gradients = None if weights.grad is None else weights.grad[None]
            if gradients is None:  # a layer that these texts did not reach
                gradients = torch.zeros((len(group), *weights.shape), dtype=weights.dtype, device=weights.device)
            weights.grad_sample, weights.grad = gradients, None
        return float(cross_entropy(logits.detach().transpose(1, 2), targets, **settings).sum())

    def set_none(self) -> None:
        """Set ``grad_sample`` to the gradients of no text."""
        for weights in self.trained:
            weights.grad_sample = weights.new_zeros((0, *weights.shape))

    def clear(self) -> None:
        """Remove all gradients of texts."""
        for weights in self.trained:
            weights.grad_sample, weights.grad = None, None

    def _attach(self) -> None:
        """Let Opacus observe the layers."""
        from opacus import GradSampleModule

        try:
            self._hooks = GradSampleModule(self._model, loss_reduction="sum", strict=False)
        except (NotImplementedError, RuntimeError):  # a layer of which Opacus cannot compute the gradients of texts
            for hook in self._model.__dict__.pop("autograd_grad_sample_hooks", []):
                hook.remove()
            self.only_alone()

    def _alone(self, ids: Tensor) -> list[Tensor]:
        with torch.enable_grad():
            self.compute([ids])
        return [weights.grad_sample[0] for weights in self.trained]

    def _agrees(self, probe: Sequence[Tensor], alone: Sequence[Sequence[Tensor]]) -> bool:
        """Whether the gradients of *probe* at once are those of each text *alone*."""
        if self._hooks is None:
            return False
        try:
            with torch.enable_grad():
                self.compute(probe)
        except Exception:  # noqa: BLE001 (each architecture breaks Opacus in its own way; alone it works)
            return False
        if any(weights.grad_sample.shape != (len(probe), *weights.shape) for weights in self.trained):
            return False
        for at, gradients in enumerate(alone):
            norm = _norm(gradients)
            differences = [w.grad_sample[at] - g for w, g in zip(self.trained, gradients, strict=True)]
            if not _norm(differences) <= ROUNDING * norm:
                return False
        return True

    def _refuse_memory(self, before: dict[str, Tensor]) -> None:
        for name, buffer in self._model.named_buffers():
            if name not in before or not torch.equal(buffer, before[name]):
                layer = name.rpartition(".")[0]
                kind = type(self._model.get_submodule(layer)).__name__
                raise ModelError(
                    f"model {self._name!r}: the layer {layer!r} ({kind}) keeps something of the texts in "
                    f"{name.rpartition('.')[2]!r}, which DP-SGD cannot make private: leave out `privacy`, or give "
                    "another model"
                )


def _probe(texts: Sequence[Tensor]) -> list[Tensor]:
    """The beginnings of a short and of a long text, of different lengths where there are any."""
    ordered = sorted(texts, key=len)
    chosen = [ordered[0], ordered[-1]] if len(ordered) > 1 else ordered
    return [ids[: PROBE_TOKENS + 4 * at] for at, ids in enumerate(chosen)]


@contextmanager
def _nothing_zero(weights: Sequence[Tensor]) -> Iterator[None]:
    """While the block runs, weights that are all zero are not: behind them, all gradients would be zero."""
    generator = torch.Generator().manual_seed(0)
    zeros = [each for each in weights if not each.any()]
    with torch.no_grad():
        for each in zeros:
            each.copy_(torch.randn(each.shape, generator=generator) * 0.01)
        try:
            yield
        finally:
            for each in zeros:
                each.zero_()


def _norm(gradients: Sequence[Tensor]) -> float:
    return float(torch.stack([each.float().norm().cpu() for each in gradients]).norm())
