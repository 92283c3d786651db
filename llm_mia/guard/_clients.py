"""Who a client is: a keyed digest of its key or address, and the secret that the digests depend on."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import UsageError
from ._policy import ClientRules, KnownBy

__all__ = ["SECRET_VARIABLE", "Secret", "client_name"]

SECRET_VARIABLE = "LLM_MIA_GUARD_SECRET"  # noqa: S105 - the name of the variable
SHORTEST = 16
"""Fewest characters of a secret in the environment."""


class Secret:
    """Bytes that nobody else knows; each use has a key of its own, so none tells of another."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        self._secret = hashlib.blake2b(secret, digest_size=32).digest()

    def __repr__(self) -> str:
        return "Secret(…)"

    @classmethod
    def read(cls, file: str | Path) -> Secret:
        """The secret in the environment variable `SECRET_VARIABLE`, else in *file*, which is written if it is missing.

        Raises:
            UsageError: it is too short, or others may read the file.
        """
        if given := os.environ.get(SECRET_VARIABLE):
            if len(given) < SHORTEST:
                raise UsageError(
                    f"{SECRET_VARIABLE} in the environment has fewer than {SHORTEST} characters: give it more, or "
                    "unset it"
                )
            return cls(given.encode())
        path = Path(file)
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
                new.write(secrets.token_hex(32) + "\n")
        except FileExistsError:
            pass  # an earlier start wrote it
        if path.stat().st_mode & 0o077:
            raise UsageError(f"{path}: others may read this secret: run chmod 600, or delete it to have a new one")
        text = path.read_text(encoding="utf-8", errors="replace").strip()
        if len(text) < SHORTEST:
            raise UsageError(f"{path}: holds fewer than {SHORTEST} characters: delete it to have a new secret")
        return cls(text.encode())

    def key(self, purpose: str) -> bytes:
        """The key for *purpose*."""
        return hashlib.blake2b(purpose.encode(), key=self._secret, digest_size=32).digest()

    @property
    def sketch_key(self) -> bytes:
        """The key of the sketches in the log (`llm_mia.queries.sketch_prompts`)."""
        return self.key("sketch")


def client_name(
    headers: Mapping[str, str], address: str, rules: ClientRules, key: bytes, forwarded: Sequence[str] = ()
) -> str:
    """The name of a client: ``key-`` or ``address-`` and a digest under *key*.

    Args:
        headers: of the request, by names in lower case.
        address: of whoever is connected.
        rules: by what clients are known.
        key: see `Secret.key`.
        forwarded: every header X-Forwarded-For, in order: a proxy may add its header below that of a client.
    """
    address = _host(address)
    proxies = {_host(each) for each in rules.proxies}
    if address in proxies:
        for hop in reversed(",".join(forwarded).split(",")):
            if hop.strip():
                address = _host(hop.strip())
            if address not in proxies:
                break
    scheme, _, word = headers.get("authorization", "").partition(" ")
    if rules.known_by is KnownBy.KEY and scheme.lower() == "bearer" and word.strip():
        return f"key-{_digest(word.strip(), key)}"
    return f"address-{_digest(_network(address), key)}"


def _host(address: str) -> str:
    """*address* without a port, which a proxy may add, and in the form of IPv4 where it is one within IPv6.

    >>> _host("192.0.2.7:4711"), _host("::ffff:192.0.2.7"), _host("[2001:db8::7]:4711")
    ('192.0.2.7', '192.0.2.7', '2001:db8::7')
    """
    host = address.removeprefix("[").partition("]")[0]
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def _network(host: str) -> str:
    """*host*; of IPv6 the network of 64 bits, of which a client has every address."""
    try:
        return str(ipaddress.IPv6Network((host, 64), strict=False))
    except ValueError:
        return host


def _digest(text: str, key: bytes) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), key=key, digest_size=8).hexdigest()
