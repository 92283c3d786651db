"""Which windows are fed together, and what happens where they are too many."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from llm_mia.backends import load_model
from llm_mia.backends.local._batching import START_SHARE, batches
from llm_mia.errors import ModelError
from llm_mia.records import Window

BUDGET = 1024


def real_lengths(n: int, seed: int = 0) -> list[int]:
    """Lengths of passages in tokens: log-normal about 100, from a line to several windows' worth."""
    drawn = np.random.default_rng(seed).lognormal(4.6, 0.5, n)
    return [int(length) for length in np.clip(drawn, 3, 600)]


def cost(found: list[list[int]], lengths: list[int]) -> int:
    return sum(max(lengths[i] for i in batch) * len(batch) + BUDGET // START_SHARE for batch in found)


def test_every_window_once_within_the_budget_longest_first() -> None:
    lengths = [*real_lengths(300), 2000]
    found = batches(lengths, BUDGET)
    assert sorted(itertools.chain(*found)) == list(range(301))
    assert found[0] == [300], "longer than the budget: alone"
    assert all(max(lengths[i] for i in batch) * len(batch) <= BUDGET for batch in found[1:])
    first = [lengths[batch[0]] for batch in found]
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
    assert cost(batches(lengths, BUDGET), lengths) == best


def test_no_windows_no_batches() -> None:
    assert batches([], BUDGET) == []


OUT_OF_MEMORY = """
import resource, sys, torch, numpy as np
from llm_mia.backends import load_model
from llm_mia.backends.local import LocalBackend
from llm_mia.records import Window
torch.set_num_threads(1)
loaded = load_model(sys.argv[1])
backend = LocalBackend(loaded.model, loaded.tokenizer, tokens_per_batch=240_000, compiled=False)
windows = [Window(np.arange(60, dtype=np.int32), 1) for _ in range(4000)]
expected = backend.score(windows[:1])[0]
told = []
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 250_000_000, resource.RLIM_INFINITY))
found = backend.score(windows, told.append)
print(len(found), sum(told), backend.tokens_per_batch)
assert all(np.allclose(one.logprob, expected.logprob, atol=1e-5) for one in found)
"""


def test_out_of_memory_halves_the_batch_and_goes_on(tiny: str) -> None:
    """A limit on this process's memory, so that the allocator itself refuses."""
    run = subprocess.run([sys.executable, "-c", OUT_OF_MEMORY, tiny], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    windows, tokens, budget = map(int, run.stdout.split())
    assert (windows, tokens) == (4000, 4000 * 59)
    assert budget <= 120_000


def test_a_single_window_that_does_not_fit_says_what_to_do(tiny: str) -> None:
    backend: Any = load_model(tiny)
    window = Window(np.arange(40, dtype=np.int32), 1)
    backend.model.base_model.layers[0].register_forward_pre_hook(lambda *_: torch.empty(1 << 55))
    with pytest.raises(ModelError, match=r"out of memory with one window of 40 tokens: .*`window_tokens`"):
        backend.score([window])


def test_other_errors_are_not_taken_for_it(tiny: str) -> None:
    backend: Any = load_model(tiny)
    backend.model.base_model.layers[0].register_forward_pre_hook(lambda *_: torch.ones(2) @ torch.ones(3))
    with pytest.raises(RuntimeError, match="size"):
        backend.score([Window(np.arange(40, dtype=np.int32), 1)])
