"""Every token is scored exactly once, in order, with its left context, in windows that fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from llm_mia.backends.fake import FakeBackend
from llm_mia.errors import ModelError, UsageError
from llm_mia.records import TokenSignals, WindowRule
from llm_mia.signals import cut, join, window_rule

BOS = 100_000
OPENINGS: list[tuple[int, ...]] = [(), (BOS,), (BOS, BOS + 1), (BOS, BOS, BOS + 2)]
steady = settings(derandomize=True, deadline=None)


@st.composite
def rules(draw: st.DrawFn) -> WindowRule:
    """Those that `window_rule` makes, and any other that moves on even with an opening of three tokens."""
    tokens = draw(st.integers(8, 40))
    return WindowRule(tokens, draw(st.just(tokens // 4) | st.integers(1, tokens - 4)))


@steady
@given(n=st.integers(0, 200), rule=rules(), opening=st.sampled_from(OPENINGS))
def test_every_token_is_scored_exactly_once(n: int, rule: WindowRule, opening: tuple[int, ...]) -> None:
    windows = cut(np.arange(n, dtype=np.int32), rule, opening=opening, passage=7)
    scored = [int(token) for w in windows for token in w.tokens[w.first_scored :]]
    assert scored == list(range(0 if opening else 1, n)), "once, in order, but the first without an opening"
    for w in windows:
        assert w.passage == 7
        assert w.tokens.dtype == np.int32
        assert len(w.tokens) <= rule.tokens
        assert 1 <= w.first_scored < len(w.tokens), "nothing is scored without something before it, and no window idles"
        fed = w.tokens[len(opening) :]
        assert w.tokens[: len(opening)].tolist() == list(opening)
        assert (np.diff(fed) == 1).all(), "a window is a stretch of the passage unchanged"
        for position in range(w.first_scored - len(opening), len(fed)):
            assert position >= min(rule.context, int(fed[position])), "left context"


@steady
@given(n=st.integers(1, 300), rule=rules(), bos=st.booleans())
def test_cutting_does_not_change_what_a_model_with_a_short_memory_says(n: int, rule: WindowRule, bos: bool) -> None:
    """The bigram model needs one token of context, so every cut must give what no cut gives."""
    backend = FakeBackend(1, bos=bos)
    tokens = np.random.default_rng(n).integers(0, 256, n).astype(np.int32)
    whole = join(backend.score(cut(tokens, WindowRule(n + 8, 1), opening=backend.opening)), "bytes")
    parts = join(backend.score(cut(tokens, rule, opening=backend.opening)), "bytes")
    for name in ("token_ids", "logprob", "mean", "std", "top", "rank"):
        assert (getattr(whole, name) == getattr(parts, name)).all(), name
        assert getattr(whole, name).dtype == getattr(parts, name).dtype
    assert len(parts) == n - (not bos)


def test_a_passage_that_just_fits_is_one_window_and_one_more_token_makes_two() -> None:
    rule = WindowRule(8, 2)
    for opening, fits in (((), 8), ((BOS,), 7), ((BOS, BOS + 1), 6)):
        assert len(cut(np.arange(fits, dtype=np.int32), rule, opening=opening)) == 1
        first, second = cut(np.arange(fits + 1, dtype=np.int32), rule, opening=opening)
        assert len(first.tokens) == 8
        assert second.tokens[second.first_scored :].tolist() == [fits]


def test_no_window_where_no_token_can_be_scored() -> None:
    rule = WindowRule(8, 2)
    assert cut(np.array([], dtype=np.int32), rule) == cut(np.array([], dtype=np.int32), rule, opening=(BOS,)) == []
    assert cut(np.array([5], dtype=np.int32), rule) == []
    (only,) = cut(np.array([5], dtype=np.int32), rule, opening=(BOS,))
    assert only.tokens.tolist() == [BOS, 5]


@pytest.mark.parametrize(
    ("context", "asked", "expected"),
    [
        (1024, None, WindowRule(1024, 256)),
        (131_072, None, WindowRule(2048, 512)),
        (131_072, 4096, WindowRule(4096, 1024)),
        (8, 8, WindowRule(8, 2)),
    ],
)
def test_rules(context: int, asked: int | None, expected: WindowRule) -> None:
    assert window_rule(context, asked) == expected


@pytest.mark.parametrize(("opening", "least"), [(0, 8), (1, 8), (2, 10), (40, 86)])
def test_the_least_window_leaves_room_for_the_passage(opening: int, least: int) -> None:
    rule = window_rule(1000, least, opening=opening)
    windows = cut(np.arange(30, dtype=np.int32), rule, opening=range(BOS, BOS + opening))
    assert sum(len(w.tokens) - w.first_scored for w in windows) == (30 if opening else 29)
    with pytest.raises(UsageError, match=f"`window_tokens` is {least - 1}: it must be {least} to 1000"):
        window_rule(1000, least - 1, opening=opening)


@pytest.mark.parametrize(("context", "asked"), [(64, 65), (64, 7), (64, 0), (64, -1)])
def test_a_window_that_cannot_be_is_refused(context: int, asked: int | None) -> None:
    with pytest.raises(UsageError, match=f"must be 8 to {context}, the model's context"):
        window_rule(context, asked)


@pytest.mark.parametrize(("context", "asked", "opening", "least"), [(4, None, 0, 8), (7, 7, 1, 8), (85, None, 40, 86)])
def test_a_context_without_room_for_any_window(context: int, asked: int | None, opening: int, least: int) -> None:
    with pytest.raises(ModelError) as caught:
        window_rule(context, asked, opening=opening)
    assert str(caught.value) == (
        f"the model takes {context} tokens, and a window has at least {least}: give another model"
    )


def part(*logprob: float) -> TokenSignals:
    values = np.array(logprob, dtype=np.float32)
    ids = np.arange(len(values), dtype=np.int32)
    return TokenSignals(ids, values, values, values, values, rank=ids, tokenizer="a")


def test_join_keeps_the_order_and_the_types() -> None:
    joined = join([part(-1, -2), part(-3), part(-4, -5)], "a")
    assert joined.logprob.tolist() == [-1, -2, -3, -4, -5]
    assert joined.token_ids.tolist() == [0, 1, 0, 0, 1]
    assert joined.tokenizer == "a"
    assert {joined.logprob.dtype, joined.std.dtype} == {np.dtype(np.float32)}
    assert {joined.token_ids.dtype, joined.rank.dtype} == {np.dtype(np.int32)}
    empty = join([], "a")
    assert len(empty) == 0
    assert empty.tokenizer == "a"
    assert [empty.logprob.dtype, empty.rank.dtype] == [np.dtype(np.float32), np.dtype(np.int32)]
