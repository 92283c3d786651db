"""A small OpenAI-compatible server over an n-gram model, which can also lie, stall, cut, limit and fail."""

from __future__ import annotations

import json
import math
import random
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llm_mia.backends.ngram import NgramBackend
from llm_mia.records import Window

from .conftest import sentences

MODEL = "tiny"
WORD = re.compile(r" ?[A-Za-z]+|.", re.DOTALL)
BOS, BOS_ID = "<s>", 1


@lru_cache(maxsize=4)
def model(seed: int = 0) -> NgramBackend:
    """The model behind the server."""
    return NgramBackend(sentences(60, seed=seed), order=4)


@dataclass
class Server:
    """What the server does, which a test may change at any time, and what it was asked."""

    backend: NgramBackend = field(default_factory=model)
    vllm: bool = False
    """Whether it shows ids and ranks, and takes ids, as vLLM does."""
    bos: str = "none"
    """``shown``, ``hidden`` (used, and not among the tokens) or ``none``."""
    words: bool = False
    """Whether tokens are words; else they are bytes."""
    lie: str = ""
    context: int = 4000
    lists_context: bool = True
    names: tuple[str, ...] = (MODEL,)
    key: str | None = None
    path: str = "/v1"
    statuses: list[int] = field(default_factory=list)
    """Of the next answers to completions, in place of an answer; 0 is an answer."""
    retry_after: str | None = None
    delay: float = 0.0
    requests: list[dict[str, Any]] = field(default_factory=list)
    """The bodies of the requests for completions."""
    under_way: int = 0
    most_under_way: int = 0
    url: str = ""

    @property
    def name(self) -> str:
        """The model, as the command line names it."""
        return f"openai:{MODEL}@{self.url}"

    # Tokens

    def cut(self, text: str) -> list[bytes]:
        if self.words:
            return [word.encode() for word in WORD.findall(text)]
        return [bytes([byte]) for byte in text.encode()]

    def id_of(self, token: bytes) -> int:
        return int.from_bytes(token[:3], "big") + 300

    def shown(self, token: bytes) -> str:
        return token.decode(errors="ignore" if self.lie == "dropping" else "replace")

    def signals(self, tokens: list[bytes]) -> list[dict[str, Any]]:
        """For each token: log-probability, rank, and the likeliest byte with its log-probability."""
        data = b"".join(tokens)
        if not data:
            return []
        window = Window(np.array([256, *data], np.int32), 1)
        [of_bytes] = self.backend.score([window])
        ends = np.cumsum([len(token) for token in tokens])
        found, start = [], 0
        for end in ends.tolist():
            found.append(
                {
                    "logprob": float(of_bytes.logprob[start:end].sum(dtype=np.float64)),
                    "top": float(of_bytes.top[start:end].sum(dtype=np.float64)),
                    "rank": int(of_bytes.rank[start:end].max()),
                }
            )
            start = end
        return found

    def next_token(self, tokens: list[bytes]) -> tuple[bytes, float]:
        """The likeliest byte after *tokens*."""
        if self.words:  # a byte would become a part of the word before it
            return b" a", self.signals([*tokens, b" a"])[-1]["logprob"]
        data = b"".join(tokens)[-8:]
        key = (id(self.backend), data)
        if key in self._following:
            return self._following[key]
        windows = [Window(np.array([256, *data, byte], np.int32), len(data) + 1) for byte in range(256)]
        values = np.array([signals.logprob[0] for signals in self.backend.score(windows)])
        self._following[key] = bytes([int(values.argmax())]), float(values.max())
        return self._following[key]

    # Answers

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        prompt = body["prompt"]
        opened = False
        text = prompt if isinstance(prompt, str) else ""
        if self.lie == "template":
            text = f"<|user|>\n{text}\n<|assistant|>\n"
        if isinstance(prompt, list):
            table = {self.id_of(token): token for token in self._all_tokens()}
            tokens = [table[i] for i in prompt if i != BOS_ID]
        else:
            opened = text.startswith(BOS) and self.lie == "shifted"
            tokens = self.cut(text.removeprefix(BOS) if opened else text)
        if self.lie == "cutting" and len(tokens) > 60:
            tokens = tokens[-60:]
        self._known |= set(tokens)
        entries = self.signals(tokens)
        generated, logprob = self.next_token(tokens)
        counted = len(tokens) + (self.bos != "none" or opened)
        usage = {"prompt_tokens": counted, "completion_tokens": 1, "total_tokens": counted + 1}
        written = text if body.get("echo") else generated.decode(errors="replace")
        choice: dict[str, Any] = {"text": written, "index": 0, "finish_reason": "length"}
        new = {
            "token": self.shown(generated),
            "logprob": logprob,
            "top": logprob,
            "rank": 0,
            "id": self.id_of(generated),
        }
        if not body.get("echo") or self.lie == "generated only":
            listed = [new]
        else:
            if self.lie == "shifted" and not text.startswith(BOS):  # as llama-cpp-python without BOS
                values = [{**entry, "logprob": entry["logprob"] - 7.5} for entry in entries]
                entries = [*values[1:], values[0]]
            listed = self._prompt(tokens, entries, shown=isinstance(prompt, list) and prompt[:1] == [BOS_ID])
            if body.get("max_tokens", 16) > 0:
                listed.append(new)
        if body.get("logprobs") is not None and self.lie != "no log-probabilities":
            choice["logprobs"] = self._listed(listed)
            if self.vllm and body.get("echo"):
                choice["prompt_logprobs"] = [self._detail(each) for each in listed[: len(listed) - 1]]
            if self.vllm and body.get("return_token_ids"):
                choice["prompt_token_ids"] = [each["id"] for each in listed[: len(listed) - 1]]
        return {"object": "text_completion", "model": body["model"], "choices": [choice], "usage": usage}

    def _prompt(self, tokens: list[bytes], entries: list[dict[str, Any]], *, shown: bool) -> list[dict[str, Any]]:
        listed = [
            {**entry, "token": self.shown(token), "id": self.id_of(token)}
            for token, entry in zip(tokens, entries, strict=True)
        ]
        if self.bos == "shown" or shown:
            return [{"token": BOS, "logprob": None, "top": None, "rank": None, "id": BOS_ID}, *listed]
        if listed:
            listed[0] = {**listed[0], "logprob": None, "top": None, "rank": None}
        return listed

    def _listed(self, entries: list[dict[str, Any]]) -> dict[str, Any]:
        values = [entry["logprob"] for entry in entries]
        tops = [
            None if e["top"] is None else {e["token"]: e["logprob"]} | ({"\0": e["top"]} if e["rank"] else {})
            for e in entries
        ]
        middle = len(values) // 2
        if self.lie == "NaN":
            values[middle] = math.nan
        if self.lie == "positive":
            values[middle] = 0.7
        if self.lie == "caching":
            seen = self._answered
            self._answered = True
            values = [None if seen and i < len(values) - 4 else value for i, value in enumerate(values)]
        if self.lie == "no probabilities":
            tops = [None if top is None else {"a": -0.01, "b": -0.01} for top in tops]
        if self.lie == "noise":
            values = [None if v is None else min(0.0, v + random.gauss(0, 0.02)) for v in values]
        if self.lie == "rounding":
            values = [None if value is None else round(value, 1) for value in values]
        return {
            "tokens": [entry["token"] for entry in entries],
            "token_logprobs": values,
            "top_logprobs": tops,
            "text_offset": [-1] * len(entries),
        }

    def _detail(self, entry: dict[str, Any]) -> dict[str, Any] | None:
        if entry["logprob"] is None:
            return None
        own = {"logprob": entry["logprob"], "rank": entry["rank"] + 1, "decoded_token": entry["token"]}
        other = {"299": {"logprob": entry["top"], "rank": 1, "decoded_token": "\0"}} if entry["rank"] else {}
        return {str(entry["id"]): own, **other}

    def _all_tokens(self) -> set[bytes]:
        return self._known | {bytes([byte]) for byte in range(256)}

    _known: set[bytes] = field(default_factory=set)
    _answered: bool = False
    _following: dict[tuple[int, bytes], tuple[bytes, float]] = field(default_factory=dict)

    # HTTP

    async def completions(self, request: Request) -> Response:
        import asyncio

        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if self.delay:
                await asyncio.sleep(self.delay)
            return await self._completions(request)
        finally:
            self.under_way -= 1

    async def _completions(self, request: Request) -> Response:
        body = await request.json()
        self.requests.append(body)
        if self.key is not None and request.headers.get("authorization") != f"Bearer {self.key}":
            return JSONResponse({"error": {"message": "Invalid API key"}}, 401)
        status = self.statuses.pop(0) if self.statuses else 0
        if status:
            headers = {"retry-after": self.retry_after} if self.retry_after else {}
            return JSONResponse({"error": {"message": "not now"}}, status, headers)
        if self.lie == "chat only":
            return JSONResponse({"detail": "Not Found"}, 404)
        prompt = body["prompt"]
        if isinstance(prompt, list) and not self.vllm:
            return JSONResponse({"error": {"message": "prompt must be a string"}}, 422)
        n = len(prompt) if isinstance(prompt, list) else len(self.cut(prompt))
        if n + 1 > self.context:
            words = f"This model's maximum context length is {self.context} tokens, however you requested {n + 1}"
            return JSONResponse({"error": {"message": words, "code": "context_length_exceeded"}}, 400)
        text = json.dumps(self.complete(body))
        return Response(
            text[: len(text) // 2] if self.lie == "cutting answers off" else text, media_type="application/json"
        )

    async def models(self, request: Request) -> Response:
        if self.key is not None and request.headers.get("authorization") != f"Bearer {self.key}":
            return JSONResponse({"error": {"message": "Invalid API key"}}, 401)
        listed = {"max_model_len": self.context} if self.lists_context else {}
        owner = "vllm" if self.vllm else "me"
        return JSONResponse({"data": [{"id": name, "owned_by": owner, **listed} for name in self.names]})


@contextmanager
def running(server: Server | None = None) -> Iterator[Server]:
    """The server, while the context is open."""
    server = server or Server()
    app = Starlette(
        routes=[
            Route(f"{server.path}/models", server.models),
            Route(f"{server.path}/completions", server.completions, methods=["POST"]),
        ]
    )
    http = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=http.run, daemon=True)
    thread.start()
    while not http.started:
        time.sleep(0.005)
    port = http.servers[0].sockets[0].getsockname()[1]
    server.url = f"http://127.0.0.1:{port}{server.path}"
    try:
        yield server
    finally:
        http.should_exit = True
        thread.join()
