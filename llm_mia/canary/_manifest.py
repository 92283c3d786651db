"""What is sealed before the draw, and the folder that holds it.

DIR/manifest.json          digests of all variants and of the secret, and the beacon; no text and no draw
DIR/sealed/secret          32 random bytes, in hexadecimal digits
DIR/sealed/variants.jsonl  a line for each variant: document, variant (from 0), text
DIR/public/                the drawn variant of each document, a file each; not there before the draw
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from pathlib import Path

from ..errors import InputError
from ..store import read_record
from ._names import file_names
from ._sealing import commitment_of, drawn_variant, leaf_of, merkle_root

__all__ = [
    "MANIFEST",
    "PUBLIC",
    "SECRET",
    "SECRET_BYTES",
    "VARIANTS",
    "CanaryKind",
    "Manifest",
    "Sealed",
    "SealedDocument",
    "faults_of",
    "manifest_faults",
    "public_draw",
    "read_manifest",
    "read_sealed",
    "read_secret",
    "read_variants",
]

MANIFEST, SECRET, VARIANTS, PUBLIC = "manifest.json", "sealed/secret", "sealed/variants.jsonl", "public"
SECRET_BYTES = 32
"""Always so many: HMAC fills up a shorter key with zero bytes, so that two secrets would have the same leaves."""
RESTORE = "restore it as it was written when the variants were sealed"


class CanaryKind(StrEnum):
    """How the variants of a document differ."""

    REPHRASE = "rephrase"
    """They are texts that the user supplies."""
    INSERT = "insert"
    """Each has another sentence, of chosen perplexity, at the same place."""
    TOKEN = "token"  # noqa: S105 - a kind, no password
    """Each has other random words at the same place."""


OF_FINDER = ".DS_Store"
"""A file that macOS writes into each folder that somebody looks at."""


@dataclass(frozen=True, slots=True)
class SealedDocument:
    """A document of a manifest."""

    id: str
    leaves: tuple[str, ...]
    """The digest of each variant (`leaf_of`), in order."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is published, or time-stamped, before the draw: it fixes all variants and the secret, and shows neither."""

    kind: CanaryKind
    documents: tuple[SealedDocument, ...]
    root: str
    """The Merkle root over the leaves of all documents, in order."""
    commitment: str
    """The digest of the secret (`commitment_of`)."""
    beacon: str | None
    """The public value that the draw depends on; empty where it depends on the secret alone, None before the draw."""
    beacon_source: str
    """Where the value of the beacon was to come from, in the words of the publisher; may be empty."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A folder of canaries that was checked."""

    manifest: Manifest
    secret: bytes
    variants: Mapping[str, tuple[str, ...]]
    """The texts of the variants of each document, in the order of the manifest."""
    public: tuple[int, ...] | None
    """Which variant of each document, in the same order, is public; None before the draw."""


