"""The byte n-gram model: its formula, its fields, and that a text's signals depend on nothing but the text."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from llm_mia.backends.ngram import NgramBackend
from llm_mia.errors import UsageError
from llm_mia.records import FIELDS, Window
from llm_mia.signals import signals_of

from .conftest import sentences

TRAINING = [*sentences(30, seed=3), "", "x", "çok naïve"]
BEGINNING = 256


def plainly(texts: list[str], history: list[int], order: int) -> list[float]:
    """The distribution of the next byte after *history*, by the formula, a context at a time."""
    p = [1 / 256] * 256
    for length in range(order):
        if length > len(history):
            break
        context = history[len(history) - length :]
        counts: Counter[int] = Counter()
        for text in filter(None, texts):
            symbols = [BEGINNING, *text.encode()]
            counts.update(
                symbols[at]
                for at in range(max(1, length), len(symbols))
                if symbols[at - length : at] == context
            )  # fmt: skip
        n, kinds = sum(counts.values()), len(counts)
        if n:
            p = [(counts[byte] + kinds * p[byte]) / (n + kinds) for byte in range(256)]
    return p


@pytest.mark.parametrize("order", [1, 3, 5])
def test_signals_are_those_of_the_formula(order: int) -> None:
    texts = ["The river bends.", "never seen: \x00\x00 ÿ", "çok"]
    model = NgramBackend(TRAINING, order=order)
    for text, signals in zip(texts, signals_of(model, texts), strict=True):
        symbols = [BEGINNING, *text.encode()]
        assert signals.token_ids.tolist() == symbols[1:], "the first byte, too"
        for at, byte in enumerate(symbols[1:], start=1):
            p = plainly(TRAINING, symbols[:at], order)
            mean = sum(share * math.log(share) for share in p)
            std = math.sqrt(sum(share * (math.log(share) - mean) ** 2 for share in p))
            wanted = [math.log(p[byte]), mean, std, math.log(max(p))]
            given = [float(getattr(signals, name)[at - 1]) for name in FIELDS[:4]]
            assert given == pytest.approx(wanted, rel=1e-5), "float32"
            assert signals.rank[at - 1] == sum(share > p[byte] for share in p)


def test_any_text_has_finite_signals_that_do_not_depend_on_the_others() -> None:
    rng = np.random.default_rng(0)
    odd = ["", "\n", "日本語", "\x00" * 9, "".join(map(chr, rng.integers(0, 0xD7FF, 3000)))]
    model = NgramBackend(TRAINING)
    together = signals_of(model, odd + TRAINING)
    for text, signals in zip(odd + TRAINING, together, strict=True):
        [alone] = signals_of(model, [text])
        assert len(signals) == len(text.encode())
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(signals, name), getattr(alone, name))
            assert np.isfinite(getattr(signals, name)).all()
        assert (signals.std > 0).all()


def test_a_text_in_windows_is_scored_as_in_one() -> None:
    model, text = NgramBackend(TRAINING), " ".join(TRAINING)
    [whole], [cut] = signals_of(model, [text]), signals_of(model, [text], window_tokens=20)
    np.testing.assert_array_equal(whole.logprob, cut.logprob)
    tokens = np.array([BEGINNING, *b"The river"], dtype=np.int32)
    prefix, rest = tokens[:5], Window(tokens[5:], first_scored=0)
    [after], [before] = model.score([rest], prefix=prefix), model.score([Window(tokens, first_scored=1)])
    np.testing.assert_array_equal(after.logprob, before.logprob[4:])


def test_the_record_tells_two_models_apart_and_repeats() -> None:
    first, again, other = NgramBackend(TRAINING), NgramBackend(iter(TRAINING)), NgramBackend(TRAINING[1:])
    assert first.info == again.info
    assert first.info.weights_sha256 != other.info.weights_sha256
    assert NgramBackend(TRAINING, order=4).info.config_sha256 != first.info.config_sha256
    assert first.trained_on == again.trained_on
    assert len(other.trained_on) == len(TRAINING) - 1


def test_only_the_first_bytes_of_much_text_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_mia.backends.ngram.MOST_BYTES", 8)
    long = NgramBackend(["abcde", "abcde", "other"])
    assert long.info == NgramBackend(["abcde", "abc"]).info
    assert len(long.trained_on) == 2, "the third was not used, but its signals are left out all the same"


def test_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(UsageError, match="`texts` hold nothing to train an n-gram model on"):
        NgramBackend(["", ""])
