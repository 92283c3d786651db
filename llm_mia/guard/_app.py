"""The guard as an ASGI application: a request in, judged, sent on, its answer masked, and a line in the log."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import aiohttp
import anyio
from starlette.requests import ClientDisconnect, Request as HttpRequest
from starlette.types import Receive, Scope, Send

from ..queries import Query, Request
from ._allowances import Allowances
from ._asking import Asked, read_request
from ._bodies import Bodies
from ._clients import Secret, client_name
from ._disturbing import Disturbing
from ._events import DONE, Events, event
from ._exchange import Exchange, queries_of
from ._judging import judge
from ._masking import Masking, masked_error, masked_models, masked_other
from ._policy import Policy
from ._reading import read_json, write_json
from ._refused import CLIENT_GONE, Refused
from ._sending import Answer
from ._upstream import Upstream

__all__ = ["Guard"]

KINDS = {
    "/completions": Request.COMPLETION,
    "/chat/completions": Request.CHAT,
    "/embeddings": Request.EMBEDDING,
}
"""By path below the address of the upstream: the kind of request."""
MODELS = "/models"
_HALF = re.compile("[\ud800-\udfff]")


class Guard:
    """An ASGI application in front of a model server.

    Args:
        policy: what it does.
        upstream: the server.
        secret: of the names of clients and of noise.
        record: receives each request when its answer ends.
        prefix: of the paths that clients use; that of the upstream's address takes its place.
    """

    def __init__(
        self,
        policy: Policy,
        upstream: Upstream,
        secret: Secret,
        record: Callable[[Query], None] = lambda _: None,
        prefix: str = "/v1",
    ) -> None:
        self._policy, self._upstream, self._record, self._prefix = policy, upstream, record, prefix
        self._name_key = secret.key("client")
        self._disturbing = Disturbing(policy.logprobs, secret.key("noise"))
        self._allowances, self._bodies = Allowances(policy.limits), Bodies(policy.requests)
        self.statuses: Counter[int] = Counter()
        """How many requests got each status."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(HttpRequest(scope, receive), Answer(send))
        else:  # a web socket, which no server of this kind has
            await send({"type": "websocket.close", "code": 1000})

    async def _live(self, receive: Receive, send: Send) -> None:
        """Close the connections to the server when the guard is stopped."""
        while True:
            kind = (await receive())["type"]
            if kind == "lifespan.shutdown":
                await self._upstream.close()
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return

    async def _serve(self, request: HttpRequest, answer: Answer) -> None:
        exchange = Exchange()
        try:
            try:
                await self._answer(request, answer, exchange)
            except Refused as refused:
                if answer.status is None:
                    exchange.refusal = refused.code
                await answer.refuse(refused)
        except (ClientDisconnect, asyncio.CancelledError) as gone:
            answer.status = CLIENT_GONE
            if isinstance(gone, asyncio.CancelledError):
                raise
        finally:
            self._finish(exchange, answer.status or 500)

    async def _answer(self, request: HttpRequest, answer: Answer, exchange: Exchange) -> None:
        headers = request.headers
        address = request.client.host if request.client else ""
        exchange.client = client_name(
            headers, address, self._policy.clients, self._name_key, headers.getlist("x-forwarded-for")
        )
        self._allowances.take_requests(exchange.client, 1)  # whatever becomes of it
        path = self._path(request)
        kind = KINDS.get(path, Request.OTHER)
        body: bytes | None = None
        if request.method == "POST":
            body = self._judged(kind, await self._bodies.read(request, exchange), exchange)
        forwarding = self._forward(request.method, path, body, headers, exchange.masking, answer)
        await _unless_gone(forwarding, request.receive, answer)

    def _judged(self, kind: Request, body: bytes, exchange: Exchange) -> bytes:
        """The body that is sent on for *body*. Its values, which take far more memory, are kept no longer than this.

        Raises:
            Refused: the policy denies the request, or it is over a limit.
        """
        fields = read_json(body)
        if kind is Request.OTHER:
            exchange.asked = Asked(kind)
        else:
            exchange.asked, fields = read_request(kind, fields, self._policy.requests)
            fields, shown = judge(exchange.asked, fields, self._policy.logprobs, exchange.client)
            exchange.masking = Masking(exchange.asked, shown, self._disturbing)
            self._allowances.take_requests(exchange.client, len(exchange.asked.prompts) - 1)
            exchange.charged = self._allowances.take_tokens(exchange.client, exchange.asked)
        return write_json(fields)

    def _path(self, request: HttpRequest) -> str:
        """The path below the upstream's address, spelled exactly as it must be.

        Raises:
            Refused: it is not among those that pass, or has another method.
        """
        raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
        full = raw.decode("latin-1")
        path = full.removeprefix(self._prefix) if full.startswith(self._prefix + "/") else ""
        if path in KINDS:
            methods = ["POST"]
        elif path == MODELS or (path.startswith(f"{MODELS}/") and _plain_path(path)):
            methods = ["GET"]
        elif path in self._policy.requests.paths and _plain_path(path):
            methods = ["GET", "POST"]
        else:
            raise Refused(404, "unknown_path", "There is no such path here.")
        if request.method not in methods:
            raise Refused(405, "wrong_method", f"Use {' or '.join(methods)}.", {"allow": ", ".join(methods)})
        return path

    async def _forward(
        self, method: str, path: str, body: bytes | None, headers: Any, masking: Masking | None, answer: Answer
    ) -> None:
        """Send the request on, and its answer, masked, back."""
        async with self._upstream.send(method, path, body, headers) as response:
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind == "text/event-stream" and response.status == 200 and masking is not None:
                await answer.stream(self._events(response, masking), response.headers)
                return
            value = _parsed(await self._upstream.read(response))
        if not 200 <= response.status < 300:
            if response.status < 400 or value is None:
                value = {}
            status = response.status if response.status >= 400 else 502
            await answer.send(status, write_json(masked_error(value)), response.headers)
            return
        if value is None:
            raise Refused(502, "upstream_invalid", "The answer of the model server is no JSON.")
        masked = (
            masking(value) if masking else masked_models(value) if path not in self._policy.requests.paths else None
        )
        await answer.send(200, _written(masked_other(value) if masked is None else masked), response.headers)

    async def _events(self, response: aiohttp.ClientResponse, masking: Masking) -> AsyncIterator[bytes]:
        """The events of a streamed answer, each masked as soon as it is complete."""
        events = Events(self._policy.upstream.max_bytes)
        try:
            async for chunk in response.content.iter_any():
                for data in events.feed(chunk):
                    yield _masked_event(data, masking)
            for data in events.end():
                yield _masked_event(data, masking)
        except (aiohttp.ClientError, TimeoutError, ValueError, Refused):
            error = Refused(502, "upstream_broken", "The model server broke off, or sent no valid event.")
            yield event(write_json(error.body))

    def _finish(self, exchange: Exchange, status: int) -> None:
        """Correct what was taken from the client's bucket, and record the request."""
        self.statuses[status] += 1
        self._bodies.release(exchange)
        self._allowances.correct_tokens(
            exchange.client, exchange.charged, exchange.prompt_tokens, exchange.completion_tokens
        )
        for query in queries_of(exchange, status):
            self._record(query)


