"""Models behind an endpoint, against a small server that is exact: what they give is what the model gives."""

from __future__ import annotations

import numpy as np
import pytest

from llm_mia.backends import RemoteBackend
from llm_mia.backends.endpoint import Patience, connect
from llm_mia.records import TokenSignals, Window
from llm_mia.signals import signals_of

from .conftest import sentences
from .endpoint_server import Server, model, running

TEXTS = [*sentences(6, seed=3), "naïve “quotes” — 東京 🙂!", "x"]
QUICK = Patience(attempts=3, first_wait=0.01, longest_wait=0.05, timeout=5.0)


def exact(text: str, seed: int = 0) -> TokenSignals:
    """What the model gives to each byte of *text*."""
    backend = model(seed)
    window = Window(np.array([256, *text.encode()], np.int32), 1)
    return backend.score([window])[0]


@pytest.mark.parametrize("server", [Server(), Server(vllm=True, bos="shown"), Server(vllm=True), Server(bos="hidden")])
def test_signals_are_those_of_the_model(server: Server) -> None:
    with running(server):
        backend = connect(server.name, patience=QUICK)
        assert isinstance(backend, RemoteBackend)
        before = len(server.requests)
        for text, signals in zip(TEXTS, signals_of(backend, TEXTS), strict=True):
            first = 0 if server.bos == "shown" else 1
            assert len(signals) == len(text.encode()) - first
            np.testing.assert_allclose(signals.logprob, exact(text).logprob[first:], atol=1e-5)
            if server.vllm:
                np.testing.assert_array_equal(signals.rank, exact(text).rank[first:])
        assert len(server.requests) - before == len(TEXTS), "a request for each passage"
