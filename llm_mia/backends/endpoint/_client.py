"""Requests to a server: many at once, again after a failure that passes, and never more than the budget allows."""

from __future__ import annotations

import asyncio
import random
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import BudgetError, LlmMiaError, ServerError
from ._address import Address
from ._answers import count_of
from ._budget import Budget
from ._failures import failure_words, is_error, refusal_words
from ._http import get, open_client, post, retry_after, tls_context
from ._turns import Turns

if TYPE_CHECKING:
    import httpx

__all__ = ["Client", "Patience", "Query", "RefusedError", "StoppedError", "is_too_long"]

PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
"""Statuses after which the same request may succeed."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is waited for."""

    attempts: int = 6
    """How often a request is sent before the command gives up."""
    first_wait: float = 0.5
    """Seconds before the second attempt; each further wait is twice as long, and a random part of it."""
    longest_wait: float = 30.0
    timeout: float = 300.0
    """Seconds for a whole answer: a slow machine takes minutes for a long passage."""
    largest: int = 100_000_000
    """Bytes of an answer; with the log-probabilities of a whole window it has less than a hundredth of this."""


@dataclass(frozen=True, slots=True)
class Query:
    """A request for a completion."""

    body: dict[str, Any]
    tokens: int
    """About how many tokens it costs."""