def _plain_path(path: str) -> bool:
    """Whether *path* means the same to every server: no step up, no escape, nothing empty."""
    steps = path.split("/")[1:]
    return all(step not in ("", ".", "..") for step in steps) and all(
        letter.isalnum() or letter in "/._:-" for letter in path
    )


def _parsed(body: bytes) -> Any:
    """The JSON of an answer; None where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _written(masked: Any) -> bytes:
    """The JSON of what is shown; in ASCII where it holds half of a pair of surrogates, which some servers stream."""
    try:
        text = json.dumps(masked, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode() if text.isascii() or not _HALF.search(text) else json.dumps(masked).encode()
    except (ValueError, RecursionError):
        raise Refused(502, "upstream_invalid", "The answer of the model server is no JSON.") from None


def _masked_event(data: bytes, masking: Masking) -> bytes:
    """The event that is shown for *data*.

    Raises:
        ValueError: *data* is no JSON.
    """
    if data == DONE:
        return event(DONE)
    value = _parsed(data)
    if value is None:
        raise ValueError("an event is no JSON")
    return event(_written(masking(value)))


async def _unless_gone(work: Coroutine[Any, Any, None], receive: Receive, answer: Answer) -> None:
    """Run *work*, which sends *answer*, to its end, or cancel it when the client leaves.

    Raises:
        ClientDisconnect: it left before the end of the answer.
    """
    with anyio.CancelScope() as scope:

        async def leave() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            if not answer.ended:  # at the end of an answer this comes, too
                scope.cancel()

        leaving = asyncio.create_task(leave())
        try:
            await work
        finally:
            leaving.cancel()
    if scope.cancelled_caught:
        raise ClientDisconnect
