"""Whether a model predicts each token from earlier tokens alone; the decision is the same in every precision."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...errors import ModelError

__all__ = ["contribution_of_last_token", "refuse_looking_ahead"]

# The limit for the contribution of a later token to earlier predictions, as a share of the largest contribution of any
# token. Causal attention gives exactly 0: a masked weight is exp(−∞). A convolution by Fourier transform in float32
# gives its rounding error, about 1e-7. An untrained BERT of two layers gives 3e-3.
LARGEST_CONTRIBUTION = 1e-6


def refuse_looking_ahead(model: Any, ids: Tensor, tolerance: float) -> None:
    """Raise a `ModelError` where the prediction of *model* for an earlier token depends on the last of *ids*.

    A model must pass two tests. First, the gradient of the earlier logits with respect to the last token's embedding
    must be zero. It is zero for a causal model in every precision; for a model that looks ahead it is not zero, even
    where the forward pass rounds the difference away. Second, the earlier logits must stay the same when the last token
    is exchanged: this detects choices without a gradient (routing, top-k).

    Args:
        model: a model of transformers, in evaluation mode.
        ids: token ids, shape (1, n), n ≥ 2.
        tolerance: the largest change of the earlier logits in the second test, as a share of their standard deviation.
            A mixture of experts groups equal rows with different other rows, so their rounding may differ.
    """
    if contribution_of_last_token(model, ids) > LARGEST_CONTRIBUTION or _change_by_last_token(model, ids) > tolerance:
        raise ModelError("not a causal language model: its prediction depends on tokens that come later")


def contribution_of_last_token(model: Any, ids: Tensor) -> float:
    """The contribution of the last of *ids* to the earlier logits, as a share of the largest contribution of a token.

    A contribution is the norm of the gradient with respect to the token's embedding. The result is 0 where the model
    has no gradient: with kernels for inference only, or with weights that are not in memory (a gradient would need all
    of them in memory at once). It is NaN where the gradient exceeds float16's range.
    """
    if any(parameter.is_meta for parameter in model.parameters()):
        return 0.0
    embeddings: list[Tensor] = []

    def record(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        embeddings.append(output.detach().requires_grad_())
        return embeddings[-1]

    hook = model.get_input_embeddings().register_forward_hook(record)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            earlier = model(input_ids=ids.clone(), use_cache=False).logits[0, :-1].float()
            # Random weights, because the terms of a plain sum can cancel: they do after a layer norm.
            weights = torch.randn(earlier.shape, generator=torch.Generator().manual_seed(0)).to(earlier.device)
            gradients = torch.autograd.grad(earlier, embeddings, weights)
    except RuntimeError:
        return 0.0
    finally:
        hook.remove()
    contributions = torch.stack([gradient[0].float() for gradient in gradients]).sum(0).norm(dim=-1)
    return float(contributions[-1] / contributions.max())


@torch.inference_mode()
def _change_by_last_token(model: Any, ids: Tensor) -> float:
    """The largest change of an earlier logit when the last token is exchanged, in standard deviations of the logits."""
    changed = ids.clone()
    changed[0, -1] = (changed[0, -1] + 1) % model.config.get_text_config().vocab_size
    before, after = (model(input_ids=fed, use_cache=False).logits.float() for fed in (ids, changed))
    # Some models give −∞ to unused tokens, in both cases.
    spread = float(before[before.isfinite()].std()) or 1.0
    return float((after - before)[0, :-1].nan_to_num(0.0).abs().max()) / spread
