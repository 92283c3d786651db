"""How much two computations of the same signals may differ: derived from the arithmetic, not measured on a machine."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from llm_mia.records import TokenSignals

PRECISIONS = ("float32", "bfloat16")
FIELDS = ("logprob", "mean", "std", "top")
# Half the distance from 1 to the next number: 24 and 8 bits.
UNIT = {"float32": 2.0**-24, "bfloat16": 2.0**-8}
# Of normally distributed errors 6 in 100,000 are larger, and that at the token whose errors vary most.
SIGMAS = 4.0
RUNS = 8


@dataclass(frozen=True)
class Rounding:
    """What rounding alone changes in the signals of a model, in nats; see `rounding_of`."""

    largest: dict[str, float]
    """Of each signal, the largest difference between two computations at any token."""
    typical: dict[str, float]
    """Of each signal, the root mean square over tokens of the difference between two computations."""

    @property
    def token(self) -> float:
        """The largest difference in a token's log-likelihood."""
        return self.largest["logprob"]

    def of_sum(self, tokens: int) -> float:
        """The largest difference in a sum of log-likelihoods of so many *tokens*, whose errors add as squares."""
        return max(self.token, SIGMAS * self.typical["logprob"] * math.sqrt(tokens))

    def of_mean(self, passages: int) -> float:
        """The largest difference in the mean over all tokens of so many *passages*, whose errors are independent."""
        return SIGMAS * self.typical["logprob"] / math.sqrt(passages)


def rounding_of(backend: Any) -> Rounding:
    """By how much two right computations of the same signals by *backend* may differ.

    It is derived by stochastic arithmetic (Vignes 1993) on a copy of the model in float64. A result that is stored with
    p bits has a relative error spread evenly over ±u, u = 2⁻ᵖ: u/√3 in the root mean square. A sum of n products is
    taken in float32, in an order that depends on the batch, the threads and the processor: its n partial sums grow as
    √k, which adds √(n/2) · 2⁻²⁴/√3 of the size of a typical sum. Roundings are independent of each other (Higham and
    Mary 2019), so normal noise of this size on the result of every module, drawn anew for every run, makes errors as
    rounding does. The standard deviation of a token's signal over the runs, times √2 for the difference of two
    computations, is the typical difference; four times that of the token where it is largest holds for every token. The
    last steps, from logits to signals, are in float32 and round by themselves.
    """
    return _rounding(backend.model, backend.info.dtype)


@functools.lru_cache(maxsize=64)
@torch.inference_mode()
def _rounding(model: Any, dtype: str) -> Rounding:
    exact = copy.deepcopy(model).double()
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, exact.config.get_text_config().vocab_size, (4, 48), generator=generator)
    expected = _signals(exact, ids)
    for module in exact.modules():
        if module is not exact and not isinstance(module, nn.Embedding):  # stored numbers are read without an error
            module.register_forward_hook(functools.partial(_rounded, UNIT[dtype], generator))
    errors = torch.stack([_signals(exact, ids) - expected for _ in range(RUNS)])  # (runs, fields, texts, tokens)
    last = 4 * UNIT["float32"] * expected.abs().amax((1, 2))
    largest = SIGMAS * 2**0.5 * errors.square().mean(0).sqrt().amax((1, 2)) + last
    typical = 2**0.5 * errors.square().mean((0, 2, 3)).sqrt() + last
    return Rounding(*(dict(zip(FIELDS, bounds.tolist(), strict=True)) for bounds in (largest, typical)))


def _signals(model: Any, ids: Tensor) -> Tensor:
    """`FIELDS` of every token but the first, shape (fields, texts, tokens)."""
    logp = model(input_ids=ids, use_cache=False).logits.log_softmax(-1)[:, :-1]
    p = logp.exp()
    mean = (p * logp).sum(-1)
    std = (p * (logp - mean[..., None]) ** 2).sum(-1).sqrt()
    return torch.stack([logp.gather(2, ids[:, 1:, None])[..., 0], mean, std, logp.amax(-1)])


def _rounded(unit: float, generator: torch.Generator, module: nn.Module, _: Any, output: Any) -> Any:
    """The *output* of a *module* with noise as large as the rounding of its arithmetic."""
    if isinstance(output, tuple):
        return (_rounded(unit, generator, module, _, output[0]), *output[1:])
    if not isinstance(output, Tensor) or not output.is_floating_point():
        return output
    noise = unit * output * torch.randn(output.shape, generator=generator, dtype=output.dtype)
    weight = getattr(module, "weight", None)
    if weight is not None and weight.dim() == 2:
        terms = weight.numel() // output.shape[-1]
        size = output.square().mean(-1, keepdim=True).sqrt()
        order = torch.randn(output.shape, generator=generator, dtype=output.dtype)
        noise += (terms / 2) ** 0.5 * UNIT["float32"] * size * order
    return output + noise / 3**0.5


def assert_same_signals(computed: Sequence[TokenSignals], expected: Sequence[TokenSignals], rounding: Rounding) -> None:
    """The same tokens, and signals that differ by rounding alone, at every token and on average.

    A rank goes up or down by 1 where another logit is nearer to the token's logit than rounding: of 500 logits with a
    standard deviation of 2.8 some 70 lie within a nat, and 70 · 1e-5 < 1 %. In bfloat16 it happens at most tokens.
    """
    assert [signals.token_ids.tolist() for signals in computed] == [signals.token_ids.tolist() for signals in expected]
    for field in FIELDS:
        left, right = (np.concatenate([getattr(signals, field) for signals in side]) for side in (computed, expected))
        assert_close(left, right, rounding, field)
    if rounding.typical["logprob"] < 1e-5:
        apart = np.concatenate([np.abs(a.rank - b.rank) for a, b in zip(computed, expected, strict=True)])
        assert apart.max() <= 1
        assert apart.mean() <= 0.01


def assert_close(computed: NDArray[Any], expected: NDArray[Any], rounding: Rounding, field: str = "logprob") -> None:
    """Two arrays of a signal, one entry a token, that differ by rounding alone."""
    np.testing.assert_allclose(computed, expected, rtol=0, atol=rounding.largest[field])
    difference = np.asarray(computed, np.float64) - np.asarray(expected, np.float64)
    # Tokens of the texts at hand may be twice as sensitive on average as those that the rounding was derived from.
    assert np.sqrt(np.mean(difference**2)) <= 2 * rounding.typical[field]
