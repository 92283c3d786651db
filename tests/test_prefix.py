"""A prefix before every window: read once, and the same scores as if it were fed with each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from llm_mia.backends import load_model
from llm_mia.backends.fake import FakeBackend
from llm_mia.backends.local import LocalBackend, silence_libraries
from llm_mia.errors import ModelError
from llm_mia.records import IntArray, TokenSignals, Window
from tests.conftest import build_model, build_tokenizer, with_doubled_logits
from tests.families import build_family
from tests.rounding import FIELDS, PRECISIONS, assert_same_signals, rounding_of
from tests.test_local import assert_plain, plain

N_PREFIX = 30


def tokens(n: int, seed: int) -> IntArray:
    return np.random.default_rng(seed).integers(2, 280, n).astype(np.int32)


PREFIX = tokens(N_PREFIX, 99)
# Lengths, and where scoring starts: a single token, tokens right after the prefix, tokens after other context.
SHAPES = [(1, 0), (34, 0), (5, 0), (17, 3), (23, 1), (2, 1), (9, 8), (12, 0), (12, 0), (33, 20), (1, 0)]
WINDOWS = [Window(tokens(n, i), first, i) for i, (n, first) in enumerate(SHAPES)]

CONTEXT_ONLY = [w for w in WINDOWS if w.first_scored]


def whole(windows: Sequence[Window], prefix: IntArray = PREFIX) -> list[Window]:
    return [Window(np.concatenate([prefix, w.tokens]), w.first_scored + len(prefix)) for w in windows]


def assert_same(backend: LocalBackend, found: Sequence[TokenSignals], expected: Sequence[TokenSignals]) -> None:
    """But for the rounding of *backend*."""
    assert_same_signals(found, expected, rounding_of(backend))


@contextmanager
def fed(backend: Any) -> Iterator[list[tuple[int, int]]]:
    """The shapes, (rows, tokens), of what is fed to the model meanwhile."""
    shapes: list[tuple[int, int]] = []
    hook = backend.model.base_model.register_forward_pre_hook(
        lambda _, __, given: shapes.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    yield shapes
    hook.remove()


def local(model: Any, budget: int | None = None) -> LocalBackend:
    return LocalBackend(model, build_tokenizer(300, bos=False, seed=1), tokens_per_batch=budget, compiled=False)


def llama(budget: int | None = None, **changes: Any) -> LocalBackend:
    return local(build_model(build_tokenizer(300, bos=False, seed=1), seed=1, **changes), budget)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", ["tiny", "tiny_bos"])
def test_the_scores_are_those_of_feeding_everything(name: str, dtype: str, request: pytest.FixtureRequest) -> None:
    """In any order and any batches, and those that a plain computation in float64 gives."""
    loaded: Any = load_model(request.getfixturevalue(name), dtype=dtype, compiled=False)
    rounding = rounding_of(loaded)
    prefix = np.concatenate([loaded.opening, PREFIX[len(loaded.opening) :]]).astype(np.int32)
    order = np.random.default_rng(0).permutation(len(WINDOWS))
    expected = [plain(loaded, w.tokens, w.first_scored) for w in whole(WINDOWS, prefix)]
    for budget in (1, 64, 1000):
        backend = LocalBackend(loaded.model, loaded.tokenizer, tokens_per_batch=budget, compiled=False)
        assert_same_signals(backend.score(WINDOWS, prefix=prefix), backend.score(whole(WINDOWS, prefix)), rounding)
        found = backend.score([WINDOWS[i] for i in order], prefix=prefix)
        assert_plain(found, [expected[i] for i in order], rounding)
        assert {signals.tokenizer for signals in found} == {backend.info.tokenizer}


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_other_windows_in_the_batch_change_nothing(dtype: str) -> None:
    backend = local(build_model(build_tokenizer(300, bos=False, seed=1), seed=1).to(getattr(torch, dtype)), 1000)
    alone = [backend.score([window], prefix=PREFIX)[0] for window in WINDOWS]
    assert_same(backend, backend.score(WINDOWS, prefix=PREFIX), alone)


FAMILIES: dict[str, dict[str, Any]] = {
    "GPT2": {},
    "GPTNeoX": {},
    "OPT": {},
    "Bloom": {},
    "Gemma2": {"max_position_embeddings": 128, "sliding_window": 8},
    "Cohere": {"max_position_embeddings": 128, "num_key_value_heads": 2},
    # A sliding window that the prefix alone does not fill.
    "Mistral": {
        "intermediate_size": 64,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "sliding_window": 50,
    },
    "Mamba": {},
}
# Those that go on from a cache in every release of transformers that is allowed.
ALWAYS_CACHED = {"GPTNeoX", "Bloom", "Cohere", "Mistral"}


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(family: str, dtype: str) -> None:
    """Positions by table, by rotation and by slope, sliding windows, and a state-space model, which keeps no keys."""
    backend = local(build_family(family, dtype, num_hidden_layers=2, initializer_range=0.3, **FAMILIES[family]))
    with silence_libraries(), fed(backend) as shapes:
        found = backend.score(WINDOWS, prefix=PREFIX)
    with silence_libraries():
        assert_same(backend, found, backend.score(whole(WINDOWS)))
    long = [shape for shape in shapes if shape[1] > N_PREFIX + 5]
    if family in ALWAYS_CACHED:
        assert long == [(1, N_PREFIX + 34)], "the prefix ran once, with the longest window behind it"
    if family == "Mamba":
        assert sum(rows for rows, _ in long) > len(WINDOWS) / 2


def test_a_head_that_is_not_known_has_whole_logits_after_a_prefix_too() -> None:
    backend = local(with_doubled_logits(build_model(build_tokenizer(300, bos=False, seed=1), seed=0)))
    assert backend.info.head == "whole"
    with fed(backend) as shapes:
        found = backend.score(WINDOWS, prefix=PREFIX)
    assert max(length for _, length in shapes[1:]) <= 34
    assert_same(backend, found, backend.score(whole(WINDOWS)))


def test_the_prefix_runs_once_as_long_as_it_is_the_same() -> None:
    backend = llama(64)
    with fed(backend) as shapes:
        first = backend.score(WINDOWS, prefix=PREFIX)
        backend.score(CONTEXT_ONLY)
        again = backend.score(WINDOWS[::-1], prefix=PREFIX.copy())
    assert [shape for shape in shapes if shape[1] > 34] == [(1, N_PREFIX + 34)]
    assert_same(backend, again[::-1], first)
    assert_same(backend, backend.score(CONTEXT_ONLY), llama().score(CONTEXT_ONLY))


def test_another_prefix_and_a_longer_window_are_read_anew() -> None:
    backend = llama()
    other = tokens(20, 5)
    with fed(backend) as shapes:
        backend.score(WINDOWS[2:3], prefix=PREFIX)
        backend.score(WINDOWS[3:4], prefix=PREFIX)
        found = backend.score(WINDOWS[:4], prefix=other)
    assert [shape for shape in shapes if shape[1] > 34] == [(1, 35), (1, 47), (1, 54)]
    assert_same(backend, found, backend.score(whole(WINDOWS[:4], other)))


def test_no_windows_no_prefix() -> None:
    backend = llama()
    with fed(backend) as shapes:
        assert backend.score([], prefix=PREFIX) == []
    assert shapes == []


def test_what_is_kept_does_not_grow_with_the_windows() -> None:
    backend = llama()
    backend.score(WINDOWS, prefix=PREFIX)
    assert backend.prefix is not None
    cache: Any = backend.prefix.cache
    assert {tuple(t.shape) for pair in cache.stored.values() for t in pair} == {(1, 2, N_PREFIX, 8)}
    assert all(t.untyped_storage().nbytes() == t.nbytes for pair in cache.stored.values() for t in pair)
    assert len(cache.stored) == 2


def test_half_precision_goes_on_from_its_cache(tiny: str) -> None:
    backend: Any = load_model(tiny, dtype="bfloat16", compiled=False)
    found = backend.score(WINDOWS, prefix=PREFIX)
    assert backend.prefix.cache is not None
    assert_same(backend, found, backend.score(whole(WINDOWS)))


@pytest.mark.parametrize("make", [llama, lambda: FakeBackend(context=64)])
def test_prefix_and_window_that_exceed_the_context_are_refused(make: Callable[[], Any]) -> None:
    make().score([Window(w.tokens % 250, w.first_scored) for w in WINDOWS[4:5]], prefix=tokens(41, 1) % 250)
    with pytest.raises(ModelError, match=r"takes 64 tokens, fewer than a prefix of 31 tokens and a window of 34"):
        make().score(WINDOWS, prefix=tokens(31, 1))
    with pytest.raises(ModelError, match=r"give fewer or shorter `shots`, or a smaller `window_tokens`"):
        make().score(WINDOWS[:1], prefix=tokens(64, 1))


def test_a_batch_has_room_for_what_the_prefix_takes_in_it() -> None:
    backend = llama(budget=64)
    windows = [Window(tokens(16, i), 1) for i in range(8)]
    with fed(backend) as shapes:
        backend.score(windows)
        backend.score(windows, prefix=PREFIX)
    # An eighth of 30 tokens is 4: three windows of 20 fit into 64, where four of 16 did. Before that, it is read.
    assert shapes[:4] == [(4, 16), (4, 16), (1, 46), (2, 16)]
    assert sorted(shapes[4:]) == [(2, 16), (3, 16), (3, 16)]


def limit_rows(backend: Any, most: int) -> None:
    def refuse(_: Any, __: Any, given: dict[str, Any]) -> None:
        if len(given["input_ids"]) > most:
            raise torch.OutOfMemoryError("out of memory")

    backend.model.base_model.register_forward_pre_hook(refuse, with_kwargs=True)


def test_out_of_memory_halves_the_batch_and_goes_on() -> None:
    backend = llama(budget=1000)
    expected, rounding = backend.score(WINDOWS, prefix=PREFIX), rounding_of(backend)
    limit_rows(backend, 3)
    reported: list[int] = []
    assert_same_signals(backend.score(WINDOWS, reported.append, prefix=PREFIX), expected, rounding)
    assert sum(reported) == sum(n - first for n, first in SHAPES)
    assert backend.tokens_per_batch < 200


def test_out_of_memory_with_the_prefix_says_what_to_do() -> None:
    backend = llama()
    limit_rows(backend, 0)
    with pytest.raises(ModelError, match=r"out of memory with a prefix of 30 tokens and a window of 34: .*shots"):
        backend.score(WINDOWS, prefix=PREFIX)


def test_ten_shots_cost_less_than_two_thirds_of_a_pass_more() -> None:
    """Counted in tokens: 64 passages of 48, after 480 and 48 to try, read once. Fed whole it would be 11 times."""
    backend = llama(context=1024)
    windows = [Window(tokens(48, i), 1) for i in range(64)]
    with fed(backend) as shapes:
        backend.score(windows, prefix=tokens(480, 1))
    assert sum(rows * length for rows, length in shapes) <= 1.25 * 64 * 48


def assert_equal(found: Sequence[TokenSignals], expected: Sequence[TokenSignals]) -> None:
    for field in ("token_ids", *FIELDS, "rank"):
        assert [getattr(signals, field).tolist() for signals in found] == [
            getattr(signals, field).tolist() for signals in expected
        ]


@pytest.mark.parametrize("bos", [False, True])
def test_the_fake_model_sees_the_last_token_of_the_prefix(bos: bool) -> None:
    fake = FakeBackend(3, bos=bos)
    prefix = np.array([*fake.opening, *PREFIX], dtype=np.int32)
    windows = [Window(w.tokens % 256, w.first_scored) for w in WINDOWS]
    prefix = np.where(np.isin(prefix, fake.opening), prefix, prefix % 256).astype(np.int32)
    found = fake.score(windows, prefix=prefix)
    assert_equal(found, fake.score(whole(windows, prefix)))
    assert_equal(found, fake.score(windows, prefix=prefix[-1:]))
    other = fake.score(windows, prefix=np.array([7], dtype=np.int32))
    assert found[1].logprob[0] != other[1].logprob[0]
    assert found[1].logprob[1:].tolist() == other[1].logprob[1:].tolist()
    assert_equal(fake.score(windows[3:4], prefix=prefix), fake.score(windows[3:4]))
