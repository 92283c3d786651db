"""Servers that answer well at first, or nearly always, and give wrong numbers then: none of these reaches a score."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_mia import ModelSpec, read_scores
from llm_mia.backends.endpoint import EndpointBackend, connect
from llm_mia.errors import ModelError, ServerError
from llm_mia.scoring import score_to_disk
from llm_mia.signals import signals_of

from .conftest import sentences
from .endpoint_server import Server, model, running
from .test_endpoint_hostile import QUICK, Changed

TEXTS = sentences(6, seed=3)
Change = Callable[[dict[str, Any], dict[str, Any]], None]


def listed(choice: dict[str, Any]) -> dict[str, Any]:
    """The lists of a choice; of an answer without them, of nothing."""
    lists = choice.get("logprobs")
    return lists if isinstance(lists, dict) else {"tokens": [], "token_logprobs": [], "top_logprobs": []}


def equal(_: dict[str, Any], choice: dict[str, Any]) -> None:
    values = listed(choice)["token_logprobs"]
    values[1:] = [-1.0] * len(values[1:])


def shifted_within(_: dict[str, Any], choice: dict[str, Any]) -> None:
    """Each token but the last has the log-probability of the next."""
    values = listed(choice)["token_logprobs"]
    if len(values) > 4:
        values[1:-2] = values[2:-1]


def doubled(_: dict[str, Any], choice: dict[str, Any]) -> None:
    """A position is there twice, once with a token that is written as nothing."""
    lists = listed(choice)
    if len(lists["tokens"]) > 6:
        for name in ("tokens", "token_logprobs", "top_logprobs"):
            lists[name].insert(5, "" if name == "tokens" else lists[name][4])


def without_top(_: dict[str, Any], choice: dict[str, Any]) -> None:
    listed(choice)["top_logprobs"] = None


def top_is_no_number(_: dict[str, Any], choice: dict[str, Any]) -> None:
    lists = listed(choice)
    lists["top_logprobs"] = [{"a": math.nan} for _ in lists["tokens"]]


def without_ranks(_: dict[str, Any], choice: dict[str, Any]) -> None:
    choice.pop("prompt_logprobs", None)


@pytest.mark.parametrize(
    ("change", "problem"),
    [(equal, "gives -1 as the log-probability of every token"), (shifted_within, "is not the one of its position"),
     (doubled, "do not spell the text")],
)  # fmt: skip
def test_a_lie_from_the_beginning_is_refused(change: Change, problem: str) -> None:
    with running(Changed(change)) as server:
        backend = connect(server.name, patience=QUICK)
        assert not isinstance(backend, EndpointBackend)
        with pytest.raises(ModelError, match=problem):
            backend.encode(TEXTS)


@pytest.mark.parametrize(
    ("change", "problem"),
    [(doubled, "do not spell the text"), (without_top, "no longer gives the likeliest token"),
     (top_is_no_number, "no longer gives the likeliest token"), (without_ranks, "no longer gives the rank")],
)  # fmt: skip
def test_a_lie_after_the_measurement_is_refused(change: Change, problem: str) -> None:
    with running(Changed(lambda *_: None, vllm=True)) as server:
        backend = connect(server.name, patience=QUICK)
        assert len(signals_of(backend, TEXTS)) == len(TEXTS)
        server.change = change  # type: ignore[attr-defined]
        with pytest.raises(ModelError, match=problem):
            signals_of(backend, TEXTS)


def test_a_model_that_is_changed_meanwhile_leaves_no_scores(tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = model()

    def change(_: dict[str, Any], choice: dict[str, Any]) -> None:
        if choice["text"] in TEXTS:
            server.backend = model(seed=1)  # from the second passage on

    with running(Changed(change)) as server:
        with pytest.raises(ModelError, match=r"has changed the model; the passes .* are removed"):
            score_to_disk(TEXTS, ModelSpec(server.name), attacks=["loss"], out=run)
        assert not list(run.glob("signals/*/part-*"))
        assert not list(run.glob("answers/*"))
        server.change, server.backend = (lambda *_: None), first  # type: ignore[attr-defined]
        score_to_disk(TEXTS, ModelSpec(server.name), attacks=["loss"], out=run)
        score_to_disk(TEXTS, ModelSpec(server.name), attacks=["loss"], out=tmp_path / "other")
    assert read_scores(run).column("loss").tolist() == read_scores(tmp_path / "other").column("loss").tolist()


def test_an_error_with_status_200_is_sent_again_and_shown() -> None:
    overloaded: list[int] = [1]

    def change(answer: dict[str, Any], _: dict[str, Any]) -> None:
        if overloaded and overloaded.pop() > 0:
            answer.clear()
            answer["error"] = {"message": "overloaded"}

    with running(Changed(change)) as server:
        patient = connect(server.name)
        overloaded += [1]
        assert len(signals_of(patient, TEXTS[:1])) == 1
        hasty = connect(server.name, patience=QUICK)
        overloaded += [1] * 9
        with pytest.raises(ServerError, match="an error in place of a completion: overloaded"):
            signals_of(hasty, TEXTS[:1])
    assert isinstance(server, Server)
