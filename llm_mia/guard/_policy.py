"""The policy of a guard: what a client may ask, what it gets to see, and what the log keeps."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Annotated, Any, get_type_hints

from ..errors import UsageError

__all__ = [
    "ALL",
    "About",
    "ClientRules",
    "KeptPrompt",
    "KnownBy",
    "LimitRules",
    "LogRules",
    "LogprobRules",
    "PassOrDeny",
    "Policy",
    "RequestRules",
    "Rule",
    "UpstreamRules",
    "settings_of",
]

ALL = "all"
"""In the place of the names of clients: every client."""


class Rule(StrEnum):
    """What happens to a part of a request."""

    PASS = "pass"  # noqa: S105 - a rule, no password
    REMOVE = "remove"
    DENY = "deny"


class PassOrDeny(StrEnum):
    """What happens to a request that has some property."""

    PASS = "pass"  # noqa: S105 - a rule, no password
    DENY = "deny"


class KnownBy(StrEnum):
    """By what a client is known."""

    KEY = "key"
    ADDRESS = "address"


class KeptPrompt(StrEnum):
    """What the log keeps of a prompt."""

    KEEP = "keep"
    HASH = "hash"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class About:
    """What is printed above a setting, and the range of its values."""

    text: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class LogprobRules:
    """Which log-probabilities are shown, to whom, and how exactly."""

    prompt: Annotated[
        Rule,
        About(
            "Log-probabilities of the prompt: echo together with logprobs, and prompt_logprobs. pass: they are shown; "
            "remove: the request is sent on without these fields; deny: it is refused with status 403."
        ),
    ] = Rule.DENY
    generated: Annotated[Rule, About("Log-probabilities of the tokens that the model writes: pass, remove, deny.")] = (
        Rule.PASS
    )
    constrained: Annotated[
        Rule,
        About(
            "The same where the request decides which tokens the model may write: logit_bias, guided_choice, "
            "grammars, JSON schemas, forced tools, penalties that favour words of the prompt. Such a request can make "
            "the model write a given text, and then shows the log-probabilities of this text, as echo does. The "
            "setting generated applies, too."
        ),
    ] = Rule.REMOVE
    n_best: Annotated[
        Rule, About("best_of and use_beam_search, which rank answers by their log-probability: pass, remove, deny.")
    ] = Rule.DENY
    top: Annotated[
        int, About("Most alternatives shown for each token (top_logprobs, logprobs = N); more are cut off.", 0)
    ] = 5
    digits: Annotated[int | None, About("Digits after the decimal point. Leave it out to show all.", 0, 12)] = None
    temperature: Annotated[
        float,
        About(
            "Every log-probability is divided by this. The probabilities of the listed tokens, and of all others "
            "together, are then scaled to add up to 1.",
            0.01,
            100,
        ),
    ] = 1.0
    noise: Annotated[
        float,
        About(
            "Standard deviation, in nats, of noise on every log-probability. The same token after the same text always "
            "has the same noise, so asking again does not average it away.",
            0.0,
            100.0,
        ),
    ] = 0.0
    clients: Annotated[
        tuple[str, ...],
        About(
            'Clients that may see log-probabilities, by their names in the log; "all" is every client. For other '
            "clients pass means remove."
        ),
    ] = (ALL,)


@dataclass(frozen=True, slots=True)
class RequestRules:
    """Which requests reach the model."""

    unknown_fields: Annotated[
        PassOrDeny,
        About(
            "Fields of a request that the guard does not know: pass, or deny with status 400. A request with such "
            "a field counts as constrained, because the field may decide which tokens the model writes."
        ),
    ] = PassOrDeny.DENY
    token_prompts: Annotated[
        PassOrDeny, About("Prompts that are lists of token ids, whose text the log cannot show: pass or deny.")
    ] = PassOrDeny.PASS
    paths: Annotated[
        tuple[str, ...],
        About(
            'Other paths below the upstream\'s address that pass, as in ["/tokenize"], for GET and for POST of JSON. '
            "Fields with names such as prob, logit or score are removed from their answers. All other paths get "
            "status 404."
        ),
    ] = ()
    max_bytes: Annotated[int, About("Most bytes in the body of a request; a larger body gets status 413.", 1)] = (
        10_000_000
    )
    max_prompts: Annotated[int, About("Most prompts in a request.", 1)] = 128
    max_samples: Annotated[int, About("Most continuations of a prompt (n, best_of).", 1)] = 16
    seconds: Annotated[
        float,
        About(
            "Most seconds to send a request, or to read a part of the answer; a slower client is cut off.", 0.1, 86400
        ),
    ] = 30.0


@dataclass(frozen=True, slots=True)
class ClientRules:
    """By what a client is known. The log names it by a keyed digest."""

    known_by: Annotated[
        KnownBy,
        About(
            "key: by the key of the request, or by the address if there is no key. Use this only where the upstream "
            "refuses unknown keys: otherwise a client may invent a key for each request. address: by the address "
            "alone; of an IPv6 address, the first 64 bits count."
        ),
    ] = KnownBy.KEY
    proxies: Annotated[
        tuple[str, ...], About("Addresses of proxies in front of the guard, whose header X-Forwarded-For is believed.")
    ] = ()


@dataclass(frozen=True, slots=True)
class LimitRules:
    """How much a client may use in a minute; more gets status 429 with Retry-After."""

    requests_per_minute: Annotated[
        int | None,
        About("Requests of a client in a minute; each prompt of a request counts. Leave it out for no limit.", 1),
    ] = None
    tokens_per_minute: Annotated[
        int | None, About("Tokens of a client in a minute, prompt and answer. Leave it out for no limit.", 1)
    ] = None


@dataclass(frozen=True, slots=True)
class LogRules:
    """What the log of queries keeps."""

    prompt: Annotated[
        KeptPrompt,
        About(
            "keep: the text; hash: a keyed sketch, which recognises similar prompts without "
            "their text; drop: its length."
        ),
    ] = KeptPrompt.HASH
    max_bytes: Annotated[int, About("The log begins a new file at this size.", 1000)] = 100_000_000
    files: Annotated[int, About("Most older files that are kept; the oldest is deleted.", 0, 10_000)] = 10


@dataclass(frozen=True, slots=True)
class UpstreamRules:
    """How the guard speaks to the server behind it."""

    connect_seconds: Annotated[
        float, About("Most seconds until the upstream accepts a connection; then status 502.", 0.1, 3600)
    ] = 5.0
    seconds: Annotated[
        float,
        About("Most seconds until an answer, or the next part of a streamed answer; then status 504.", 0.1, 86400),
    ] = 600.0
    connections: Annotated[int, About("Most requests at once; a request that waits too long gets status 503.", 1)] = (
        1000
    )
    max_bytes: Annotated[int, About("Most bytes in an answer, or in an event of a streamed answer.", 1000)] = (
        100_000_000
    )


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that a guard does; each field is a section of the file.

    Raises:
        UsageError: a number lies outside its range.
    """

    logprobs: LogprobRules = field(default_factory=LogprobRules)
    requests: RequestRules = field(default_factory=RequestRules)
    clients: ClientRules = field(default_factory=ClientRules)
    limits: LimitRules = field(default_factory=LimitRules)
    log: LogRules = field(default_factory=LogRules)
    upstream: UpstreamRules = field(default_factory=UpstreamRules)

    def __post_init__(self) -> None:
        for section in fields(self):
            rules = getattr(self, section.name)
            for name, about in settings_of(type(rules)).items():
                _check_range(f"[{section.name}] {name}", about, getattr(rules, name))


def settings_of(section: type) -> dict[str, About]:
    """By name of a setting of *section*: what there is to say about it."""
    hints = get_type_hints(section, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items()}


def _check_range(where: str, about: About, value: Any) -> None:
    if value is None or about.low is None:
        return
    if not about.low <= value or (about.high is not None and not value <= about.high):  # NaN is in no range
        at_most = "" if about.high is None else f" and at most {about.high:g}"
        raise UsageError(f"{where} is {value:g}: it must be at least {about.low:g}{at_most}")
