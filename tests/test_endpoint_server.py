"""Models behind a real server, the Python server of llama.cpp, against the same files computed here."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from llm_mia import load_model
from llm_mia.backends import Backend, embedded
from llm_mia.backends.endpoint import Budget, EndpointBackend, connect
from llm_mia.cli import main
from llm_mia.records import Window
from llm_mia.signals import signals_of

from .conftest import build_model, build_tokenizer, sentences
from .llama_server import LLAMA_PYTHON, installed, running_llama
from .test_loading_gguf import write_gguf

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(
        not installed(), reason=f"pip install 'llama-cpp-python[server]', or name a Python in {LLAMA_PYTHON}"
    ),
]


@pytest.fixture(scope="module")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of random weights in float32: nothing is quantised, and the server sorts few tokens."""
    folder = tmp_path_factory.mktemp("small")
    tokenizer = build_tokenizer(400, bos=False, seed=0)
    tokenizer.save_pretrained(folder)
    build_model(tokenizer, seed=0, context=256).save_pretrained(folder)
    write_gguf(folder, folder / "small.gguf")
    return folder / "small.gguf"


@pytest.fixture(scope="module")
def server(small_file: Path) -> Iterator[str]:
    with running_llama(small_file.with_name("log"), small_file) as name:
        yield name


def means(remote: EndpointBackend, local: Backend, opening: int, texts: list[str]) -> tuple[list[float], list[float]]:
    """Mean log-likelihoods through the server, and computed here after the same opening."""
    windows = [Window(ids, 1) for ids in local.encode(texts)]
    here = local.score(windows, prefix=np.array([opening], np.int32))
    through = signals_of(remote, texts)
    assert [len(signals) for signals in through] == [len(signals) for signals in here]
    return [float(s.logprob.mean()) for s in through], [float(s.logprob.mean()) for s in here]


def test_scores_are_those_of_the_same_file_computed_here(server: str, small_file: Path) -> None:
    texts = [*sentences(96, seed=1), "naïve “quotes” — 東京 🙂!", "  two  spaces", "a\nline\n\tand a tab", "ça"]
    backend = connect(server, Budget(concurrency=2))
    assert isinstance(backend, EndpointBackend), backend.problem
    assert backend.info.opening_text == ("<s>",), "without it this server is wrong by a position"
    assert backend.info.context == 256 - 16
    through, here = means(backend, load_model(small_file, dtype="float32", compiled=False), 0, texts)
    sys.stdout.write(
        f"Spearman {spearmanr(through, here).statistic:.5f}, {np.abs(np.subtract(through, here)).max():.2g}\n"
    )
    # llama.cpp keeps keys and values in float16: 11 bits, of logits of about 10.
    np.testing.assert_allclose(through, here, atol=10 * 2**-11)
    assert spearmanr(through, here).statistic >= 0.99


def test_long_passages_are_scored_in_windows(server: str, small_file: Path) -> None:
    text = " ".join(sentences(40, seed=6)) + " 東京 🙂 façade"
    [through] = signals_of(connect(server), [text], window_tokens=64)
    local = load_model(small_file, dtype="float32", compiled=False)
    [here] = signals_of(local, [text], window_tokens=64)
    assert abs(len(through) - len(here)) <= 2, "pieces of a long text are cut as the text, but for rare exceptions"
    # The server reads the opening before each window, and this model does not.
    assert spearmanr(through.logprob, here.logprob[: len(through)]).statistic > 0.9


def test_an_audit_from_end_to_end(server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, seed, count in (("candidates", 3, 20), ("held", 4, 60)):
        rows = [json.dumps({"id": f"{name}-{at}", "text": text}) for at, text in enumerate(sentences(count, seed=seed))]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    arguments = [str(tmp_path / "candidates.jsonl"), "--nonmembers", str(tmp_path / "held.jsonl"), "-m", server]
    code = main(["audit", *arguments, "-o", str(tmp_path / "run"), "--fpr", "0.1", "--stand-in", "ngram"])
    printed = capsys.readouterr()
    assert code in (0, 4), printed.err
    assert (tmp_path / "run" / "audit.json").exists()
    assert not (tmp_path / "run" / "answers").exists()


@pytest.mark.slow
@pytest.mark.skipif(not embedded.is_installed(), reason="the embedded model is not installed")
def test_scores_of_the_embedded_model(tmp_path: Path) -> None:
    """Minutes: the server sorts 49,152 tokens for each token of a passage."""
    texts = [text for text in sentences(400, seed=1, longest=8) if len(text) > 20][:100]
    with running_llama(tmp_path / "log") as name:
        backend = connect(name, Budget(concurrency=2))
        assert isinstance(backend, EndpointBackend), backend.problem
        through, here = means(backend, load_model("embedded", dtype="float32", compiled=False), 1, texts)
    assert spearmanr(through, here).statistic >= 0.99
