"""A real server for tests and for scripts: the Python server of llama.cpp, with the embedded model."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from llm_mia.backends.embedded import gguf_file

__all__ = ["LLAMA_PYTHON", "installed", "running_llama"]

LLAMA_PYTHON = "LLM_MIA_LLAMA_PYTHON"
"""The environment variable that names the Python that has ``llama-cpp-python[server]``; else it is the current one."""
CONTEXT = 256
"""The server computes the softmax of this many rows for every request, so no longer context than is needed."""


def interpreter() -> str:
    return os.environ.get(LLAMA_PYTHON, sys.executable)


def installed() -> bool:
    """Whether that Python has the server."""
    code = "import llama_cpp.server.app"
    return subprocess.run([interpreter(), "-c", code], capture_output=True, check=False).returncode == 0


@contextmanager
def running_llama(log: Path, file: Path | None = None, *, seconds: float = 300.0) -> Iterator[str]:
    """The name of the model of a server that runs while the context is open: of *file*, else the embedded model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {
        "model": file or gguf_file(),
        "model_alias": "small",
        "host": "127.0.0.1",
        "port": port,
        "n_ctx": CONTEXT,
    }
    settings = {"n_threads": 1, "n_threads_batch": 1, "logits_all": "true"}
    arguments = [str(part) for name, value in {**options, **settings}.items() for part in (f"--{name}", value)]
    with log.open("wb") as output:
        command = [interpreter(), "-m", "llama_cpp.server", *arguments]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait(f"http://127.0.0.1:{port}/v1/models", process, seconds)
            yield f"openai:small@http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(url, timeout=2.0).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise RuntimeError(f"no server at {url} after {seconds:g} s")
