"""The policy applied to a request: what is sent on, and what of the answer is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..queries import Request
from ._asking import Asked
from ._fields import N_BEST
from ._policy import ALL, LogprobRules, Rule
from ._refused import Refused

__all__ = ["Shown", "judge"]


@dataclass(frozen=True, slots=True)
class Shown:
    """What of an answer is shown. Whatever the server sends beyond this is removed."""

    generated: bool = False
    """Log-probabilities in the place of those of generated tokens; with *echo* those of the prompt stand there too."""
    prompt: bool = False
    """The field ``prompt_logprobs``."""
    echo: bool = False
    top: int = 0
    """Most alternatives of a token."""
    of_prompt: int = 0
    """Most alternatives of a token of the prompt."""


def judge(asked: Asked, fields: Mapping[str, Any], rules: LogprobRules, client: str) -> tuple[dict[str, Any], Shown]:
    """The fields that are sent on to the server, and what of its answer is shown to *client*.

    Raises:
        Refused: the rules deny the request.
    """
    permitted = ALL in rules.clients or client in rules.clients
    sent = dict(fields)
    if asked.n_best and _removes(rules.n_best, permitted, "Choosing among answers by log-probability is"):
        for name in N_BEST:
            sent.pop(name, None)
    if asked.of_prompt and _removes(rules.prompt, permitted, "Log-probabilities of the prompt are"):
        sent.pop("prompt_logprobs", None)
        sent.pop("echo", None)
    if asked.logprobs and (
        _removes(rules.generated, permitted, "Log-probabilities are")
        or (
            asked.constrained and _removes(rules.constrained, permitted, "Log-probabilities of constrained answers are")
        )
    ):
        sent.pop("logprobs", None)
        sent.pop("top_logprobs", None)
    for name in ("logprobs", "top_logprobs", "prompt_logprobs"):
        if isinstance(sent.get(name), int) and not isinstance(sent[name], bool):
            sent[name] = min(sent[name], rules.top)
    generated = "logprobs" in sent and sent["logprobs"] is not False
    return sent, Shown(
        generated=generated,
        prompt="prompt_logprobs" in sent,
        echo=bool(sent.get("echo")),
        top=sent.get("logprobs" if asked.request is Request.COMPLETION else "top_logprobs", 0) if generated else 0,
        of_prompt=sent.get("prompt_logprobs", 0),
    )


def _removes(rule: Rule, permitted: bool, what: str) -> bool:
    """Whether *rule* removes something; for a client that is not *permitted* to see it, pass means remove, too.

    Raises:
        Refused: the rule denies it.
    """
    if rule is Rule.DENY:
        raise Refused(403, "logprobs_denied", f"{what} not available here.")
    return rule is Rule.REMOVE or not permitted
