"""Registered data sets: keyed hashes of their substrings, by which prompts about them are recognised without text."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..queries import Sketches, hashed_shingles
from ..records import SCHEMA_VERSION

__all__ = ["RegisteredSet", "Registry", "build_registry", "key_name", "read_registry", "registry_to_json"]

SHARE = 0.25
"""Of the hashes this share is kept, the smallest: a fair sample, because hashes are random."""
_SMALLEST = int(SHARE * 2**32)
_NOTHING = np.empty(0, np.uint32)


@dataclass(frozen=True)
class RegisteredSet:
    """A data set, as hashes."""

    name: str
    public: bool
    """Whether it is a public benchmark: prompts about it explain themselves, and are no sign of an attack."""
    texts: int
    hashes: NDArray[np.uint32]
    """A quarter of the hashes of its substrings of 24 bytes, sorted."""


@dataclass(frozen=True, slots=True)
class _Hashes:
    """The hashes of several data sets together."""

    values: NDArray[np.uint32]
    """Sorted, each once."""
    beginnings: NDArray[np.bool_]
    """Shape (2²⁴,): whether a value begins with these 24 bits. Few hashes of other texts do."""

    @classmethod
    def of(cls, hashes: Sequence[NDArray[np.uint32]]) -> _Hashes:
        values = np.unique(np.concatenate([_NOTHING, *hashes]))
        beginnings = np.zeros(1 << 24 if len(values) else 1, np.bool_)
        beginnings[values >> 8] = True
        return cls(values, beginnings)

    def contains(self, hashes: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Which of *hashes* are among the values."""
        if not len(self.values):
            return np.zeros(len(hashes), np.bool_)
        there: NDArray[np.bool_] = self.beginnings[hashes >> 8]
        likely = hashes[there]
        there[there] = self.values[np.minimum(np.searchsorted(self.values, likely), len(self.values) - 1)] == likely
        return there


@dataclass(frozen=True)
class Registry:
    """Data sets and the key of their hashes."""

    key: bytes
    """The key of the sketches in the log; whoever has it, and the hashes, can test whether 24 characters that he
    guesses are registered, and try to continue them letter by letter, because the next substring shares all but one."""
    sets: tuple[RegisteredSet, ...]
    drawn: bool = False
    """Whether the key is new, so that it is that of no log with sketches in the place of prompts."""

    def overlap(self, sketches: Sketches, *, public: bool) -> NDArray[np.float64]:
        """Of each sketch, about which share of its text is in the registered sets, shape (n,); 0 where that is unknown.

        The share of places whose value is registered, among the places whose value is of the kept quarter. Where fewer
        than four are, the share is not known. A place of another text is registered by chance with probability at most
        (hashes of all sets) / 2³².
        """
        known = self._public if public else self._private
        usable = sketches.minima < _SMALLEST
        matched = usable.copy()
        matched[usable] = known.contains(sketches.minima[usable])
        count = usable.sum(1)
        return np.where(count >= 4, matched.sum(1) / np.maximum(1, count), 0.0)

    @cached_property
    def _public(self) -> _Hashes:
        return _Hashes.of([each.hashes for each in self.sets if each.public])

    @cached_property
    def _private(self) -> _Hashes:
        return _Hashes.of([each.hashes for each in self.sets if not each.public])


def build_registry(
    sets: Mapping[str, Iterable[str]], *, key: bytes | None = None, public: Iterable[str] = ()
) -> Registry:
    """A registry of the texts of each set.

    Args:
        sets: by name, the texts.
        key: the key of the sketches in the log; without it a new one is drawn, which serves logs that keep prompts.
        public: names of the sets that are public benchmarks.
    """
    secret, known = key or secrets.token_bytes(32), set(public)
    registered = []
    for name, texts in sets.items():
        hashes, count = [_NOTHING], 0
        for text in texts:
            values = hashed_shingles(text, secret)
            hashes.append(values[values < _SMALLEST])
            count += 1
        registered.append(RegisteredSet(name, name in known, count, np.unique(np.concatenate(hashes))))
    return Registry(secret, tuple(registered), drawn=key is None)


def registry_to_json(registry: Registry) -> str:
    """*registry* as JSON, with the key and without any text; `read_registry` gives it back."""
    sets = [
        {
            "name": each.name,
            "public": each.public,
            "texts": each.texts,
            "hashes": len(each.hashes),
            "values": _packed(each.hashes),
        }
        for each in registry.sets
    ]
    values = {
        "schema_version": SCHEMA_VERSION,
        "key": registry.key.hex(),
        "drawn": registry.drawn,
        "share": SHARE,
        "sets": sets,
    }
    return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


def read_registry(path: str | os.PathLike[str]) -> Registry:
    """The registry in a file of `registry_to_json`.

    Raises:
        InputError: it cannot be read, or is of another version.
    """
    where = Path(path)
    try:
        values: dict[str, Any] = json.loads(where.read_text(encoding="utf-8"))
        if values.get("schema_version") != SCHEMA_VERSION or values.get("share") != SHARE:
            raise InputError(f"{where}: was written by another version of llm_mia: register the data sets again")
        sets = []
        for each in values["sets"]:
            sets.append(RegisteredSet(each["name"], each["public"], each["texts"], _unpacked(each["values"])))
        return Registry(bytes.fromhex(values["key"]), tuple(sets), bool(values["drawn"]))
    except OSError as error:
        raise InputError(f"{where}: cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error):
        raise InputError(f"{where}: is no registry: name a file that registering data sets wrote") from None


def _packed(hashes: NDArray[np.uint32]) -> str:
    """Sorted numbers by their differences, which compress well."""
    steps = np.diff(hashes, prepend=np.uint32(0)).astype("<u4")
    return base64.b64encode(zlib.compress(steps.tobytes())).decode()


def _unpacked(text: str) -> NDArray[np.uint32]:
    steps = np.frombuffer(zlib.decompress(base64.b64decode(text)), "<u4")
    return np.cumsum(steps, dtype=np.uint64).astype(np.uint32)


def key_name(key: bytes) -> str:
    """A name of *key* that does not disclose it, by which two files are known to have the same key."""
    return hashlib.sha256(b"name of a key\n" + key).hexdigest()[:16]
