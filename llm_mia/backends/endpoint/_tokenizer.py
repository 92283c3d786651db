"""How the server of an endpoint cuts texts, as a `Tokenizer`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...errors import ModelError
from ...records import IntArray

if TYPE_CHECKING:
    from ._backend import EndpointBackend
    from ._continuing import ContinuingEndpoint

__all__ = ["EndpointTokenizer"]


class EndpointTokenizer:
    """The tokenizer behind an endpoint; each text costs a request, unless its answer is kept."""

    def __init__(self, backend: EndpointBackend | ContinuingEndpoint) -> None:
        self._backend = backend
        self.fingerprint, self.opening = backend.info.tokenizer, backend.opening

    @property
    def vocabulary(self) -> int:
        """Not known of an endpoint.

        Raises:
            ModelError: always.
        """
        raise ModelError(
            f"model {self._backend.info.id!r} is behind an endpoint, which does not show how many tokens it has: give "
            "a model whose files are on this machine"
        )

    def encode(self, texts: Sequence[str]) -> list[IntArray]:
        """Token ids of each text, shape (n,), without those that the server puts before it."""
        return self._backend.encode(texts)

    def spans(self, text: str) -> NDArray[np.int64]:
        """Start and end of each token of *text*, in characters, shape (tokens, 2)."""
        if not text:
            return np.empty((0, 2), np.int64)
        ends = self._backend.answer_for(text).ends
        data = text.encode()
        starts = np.concatenate([[0], ends[:-1]])
        # The characters that begin before a byte: a token that begins within a character covers the whole of it.
        begun = np.cumsum([byte < 128 or byte >= 192 for byte in data])
        first = np.array([begun[at] - 1 if at < len(data) else begun[-1] for at in starts.tolist()])
        last = np.array([begun[at - 1] if at else 0 for at in ends.tolist()])
        return np.stack([first, np.maximum(first, last)], axis=1).astype(np.int64)
