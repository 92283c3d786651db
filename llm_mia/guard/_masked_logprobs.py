"""Log-probabilities in each of the forms in which servers send them, as they are shown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ._disturbing import BEFORE, Disturbing

__all__ = ["masked_content", "masked_lists", "masked_prompt"]


def masked_lists(
    logprobs: Mapping[str, Any], disturbing: Disturbing, before: str, top: int
) -> tuple[dict[str, Any], str]:
    """The form of completions, which are lists by position; and the end of the text after them.

    Args:
        logprobs: ``tokens``, ``token_logprobs``, ``top_logprobs`` (objects by token), ``text_offset``.
        disturbing: how exactly they are shown.
        before: the end of the text before them.
        top: most alternatives of a token.
    """
    tokens = [each if isinstance(each, str) else "" for each in _listed(logprobs.get("tokens"))]
    values = _listed(logprobs.get("token_logprobs"))
    others = _listed(logprobs.get("top_logprobs"))
    offsets = _listed(logprobs.get("text_offset"))
    shown: list[float | None] = []
    alternatives: list[dict[str, float] | None] = []
    for at, token in enumerate(tokens):
        value = _number(values[at]) if at < len(values) else None
        of_token = others[at] if at < len(others) else None
        listed = _pairs(of_token)
        logprob, kept = disturbing(before, token, value, listed, top)
        # A server lists the token itself too, beyond the number that was asked for.
        own = {token: logprob} if logprob is not None and any(name == token for name, _ in listed) else {}
        shown.append(logprob)
        alternatives.append(dict(kept) | own if isinstance(of_token, dict) else None)
        before = (before + token)[-BEFORE:]
    masked = {
        "tokens": tokens,
        "token_logprobs": shown,
        "top_logprobs": alternatives if isinstance(logprobs.get("top_logprobs"), list) else None,
        "text_offset": [each if isinstance(each, int) else 0 for each in offsets][: len(tokens)],
    }
    return masked, before


def masked_content(
    content: Sequence[Any], disturbing: Disturbing, before: str, top: int
) -> tuple[list[dict[str, Any]], str]:
    """The form of chats, an object for each token; and the end of the text after them."""
    masked = []
    for each in content:
        if not isinstance(each, dict) or not isinstance(token := each.get("token"), str):
            continue
        entries = [other for other in _listed(each.get("top_logprobs")) if isinstance(other, dict)]
        spelled = {str(other.get("token")): _bytes(other.get("bytes")) for other in entries}
        listed = [
            (str(other["token"]), value)
            for other in entries
            if isinstance(other.get("token"), str) and (value := _number(other.get("logprob"))) is not None
        ]
        logprob, kept = disturbing(before, token, _number(each.get("logprob")), listed, top)
        masked.append(
            {
                "token": token,
                "logprob": logprob,
                "bytes": _bytes(each.get("bytes")),
                "top_logprobs": [{"token": name, "logprob": value, "bytes": spelled[name]} for name, value in kept],
            }
        )
        before = (before + token)[-BEFORE:]
    return masked, before


def masked_prompt(prompt: Any, disturbing: Disturbing, top: int) -> list[dict[str, Any] | None]:
    """The form of vLLM for a prompt: an object by token id for each position, that of the token itself first."""
    masked: list[dict[str, Any] | None] = []
    before = ""
    for position in _listed(prompt):
        entries = {
            key: (str(entry.get("decoded_token", key)), value, entry.get("rank"))
            for key, entry in (position.items() if isinstance(position, dict) else ())
            if isinstance(entry, dict) and (value := _number(entry.get("logprob"))) is not None
        }
        if not entries:
            masked.append(None)
            continue
        own = next(iter(entries))
        logprob, kept = disturbing(
            before,
            own,
            entries[own][1],
            [(key, value) for key, (_, value, _) in entries.items()],
            top,
            {key: text for key, (text, _, _) in entries.items()},
        )
        shown = {own: logprob} | dict(kept)
        masked.append(
            {
                key: {"logprob": value, "decoded_token": entries[key][0], **_rank(entries[key][2], top)}
                for key, value in shown.items()
            }
        )
        before = (before + entries[own][0])[-BEFORE:]
    return masked


def _rank(rank: Any, top: int) -> dict[str, int]:
    """The rank of a token that may be listed: of others it would tell more than the list does."""
    return {"rank": rank} if isinstance(rank, int) and rank <= top else {}


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _pairs(value: Any) -> list[tuple[str, float]]:
    """The alternatives in an object by token."""
    entries = value.items() if isinstance(value, dict) else ()
    return [(name, number) for name, each in entries if (number := _number(each)) is not None]


def _number(value: Any) -> float | None:
    """*value* as a number; None where it is none, or NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return None if math.isnan(value) else float(value)
    except OverflowError:
        return None


def _bytes(value: Any) -> list[int] | None:
    """The bytes of a token: whole numbers of a byte, so that no other number hides among them."""
    fits = isinstance(value, list) and all(type(each) is int and 0 <= each < 256 for each in value)
    return value if fits else None
