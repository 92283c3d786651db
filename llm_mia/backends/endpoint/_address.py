"""``openai:MODEL@URL``: the name of a model behind an endpoint, and the key for it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from ...errors import UsageError
from ..checking import ENDPOINT

__all__ = ["KEY_VARIABLES", "Address", "key_from_environment"]

KEY_VARIABLES = ("LLM_MIA_API_KEY", "OPENAI_API_KEY")
"""The environment variables that may hold the key; the first that is set counts."""


def key_from_environment() -> tuple[str, str] | None:
    """The variable that holds the key, and the key; None where no variable is set.

    Raises:
        UsageError: it holds what no header can carry.
    """
    for name in KEY_VARIABLES:
        if key := os.environ.get(name, "").strip():
            if not all("!" <= character <= "~" for character in key):
                raise UsageError(f"the environment variable {name} holds a character that no key has: copy it again")
            return name, key
    return None


@dataclass(frozen=True, slots=True)
class Address:
    """A model and the URL under which a server gives it."""

    model: str
    url: str
    """Without a slash at its end."""

    @classmethod
    def of(cls, name: str) -> Address:
        """The address that *name* spells.

        Raises:
            UsageError: it is not of the form ``openai:MODEL@URL``, or the URL holds a password or a query.

        >>> Address.of("openai:org/model@v2@http://127.0.0.1:8000/v1/")
        Address(model='org/model@v2', url='http://127.0.0.1:8000/v1')
        """
        model, mark, url = name.removeprefix(ENDPOINT).rpartition("@http")
        url = f"http{url}".rstrip("/")
        form = "write openai:MODEL@URL, as in openai:smollm2@http://127.0.0.1:8000/v1"
        if not mark and "@" in name and "://" not in name:
            raise UsageError(f"the URL of a model lacks http:// or https:// after the last @: {form}")
        if not mark or not model or "://" not in url:
            # The name may hold a key by mistake, so it is not repeated.
            raise UsageError(f"the name of a model begins with {ENDPOINT!r}, but gives no model and URL: {form}")
        try:
            parts = urlsplit(url)
            parts.port  # noqa: B018 - reading it checks it
        except ValueError:
            raise UsageError(f"the URL of a model is not valid: {form}") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"the URL of model {model!r} names no server: {form}")
        if parts.username or parts.password or parts.query or parts.fragment or "://" in model:
            raise UsageError(
                f"the URL of a model at {parts.hostname} holds a user, a password or a query: leave them out, and put "
                f"the key into the environment variable {KEY_VARIABLES[0]} or {KEY_VARIABLES[1]}"
            )
        return cls(model, url)
