from itertools import pairwise

import numpy as np
import pytest

from llm_mia.queries import (
    END_LENGTHS,
    SKETCH_BYTES,
    Query,
    Request,
    Sketches,
    hashed_shingles,
    query_of_line,
    query_to_line,
    sketch_prompts,
)

from .conftest import sentences

TEXT = "the quick brown fox jumps over the lazy dog while the cat sleeps in the warm sun of an afternoon"


def test_a_query_survives_its_line() -> None:
    query = Query(1.5, "a", Request.CHAT, prompt="a text", sketch=sketch_prompts(["a text"], b"key")[0], echo=False)
    assert query_of_line(query_to_line(query)) == query
    assert query.logprobs is None


def test_a_line_that_is_no_query_is_refused_without_repeating_it() -> None:
    with pytest.raises(ValueError, match="has no field `client`"):
        query_of_line('{"prompt": "secret"}')
    with pytest.raises(ValueError, match="the fields tokens, which a query does not have"):
        query_of_line('{"client": "a", "tokens": 1}')


def test_sketches_agree_as_far_as_the_texts_do_and_only_under_the_same_key() -> None:
    parts = Sketches.of(sketch_prompts([TEXT, TEXT.upper(), f"{TEXT} in May", TEXT[::-1]], b"key"))
    first, upper, longer, other = parts.minima
    assert np.array_equal(first, upper)
    # The sets have 75 substrings in common of 82: Jaccard similarity .91, four standard deviations of the estimate .14.
    assert 0.77 <= (first == longer).mean() < 1
    assert (first == other).mean() == 0
    assert (first == Sketches.of(sketch_prompts([TEXT], b"another key")).minima[0]).mean() == 0


def test_the_agreement_is_an_unbiased_estimate_of_the_similarity() -> None:
    texts = [" ".join(sentences(6, seed=seed)) for seed in range(40)]
    halves = [text[: len(text) // 2] + other[len(other) // 2 :] for text, other in pairwise(texts)]
    errors = []
    for one, other in zip(texts, halves, strict=False):
        sets = [{each[at : at + 24] for at in range(len(each) - 23)} for each in (one.lower(), other.lower())]
        exact = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
        minima = Sketches.of(sketch_prompts([one, other], b"key")).minima
        errors.append((minima[0] == minima[1]).mean() - exact)
    assert len(errors) == 39
    assert abs(np.mean(errors)) < 4 * (1 / 16) / np.sqrt(39)  # four standard errors, each at most 1/16
    assert np.std(errors) < 2 / 16


def test_beginnings_and_ends_agree_as_far_as_the_texts_do() -> None:
    parts = Sketches.of(sketch_prompts([TEXT, f"{TEXT[:70]} and then", f"and then {TEXT[30:]}", "short"], b"key"))
    lengths = np.array(END_LENGTHS)
    assert END_LENGTHS[:3] == (32, 64, 128)
    assert lengths[(parts.beginnings[0] == parts.beginnings[1]) & (parts.beginnings[0] > 0)].tolist() == [32, 64]
    assert lengths[(parts.ends[0] == parts.ends[2]) & (parts.ends[0] > 0)].tolist() == [32, 64]
    assert not parts.beginnings[3].any()


def test_only_the_digest_tells_a_text_from_its_lower_case() -> None:
    parts = Sketches.of(sketch_prompts([TEXT, TEXT.title(), TEXT], b"key"))
    assert np.array_equal(parts.beginnings[0], parts.beginnings[1])
    assert parts.digests[0] != parts.digests[1]
    assert parts.digests[0] == parts.digests[2]


@pytest.mark.parametrize("text", ["", "é", "\ud800 lone", "a" * 200_000], ids=["empty", "short", "surrogate", "long"])
def test_any_text_has_a_sketch_that_does_not_depend_on_its_neighbours(text: str) -> None:
    (alone,) = sketch_prompts([text], b"key")
    assert len(alone) == SKETCH_BYTES
    assert sketch_prompts([TEXT, text, TEXT], b"key")[1] == alone


def test_many_texts_are_sketched_in_parts() -> None:
    texts = sentences(2000, seed=1)  # 90 kB: more than are hashed at once
    assert sketch_prompts(texts, b"key")[::200] == [sketch_prompts([text], b"key")[0] for text in texts[::200]]
    assert sketch_prompts([], b"key") == []


def test_minima_are_among_the_hashed_substrings() -> None:
    hashed = hashed_shingles(TEXT, b"key")
    assert len(hashed) == len(TEXT) - 23
    assert np.isin(Sketches.of(sketch_prompts([TEXT], b"key")).minima, hashed).all()
    assert not np.isin(Sketches.of(sketch_prompts([TEXT[::-1]], b"key")).minima, hashed).any()


def test_texts_that_differ_in_a_short_end_have_a_stem_in_common() -> None:
    parts = Sketches.of(sketch_prompts([f"{TEXT} A. north", f"{TEXT} B. south and further", f"x{TEXT}"], b"key"))
    one, other, shifted = (set(row[row > 0].tolist()) for row in parts.stems)
    assert len(TEXT) == 96
    assert len(one & other) == 3  # of 96, 64 and 32 bytes
    assert not one & shifted
