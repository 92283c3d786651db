"""Canaries and pairs of a model behind an endpoint, and a guard before it: tested, stopped and continued."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from llm_mia.canary import read_canary_test, read_paired, run_canary_test
from llm_mia.cli import main
from llm_mia.queries import Query

from .canary_folders import rephrased, seal
from .endpoint_server import Server, model, running
from .test_guard_endpoint import EVERYTHING, behind

VARIED = rephrased(8, 4)
TEXTS = [text for texts in VARIED.values() for text in texts]


def asked_for(server: Server) -> Counter[str]:
    return Counter(body["prompt"] for body in server.requests if body["prompt"] in TEXTS)


def test_a_test_of_canaries_that_was_stopped_continues_and_asks_nothing_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, server, queries = seal(tmp_path / "canaries", VARIED), Server(), list[Query]()
    with behind(server, EVERYTHING, queries) as name:
        command = ["canary", "test", str(folder), "-m", name, "-o", str(tmp_path / "run"), "-q"]
        assert main([*command, "--max-requests", "25"]) == 1
        assert "the same command continues" in capsys.readouterr().err
        assert 0 < len(asked_for(server)) < len(TEXTS)
        assert not (tmp_path / "run" / "canary.json").exists()
        assert not (folder / "tests.jsonl").exists(), "what was stopped is no test"
        assert main(command) == 0
        assert asked_for(server) == Counter(TEXTS)
        result = read_canary_test(tmp_path / "run")
        direct = run_canary_test(folder, server.name, out=tmp_path / "direct")
    assert (len(result.rows), result.test.p_value) == (8, direct.test.p_value)
    assert queries, "the guard saw the requests"


def test_pairs_of_an_endpoint_with_an_endpoint_as_the_placebo(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    rows = [{"document": name, "published": a, "withheld": b} for name, (a, b, *_) in VARIED.items()]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with running(Server()) as server, running(Server(backend=model(seed=1))) as other:
        assert main(["paired", str(file), "-m", server.name, "-r", other.name, "-o", str(tmp_path / "run"), "-q"]) == 0
    result = read_paired(tmp_path / "run")
    assert len(result.rows) == 8
    assert main(["report", str(tmp_path / "run"), "--redact"]) == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert not any(f">{name}<" in page for name in VARIED)
    assert not any(text in page for text in TEXTS)
