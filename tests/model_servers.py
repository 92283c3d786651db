"""A small model server that answers as OpenAI, vLLM and llama.cpp do, and servers in threads on free ports."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn

SECRETS = -1.23456789
"""The log-probability of every token, so that a test can search an answer for its digits."""


@dataclass
class ModelServer:
    """An ASGI application that answers every completion with `text`, and remembers what it received."""

    text: str = " the sea and the sky"
    status: int = 200
    encoding: str = ""
    pause: float = 0.0
    """Seconds before the answer, and between the events of a streamed answer."""
    go_on: threading.Event | None = None
    """Between the events of a streamed answer it waits for this, and clears it."""
    wrong: bytes | None = None
    """In the place of an answer."""
    change: Callable[[dict[str, Any]], dict[str, Any]] = lambda answer: answer
    received: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    cancelled: int = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.paths.append(scope["path"])
        self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        request = json.loads(body) if body else {}
        self.received.append(request)
        answering = asyncio.ensure_future(self._answer(scope["path"], request, send))
        leaving = asyncio.ensure_future(receive())
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            self.cancelled += 1
        answering.cancel()
        leaving.cancel()

    async def _answer(self, path: str, request: dict[str, Any], send: Any) -> None:
        await asyncio.sleep(self.pause)
        if self.wrong is not None:
            await self._send(send, self.wrong)
        elif path.endswith("/models"):
            models = {"object": "list", "data": [{"id": "m", "object": "model", "score": SECRETS, "permission": []}]}
            await self._send(send, json.dumps(models).encode())
        elif path.endswith("/embeddings"):
            data = [{"index": 0, "object": "embedding", "embedding": [0.5, 0.25], "logprob": SECRETS}]
            await self._send(send, json.dumps({"object": "list", "data": data, "model": "m"}).encode())
        elif request.get("stream"):
            await self._stream(send, path, request)
        else:
            await self._send(send, json.dumps(self.change(self.answer(path, request))).encode())

    def answer(self, path: str, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to *request*, with log-probabilities in every place where they hide."""
        chat = "chat" in path
        prompts = request["prompt"] if isinstance(request.get("prompt"), list) else [request.get("prompt", "")]
        choices = [
            self.choice(request, chat, at * request.get("n", 1) + sample, str(prompt))
            for at, prompt in enumerate(prompts)
            for sample in range(request.get("n", 1))
        ]
        return {
            "id": "answer-1",
            "object": "chat.completion" if chat else "text_completion",
            "created": 1,
            "model": request.get("model", "m"),
            "choices": choices,
            "usage": {
                "prompt_tokens": 7,
                "completion_tokens": 5,
                "total_tokens": 12,
                "prompt_tokens_details": {"cached_tokens": 3, "logprob": SECRETS},
            },
            "prompt_logprobs": self.of_prompt(),
            "timings": {"prompt_logprob": SECRETS},
            "kv_transfer_params": {"scores": [SECRETS]},
            "mean_logprob": SECRETS,
        }

    def choice(self, request: dict[str, Any], chat: bool, index: int, prompt: str) -> dict[str, Any]:
        shown = (prompt if request.get("echo") and not chat else "") + self.text
        words = [f" {word}" for word in shown.split()]
        others = {words[0]: SECRETS, " other": SECRETS - 1, " third": SECRETS - 2, " fourth": SECRETS - 3}
        of_chat = [
            {
                "token": word,
                "logprob": SECRETS,
                "bytes": list(word.encode()),
                "top_logprobs": [
                    {"token": other, "logprob": value, "bytes": list(other.encode())} for other, value in others.items()
                ],
            }
            for word in words
        ]
        lists = {
            "tokens": words,
            "token_logprobs": [SECRETS] * len(words),
            "top_logprobs": [{**others, word: SECRETS} for word in words],
            "text_offset": [0] * len(words),
        }
        return {
            "index": index,
            "finish_reason": "stop",
            "logprobs": {"content": of_chat, "mean": SECRETS} if chat else {**lists, "mean": SECRETS},
            "prompt_logprobs": self.of_prompt(),
            "cumulative_logprob": SECRETS,
            "score": SECRETS,
            **({"message": {"role": "assistant", "content": shown, "logprob": SECRETS}} if chat else {"text": shown}),
        }

    def of_prompt(self) -> list[Any]:
        entries = {str(at): {"logprob": SECRETS - at, "rank": at + 1, "decoded_token": f" w{at}"} for at in range(8)}
        return [None, entries]

    async def _stream(self, send: Any, path: str, request: dict[str, Any]) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for word in self.text.split():
            whole = ModelServer(text=f" {word}").answer(path, request | {"echo": False})
            for choice in whole["choices"]:
                if "message" in choice:
                    choice["delta"] = choice.pop("message")
            data = b"data: " + json.dumps(self.change(whole)).encode() + b"\n\n"
            for part in (data[:20], data[20:]):  # an event is cut anywhere
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await asyncio.sleep(self.pause)
            while self.go_on and not self.go_on.is_set():
                await asyncio.sleep(0.002)
            if self.go_on:
                self.go_on.clear()
        await send({"type": "http.response.body", "body": b": a comment\n\ndata: [DONE]\n\n"})

    async def _send(self, send: Any, body: bytes) -> None:
        headers = [(b"content-type", b"application/json"), (b"x-prob", b"1.23456789"), (b"x-request-id", b"r1")]
        if self.encoding:
            body = gzip.compress(body)
            headers.append((b"content-encoding", self.encoding.encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class QuickServer(uvicorn.Server):
    """A server that stops at once."""

    async def main_loop(self) -> None:
        while not self.should_exit:
            await asyncio.sleep(0.005)


@contextmanager
def served(config: uvicorn.Config) -> Iterator[str]:
    """The address of a server in a thread, for as long as the context is open."""
    config.port, config.host = 0, "127.0.0.1"
    server = QuickServer(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        threading.Event().wait(0.005)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
    finally:
        server.should_exit = True
        thread.join()


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return int(unused.getsockname()[1])


def plain(application: Any) -> uvicorn.Config:
    """What uvicorn needs to serve *application*, without a log."""
    return uvicorn.Config(
        application, log_config=None, access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=1
    )