class RefusedError(LlmMiaError):
    """The server understood a request and refused it, with a status that does not pass."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


def is_too_long(refusal: RefusedError) -> bool:
    """Whether a request was refused because its prompt is longer than the context."""
    words = str(refusal).lower()
    return refusal.status in (400, 413, 422) and any(word in words for word in ("context", "length", "too long"))


class StoppedError(LlmMiaError):
    """The requests were given up because the command was interrupted."""


class Client:
    """Sends requests to a server.

    Args:
        address: the model and the URL.
        budget: what may be spent; it also limits how many requests are under way at once.
        patience: how long the server is waited for.
    """

    def __init__(self, address: Address, budget: Budget, patience: Patience | None = None) -> None:
        self.address, self.budget, self.patience = address, budget, patience or Patience()
        self.seconds = 0.0
        """Time in which at least a request was under way."""
        self.turns = Turns(budget.concurrency)
        self.sent = 0
        """Completions that were requested, with those that were sent again."""
        self._context: ssl.SSLContext | bool | None = None
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def get(self, path: str) -> tuple[int, Any]:
        """The status and the JSON value under *path*, which is relative to the URL; None where it is no JSON.

        Raises:
            ServerError: no answer comes.
        UsageError: the address, or what the environment holds of keys, proxies and certificates, cannot be used.
        """
        import httpx

        url = self.address.url
        try:
            with open_client(httpx.Client, url, self.patience.timeout, self.tls()) as client:
                response = get(client, f"{url}{path}", self.patience.timeout, self.patience.largest)
        except httpx.HTTPError as error:
            raise ServerError(failure_words(url, error)) from None
        return response.status, response.value

    def ask(
        self,
        queries: Sequence[Query],
        receive: Callable[[int, Any], None] | None = None,
        *,
        attempts: int | None = None,
    ) -> list[Any]:
        """The answer to each of *queries*, as JSON values; a refusal is a `RefusedError` in its place.

        Where the budget is spent or the server stops answering, no further request is sent, those under way are
        waited for, and the error is raised at the end.

        Args:
            queries: what is sent, in this order.
            receive: is called with the position and the value of each answer as soon as it has come.
            attempts: how often each is sent at most; a refusal that fewer requests at once may avoid does not count.

        Raises:
            BudgetError: the budget is spent.
            ServerError: the server cannot be reached, or stops answering.
            StoppedError: `stop` was called.
        """
        with self._lock:  # a single call at a time, so that never more requests are under way than allowed
            if self.stopped:
                raise StoppedError("interrupted")
            call = _Call(self, queries, receive, attempts or self.patience.attempts)
            worker = threading.Thread(target=call.run, name="llm-mia-endpoint", daemon=True)
            start = time.monotonic()
            worker.start()  # a notebook has an event loop of its own in this thread
            try:
                worker.join()
            except BaseException:
                self.stop()
                worker.join()
                self.go_on()
                raise
            finally:
                self.seconds += time.monotonic() - start
            return call.result()

    def stop(self) -> None:
        """Give up what is under way in another thread; until `go_on`, each call of `ask` raises `StoppedError`."""
        self._stopped.set()

    def go_on(self) -> None:
        """Allow requests again."""
        self._stopped.clear()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped.is_set()

    def tls(self) -> ssl.SSLContext | bool:
        """How certificates are checked; the authorities are read once."""
        if self._context is None:
            self._context = tls_context(self.address.url)
        return self._context


class _Call:
    """A call of `Client.ask`, which runs in a thread with an event loop."""

    def __init__(
        self, client: Client, queries: Sequence[Query], receive: Callable[[int, Any], None] | None, attempts: int
    ) -> None:
        self._client, self._queries, self._receive, self._attempts = client, queries, receive, attempts
        self._answers: list[Any] = [None] * len(queries)
        self._error: BaseException | None = None

    def run(self) -> None:
        """Send all queries; errors are kept for `result`."""
        try:
            asyncio.run(self._run())
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            self._error = self._error or error

    def result(self) -> list[Any]:
        """The answers."""
        if self._error is not None:
            raise self._error
        return self._answers

    async def _run(self) -> None:
        import httpx

        client, most = self._client, self._client.budget.concurrency
        limits = httpx.Limits(max_connections=most, max_keepalive_connections=most)
        waiting = iter(enumerate(self._queries))
        async with open_client(
            httpx.AsyncClient, client.address.url, client.patience.timeout, client.tls(), limits=limits
        ) as http:

            async def work() -> None:
                for position, query in waiting:
                    if self._error is not None:
                        return
                    await self._answer(http, position, query)

            tasks = [asyncio.create_task(work()) for _ in range(min(most, len(self._queries)))]
            while tasks and not self._client.stopped:
                done, _ = await asyncio.wait(tasks, timeout=0.1, return_when=asyncio.FIRST_EXCEPTION)
                for task in done:
                    task.result()
                tasks = [task for task in tasks if not task.done()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._client.stopped:
            raise StoppedError("interrupted")

    async def _answer(self, http: httpx.AsyncClient, position: int, query: Query) -> None:
        try:
            answer = await self._persist(http, query)
        except RefusedError as refusal:
            answer = refusal
        except (BudgetError, ServerError) as error:
            self._error = self._error or error
            return
        self._answers[position] = answer
        if self._receive is not None and not isinstance(answer, RefusedError):
            self._receive(position, answer)

    async def _persist(self, http: httpx.AsyncClient, query: Query) -> Any:
        """The answer to *query*, which is sent again after failures that pass."""
        import httpx

        url, words = self._client.address.url, ""
        patience, turns = self._client.patience, self._client.turns
        sent, failures = 0, 0
        while failures < self._attempts:
            await self._wait(sent)
            failures += 1
            async with turns.turn() as allowed:
                if self._error is not None:
                    raise self._error
                self._client.budget.reserve(query.tokens)
                self._client.sent += 1
                sent += 1
                spent = 0
                try:
                    response = await post(http, f"{url}/completions", query.body, patience.timeout, patience.largest)
                    if response.status == 200 and isinstance(response.value, dict) and not is_error(response.value):
                        spent = _tokens(response.value, query.tokens)
                        turns.answered()
                        return response.value
                    words = refusal_words(self._client.address, response.status, response.value)
                    if response.status not in PASSING and response.status != 200:
                        raise RefusedError(response.status, words)
                    turns.hold_back(retry_after(response.headers))
                    # Fewer requests at once may help, so this is no failure yet. A single request shows nothing.
                    if response.status == 429 and turns.lower(min(allowed, len(self._queries))):
                        failures -= 1
                except httpx.HTTPError as error:
                    words = failure_words(url, error)
                    spent = query.tokens  # it may have been computed, and paid for
                finally:
                    self._client.budget.settle(query.tokens, spent)
        raise ServerError(f"{words}{'' if sent == 1 else f' ({sent} attempts)'}")

    async def _wait(self, attempt: int) -> None:
        patience = self._client.patience
        longest = min(patience.longest_wait, patience.first_wait * 2 ** (attempt - 1)) if attempt else 0.0
        pause = random.uniform(longest / 2, longest)  # noqa: S311 - so that not all requests come back at once
        await asyncio.sleep(pause)


def _tokens(value: dict[str, Any], estimate: int) -> int:
    """How many tokens an answer has cost, by its field ``usage``."""
    usage = value.get("usage")
    total = count_of(usage.get("total_tokens")) if isinstance(usage, dict) else None
    return estimate if total is None else total
