"""Which windows are fed together, and what happens where the memory is too small for them."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llm_mia.backends import load_model
from llm_mia.backends.local import MEMORY_ERRORS, LocalBackend, batches, is_out_of_memory
from llm_mia.errors import ModelError
from llm_mia.records import Window

from .conftest import build_model, build_tokenizer
from .rounding import PRECISIONS, assert_same_signals, rounding_of

BUDGET, FIXED_COST = 1024, 32


def real_lengths(n: int, seed: int = 0) -> list[int]:
    """Lengths of passages in tokens: log-normal about 100, from a line to several windows' worth."""
    drawn = np.random.default_rng(seed).lognormal(4.6, 0.5, n)
    return [int(length) for length in np.clip(drawn, 3, 600)]


def cost(divided: list[list[int]], lengths: list[int]) -> int:
    return sum(max(lengths[i] for i in batch) * len(batch) + FIXED_COST for batch in divided)


def test_every_window_once_within_the_budget_longest_first() -> None:
    lengths = [*real_lengths(300), 2000]
    divided = batches(lengths, BUDGET)
    assert sorted(itertools.chain(*divided)) == list(range(301))
    assert divided[0] == [300], "longer than the budget: alone"
    assert all(max(lengths[i] for i in batch) * len(batch) <= BUDGET for batch in divided[1:])
    first = [lengths[batch[0]] for batch in divided]
    assert first == sorted(first, reverse=True)


@pytest.mark.parametrize("seed", range(5))
def test_at_most_three_percent_is_padding(seed: int) -> None:
    lengths = real_lengths(256, seed)
    fed = sum(max(lengths[i] for i in batch) * len(batch) for batch in batches(lengths, BUDGET))
    assert 1 - sum(lengths) / fed <= 0.03


def test_no_other_cut_is_cheaper() -> None:
    lengths = [400, 390, 380, 260, 250, 100, 90, 90, 30, 5]
    best = min(
        cost([list(range(a, b)) for a, b in itertools.pairwise([0, *cuts, 10])], lengths)
        for k in range(10)
        for cuts in itertools.combinations(range(1, 10), k)
        if all(lengths[a] * (b - a) <= BUDGET for a, b in itertools.pairwise([0, *cuts, 10]))
    )
    assert cost(batches(lengths, BUDGET, fixed_cost=FIXED_COST), lengths) == best


def test_no_windows_no_batches() -> None:
    assert batches([], BUDGET) == []


OUT_OF_MEMORY = """
import resource, sys, torch, numpy as np
from llm_mia.backends import load_model
from llm_mia.records import Window
torch.set_num_threads(1)
backend = load_model(sys.argv[1], dtype=sys.argv[2], tokens_per_batch=60_000, compiled=False)
windows = [Window(np.arange(60, dtype=np.int32), 1) for _ in range(1000)]
expected = backend.score(windows[:1])[0]
reported = []
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 100_000_000, resource.RLIM_INFINITY))
results = backend.score(windows, reported.append)
largest = max(abs(result.logprob - expected.logprob).max() for result in results)
print(len(results), sum(reported), backend.tokens_per_batch, largest)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc here")
@pytest.mark.parametrize("dtype", PRECISIONS)
def test_out_of_memory_halves_the_batch_and_goes_on(tiny: str, dtype: str) -> None:
    """A limit on the process's memory, so that PyTorch's allocator refuses, and oneDNN's in bfloat16."""
    command = [sys.executable, "-c", OUT_OF_MEMORY, tiny, dtype]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    windows, tokens, budget, largest = run.stdout.split()
    assert (int(windows), int(tokens)) == (1000, 1000 * 59)
    assert int(budget) <= 30_000
    assert float(largest) <= rounding_of(load_model(tiny, dtype=dtype, compiled=False)).token


def test_batches_that_wait_are_divided_before_they_fail_too() -> None:
    """640 tokens are 40 windows of 16. With memory for 10 windows two batches fail: the first, and the first half."""
    tokenizer = build_tokenizer(300, bos=False, seed=1)
    model = build_model(tokenizer, seed=1)
    backend = LocalBackend(model, tokenizer, tokens_per_batch=640, compiled=False)
    windows = [Window(np.arange(16, dtype=np.int32) + i, 1, i) for i in range(200)]
    expected = backend.score(windows)
    fed: list[int] = []

    def refuse_many_rows(_: Any, __: Any, inputs: dict[str, Any]) -> None:
        fed.append(len(inputs["input_ids"]))
        if fed[-1] > 10:
            raise torch.OutOfMemoryError("out of memory")

    model.model.register_forward_pre_hook(refuse_many_rows, with_kwargs=True)
    reported: list[int] = []
    results = backend.score(windows, reported.append)
    assert [rows for rows in fed if rows > 10] == [40, 20]
    assert fed[2:] == [10] * 20
    assert reported == [10 * 15] * 20
    assert backend.tokens_per_batch == 160
    assert_same_signals(results, expected, rounding_of(backend))


@pytest.mark.parametrize(
    ("error", "recognised"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (MemoryError(), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"),
            True,
        ),
        (
            RuntimeError("[enforce fail] data. DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"),
            True,
        ),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("could not execute a primitive"), True),
        (RuntimeError("could not create a memory object"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("std::bad_alloc"), True),
        # An operation that oneDNN does not have, and other faults.
        (RuntimeError("could not create a primitive descriptor for the matmul primitive. Run workload with"), False),
        (RuntimeError("size mismatch, got input (2), mat (2x3), vec (3)"), False),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
    ],
)
def test_what_is_lack_of_memory(error: BaseException, recognised: bool) -> None:
    assert is_out_of_memory(error) is recognised
    assert isinstance(error, MEMORY_ERRORS)


def test_a_single_window_that_does_not_fit_says_what_to_do(tiny: str) -> None:
    backend: Any = load_model(tiny, compiled=False)
    window = Window(np.arange(40, dtype=np.int32), 1)
    backend.model.base_model.layers[0].register_forward_pre_hook(lambda *_: torch.empty(1 << 55))
    with pytest.raises(ModelError, match=r"out of memory with a single window of 40 tokens: .*`window_tokens`"):
        backend.score([window])


def test_other_errors_are_not_taken_for_it(tiny: str) -> None:
    backend: Any = load_model(tiny, compiled=False)
    backend.model.base_model.layers[0].register_forward_pre_hook(lambda *_: torch.ones(2) @ torch.ones(3))
    with pytest.raises(ModelError, match=r"fails on every text \(inconsistent tensor size.*\): repair it"):
        backend.score([Window(np.arange(40, dtype=np.int32), 1)])
