"""What is known of a request while it is served, and its lines in the log."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from ..queries import Query, Request
from ._asking import Asked
from ._masking import Masking

__all__ = ["Exchange", "queries_of"]

LONGEST_NAME = 200
"""Characters of the name of a model in the log."""


@dataclass(slots=True)
class Exchange:
    """A request, and as much as is known of it so far."""

    arrived: float = field(default_factory=time.time)
    began: float = field(default_factory=time.monotonic)
    client: str = ""
    asked: Asked | None = None
    masking: Masking | None = None
    charged: float = 0.0
    """Tokens that were taken from the client's bucket."""
    refusal: str | None = None
    """The code of `Refused`, where that was the answer."""
    held: int = 0
    """Bytes of its body in memory."""

    @property
    def prompt_tokens(self) -> int | None:
        """As the server reports them."""
        return self.masking.prompt_tokens if self.masking else None

    @property
    def completion_tokens(self) -> int | None:
        """As the server reports them; where it does not, in a streamed answer, the number of its pieces."""
        if self.masking is None:
            return None
        counted = self.masking.pieces if self.masking.asked.stream else None
        return counted if self.masking.completion_tokens is None else self.masking.completion_tokens


def queries_of(exchange: Exchange, status: int) -> list[Query]:
    """The lines of the log for *exchange*, which was answered with *status*: a line for each of its prompts."""
    asked = exchange.asked or Asked(Request.OTHER)
    prompts: list[str | None] = [_valid(each) for each in asked.prompts]
    prompts = prompts or [None]
    single = len(prompts) == 1
    tokens = [exchange.prompt_tokens] if single else asked.prompt_tokens or [None] * len(prompts)
    seconds = round(time.monotonic() - exchange.began, 6)
    return [
        Query(
            time=exchange.arrived,
            client=exchange.client,
            request=asked.request,
            model=_valid(asked.model[:LONGEST_NAME]),
            prompt=prompt,
            prompt_bytes=None if prompt is None else len(prompt.encode()),
            prompt_tokens=of_prompt,
            completion_tokens=exchange.completion_tokens if single else None,
            max_tokens=asked.max_tokens,
            samples=asked.samples,
            temperature=_finite(asked.temperature),
            echo=asked.echo,
            logprobs=asked.logprobs,
            top_logprobs=asked.top_logprobs,
            prompt_logprobs=asked.prompt_logprobs,
            status=status,
            refusal=exchange.refusal,
            seconds=seconds,
        )
        for prompt, of_prompt in zip(prompts, tokens, strict=True)
    ]


def _finite(number: float | None) -> float | None:
    """*number* where a float can hold it; a request may name any."""
    try:
        return None if number is None or not math.isfinite(number) else float(number)
    except OverflowError:
        return None


def _valid(text: str) -> str:
    """*text* without halves of surrogate pairs, which a request that is refused for them may have."""
    return text.encode("utf-8", "replace").decode()
