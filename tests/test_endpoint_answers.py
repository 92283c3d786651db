"""How answers of endpoints are read and kept: tokens of every spelling, windows that are cut again, files cut short."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from llm_mia.backends.endpoint import Answer, KeptAnswers, Patience, connect, token_ends
from llm_mia.errors import ServerError
from llm_mia.records import WindowRule
from llm_mia.signals import cut, join, signals_of

from .conftest import sentences
from .endpoint_server import Server, model, running
from .test_endpoint import QUICK, TEXTS, exact

TEXT = st.text(st.sampled_from("ab c.\n\u00e9\u4eac\U0001f642\u201c\u0120"), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(TEXT, st.data())
def test_every_spelling_of_the_bytes_is_read(text: str, data: st.DataObject) -> None:
    """Tokens that end anywhere, also within characters, as different servers write them."""
    raw = text.encode()
    ends = sorted({*data.draw(st.lists(st.integers(1, len(raw)), max_size=8)), len(raw)})
    tokens = [raw[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    as_bytes = ["bytes:" + "".join(f"\\x{byte:02x}" for byte in token) for token in tokens]
    assert token_ends(as_bytes, raw) == ends
    for errors in ("replace", "ignore"):
        read = token_ends([token.decode(errors=errors) for token in tokens], raw)
        assert read is not None
        assert read[-1] == len(raw)
        assert read == sorted(read)
        # Where every token is whole characters nothing is left open.
        if all(end == len(raw) or not 128 <= raw[end] < 192 for end in ends) and "\ufffd" not in text:
            assert read == ends


@pytest.mark.parametrize(
    ("tokens", "text", "ends"),
    [
        (["\u0120a", "\u010a"], " a\n", [2, 3]),
        (["\u2581The", "\u2581end", "<0xE2>", "<0x80>", "<0x9C>"], "The end\u201c", [3, 7, 8, 9, 10]),
        (["", "", "", "\U0001f642"], "\U0001f642", [0, 0, 0, 4]),
        (["a", " b"], "a c", None),
        (["a"], "ab", None),
        ([], "a", None),
    ],
)
def test_spellings(tokens: list[str], text: str, ends: list[int] | None) -> None:
    assert token_ends(tokens, text.encode()) == ends


def answer(n: int) -> Answer:
    values = np.linspace(-3, -1 / 3, n)
    values[0] = np.nan
    ids = np.arange(n, dtype=np.int32)
    return Answer(ids + 1, ids, values, np.full(n, np.nan), np.full(n, -1, np.int32), (7,))


def test_answers_are_kept_and_a_line_that_a_stop_cut_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "answers" / "target.jsonl"
    kept = KeptAnswers()
    kept.write_to(path)
    for n in (3, 5):
        kept.add_answer(f"digest {n}", answer(n))
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    again = KeptAnswers()
    again.write_to(path)
    read = again.answer("digest 3")
    assert read is not None
    for name in ("ends", "ids", "logprob", "top", "rank", "opening"):
        np.testing.assert_array_equal(getattr(read, name), getattr(answer(3), name))
    assert again.answer("digest 5") is None
    again.add_answer("digest 5", answer(5))
    third = KeptAnswers()
    third.write_to(path)
    assert third.answer("digest 5") is not None
    third.remove()
    assert not path.parent.exists()


def test_parts_of_characters_that_a_server_drops_are_tokens() -> None:
    with running(Server(lie="dropping")) as server:
        for text, signals in zip(TEXTS, signals_of(connect(server.name, patience=QUICK), TEXTS), strict=True):
            np.testing.assert_allclose(signals.logprob, exact(text).logprob[1:], atol=1e-5)


def test_a_window_of_text_has_the_values_of_the_whole_text() -> None:
    """The model sees three bytes back, so a window with more context must give what the whole text gives."""
    text = " ".join(sentences(12, seed=5)) + " 東京 🙂 façade " + "unbrokenword" * 6
    with running(Server(words=True, context=150)) as server:
        backend = connect(server.name, patience=QUICK)
        assert backend.info.endpoint is not None
        assert backend.info.endpoint.sends == "text"
        [tokens] = backend.encode([text])
        signals = join(backend.score(cut(tokens, WindowRule(24, 6))), "")
        words, of_bytes = (
            server.cut(text),
            model().score([*cut(np.array([*text.encode()], np.int32), WindowRule(9**5, 9), opening=(256,))])[0],
        )
        ends = np.cumsum([len(word) for word in words])
        wanted = np.diff(np.cumsum(of_bytes.logprob.astype(np.float64))[ends - 1])
        assert len(signals) == len(words) - 1
        np.testing.assert_allclose(signals.logprob, wanted, atol=1e-4)


def test_a_server_that_does_not_answer_in_time() -> None:
    words = r"has not answered in time.*`concurrency`.*\(3 attempts\)"
    with running(Server(delay=0.5)) as server, pytest.raises(ServerError, match=words):
        connect(server.name, patience=Patience(attempts=3, first_wait=0.01, timeout=0.05))
