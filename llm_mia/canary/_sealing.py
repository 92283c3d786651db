"""What fixes a random choice before it is made, so that nobody can say that it was made afterwards."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

__all__ = ["commitment_of", "drawn_variant", "leaf_of", "merkle_root"]


def drawn_variant(secret: bytes, document: str, beacon: str, variants: int) -> int:
    """Which of the *variants* of a document becomes public, from 0.

    It is SHA-256(secret ‖ document ‖ beacon) modulo *variants*, each part behind its length. Nobody can compute it
    without *secret*, and whoever has *secret* cannot choose it, as long as *beacon* becomes known only after the
    commitment to *secret* and the root of all variants were published. Each variant has the same probability, up to a
    share of variants/2²⁵⁶.

    >>> drawn_variant(b"secret", "letter-1", "drand 4791", 8)
    5
    """
    parts = [secret, document.encode(errors="surrogatepass"), beacon.encode(errors="surrogatepass")]
    return int.from_bytes(hashlib.sha256(_framed(parts)).digest()) % variants


def commitment_of(secret: bytes) -> str:
    """The SHA-256 digest of *secret*, in hexadecimal digits: it can be published, and fixes the secret."""
    return hashlib.sha256(b"llm_mia canary secret\n" + secret).hexdigest()


def leaf_of(secret: bytes, document: str, variant: int, text: str) -> str:
    """The digest of a variant in the manifest, in hexadecimal digits.

    It is keyed by *secret*: whoever has the manifest alone cannot test whether a text that he knows is in it.
    """
    parts = [b"variant", document.encode(errors="surrogatepass"), variant.to_bytes(4), text.encode("utf-8")]
    return hmac.new(secret, _framed(parts), hashlib.sha256).hexdigest()


def merkle_root(leaves: Sequence[str]) -> str:
    """The root of the Merkle tree over *leaves*, in hexadecimal digits, as RFC 6962 builds it (section 2.1).

    Args:
        leaves: digests in hexadecimal digits, at least one.

    >>> merkle_root(["00" * 32])[:16], merkle_root(["00" * 32, "01" * 32])[:16]
    ('7f9c9e31ac8256ca', '28fb81e496897e0c')
    """
    level = [hashlib.sha256(b"\x00" + bytes.fromhex(leaf)).digest() for leaf in leaves]
    # A last node without a partner goes up unchanged: this is the tree of RFC 6962, built from below.
    while len(level) > 1:
        pairs = [
            hashlib.sha256(b"\x01" + left + right).digest()
            for left, right in zip(level[::2], level[1::2], strict=False)
        ]
        level = pairs + level[len(level) - len(level) % 2 :]
    return level[0].hex()


def _framed(parts: Sequence[bytes]) -> bytes:
    """*parts* behind each other, each behind its length, so that no two lists give the same bytes."""
    return b"".join(len(part).to_bytes(8) + part for part in parts)
