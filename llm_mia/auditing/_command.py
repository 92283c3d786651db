"""The command that began an audit, as its record keeps it: options and names, and no secret."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["without_secrets"]

HIDDEN = "…"
_USER = re.compile(r"(?<=://)[^/\s@]+@")
_QUERY = re.compile(
    r"([?&][\w.-]*(?:key|token|secret|password|signature|sig|credential)[\w.-]*=)[^&\s]+", re.IGNORECASE
)
_TOKEN = re.compile(r"\b(hf|sk|ghp|glpat)([_-])[A-Za-z0-9_-]{16,}")


def without_secrets(arguments: Sequence[str]) -> tuple[str, ...]:
    """The *arguments* without passwords in addresses, without keys in their queries, and without access tokens.

    llm_mia takes secrets from the environment alone; a user may have typed an address that holds one.

    >>> without_secrets(["audit", "https://me:secret@host/a.jsonl?key=abc&n=1", "-o", "run"])
    ('audit', 'https://…@host/a.jsonl?key=…&n=1', '-o', 'run')
    """
    return tuple(
        _TOKEN.sub(rf"\1\2{HIDDEN}", _QUERY.sub(rf"\1{HIDDEN}", _USER.sub(f"{HIDDEN}@", argument)))
        for argument in arguments
    )
