"""The block of data in a page: what is packed is what a reader gets, within the rounding that is stated."""

from __future__ import annotations

import numpy as np
import pytest

from llm_mia.report.html.block import Steps, Tokens, decode_tokens, encode_tokens, packed, unpacked, utf16_lengths
from tests.pages import HOSTILE, byte_ends


def tokens(n: int, seed: int = 0, *, reference: bool = True) -> Tokens:
    rng = np.random.default_rng(seed)
    return Tokens(
        lengths=rng.integers(0, 9, n),
        logprob=-rng.exponential(3, n),
        entropy=rng.uniform(0, 11, n),
        rank=rng.integers(0, 60_000, n),
        reference=-rng.exponential(4, n) if reference else None,
        facts={"runs": [[0, n]], "id": f"é{seed}"},
    )


@pytest.mark.parametrize("reference", [True, False])
@pytest.mark.parametrize("steps", [Steps(), Steps.of(2_000_000)])
def test_tokens_survive_within_half_a_step(reference: bool, steps: Steps) -> None:
    given = [tokens(n, n, reference=reference) for n in (5, 0, 16_000, 1)]
    kept = list(decode_tokens(unpacked(packed(encode_tokens(given, steps))), steps))
    assert [len(each) for each in kept] == [5, 0, 16_000, 1]
    half = 0.5 + 1e-9  # of a step, and the rounding of float64
    for before, after in zip(given, kept, strict=True):
        assert (after.lengths == before.lengths).all()
        assert (after.rank == before.rank).all()
        assert np.abs(after.logprob - before.logprob).max(initial=0) <= half * steps.logprob
        assert np.abs(after.entropy - before.entropy).max(initial=0) <= half * steps.entropy
        assert after.facts == before.facts
        assert (after.reference is None) == (not reference)
        if before.reference is not None and after.reference is not None:
            assert np.abs(after.reference - before.reference).max(initial=0) <= half * steps.logprob


def test_what_is_not_known_or_out_of_range_is_marked() -> None:
    odd = Tokens(
        lengths=np.array([0, 65_000, 3, 1]),
        logprob=np.array([np.nan, -np.inf, -1e6, -0.0]),
        entropy=np.array([np.nan, 0.0, 1e6, np.inf]),
        rank=np.array([-1, 0, 65_533, 250_000]),
        reference=np.array([-1.0, np.nan, -0.5, -np.inf]),
    )
    (kept,) = decode_tokens(encode_tokens([odd], Steps()), Steps())
    assert kept.lengths.tolist() == [0, 65_000, 3, 1]
    np.testing.assert_array_equal(kept.logprob, [np.nan, -np.inf, -np.inf, 0.0])
    np.testing.assert_allclose(kept.entropy, [np.nan, 0.0, 12.7, 12.7])
    assert kept.rank.tolist() == [-1, 0, 65_533, 65_534]
    np.testing.assert_allclose(np.asarray(kept.reference), [-1.0, np.nan, -0.5, -np.inf])


@pytest.mark.parametrize("text", [*HOSTILE.values(), ""])
def test_pieces_in_utf_16_join_to_the_text(text: str) -> None:
    """JavaScript counts in UTF-16 units; a character of several tokens belongs to the first of them."""
    lengths, units = utf16_lengths(text, byte_ends(text)), text.encode("utf-16-le")
    ends = 2 * np.cumsum(lengths)
    pieces = [units[end - 2 * length : end].decode("utf-16-le") for end, length in zip(ends, lengths, strict=True)]
    assert "".join(pieces) == text
    assert len(pieces) == len(text.encode())
    assert sum(not piece for piece in pieces) == len(text.encode()) - len(text)


def test_a_line_is_the_same_each_time_and_holds_no_markup() -> None:
    data = b"</script>" * 100
    line = packed(data)
    assert line == packed(data)
    assert unpacked(line) == data
    assert not set(line) & set("<>&\n\"'")
