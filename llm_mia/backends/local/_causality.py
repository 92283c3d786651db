"""Whether a model predicts each token from earlier ones alone, decided alike in every precision."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...errors import ModelError

__all__ = ["refuse_looking_ahead"]

# What a later token may contribute to earlier predictions, as a share of the largest contribution of any token. Causal
# attention gives exactly 0: a masked weight is exp(−∞). A convolution by Fourier transform in float32 leaves its
# rounding, some 1e-7. An untrained BERT of two layers gives 3e-3.
LARGEST_SHARE = 1e-6


def refuse_looking_ahead(model: Any, ids: Tensor, tolerance: float) -> None:
    """Raise a `ModelError` where the prediction of *model* for an earlier token depends on the last of *ids*.

    Two tests, and a model must pass both. The gradient of the earlier logits with respect to the last token's embedding
    is zero for a causal model, whatever the precision; it is not zero for a model that looks ahead, however little,
    even where the forward pass rounds the difference away. The second test exchanges the last token and compares the
    earlier logits: it sees choices (routing, top-k) that have no gradient.

    Args:
        model: of transformers, in evaluation mode.
        ids: token ids, shape (1, n), n ≥ 2.
        tolerance: how far the earlier logits may move in the second test, as a share of their standard deviation. Rows
            that get equal inputs may round otherwise where a mixture of experts groups them with other rows.
    """
    if _share_of_last(model, ids) > LARGEST_SHARE or _moved_by_last(model, ids) > tolerance:
        raise ModelError("not a causal language model: its prediction depends on tokens that come later")


def _share_of_last(model: Any, ids: Tensor) -> float:
    """What the last token contributes to the logits of the others, as a share of the largest contribution of a token.

    0 where the model has no gradient: inference-only kernels, or weights that are not in memory (with gradients all of
    them would be held there at once). NaN where the gradient is out of float16's range.
    """
    if any(parameter.is_meta for parameter in model.parameters()):
        return 0.0
    embedded: list[Tensor] = []

    def as_leaf(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        embedded.append(output.detach().requires_grad_())
        return embedded[-1]

    hook = model.get_input_embeddings().register_forward_hook(as_leaf)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            earlier = model(input_ids=ids.clone(), use_cache=False).logits[0, :-1].float()
            # Random weights: a plain sum can cancel, as it does behind a layer norm.
            weights = torch.randn(earlier.shape, generator=torch.Generator().manual_seed(0)).to(earlier.device)
            gradients = torch.autograd.grad(earlier, embedded, weights)
    except RuntimeError:
        return 0.0
    finally:
        hook.remove()
    contributions = torch.stack([gradient[0].float() for gradient in gradients]).sum(0).norm(dim=-1)
    return float(contributions[-1] / contributions.max())


@torch.inference_mode()
def _moved_by_last(model: Any, ids: Tensor) -> float:
    """The largest change of an earlier logit when the last token is another, in standard deviations of the logits."""
    changed = ids.clone()
    changed[0, -1] = (changed[0, -1] + 1) % model.config.get_text_config().vocab_size
    before, after = (model(input_ids=given, use_cache=False).logits.float() for given in (ids, changed))
    # Some models keep tokens out of use at −∞ in both.
    spread = float(before[before.isfinite()].std()) or 1.0
    return float((after - before)[0, :-1].nan_to_num(0.0).abs().max()) / spread
