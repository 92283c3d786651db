"""Models that do not continue correctly from a cache: the check of a prefix detects them, and the scores stay right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from .test_prefix import PREFIX, WINDOWS, assert_same, llama, whole


def spoil_cache(model: Any, spoil: Callable[[Any, dict[str, Any]], dict[str, Any]]) -> None:
    """From the first batch after the prefix on, the *model* is fed what *spoil* makes of the cache and the inputs."""

    def spoil_inputs(_: Any, arguments: Any, inputs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        cache = inputs.get("past_key_values")
        continues = cache is not None and cache.get_seq_length() > 0
        return arguments, {**inputs, **spoil(cache, inputs)} if continues else inputs

    model.base_model.register_forward_pre_hook(spoil_inputs, with_kwargs=True)


def loses_a_token(cache: Any, _: dict[str, Any]) -> dict[str, Any]:
    update = type(cache).update

    def shortened(*arguments: Any, **options: Any) -> Any:
        keys, values = update(cache, *arguments, **options)
        return keys.roll(1, -2), values.roll(1, -2)

    cache.update = shortened
    return {}


def has_a_mask_of_the_wrong_size(cache: Any, _: dict[str, Any]) -> dict[str, Any]:
    cache.get_mask_sizes = lambda query, *_: (query if isinstance(query, int) else len(query), 0)
    return {}


FAULTS: dict[str, Callable[[Any, dict[str, Any]], dict[str, Any]]] = {
    "wrong positions": lambda _, inputs: {"position_ids": torch.arange(inputs["input_ids"].shape[1])[None]},
    "no prefix at all": lambda *_: {"past_key_values": None},
    "a mask of the wrong size": has_a_mask_of_the_wrong_size,
    "a token lost": loses_a_token,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_model_that_goes_on_wrongly_from_a_cache_is_fed_the_prefix(fault: str) -> None:
    backend = llama()
    spoil_cache(backend.model, FAULTS[fault])
    found = backend.score(WINDOWS, prefix=PREFIX)
    assert backend.prefix is not None
    assert backend.prefix.cache is None
    assert_same(backend, found, llama().score(whole(WINDOWS)))


def test_a_sliding_window_that_goes_wrong_only_where_the_windows_reach_it_is_detected() -> None:
    """The model forgets ten values where there are more than 50 keys: it is right up to there."""

    def forget_values(cache: Any, _: dict[str, Any]) -> dict[str, Any]:
        def update(*arguments: Any, **options: Any) -> Any:
            keys, values = type(cache).update(cache, *arguments, **options)
            if keys.shape[-2] > 50:
                values[..., :10, :] = 0
            return keys, values

        cache.update = update
        return {}

    backend = llama()
    spoil_cache(backend.model, forget_values)
    short, long = WINDOWS[3:4], WINDOWS[1:2]
    for windows, cached in ((short, True), (long, False)):
        assert_same(backend, backend.score(windows, prefix=PREFIX), llama().score(whole(windows)))
        assert (backend.prefix is not None and backend.prefix.cache is not None) == cached
