"""Moments against float64, by every sweep: step by step, compiled, and the CUDA kernel through Triton's interpreter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from llm_mia.backends.moments import Head, Moments, Reducer, compiled_sweep, eager_sweep

KINDS = ["random", "one-hot", "flat", "huge", "minus infinity", "one above many"]
DTYPES = [torch.float32, torch.bfloat16]


def logits_of(kind: str, vocabulary: int = 300) -> Tensor:
    torch.manual_seed(0)
    logits = torch.randn(7, vocabulary) * 3
    match kind:
        case "one-hot":
            return torch.full((7, vocabulary), -50.0).scatter_(1, torch.arange(7)[:, None], 60.0)
        case "flat":
            return torch.zeros(7, vocabulary)
        case "huge":
            return logits * 1e4
        case "minus infinity":
            logits[:, vocabulary // 2 :] = -torch.inf
        case "one above many":
            # The mass lies far from the peak: the hardest case for squares taken about the peak.
            return torch.zeros(7, vocabulary).index_fill_(1, torch.tensor([3]), 4.0)
    return logits


def targets_of(vocabulary: int = 300) -> Tensor:
    return torch.tensor([0, 1, 5, 20, 100, 120, vocabulary // 2 - 1])


def assert_right(moments: tuple[Tensor, ...], logits: Tensor, targets: Tensor) -> None:
    """1e-5 on log-likelihood, mean and top, 1e-4 on σ, relative or absolute, whichever is larger; rank exact."""
    logprob, mean, std, top, rank = moments
    logp = torch.log_softmax(logits.double(), -1)
    p = logp.exp()
    expected_mean = torch.where(p > 0, p * logp, 0.0).sum(-1)
    variance = torch.where(p > 0, p * (logp - expected_mean[:, None]) ** 2, 0.0).sum(-1)
    actual = logp.gather(1, targets[:, None])
    np.testing.assert_allclose(logprob, actual[:, 0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(std, variance.sqrt(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(top, logp.amax(-1), rtol=1e-5, atol=1e-5)
    assert (rank == (logits > logits.gather(1, targets[:, None])).sum(-1)).all()
    assert (std > 0).all()


@pytest.mark.parametrize("sweep", [eager_sweep, compiled_sweep()])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_extreme_logits(kind: str, dtype: torch.dtype, sweep: Callable[..., tuple[Tensor, ...]]) -> None:
    logits, targets = logits_of(kind).to(dtype), targets_of()
    assert_right(sweep(logits, targets), logits, targets)


@pytest.mark.parametrize("kind", KINDS)
def test_a_vocabulary_of_a_quarter_million(kind: str) -> None:
    """Float32 sums over that many terms keep their digits."""
    logits, targets = logits_of(kind, 262_144), targets_of(262_144)
    for sweep in (eager_sweep, compiled_sweep()):
        assert_right(sweep(logits, targets), logits, targets)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("head", ["plain", "bias", "scaled", "capped"])
def test_blocks_change_nothing(head: str, compiled: bool) -> None:
    torch.manual_seed(0)
    states, weight, targets = torch.randn(50, 16), torch.randn(90, 16), torch.randint(0, 90, (50,))
    bias = torch.randn(90) if head == "bias" else None
    layer = Head(weight, bias, 0.25 if head == "scaled" else 1.0, 5.0 if head == "capped" else None)
    logits = states @ weight.T
    logits = logits if bias is None else logits + bias
    logits = logits / 4 if head == "scaled" else logits
    logits = 5 * torch.tanh(logits / 5) if head == "capped" else logits
    seven_rows = 90 * 4 * 7
    reduce = Reducer(layer, 90, states, compiled=compiled, block_bytes=seven_rows)
    assert reduce.compiled is compiled
    for _ in range(2):  # the second time into the buffer of the first
        assert_right(reduce(states, targets), layer.logits(states), targets)
    np.testing.assert_allclose(layer.logits(states), logits, atol=1e-5)
    alone = Moments(
        *(torch.cat(c) for c in zip(*(reduce(states[i : i + 1], targets[i : i + 1]) for i in range(50)), strict=True))
    )
    for a, b in zip(reduce(states, targets), alone, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_nothing_as_large_as_all_logits_is_held() -> None:
    """4 × 256 tokens of a vocabulary of 262k: 1.1 GB of logits, at most 300 MB above what was there."""
    code = """
import resource, torch
from llm_mia.backends.moments import Head, Reducer
torch.manual_seed(0)
head, states = Head(torch.randn(262_144, 16)), torch.randn(1024, 16)
reduce = Reducer(head, 262_144, states)
reduce(states[:2], torch.zeros(2, dtype=torch.long))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
reduce(states, torch.zeros(1024, dtype=torch.long))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(printed) < 300


def test_without_a_compiler_the_steps_serve(tmp_path: Path) -> None:
    code = """
import torch
from llm_mia.backends.moments import Head, Reducer
reduce = Reducer(Head(torch.eye(9)), 9, torch.empty(0))
print(reduce.compiled, reduce(torch.zeros(3, 9), torch.tensor([1, 2, 3])).rank.tolist())
"""
    environment = {"CXX": "/no/such/compiler", "PATH": "", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert run.stdout == "False [0, 0, 0]\n"


KERNEL = """
import torch
from tests.test_moments import DTYPES, KINDS, assert_right, logits_of, targets_of
from llm_mia.backends.moments.triton_kernel import triton_sweep as sweep
for vocabulary in (300, 4096, 10_001):
    targets = targets_of(vocabulary)
    for kind in KINDS:
        for dtype in DTYPES:
            logits = logits_of(kind, vocabulary).to(dtype)
            assert_right(sweep(logits, targets), logits, targets)
    wide = torch.cat([logits, logits], 1)[:, :vocabulary]  # rows that do not follow each other in memory
    assert_right(sweep(wide, targets), logits, targets)
assert [len(column) for column in sweep(torch.empty(0, 300), torch.empty(0, dtype=torch.long))] == [0] * 5
for place in (3, 4999):
    damaged = torch.zeros(2, 5000)
    damaged[1, place] = torch.nan
    logprob, *_ = sweep(damaged, torch.tensor([1, 2]))
    assert logprob.isnan().tolist() == [False, True], "a NaN among the logits of other tokens was dropped"
print("right")
"""


def test_the_cuda_kernel_computes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its arithmetic, by Triton's interpreter, which must be chosen before Triton is imported."""
    pytest.importorskip("triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    run = subprocess.run([sys.executable, "-c", KERNEL], capture_output=True, text=True, check=False)
    assert run.stdout == "right\n", run.stderr


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from llm_mia.backends.moments.triton_kernel import SETTINGS, sweep_kernel
for number in ("fp32", "bf16", "fp16"):
    kinds = ["*" + number, "*i64", *["*fp32"] * 4, "*i64", "i32", "i32", *["constexpr"] * 4]
    source = ASTSource(sweep_kernel, dict(zip(sweep_kernel.arg_names, kinds, strict=True)), SETTINGS)
    assert triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm["cubin"]
print("compiled")
"""


def test_the_cuda_kernel_compiles_for_a_gpu() -> None:
    pytest.importorskip("triton")
    run = subprocess.run([sys.executable, "-c", COMPILE], capture_output=True, text=True, check=False)
    assert run.stdout == "compiled\n", run.stderr
