"""A model behind a real server, the Python server of llama.cpp, against the same file computed here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from llm_mia import load_model
from llm_mia.backends import embedded
from llm_mia.backends.endpoint import Budget, EndpointBackend, connect
from llm_mia.cli import main
from llm_mia.records import Window
from llm_mia.signals import signals_of

from .conftest import sentences
from .llama_server import LLAMA_PYTHON, installed, running_llama

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(not embedded.is_installed(), reason="the embedded model is not installed"),
    pytest.mark.skipif(
        not installed(), reason=f"pip install 'llama-cpp-python[server]', or name a Python in {LLAMA_PYTHON}"
    ),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_llama(tmp_path_factory.mktemp("llama") / "log") as name:
        yield name


def test_scores_are_those_of_the_same_file_computed_here(server: str) -> None:
    texts = [text for text in sentences(400, seed=1, longest=8) if len(text) > 20][:100]
    backend = connect(server, Budget(concurrency=2))
    assert isinstance(backend, EndpointBackend)
    assert backend.info.opening_text == ("<|im_start|>",), "without it this server is wrong by a position"
    remote = [signals.logprob.mean() for signals in signals_of(backend, texts)]
    local = load_model("embedded", dtype="float32", compiled=False)
    opening = np.array([1], np.int32)  # <|im_start|>
    windows = [Window(tokens, 1) for tokens in local.encode(texts)]
    same = [signals.logprob.mean() for signals in local.score(windows, prefix=opening)]
    correlation = spearmanr(remote, same).statistic
    difference = np.abs(np.array(remote) - same).mean()
    sys.stdout.write(f"Spearman {correlation:.4f}, mean difference {difference:.3f} nats per token\n")
    assert correlation >= 0.99


def test_an_audit_from_end_to_end(server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, seed, count in (("candidates", 3, 10), ("held", 4, 25)):
        lines = [text for text in sentences(200, seed=seed, longest=8) if len(text) > 20][:count]
        (tmp_path / f"{name}.txt").write_text("\n\n".join(lines), encoding="utf-8")
    arguments = [str(tmp_path / "candidates.txt"), "--nonmembers", str(tmp_path / "held.txt"), "-m", server]
    arguments += ["--stand-in", "none", "-o", str(tmp_path / "run"), "--concurrency", "2", "--passage-tokens", "16"]
    code = main(["audit", *arguments, "-a", "loss", "-a", "min_k", "--fpr", "0.2", "--no-report"])
    printed = capsys.readouterr()
    assert code in (0, 4), printed.err
    assert (tmp_path / "run" / "audit.json").exists()
    assert not (tmp_path / "run" / "answers").exists()
