"""What a worker of a Ray cluster does: it holds a model, describes it, and computes ranges of passages."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from .. import __version__, errors
from ..backends import Backend, Comparable, LengthChecking, ModelSpec
from ..errors import LlmMiaError
from ..records import IntArray, ModelRecord, TokenSignals, Window
from ..signals import RangeTask, ScoredRange
from ..store import differences

__all__ = ["Description", "Failure", "Worker", "checked"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Description:
    """What a process that holds no model knows of it."""

    info: ModelRecord
    opening: tuple[int, ...]
    tokens_per_batch: int
    offers: frozenset[str]
    digest: str | None
    """Of the files of the model."""
    comparable: bool = False
    """Whether it can be compared with the same model in float32."""
    special_tokens: Any = None
    """Finds special tokens in a text; None where the model has none."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of a worker, on its way to the process that leads."""

    kind: str
    """Name of its class in `llm_mia.errors`."""
    message: str

    @classmethod
    def of(cls, error: LlmMiaError) -> Failure:
        """The failure that *error* is."""
        kinds = (each.__name__ for each in type(error).__mro__)
        return cls(next(kind for kind in kinds if kind in errors.__all__ and kind != "PassageError"), str(error))

    def error(self) -> LlmMiaError:
        """The error, to be raised."""
        kind: Callable[[str], LlmMiaError] = getattr(errors, self.kind)
        return kind(self.message)


OUT_OF_MEMORY = "out of memory"
"""What `Worker.score` returns where the memory does not suffice."""


def checked(given: T | Failure) -> T:
    """What a worker has given; raises the error that it has given in its place."""
    if isinstance(given, Failure):
        raise given.error()
    return given


class Worker:
    """Holds a single model at a time; every method returns a `Failure` where it would raise an expected error.

    Args:
        folder: where relative paths begin, if there is such a folder on this machine.
    """

    def __init__(self, folder: str) -> None:
        if Path(folder).is_dir():
            os.chdir(folder)
        self._key = ""
        self._backend: Backend | None = None

    def greet(self) -> tuple[str, str]:
        """The version of llm_mia, and the name of the machine."""
        return __version__, socket.gethostname()

    def prepare(
        self, key: str, source: ModelSpec | Backend, compiled: bool, expected: Description | None
    ) -> Description | Failure:
        """Hold the model that *key* names, loaded from *source*, which must be the *expected* model."""
        try:
            if self._key != key:
                self._key, self._backend = "", None
                gc.collect()  # two models are never in memory together
                self._backend = source.load(compiled=compiled) if isinstance(source, ModelSpec) else source
                self._key = key
            assert self._backend is not None
            digest = source.sha256() if isinstance(source, ModelSpec) else None
            held = _describe(self._backend, digest)
            if expected is not None:
                _refuse_other_model(expected, held)
        except LlmMiaError as error:
            return Failure.of(error)
        return held

    def encode(self, texts: Sequence[str]) -> list[IntArray] | Failure:
        """The tokens of *texts*, by the model that is held."""
        try:
            return self._held().encode(texts)
        except LlmMiaError as error:
            return Failure.of(error)

    def check_length(self, tokens: int, prefix: int) -> Failure | None:
        """See `llm_mia.backends.LengthChecking`."""
        backend = self._held()
        try:
            if isinstance(backend, LengthChecking):
                backend.check_length(tokens, prefix)
        except LlmMiaError as error:
            return Failure.of(error)
        return None

    def score(self, windows: Sequence[Window], *, in_float32: bool) -> list[TokenSignals] | Failure | str:
        """The signals of a few windows, for the comparison of precisions."""
        backend = self._held()
        try:
            if in_float32 and isinstance(backend, Comparable):
                return backend.in_float32().score(windows)
            return backend.score(windows)
        except LlmMiaError as error:
            return Failure.of(error)
        except MemoryError:
            return OUT_OF_MEMORY
        finally:
            gc.collect()

    def run(self, task: RangeTask) -> ScoredRange | Failure:
        """The signals of a range."""
        try:
            return task.run(self._held())
        except LlmMiaError as error:
            return Failure.of(error)

    def _held(self) -> Backend:
        assert self._backend is not None, "a worker gets work after its model"
        return self._backend


def _describe(backend: Backend, digest: str | None) -> Description:
    special = getattr(getattr(backend, "tokens", None), "special_tokens", None)
    return Description(
        backend.info,
        backend.opening,
        backend.tokens_per_batch,
        backend.offers,
        digest,
        isinstance(backend, Comparable),
        special,
    )


def _refuse_other_model(expected: Description, held: Description) -> None:
    """Raise `WorkerError` where a worker has another model than the first, which measured or loaded it."""
    what = list(differences(expected.info, held.info))
    if not what and expected.digest != held.digest:
        what = ["the digests of its files differ"]
    if what:
        raise errors.WorkerError(
            f"the worker on {socket.gethostname()} has another model than the first worker ({'; '.join(what)}): put "
            "the same files on all machines"
        )
