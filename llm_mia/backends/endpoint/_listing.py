"""What a server says about itself: the models that it has, and how long their prompts may be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import ModelError, ServerError
from ._answers import count_of
from ._client import Client, Query, RefusedError
from ._failures import key_words, message_of, refusal_words

__all__ = ["Listing", "measure_context", "read_listing"]

SERVERS = {"vllm": "vllm", "sglang": "sglang", "me": "llama-cpp-python", "llamacpp": "llama.cpp"}
"""Kinds of servers, by what they name as the owner of a model."""
FEW = 8
"""Names of models that a message lists."""
TESTED = 2_100
"""Tokens of the prompt that tests whether windows of the default length fit."""
WORDS = ("the", "river", "bends", "under", "an", "old", "stone", "bridge", "and", "counts", "seven", "grey", "geese")
LIMIT = re.compile(
    r"(?:maximum context length|context window|context length|max_model_len|context size)\D{0,24}(\d{2,8})"
)


@dataclass(frozen=True, slots=True)
class Listing:
    """What ``/models`` holds about a model."""

    model: str
    server: str
    """``vllm``, ``sglang``, ``llama-cpp-python``, ``llama.cpp``, or ``other``."""
    context: int | None
    """The longest prompt in tokens, with what is generated; None where the server does not list it."""
    listed: bool = True
    """Whether the server lists models at all."""


def read_listing(client: Client) -> Listing:
    """What the server lists about the model of the address.

    Raises:
        ServerError: there is no server, the path is wrong, or the key.
        ModelError: the server has no such model.
    """
    address = client.address
    status, value = client.get("/models")
    if status in (401, 403):
        raise ServerError(key_words(address.url))
    entries = [each for each in _entries(value) if isinstance(each, dict) and isinstance(each.get("id"), str)]
    if status == 404 and not address.url.endswith("/v1") and client.get("/v1/models")[0] == 200:
        raise ServerError(f"{address.url}: nothing is under this path; write {address.url}/v1")
    if status in (404, 405) or (status == 200 and value is None):
        return Listing(
            address.model, "other", None, listed=False
        )  # the completions will show whether the path is right
    if status != 200:
        raise ServerError(refusal_words(address, status, value))
    mine = next((each for each in entries if each["id"] == address.model), None)
    if entries and mine is None:
        raise ModelError(
            f"{address.url}: there is no model {address.model!r}; {_named([each['id'] for each in entries])}"
        )
    context = (mine or {}).get("max_model_len")
    server = SERVERS.get(str((mine or {}).get("owned_by")), "other")
    return Listing(address.model, server, count_of(context) or None)


def _entries(value: Any) -> Sequence[Any]:
    entries = value.get("data") if isinstance(value, dict) else value
    return entries if isinstance(entries, list) else ()


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(message_of(name) for name in sorted(names)[:FEW])
    return f"it has {shown}{f' and {len(names) - FEW} others' if len(names) > FEW else ''}"


def measure_context(client: Client, listing: Listing, tokens_per_byte: float) -> tuple[int, str]:
    """The longest prompt in tokens, with what is generated, and whether it was ``listed``, ``refused`` or ``tested``.

    Where the server does not list it, a prompt is sent that is longer than the default window, without
    log-probabilities. A server that refuses it names its limit; a server that accepts it is used up to that length.

    Raises:
        ModelError: the server cuts the prompt without a word, or refuses it and names no limit.
    """
    if listing.context is not None:
        return listing.context, "listed"
    address = client.address
    text = " ".join(WORDS[i % len(WORDS)] for i in range(TESTED))
    while True:
        body = {"model": listing.model, "prompt": text, "max_tokens": 1, "temperature": 0.0}
        [value] = client.ask([Query(body, len(text) // 4)], attempts=2)
        if not isinstance(value, RefusedError):
            break
        named = LIMIT.search(str(value))
        if named is not None:
            return int(named[1]), "refused"
        if len(text) < 200:
            raise ModelError(f"model {address.model!r}: {value}")
        text = text[: len(text) // 2]
    usage = value.get("usage") if isinstance(value, dict) else None
    counted = count_of(usage.get("prompt_tokens")) if isinstance(usage, dict) else None
    n = counted if counted is not None else round(len(text) * tokens_per_byte)
    if counted is not None and counted < len(text.split()) / 2:
        raise ModelError(
            f"model {address.model!r} at {address.url}: it cuts long prompts without saying so, to {counted:,} tokens; "
            f"start the server so that it refuses them, or give shorter windows by `window_tokens`"
        )
    return n + 1, "tested"
