"""A guard in front of a model server: an OpenAI-compatible proxy that applies a policy and logs queries.

    from llm_mia.guard import Secret, read_policy, serve_guard
    policy, secret = read_policy("guard.toml"), Secret.read("guard.secret")
    serve_guard("http://127.0.0.1:8000/v1", policy, log="queries.jsonl", secret=secret)

A request is parsed once, strictly; what is sent on is written anew from the fields that the policy allows. An answer
is written anew, too, from the fields that are known to be harmless.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtraError
from ._buckets import Buckets
from ._clients import SECRET_VARIABLE, Secret
from ._events import Events
from ._log import QueryLog
from ._policy import (
    ClientRules,
    KeptPrompt,
    KnownBy,
    LimitRules,
    LogprobRules,
    LogRules,
    PassOrDeny,
    Policy,
    RequestRules,
    Rule,
    UpstreamRules,
)
from ._policy_file import policy_text, read_policy
from ._refused import CLIENT_GONE, Refused

if TYPE_CHECKING:
    from ._app import Guard
    from ._serving import Served, configuration, serve_guard
    from ._upstream import Upstream

__all__ = [
    "CLIENT_GONE",
    "SECRET_VARIABLE",
    "Buckets",
    "ClientRules",
    "Events",
    "Guard",
    "KeptPrompt",
    "KnownBy",
    "LimitRules",
    "LogRules",
    "LogprobRules",
    "PassOrDeny",
    "Policy",
    "QueryLog",
    "Refused",
    "RequestRules",
    "Rule",
    "Secret",
    "Served",
    "Upstream",
    "UpstreamRules",
    "configuration",
    "policy_text",
    "read_policy",
    "serve_guard",
]

_OF_EXTRA = {
    "Guard": "_app",
    "Served": "_serving",
    "configuration": "_serving",
    "serve_guard": "_serving",
    "Upstream": "_upstream",
}
"""Names whose modules need the extra."""


def __getattr__(name: str) -> Any:
    if name not in _OF_EXTRA:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f".{_OF_EXTRA[name]}", __name__), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("aiohttp", "starlette", "uvicorn"):
            raise
        raise MissingExtraError(f"{error.name}, which the guard needs,", "pip install 'llm-mia[guard]'") from None
