"""What of a server's answer is shown: a new answer of the fields that are known to be harmless.

Nothing is passed on because it is not known to be harmful: a field that the guard does not know is removed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..queries import Request
from ._asking import Asked
from ._disturbing import BEFORE, Disturbing
from ._judging import Shown
from ._masked_logprobs import masked_content, masked_lists, masked_prompt

__all__ = ["Masking", "masked_error", "masked_models", "masked_other"]

Check = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _whole(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _wholes(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(map(_whole, value)))


def _reason(value: Any) -> bool:
    return _text(value) or _whole(value)


_ANSWER: Mapping[str, Check] = {
    "id": _text,
    "object": _text,
    "created": _whole,
    "model": _text,
    "system_fingerprint": _text,
    "service_tier": _text,
    "prompt_token_ids": _wholes,
}
_CHOICE: Mapping[str, Check] = {
    "index": _whole,
    "text": _text,
    "finish_reason": _text,
    "stop_reason": _reason,
    "prompt_token_ids": _wholes,
    "token_ids": _wholes,
}
_MESSAGE: Mapping[str, Check] = {
    "role": _text,
    "content": _text,
    "refusal": _text,
    "reasoning": _text,
    "reasoning_content": _text,
}
_FUNCTION: Mapping[str, Check] = {"name": _text, "arguments": _text}
_TOOL_CALL: Mapping[str, Check] = {"id": _text, "type": _text, "index": _whole}
_USAGE: Mapping[str, Check] = {"prompt_tokens": _whole, "completion_tokens": _whole, "total_tokens": _whole}
_MODEL: Mapping[str, Check] = {
    "id": _text,
    "object": _text,
    "created": _whole,
    "owned_by": _text,
    "root": _text,
    "parent": _text,
    "max_model_len": _whole,
}


def _kept(value: Any, checks: Mapping[str, Check]) -> dict[str, Any]:
    """The fields of *value* that are known and have the form that they must have."""
    if not isinstance(value, dict):
        return {}
    return {name: value[name] for name, check in checks.items() if name in value and check(value[name])}


@dataclass(slots=True)
class Masking:
    """What of the answers to a request is shown; of a streamed answer, event by event."""

    asked: Asked
    shown: Shown
    disturbing: Disturbing
    prompt_tokens: int | None = None
    """Of the usage that came, if any did."""
    completion_tokens: int | None = None
    pieces: int = 0
    """Choices with text that came; in a stream about as many as tokens."""
    _before: dict[int, str] = field(default_factory=dict)
    """By choice of a stream: the end of its text so far."""

    def __call__(self, answer: Any) -> dict[str, Any]:
        """*answer*, a whole answer or an event of a streamed one, as far as it is shown."""
        if _is_error(answer):
            return masked_error(answer)
        if self.asked.request is Request.EMBEDDING:
            return self._embeddings(answer)
        masked = _kept(answer, _ANSWER)
        if not isinstance(answer, dict):
            return masked
        choices = answer.get("choices")
        if isinstance(choices, list):
            masked["choices"] = [self._choice(each) for each in choices if isinstance(each, dict)]
        if self.shown.prompt and "prompt_logprobs" in answer:
            masked["prompt_logprobs"] = masked_prompt(answer["prompt_logprobs"], self.disturbing, self.shown.of_prompt)
        return masked | self._usage(answer)

    def _usage(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        if "usage" not in answer:
            return {}
        usage = _kept(answer["usage"], _USAGE)
        self.prompt_tokens = usage.get("prompt_tokens", self.prompt_tokens)
        self.completion_tokens = usage.get("completion_tokens", self.completion_tokens)
        return {"usage": usage or None}

    def _choice(self, choice: Mapping[str, Any]) -> dict[str, Any]:
        masked = _kept(choice, _CHOICE)
        for name in ("message", "delta"):
            if name in choice:
                masked[name] = _message(choice[name])
        spoken = masked.get("text") or any(masked.get(name) for name in ("message", "delta"))
        self.pieces += bool(spoken)
        if "logprobs" in choice:
            masked["logprobs"] = self._logprobs(choice["logprobs"], masked.get("index") or 0)
        if self.shown.prompt and "prompt_logprobs" in choice:
            masked["prompt_logprobs"] = masked_prompt(choice["prompt_logprobs"], self.disturbing, self.shown.of_prompt)
        return masked

    def _logprobs(self, logprobs: Any, index: int) -> dict[str, Any] | None:
        """The log-probabilities of a choice, in the form in which they came; None where none are shown."""
        if not self.shown.generated or not isinstance(logprobs, dict):
            return None
        before = self._before.get(index)
        if before is None:
            endings = self.asked.endings
            prompt = index // (self.asked.samples or 1)
            before = "" if self.shown.echo or not 0 <= prompt < len(endings) else endings[prompt]
        if "content" in logprobs or "refusal" in logprobs:
            masked: dict[str, Any] = {}
            for name in ("content", "refusal"):
                if isinstance(logprobs.get(name), list):
                    masked[name], before = masked_content(logprobs[name], self.disturbing, before, self.shown.top)
                elif name in logprobs:
                    masked[name] = None
        else:
            masked, before = masked_lists(logprobs, self.disturbing, before, self.shown.top)
        self._before[index] = before[-BEFORE:]
        return masked

    def _embeddings(self, answer: Any) -> dict[str, Any]:
        checks = {"index": _whole, "object": _text, "embedding": lambda value: isinstance(value, str | list)}
        masked = _kept(answer, _ANSWER)
        if isinstance(answer, dict):
            data = answer.get("data")
            masked["data"] = [_kept(each, checks) for each in data] if isinstance(data, list) else []
            masked |= self._usage(answer)
        return masked


def _message(message: Any) -> dict[str, Any]:
    """A message, or a part of it in a stream; *message* may call tools."""
    masked = _kept(message, _MESSAGE)
    if not isinstance(message, dict):
        return masked
    if isinstance(message.get("tool_calls"), list):
        masked["tool_calls"] = [
            _kept(call, _TOOL_CALL)
            | ({"function": _kept(call["function"], _FUNCTION)} if isinstance(call.get("function"), dict) else {})
            for call in message["tool_calls"]
            if isinstance(call, dict)
        ]
    if isinstance(message.get("function_call"), dict):
        masked["function_call"] = _kept(message["function_call"], _FUNCTION)
    return masked


def masked_models(answer: Any) -> dict[str, Any]:
    """The list of models, or a model, that *answer* holds."""
    if _is_error(answer):
        return masked_error(answer)
    masked = _kept(answer, _MODEL)
    if isinstance(answer, dict) and isinstance(answer.get("data"), list):
        masked["data"] = [_kept(each, _MODEL) for each in answer["data"]]
    return masked


def _is_error(answer: Any) -> bool:
    """Whether *answer* is an error; some servers write ``"error": null`` into every answer."""
    return isinstance(answer, dict) and answer.get("error") is not None


_FRACTION = re.compile(r"[-+−]?\d*\.\d+(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+")
_NAME = re.compile("[A-Za-z_ ]{1,80}")
LONGEST_MESSAGE = 500


def masked_error(answer: Any) -> dict[str, Any]:
    """An error of the server, with a sentence of at most 500 characters and without fractions, as probabilities are."""
    error = answer.get("error", answer) if isinstance(answer, dict) else {}
    fields = error if isinstance(error, dict) else {"message": error}
    message = fields.get("message", fields.get("detail", ""))
    kind = fields.get("type")
    return {
        "error": {
            "message": (_shown(message) if isinstance(message, str) else "") or "The server refused the request.",
            "type": kind if isinstance(kind, str) and _NAME.fullmatch(kind) else "server_error",
            "param": None,
            "code": fields.get("code") if _whole(fields.get("code")) else None,
        }
    }


def _shown(message: str) -> str:
    """*message* as far as it is shown.

    It is cut before fractions are removed, which takes a time that grows with the square of a row of digits: a client
    can make some servers repeat as many digits as a request may have.
    """
    cut = message[: 2 * LONGEST_MESSAGE]
    if len(cut) < len(message):
        cut = cut.rstrip("0123456789.eE+-−")  # of a number that is cut off, no part is shown
    return _FRACTION.sub("…", cut)[:LONGEST_MESSAGE]


_SPEAKS = re.compile("prob|logit|score|perplex|entropy|loss", re.IGNORECASE)


def masked_other(answer: Any) -> Any:
    """The answer of another path without the fields whose names speak of probabilities."""
    if isinstance(answer, dict):
        return {name: masked_other(value) for name, value in answer.items() if not _SPEAKS.search(name)}
    return [masked_other(each) for each in answer] if isinstance(answer, list) else answer
