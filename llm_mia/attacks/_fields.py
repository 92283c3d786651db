"""Which fields of the signals an attack reads: given by the type of a parameter, and enforced by mypy."""

from __future__ import annotations

from typing import Any, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from ..records import FIELDS

__all__ = ["IDS", "Likelihoods", "Moments", "Ranks", "TokenLikelihoods", "fields_of", "reads_token_ids"]


IDS = "token_ids"


class Likelihoods(Protocol):
    """Token signals of which an attack reads `logprob`. Every backend gives tokenizer and length too."""

    @property
    def tokenizer(self) -> str:
        """Fingerprint of tokenizer and opening."""

    @property
    def logprob(self) -> NDArray[np.float32]:
        """Log-likelihoods, log p(x_t | x_<t), nats."""

    def __len__(self) -> int: ...


class TokenLikelihoods(Likelihoods, Protocol):
    """Token signals of which an attack also reads the token ids, which every backend gives."""

    @property
    def token_ids(self) -> NDArray[np.int32]:
        """The scored tokens."""


class Moments(Likelihoods, Protocol):
    """Token signals of which an attack also reads moments and mode of the model's next-token distribution."""

    @property
    def mean(self) -> NDArray[np.float32]:
        """E[log p(v)] for v drawn from the distribution, nats."""

    @property
    def std(self) -> NDArray[np.float32]:
        """Standard deviation of log p(v), nats."""

    @property
    def top(self) -> NDArray[np.float32]:
        """Largest log p(v), nats."""


class Ranks(Likelihoods, Protocol):
    """Token signals of which an attack also reads the rank of each token."""

    @property
    def rank(self) -> NDArray[np.int32]:
        """How many tokens are strictly likelier than x_t."""


def fields_of(annotation: Any) -> frozenset[str]:
    """The fields of the signals that a parameter of this type may read; all of them where the type is not known.

    >>> sorted(fields_of(Ranks)), sorted(fields_of(tuple[Likelihoods, ...])), len(fields_of(None))
    (['logprob', 'rank'], ['logprob'], 5)
    """
    return frozenset(_names(annotation) & set(FIELDS) or FIELDS)


def reads_token_ids(annotation: Any) -> bool:
    """Whether a parameter of this type may read the token ids; true where the type is not known.

    >>> reads_token_ids(Ranks), reads_token_ids(TokenLikelihoods), reads_token_ids(None)
    (False, True, True)
    """
    names = _names(annotation)
    return IDS in names or not names & set(FIELDS)


def _names(annotation: Any) -> set[str]:
    """The names that a type declares, or that those in ``tuple[TYPE, …]`` declare."""
    types = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]
    return {name for kind in types for base in kind.__mro__ for name in vars(base)}
