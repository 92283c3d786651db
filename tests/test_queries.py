import numpy as np
import pytest

from llm_mia.queries import Query, Request, query_of_line, query_to_line, sketch_prompts


def test_a_query_survives_its_line() -> None:
    query = Query(1.5, "a", Request.CHAT, prompt="a text", sketch=sketch_prompts(["a text"], b"key")[0], echo=False)
    again = query_of_line(query_to_line(query))
    assert (again.time, again.client, again.request, again.prompt, again.echo) == (1.5, "a", Request.CHAT, "a text", 0)
    assert np.array_equal(again.sketch, query.sketch)
    assert again.logprobs is None


def test_a_line_that_is_no_query_is_refused_without_repeating_it() -> None:
    with pytest.raises(ValueError, match="has no field `client`"):
        query_of_line('{"prompt": "secret"}')
    with pytest.raises(ValueError, match="the fields tokens, which a query does not have"):
        query_of_line('{"client": "a", "tokens": 1}')


def test_sketches_agree_as_far_as_the_texts_do_and_only_under_the_same_key() -> None:
    text = "the quick brown fox jumps over the lazy dog while the cat sleeps in the warm sun of an afternoon"
    first, upper, longer, other = sketch_prompts([text, text.upper(), f"{text} in May", text[::-1]], b"key")
    assert np.array_equal(first, upper)
    # The sets have 75 substrings in common of 82: Jaccard similarity .91, four standard deviations of the estimate .14.
    assert 0.77 <= (first == longer).mean() < 1
    assert (first == other).mean() == 0
    assert (first == sketch_prompts([text], b"another key")[0]).mean() == 0
