"""What a server refused, or why it cannot be reached, in a line that holds no key."""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, Any

from ._address import KEY_VARIABLES, Address, key_from_environment

if TYPE_CHECKING:
    import httpx

__all__ = ["denies_logprobs", "failure_words", "is_error", "key_words", "message_of", "refusal_words"]

LONGEST = 200
"""Most characters of a server's message that are repeated."""


def failure_words(url: str, error: httpx.HTTPError) -> str:
    """Why no answer came from *url*."""
    import httpx

    causes = _causes(error)
    if any(isinstance(cause, ssl.SSLError) for cause in causes) or "SSL" in str(error) or "CERTIFICATE" in str(error):
        if "WRONG_VERSION_NUMBER" in str(error) or "record layer" in str(error):
            return f"{url}: the server does not speak TLS: write http:// in place of https://"
        return (
            f"{url}: the certificate of the server is not trusted: name the file of its authority in the environment "
            "variable SSL_CERT_FILE"
        )
    if isinstance(error, httpx.TimeoutException):
        return f"{url}: the server has not answered in time: send fewer requests at once by `concurrency`, or wait"
    if isinstance(error, httpx.ConnectError):
        return f"{url}: no server answers: start it, or correct the address"
    if isinstance(error, httpx.ProtocolError | httpx.ReadError | httpx.WriteError | httpx.DecodingError):
        return f"{url}: the server cuts its answers off: look at its log, and run the same command again"
    return f"{url}: no answer ({type(error).__name__}): correct the address, or look at the log of the server"


def _causes(error: BaseException) -> list[BaseException]:
    causes, left = list[BaseException](), error.__cause__ or error.__context__
    while left is not None and left not in causes:
        causes.append(left)
        left = left.__cause__ or left.__context__
    return causes


def refusal_words(address: Address, status: int, value: Any) -> str:
    """What an answer with *status* means, whose JSON value is *value*."""
    url = address.url
    if status == 401 or (status == 403 and not denies_logprobs(status, message_of(value))):
        return key_words(url)
    if 300 <= status < 400:
        return f"{url}: the server sends requests on to another address, which is not followed: name that address"
    if status == 200 and is_error(value):
        return f"{url}: the server answers with an error in place of a completion: {message_of(value) or 'no message'}"
    if status == 200:
        return f"{url}: the server cuts its answers off: look at its log, and run the same command again"
    if status == 429:
        return (
            f"{url}: the server limits the rate: send fewer requests at once by `concurrency`, or wait; all answers "
            "are kept, so the same command continues after them"
        )
    message = message_of(value)
    return f"{url}: the server answers with status {status}{f': {message}' if message else ''}"


def is_error(value: Any) -> bool:
    """Whether the JSON *value* of an answer is an error: some servers, under load, send it with status 200."""
    return isinstance(value, dict) and value.get("error") is not None and "choices" not in value


def denies_logprobs(status: int, words: str) -> bool:
    """Whether *words* of a refusal with *status* say that it is for log-probabilities, which a key does not change."""
    return status == 403 and re.search("log.?prob", words, re.IGNORECASE) is not None


def key_words(url: str) -> str:
    """That the server at *url* accepts no key."""
    key = key_from_environment()
    if key is None:
        return f"{url}: the server asks for a key: put it into the environment variable {' or '.join(KEY_VARIABLES)}"
    return f"{url}: the server refuses the key in the environment variable {key[0]}: correct it"


def message_of(value: Any) -> str:
    """The message of an error that a server gave as JSON, on a line and cut; empty where there is none."""
    for name in ("error", "message", "detail"):
        if isinstance(value, dict) and name in value:
            value = value[name]
    key = key_from_environment()
    # Nothing of it may steer a terminal.
    shown = "".join(each if each.isprintable() else " " for each in value) if isinstance(value, str) else ""
    text = " ".join(shown.split())
    if key is not None:
        text = text.replace(key[1], "…")
    # Its own words may hold backticks, which name parameters in messages of this package.
    return (text[:LONGEST] + (" …" if len(text) > LONGEST else "")).replace("`", "'")
