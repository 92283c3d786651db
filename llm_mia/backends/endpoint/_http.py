"""HTTP to a server that may be slow, hostile or wrong: limits of time and size, and no host but the one named."""

from __future__ import annotations

import ipaddress
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from ...errors import ServerError, UsageError
from ._address import key_from_environment

if TYPE_CHECKING:
    import httpx

__all__ = ["Response", "get", "open_client", "post", "retry_after", "tls_context"]

T = TypeVar("T", "httpx.Client", "httpx.AsyncClient")


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answered."""

    status: int
    headers: httpx.Headers
    value: Any
    """Of its JSON; None where it is no JSON."""


def tls_context(url: str) -> ssl.SSLContext | bool:
    """How the certificates of *url* are checked; False where it has none.

    Raises:
        UsageError: the file of authorities cannot be read.
    """
    import httpx

    if not url.startswith("https:"):
        return False
    try:
        return httpx.create_ssl_context()
    except OSError:  # of which the errors of TLS are
        raise UsageError(
            "the environment variable SSL_CERT_FILE or SSL_CERT_DIR names no certificates: correct or unset it"
        ) from None


def open_client(kind: Callable[..., T], url: str, seconds: float, context: ssl.SSLContext | bool, **more: Any) -> T:
    """A client of httpx for the server at *url*, with the key of the environment.

    Proxies of the environment are used for https alone, where they see no passage and no key, and never for this
    machine. Redirects are not followed.

    Raises:
        UsageError: the key or a proxy in the environment cannot be used.
    """
    import httpx

    key = key_from_environment()
    try:
        return kind(
            headers={"Authorization": f"Bearer {key[1]}"} if key else {},
            timeout=httpx.Timeout(seconds, connect=min(20.0, seconds)),
            follow_redirects=False,
            verify=context,
            trust_env=_may_use_proxy(url),
            **more,
        )
    except (ValueError, ImportError, httpx.InvalidURL):  # their words may hold the password of a proxy
        raise UsageError(
            "a proxy that HTTPS_PROXY or ALL_PROXY names in the environment cannot be used: correct it, or name the "
            f"server {urlsplit(url).hostname} in NO_PROXY"
        ) from None


def _may_use_proxy(url: str) -> bool:
    """Whether requests to *url* may go through a proxy.

    >>> _may_use_proxy("https://example.org/v1"), _may_use_proxy("http://10.0.0.7/v1"), _may_use_proxy("https://[::1]/")
    (True, False, False)
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost" or host.endswith(".localhost")
    return parts.scheme == "https" and not local


def get(http: httpx.Client, url: str, seconds: float, largest: int) -> Response:
    """The answer to GET *url*.

    Raises:
        httpx.HTTPError: none comes, or not within so many *seconds*.
        ServerError: it has more bytes than *largest*.
        UsageError: *url* is not valid.
    """
    import httpx

    end = time.monotonic() + seconds
    try:
        with http.stream("GET", url) as response:
            body = bytearray()
            for part in response.iter_bytes():
                _add(body, part, url, largest)
                if time.monotonic() > end:
                    raise httpx.ReadTimeout("the answer comes too slowly")
    except (httpx.InvalidURL, UnicodeError):  # UnicodeError: a name of a host that no DNS has
        raise UsageError(f"{url}: is no valid address of a server: correct it") from None
    return Response(response.status_code, response.headers, _parsed(body))


async def post(http: httpx.AsyncClient, url: str, body: Any, seconds: float, largest: int) -> Response:
    """The answer to POST *url* with the JSON value *body*.

    Raises:
        httpx.HTTPError: none comes, or not within so many *seconds*.
        ServerError: it has more bytes than *largest*.
    """
    import anyio
    import httpx

    received = bytearray()
    try:
        with anyio.fail_after(seconds):  # httpx leaks what asyncio.timeout cancels
            async with http.stream("POST", url, json=body) as response:
                async for part in response.aiter_bytes():
                    _add(received, part, url, largest)
    except TimeoutError:
        raise httpx.ReadTimeout("the answer comes too slowly") from None
    return Response(response.status_code, response.headers, _parsed(received))


def _add(body: bytearray, part: bytes, url: str, largest: int) -> None:
    body += part
    if len(body) > largest:
        raise ServerError(f"{url}: an answer is larger than {largest // 1_000_000} MB: correct the address")


def _parsed(body: bytearray) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # ValueError: no JSON, no text, or a number of thousands of digits
        return None


def retry_after(headers: httpx.Headers) -> float | None:
    """Seconds that the server asks to wait; None where it names no time.

    >>> retry_after({"retry-after": "2"}), retry_after({"retry-after": "soon"})
    (2.0, None)
    """
    given = headers.get("retry-after")
    if given is None:
        return None
    try:
        return max(0.0, float(given))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(given).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
