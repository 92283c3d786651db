"""How far a pass has come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["BlockProgress", "PassProgress", "PassWork", "Progress", "Step", "report_activity", "report_work"]


@dataclass(frozen=True, slots=True)
class PassWork:
    """What a model has to read for a pass."""

    name: str
    """The name of the pass."""
    role: str
    passages: int
    """Without those whose signals are stored, and without copies of another text."""
    bytes: int
    cost: float = 1.0
    """How often the time of a plain pass is taken: 2 where a model rewrites the texts, 0 where it takes no time; where
    the model continues the texts, see `llm_mia.attacks.SampleSettings.cost`."""
    loads: bool = True
    """Whether the model has to be loaded."""
    endpoint: bool = False
    """Whether a server computes it, which a request for each passage asks for."""
    price: float | None = None
    """Of a million tokens of an endpoint; None where it is not known."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far a pass has come."""

    name: str
    """The name of the pass, or ``scores``; of an activity what is being done, such as ``loading the model``."""
    passages: int
    tokens: int
    bytes: int
    total_passages: int
    total_bytes: int
    """0 of an activity whose length is not known."""
    kept: int = 0
    """Passages whose signals are on disk, so a run that is stopped now continues after them."""
    work: tuple[PassWork, ...] = ()
    """Of the step that comes before the first pass: what is to be computed. Empty in every other step."""


Progress = Callable[[Step], None]
"""Takes each `Step` of a run."""


def report_activity(progress: Progress | None, what: str) -> None:
    """Report to *progress* that *what* begins, whose length is not known: ``reading the passages``."""
    if progress:
        progress(Step(what, 0, 0, 0, 0, 0))


def report_work(progress: Progress | None, work: Sequence[PassWork]) -> None:
    """Report to *progress* what is to be computed, before the first model is loaded."""
    if progress:
        progress(Step("planning the passes", 0, 0, 0, 0, 0, work=tuple(work)))


class PassProgress:
    """Sums how much of a pass is finished, and reports the sums to *progress*."""

    def __init__(self, name: str, total_passages: int, total_bytes: int, progress: Progress | None) -> None:
        self._name, self._total_passages, self._total_bytes = name, total_passages, total_bytes
        self._progress = progress
        self._passages = self._tokens = self._bytes = 0
        self.kept = 0
        """See `Step.kept`; it is reported with the next sums."""
        self.watch: Callable[[PassProgress], None] | None = None
        """Is called after every report where several processes compute the pass."""

    @property
    def sums(self) -> tuple[int, int, int]:
        """Finished passages, tokens and bytes."""
        return self._passages, self._tokens, self._bytes

    @property
    def left(self) -> tuple[int, int]:
        """Passages and bytes that are not finished."""
        return self._total_passages - self._passages, self._total_bytes - self._bytes

    def add(self, passages: int, tokens: int, n_bytes: int) -> None:
        """Add to the finished passages, tokens and bytes, and report the sums."""
        self._passages += int(passages)
        self._tokens += int(tokens)
        self._bytes += int(n_bytes)
        if self._progress:
            self._progress(Step(self._name, *self.sums, self._total_passages, self._total_bytes, self.kept))
        if self.watch:
            self.watch(self)


class BlockProgress:
    """Reports the tokens of each batch of a block.

    A batch mixes tokens of all passages, so its bytes are taken to be the block's in proportion to its tokens.
    """

    def __init__(self, n_bytes: int, n_tokens: int, progress: PassProgress) -> None:
        self._n_bytes, self._n_tokens, self._progress = n_bytes, n_tokens, progress
        self._tokens = self._bytes = 0

    def add_tokens(self, tokens: int) -> None:
        """Add to the finished tokens, and report the sum."""
        self._tokens += tokens
        n_bytes = self._n_bytes * self._tokens // self._n_tokens - self._bytes
        self._bytes += n_bytes
        self._progress.add(0, tokens, n_bytes)

    def finish(self, passages: int, tokens: int) -> None:
        """Report the whole block as finished; *tokens* include those of texts whose signals were known already."""
        self._progress.add(passages, tokens - self._tokens, self._n_bytes - self._bytes)
