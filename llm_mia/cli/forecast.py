"""How long all passes of a command will take, by the first batches of the first pass, and the line that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..durations import duration
from .pace import Pace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..signals import PassWork, Step

__all__ = ["Forecast", "WholePace", "endpoint_line", "request_words", "work_words"]

LEAST_SECONDS = 5.0
"""A command that takes less needs no forecast."""
BYTES_PER_TOKEN = 4
"""Of English text, before a token was counted."""
LEAST_MEASURED = 1.0
"""Seconds for which a pass is measured before its pace counts."""


class Forecast:
    """Takes the steps of a command, and knows how long its passes will take.

    A pass that was not measured yet is expected to be as fast as the pass of the same model, or as the last that was
    measured; and a model to be loaded as fast as the last. Both are corrected when they have begun.
    """

    def __init__(self) -> None:
        self._work: dict[str, PassWork] = {}
        self._started: float | None = None
        self._activity_since = 0.0
        self._loading: dict[str, float] = {}
        """Seconds of what came before the first pass of a role, such as loading its model."""
        self._current: Step | None = None
        self._began, self._begun_at = 0.0, 0
        """When the current pass began, and how many of its bytes were stored then."""
        self._pace, self._batches, self._first_batch = Pace(), 0, 0.0
        self._rates: dict[str, float] = {}
        """Seconds for a byte, by the name of the pass; per unit of cost."""
        self._finished: set[str] = set()
        self._tokens_per_byte: float | None = None

    def add(self, now: float, step: Step) -> None:
        """Take in a step that was reported at the time *now*."""
        self._started = now if self._started is None else self._started
        if step.work:
            self._work = {each.name: each for each in step.work}
            self._activity_since = now
        if not step.total_bytes or step.name not in self._work or step.name in self._finished:
            return
        if self._current is None or step.name != self._current.name:
            self._begin(now, step)
        elif step.bytes > self._current.bytes:
            self._measure(now, step)
        self._current = step
        if step.passages == step.total_passages:
            self._finished.add(step.name)
            self._activity_since = now

    def _begin(self, now: float, step: Step) -> None:
        role = self._work[step.name].role
        self._loading.setdefault(role, now - self._activity_since)
        self._began, self._begun_at = now, step.bytes
        self._tokens_at, self._batches = step.tokens, 0
        self._mark: tuple[float, int] = (now, step.bytes)

    def _measure(self, now: float, step: Step) -> None:
        """Note the pace; the first batch, which may be slow, does not count where others follow."""
        self._batches += 1
        if step.tokens > self._tokens_at:
            self._tokens_per_byte = (step.tokens - self._tokens_at) / (step.bytes - self._begun_at)
        is_last = step.passages == step.total_passages
        if self._batches == 1:
            self._mark = (now, step.bytes)
            if not is_last:
                return
            self._mark = (self._began, self._begun_at)
        since, at = self._mark
        enough = self._batches >= 3 and now - since >= LEAST_MEASURED
        if (enough or is_last) and step.bytes > at:
            self._rates[step.name] = (now - since) / (step.bytes - at) / (self._work[step.name].cost or 1.0)

    def share(self, now: float) -> float | None:
        """The share of the whole time that has passed at the time *now*; None where nothing was measured yet."""
        left = self.seconds_left()
        if left is None or self._started is None:
            return None
        return 1.0 if left == 0 else (now - self._started) / (now - self._started + left)

    def seconds_left(self) -> float | None:
        """Seconds until the last pass is finished; None where nothing was measured yet."""
        if not self._rates or self._current is None:
            return None
        left, expected = 0.0, set(self._loading)
        for work in self._work.values():
            if work.name in self._finished:
                continue
            n_bytes = work.bytes
            if work.name == self._current.name:
                n_bytes = self._current.total_bytes - self._current.bytes
            left += n_bytes * work.cost * self._rate(work)
            if work.role not in expected and work.loads:
                expected.add(work.role)
                left += list(self._loading.values())[-1]
        return left

    def _rate(self, work: PassWork) -> float:
        of_role = [self._rates[name] for name in self._rates if self._work[name].role == work.role]
        return self._rates.get(work.name) or (of_role or list(self._rates.values()))[-1]

    def line(self, now: float) -> str | None:
        """How much there is to compute, and how long it will take; None where it is not known yet, or is little."""
        left = self.seconds_left()
        if left is None or self._tokens_per_byte is None or self._started is None:
            return None
        seconds = now - self._started + left
        if seconds < LEAST_SECONDS:
            return None
        first = next(iter(self._work.values()))
        tokens = round(first.bytes * self._tokens_per_byte)
        return f"{work_words(first.passages, tokens, len(self._work), seconds)} (measured on the first batches)"

    @property
    def passes_left(self) -> int:
        """How many passes have not finished."""
        return len(self._work) - len(self._finished)


class WholePace:
    """The pace of all passes together, in the place of a `Pace`."""

    def __init__(self, forecast: Forecast) -> None:
        self._forecast = forecast

    def seconds_left(self, _now: float, _total: int) -> float | None:
        """See `Forecast.seconds_left`."""
        return self._forecast.seconds_left()

    def tokens_per_second(self, _now: float) -> None:
        """None: each pass has its pace."""


def work_words(passages: int, tokens: int, passes: int, seconds: float) -> str:
    """How much there is to compute, and how long it will take.

    >>> work_words(340, 51234, 2, 41.0)
    '340 passages, about 51,000 tokens, 2 passes: about 41 s'
    """
    size = f"{passages:,} passage{'' if passages == 1 else 's'}, about {_rounded(tokens):,} tokens"
    times = f"{passes:,} pass{'' if passes == 1 else 'es'}"
    return f"{size}, {times}: about {duration(seconds)}"


def request_words(requests: int, tokens: int, price: float | None) -> str:
    """What endpoints are asked, and what it costs.

    >>> request_words(340, 51234, 0.0256)
    'endpoints: 340 requests, about 51,000 tokens: 0.026 at the given price'
    >>> request_words(1, 300, None)
    'endpoints: 1 request, about 300 tokens'
    """
    size = f"endpoints: {requests:,} request{'' if requests == 1 else 's'}, about {_rounded(tokens):,} tokens"
    return size if price is None else f"{size}: {price:.2g} at the given price"


def endpoint_line(work: Sequence[PassWork]) -> str | None:
    """What endpoints will be asked for *work*, by the bytes of the passages.

    None where no server is asked, and in a dry run, which measures the same.
    """
    from ..signals import running_dry

    if running_dry() is not None:
        return None
    asked = [each for each in work if each.endpoint and each.passages]
    if not asked:
        return None
    tokens = [each.bytes // BYTES_PER_TOKEN for each in asked]
    known = all(each.price is not None for each in asked)
    price = sum((each.price or 0.0) * n / 1e6 for each, n in zip(asked, tokens, strict=True)) if known else None
    line = request_words(sum(each.passages for each in asked), sum(tokens), price)
    return f"{line} (at least: estimated from bytes)"


def _rounded(number: int) -> int:
    """*number* with two digits that are not 0.

    >>> [_rounded(number) for number in (7, 51234, 996)]
    [7, 51000, 1000]
    """
    return int(float(f"{number:.2g}"))
