"""A real server against the same file computed here: PYTHONPATH=. .venv/bin/python scripts/bench_endpoint.py.

Starts the Python server of llama.cpp with a small file in float32, and with the embedded model; scores passages through
it and by the local backend in float32, and runs an audit through it. Prints a table and writes it, also as JSON, to
scripts/results/endpoint-cpu.{md,json}. Of the embedded model the server needs about 0.3 s of a core for each token, so
that takes half an hour; *--only small* leaves it out. The environment variable LLM_MIA_LLAMA_PYTHON names the Python
that has llama-cpp-python[server], which compiles for minutes; else it is the current one.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from benchmarks.figures import Figure, save
from numpy.typing import NDArray
from scipy.stats import spearmanr

from llm_mia import audit, load_model
from llm_mia.backends import Backend
from llm_mia.backends.endpoint import Budget, EndpointBackend, connect
from llm_mia.demo import language_reference
from llm_mia.records import TokenSignals, Window
from llm_mia.signals import signals_of
from tests.conftest import build_model, build_tokenizer
from tests.llama_server import running_llama
from tests.test_loading_gguf import write_gguf


def texts(count: int, n_bytes: int, seed: int = 0) -> list[str]:
    """Beginnings of passages of Python's language reference, cut after a word."""
    with tempfile.TemporaryDirectory() as folder:
        passages = language_reference(Path(folder) / "topics")
    cut = (" ".join(passage.text.split())[:n_bytes].rpartition(" ")[0] for passage in passages)
    return random.Random(seed).sample(sorted({text for text in cut if len(text) > n_bytes / 2}), count)  # noqa: S311


def means(signals: Sequence[TokenSignals]) -> NDArray[np.float64]:
    """The score of the attack loss, for each passage."""
    return np.array([each.logprob.mean(dtype=np.float64) for each in signals])


def agreement_figures(remote: EndpointBackend, local: Backend, opening: int, passages: Sequence[str]) -> list[Figure]:
    """How well the scores agree with those of the local backend, with the server's opening and without."""
    start = time.monotonic()
    of_server = signals_of(remote, passages)
    seconds = time.monotonic() - start
    encoded = local.encode(passages)
    opened = local.score([Window(ids, 1) for ids in encoded], prefix=np.array([opening], np.int32))
    alone = local.score([Window(ids, 1) for ids in encoded])
    same = [len(ours) == len(theirs) for ours, theirs in zip(opened, of_server, strict=True)]
    tokens = sum(map(len, of_server))
    by_token = np.abs(
        np.concatenate([a.logprob - b.logprob for a, b, equal in zip(opened, of_server, same, strict=True) if equal])
    )
    server = means(of_server)
    return [
        Figure("passages with the same number of tokens", sum(same), f"of {len(passages)}", at_least=len(passages)),
        Figure(
            "Spearman of loss, the same opening before the passage",
            float(spearmanr(server, means(opened)).statistic),
            at_least=0.99,
            note="the rest: rounding, of keys and values to float16, of activations to 8 bits where weights have 4",
        ),
        Figure(
            "Spearman of loss, the local backend without an opening",
            float(spearmanr(server, means(alone)).statistic),
            note="as `-m FILE` scores: the opening is the difference to the row above",
        ),
        Figure("difference of a token, mean", float(by_token.mean()), "nats"),
        Figure("difference of a token, largest", float(by_token.max()), "nats"),
        Figure("speed of the server", tokens / seconds, "tokens/s", note="it sorts the vocabulary for each token"),
    ]


def audit_figures(remote: EndpointBackend, candidates: Sequence[str], held: Sequence[str]) -> list[Figure]:
    """An audit through the server, from end to end."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        done = audit(
            candidates,
            nonmembers=held,
            target=remote,
            stand_in=None,
            attacks=["loss", "min_k"],
            fpr=0.1,
            out=Path(folder) / "run",
            report=False,
        )
        complete = (done.path / "audit.json").exists()
    flags = f"standing {done.standing}, {len(done.flags.rows)} decisions"
    return [
        Figure("audit from end to end", float(complete), at_least=1, note=flags),
        Figure("audit, time", time.monotonic() - start, "s", note=f"{len(candidates)} candidates, {len(held)} known"),
    ]


def figures(
    file: Path | None,
    local: Callable[[], Backend],
    opening: int,
    count: int,
    n_bytes: int,
    *,
    with_audit: bool = True,
) -> list[Figure]:
    """All figures of a GGUF *file*, or of the embedded model, whose opening is the token *opening*."""
    with tempfile.TemporaryDirectory() as folder, running_llama(Path(folder) / "log", file) as name:
        start, budget = time.monotonic(), Budget(concurrency=2)
        remote = connect(name, budget)
        if not isinstance(remote, EndpointBackend):
            raise SystemExit(remote.problem)
        noise = remote.info.endpoint.noise if remote.info.endpoint else None
        asked = [
            Figure("requests that measure the server", budget.requests, note=f"{budget.tokens} tokens"),
            Figure("time of these", time.monotonic() - start, "s"),
            Figure("difference between two answers", noise, "nats a token"),
        ]
        print("\n".join(figure.row for figure in asked), file=sys.stderr, flush=True)
        drawn = texts(count + 60, n_bytes)
        agreed = agreement_figures(remote, local(), opening, drawn[:count])
        print("\n".join(figure.row for figure in agreed), file=sys.stderr, flush=True)
        audited = audit_figures(remote, drawn[-20:], drawn[-60:-20]) if with_audit else []
        return [*asked, *agreed, *audited]


def small(count: int) -> list[Figure]:
    """Of a small model of random weights in float32."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        tokenizer = build_tokenizer(400, bos=False, seed=0)
        tokenizer.save_pretrained(folder)
        build_model(tokenizer, seed=0, context=256).save_pretrained(folder)
        file = folder / "small.gguf"
        write_gguf(folder, file)
        return figures(file, lambda: load_model(file, dtype="float32", compiled=False), 0, count, 120)


def of_embedded(count: int) -> list[Figure]:
    """Of the embedded model, with very short passages, and without an audit: its server is slow."""
    local = partial(load_model, "embedded", dtype="float32", compiled=False)
    return figures(None, local, 1, count, 28, with_audit=False)


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=100)
    parser.add_argument("--only", choices=["small", "embedded"])
    arguments = parser.parse_args()
    path, table = Path(__file__).parent / "results" / "endpoint-cpu.json", ""
    for name, measure in {"small": small, "embedded": of_embedded}.items():
        if arguments.only in (None, name):
            measured = [replace(each, name=f"{name}: {each.name}") for each in measure(arguments.passages)]
            table = save(path, {name: measured})
    print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
