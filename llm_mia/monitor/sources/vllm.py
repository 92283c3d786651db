"""vLLM's request log: the text lines that its server prints with ``--enable-log-requests``.

The lines are those of `RequestLogger` in https://github.com/vllm-project/vllm/blob/main/vllm/entrypoints/logger.py:
``Received request ID: prompt: '…', params: SamplingParams(…), …``; since 0.12 without the prompt, which is on another
line at level DEBUG. They name no client, so everything is pooled, and the time has no year: the present year is taken.
"""

from __future__ import annotations

import ast
import math
import re
from datetime import UTC, datetime
from typing import Any

from ...queries import Query, Request
from ._source import OF_BODY, Source, number, whole

__all__ = ["VLLM"]

FIELDS = (OF_BODY | {"time", "request"}) - {"echo"}
LINE = re.compile(
    r"Received request ([\w.-]+): (?:prompt: (None|'.*'|\".*\"), )?params: SamplingParams\((.*?)\)(?:,|$)", re.DOTALL
)
TIME = re.compile(r"\b(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)\b")
PARAMETER = re.compile(r"\b(n|temperature|max_tokens|logprobs|prompt_logprobs)=([\w.+-]+)")


def _recognises(line: Any) -> bool:
    return isinstance(line, str) and "Received request " in line and "SamplingParams(" in line


def _queries(line: Any) -> list[Query]:
    if not _recognises(line):
        return []
    match = LINE.search(line)
    if match is None:
        raise ValueError("is a request of vLLM that is cut off")
    values = dict(PARAMETER.findall(match[3]))
    logprobs = whole(values.get("logprobs"))
    prompt = _prompt(match[2])
    chat = match[1].startswith("chatcmpl")
    return [
        Query(
            _time(line),
            "",
            Request.CHAT if chat else Request.COMPLETION,
            prompt=prompt,
            prompt_bytes=None if prompt is None else len(prompt.encode(errors="surrogatepass")),
            max_tokens=whole(values.get("max_tokens")),
            samples=whole(values.get("n")),
            temperature=number(values.get("temperature")),
            logprobs=logprobs is not None,
            top_logprobs=logprobs or 0,
            prompt_logprobs=whole(values.get("prompt_logprobs")) is not None,
        )
    ]


def _prompt(literal: str | None) -> str | None:
    """The text of a Python literal; None where there is none."""
    if literal is None:
        return None
    try:
        value = ast.literal_eval(literal)
    except (ValueError, SyntaxError):
        raise ValueError("is a request of vLLM whose prompt is cut off") from None
    return value if isinstance(value, str) else None


def _time(line: str) -> float:
    match = TIME.search(line)
    if match is None:
        return math.nan
    month, day, hour, minute, second = map(int, match.groups())
    try:
        return datetime(datetime.now(UTC).year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return math.nan


VLLM = Source("vllm", "vLLM's request log", FIELDS, _recognises, _queries, of_text=True)