def read_sealed(folder: str | Path, *, secret: str | Path | None = None) -> Sealed:
    """The canaries in *folder*, whose commitment, leaves, root and draw are checked.

    Args:
        folder: as `make_canaries` has written it.
        secret: the file with the secret, where it is not in the folder.

    Raises:
        InputError: a file is missing or was changed, or a document or a variant was added or removed.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    for fault in manifest_faults(folder, manifest):
        raise InputError(fault)
    key = read_secret(folder, secret)
    variants = read_variants(folder)
    for fault in faults_of(folder, manifest, key, variants):
        raise InputError(fault)
    return Sealed(
        manifest, key, {each.id: variants[each.id] for each in manifest.documents}, public_draw(manifest, key)
    )


def public_draw(manifest: Manifest, secret: bytes) -> tuple[int, ...] | None:
    """Which variant of each document is public; None before the draw."""
    beacon = manifest.beacon
    if beacon is None:
        return None
    return tuple(drawn_variant(secret, each.id, beacon, len(each.leaves)) for each in manifest.documents)


def read_manifest(folder: Path) -> Manifest:
    """The manifest in *folder*, unchecked but for its form."""
    return read_record(Manifest, folder / MANIFEST, InputError, f"name a folder of `make_canaries`, or {RESTORE}")


def read_secret(folder: Path, secret: str | Path | None = None) -> bytes:
    """The secret of *folder*, or that in the file *secret*."""
    path = folder / SECRET if secret is None else Path(secret)
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); without the secret nothing can be tested or verified: name "
            "its file as `secret`"
        ) from None
    except ValueError:
        key = b""
    if len(key) != SECRET_BYTES:
        raise InputError(f"{path}: is not a secret of {SECRET_BYTES} bytes in hexadecimal digits; {RESTORE}")
    return key


def read_variants(folder: Path) -> dict[str, tuple[str, ...]]:
    """The variants by document, in the order of their numbers."""
    path = folder / VARIANTS
    texts: dict[str, list[str]] = {}
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {RESTORE}") from None
    for number, line in enumerate(lines, start=1):
        if not line and number == len(lines):
            continue
        document, variant, text = _row(line)
        if variant != len(texts.get(document, ())):
            raise InputError(
                f"{path} line {number}: is not the next variant of a document (document, variant, text); {RESTORE}"
            )
        texts.setdefault(document, []).append(text)
    return {document: tuple(each) for document, each in texts.items()}


def _row(line: bytes) -> tuple[str, int, str]:
    """Document, variant and text of a line; the variant is −1 where the line does not hold these."""
    try:
        row = json.loads(line)
        document, variant, text = row["document"], row["variant"], row["text"]
        text.encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "", -1, ""
    return (document, variant, text) if isinstance(document, str) and type(variant) is int else ("", -1, "")


def manifest_faults(folder: Path, manifest: Manifest) -> Iterator[str]:
    """What is wrong with *manifest* alone, a line each."""
    path, ids = folder / MANIFEST, [each.id for each in manifest.documents]
    if not ids or len(set(ids)) < len(ids) or min(len(each.leaves) for each in manifest.documents) < 2:
        yield f"{path}: has no document, a document twice, or one with a single variant, so it was edited; {RESTORE}"
        return
    try:
        root = merkle_root([*chain.from_iterable(each.leaves for each in manifest.documents)])
    except ValueError:
        root = ""
    if root != manifest.root:
        yield f"{path}: its root is not that of its leaves, so it was edited; {RESTORE}"


def faults_of(
    folder: Path, manifest: Manifest, secret: bytes, variants: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    """What contradicts the *manifest* in *folder*, a line each."""
    if commitment_of(secret) != manifest.commitment:
        yield (
            f"{folder / MANIFEST}: its commitment is not that of the secret: it was edited, or the secret is that of "
            "other canaries; restore the one or the other"
        )
        return
    sealed = {each.id for each in manifest.documents}
    added = [document for document in variants if document not in sealed]
    if added:
        yield (
            f"{folder / VARIANTS}: document {added[0]!r:.60} is not in the manifest, so it was added after the sealing "
            f"(of such documents there are {len(added)}): remove it, or seal it in a folder of its own"
        )
    before = len(added)
    for each in manifest.documents:
        fault = _fault_of(each, secret, variants.get(each.id, ()))
        if fault:
            before += 1
            yield f"{folder / VARIANTS}: document {each.id!r:.60} {fault}; {RESTORE}"
    if not before:
        yield from _public_faults(folder, manifest, secret, variants)


def _fault_of(document: SealedDocument, secret: bytes, texts: tuple[str, ...]) -> str:
    if len(texts) != len(document.leaves):
        return f"has {len(texts)} variants here, and {len(document.leaves)} were sealed"
    for number, (leaf, text) in enumerate(zip(document.leaves, texts, strict=True)):
        if leaf_of(secret, document.id, number, text) != leaf:
            return f"variant {number} is not the text that was sealed"
    return ""


def _public_faults(
    folder: Path, manifest: Manifest, secret: bytes, variants: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    """Where the folder public, if there is one, differs from the draw."""
    public, draw = folder / PUBLIC, public_draw(manifest, secret)
    if not public.exists():
        return
    if draw is None:
        yield f"{public}: is there, but nothing was drawn yet: remove it, and draw with `draw_canaries`"
        return
    names = file_names([each.id for each in manifest.documents])
    for name, each, chosen in zip(names, manifest.documents, draw, strict=True):
        try:
            text = (public / name).read_bytes()
        except OSError as error:
            yield f"{public / name}: cannot be read ({error.strerror}); it holds variant {chosen} of {each.id!r:.60}"
            continue
        encoded = [variant.encode() for variant in variants[each.id]]
        if text != encoded[chosen]:
            what = f"variant {encoded.index(text)}, which is sealed" if text in encoded else "another text"
            yield (
                f"{public / name}: holds {what}, and the draw gives variant {chosen} of {each.id!r:.60}: publish that, "
                "or restore manifest and secret"
            )
    for path in sorted(public.iterdir()):
        if path.name not in {*names, OF_FINDER}:
            yield f"{path}: is no public variant of a sealed document: remove it"
