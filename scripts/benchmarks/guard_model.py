"""A model server with a known model: python guard_model.py FOLDER PORT, the part of OpenAI's API that attacks use.

Prompts are texts or token ids. `echo` returns the prompt with its log-probabilities, and `guided_choice` makes the
model write a text, with the log-probabilities that it gives to it, as vLLM does.
"""

from __future__ import annotations

import json
import sys
from typing import Any, cast

import numpy as np
import torch
import uvicorn
from numpy.typing import NDArray

from llm_mia.backends import load_model
from llm_mia.backends.local import LocalBackend

Floats = NDArray[np.float32]


class Model:
    """The next-token log-probabilities of a local model."""

    def __init__(self, folder: str) -> None:
        self._backend = cast("LocalBackend", load_model(folder, dtype="float32"))
        self.words = [self._backend.tokenizer.decode([at]) for at in range(self._backend.model.config.vocab_size)]
        self._opening = list(self._backend.opening)

    def encode(self, text: str) -> list[int]:
        """The token ids of *text*."""
        return [int(each) for each in self._backend.encode([text])[0]]

    @torch.inference_mode()
    def logprobs(self, prompts: list[list[int]]) -> list[Floats]:
        """Of each prompt: row t are the log-probabilities of token t, and the last row those of the token after it."""
        longest = max(map(len, prompts))
        whole = max(prompts, key=len)
        if len(prompts) > 1 and all(whole[: len(each)] == each for each in prompts):  # the beginnings of a text
            (row,) = self.logprobs([whole])
            return [row[: len(each) + 1] for each in prompts]
        ids = torch.tensor([self._opening + each + [0] * (longest - len(each)) for each in prompts])
        rows = self._backend.model(ids).logits.log_softmax(-1).numpy()
        first = len(self._opening) - 1
        return [row[first : first + len(each) + 1] for row, each in zip(rows, prompts, strict=True)]


def answer(model: Model, request: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request for completions, at temperature 0 and of at most one token but for `guided_choice`."""
    prompt = request["prompt"]
    several = prompt if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else [prompt]
    prompts = [model.encode(each) if isinstance(each, str) else each for each in several]
    forced = model.encode(request["guided_choice"][0]) if "guided_choice" in request else None
    rows = model.logprobs([each + (forced or []) for each in prompts])
    choices = []
    for at, (ids, of_prompt) in enumerate(zip(prompts, rows, strict=True)):
        written = forced if forced is not None else [int(of_prompt[len(ids)].argmax())][: request.get("max_tokens", 1)]
        tokens = (ids if request.get("echo") else []) + written
        shown = of_prompt[0 if request.get("echo") else len(ids) :]
        choices.append(
            {
                "index": at,
                "text": "".join(model.words[token] for token in tokens),
                "finish_reason": "length",
                "logprobs": _logprobs(model, tokens, shown, request["logprobs"]) if "logprobs" in request else None,
            }
        )
    return {"object": "text_completion", "model": "m", "choices": choices, "usage": None}


def _logprobs(model: Model, tokens: list[int], rows: Floats, top: int) -> dict[str, Any]:
    of_tokens = [float(row[token]) for row, token in zip(rows, tokens, strict=False)]
    others = [
        {model.words[int(each)]: float(row[each]) for each in np.argsort(-row)[:top]} for row in rows[: len(tokens)]
    ]
    words = [model.words[token] for token in tokens]
    return {
        "tokens": words,
        "token_logprobs": of_tokens,
        "top_logprobs": [{**other, word: value} for other, word, value in zip(others, words, of_tokens, strict=True)],
        "text_offset": [0] * len(words),
    }


class Server:
    """An ASGI application over a model."""

    def __init__(self, model: Model) -> None:
        self._model = model

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        if scope["path"].endswith("/completions"):
            data = json.dumps(answer(self._model, json.loads(body))).encode()
        else:
            data = json.dumps({"object": "list", "data": [{"id": "m", "object": "model"}]}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(data))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": data})


if __name__ == "__main__":
    torch.set_num_threads(1)
    application = Server(Model(sys.argv[1]))
    uvicorn.run(application, port=int(sys.argv[2]), log_config=None, access_log=False, lifespan="off", ws="none")
