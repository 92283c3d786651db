"""Backends that give some fields of the signals and not others: what they allow, and what is refused."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_mia import ModelSpec, TokenSignals, read_scores, score
from llm_mia.attacks import ATTACKS, Likelihoods, LoadedSupplies, attack, parse_attack
from llm_mia.backends import Backend
from llm_mia.backends.fake import FakeBackend
from llm_mia.errors import AttackError, RunDirectoryError
from llm_mia.passages import Passages, read_passages
from llm_mia.records import (
    CONTINUATIONS,
    FIELDS,
    GainNull,
    Population,
    ShadowLikelihoods,
    ShadowPopulation,
    TokenFrequencies,
    Window,
)
from llm_mia.scoring import attacks_for, score_to_disk

from .conftest import sentences

TEXTS = sentences(10, seed=90)
ALONE = ["loss", "zlib", "min_k", "reference"]
"""Attacks that the log-likelihoods of the tokens serve."""


class Limited(FakeBackend):
    """Gives log-likelihoods alone, and counts the windows that it scores."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed, offers={"logprob"})
        self.windows = 0

    def score(self, windows: Any, *others: Any, **options: Any) -> list[TokenSignals]:
        self.windows += len(windows)
        return super().score(windows, *others, **options)


@pytest.fixture
def passages(write_jsonl: Callable[..., str]) -> Passages:
    return read_passages(write_jsonl("in.jsonl", [{"id": f"p{i}", "text": text} for i, text in enumerate(TEXTS)]))


def test_what_a_backend_does_not_give_is_nan_and_in_its_record() -> None:
    limited, whole = FakeBackend(0, offers={"rank", "logprob"}), FakeBackend(0)
    window = Window(whole.encode(["a text"])[0], 1)
    [some], [every] = limited.score([window]), whole.score([window])
    for name in ("token_ids", "logprob", "rank"):
        np.testing.assert_array_equal(getattr(some, name), getattr(every, name))
    assert np.isnan([some.mean, some.std, some.top]).all()
    assert limited.info.offers == ("logprob", "rank")
    assert whole.info.offers == FIELDS
    assert (FakeBackend(0, offers={"logprob"}).score([window])[0].rank == -1).all()
    assert isinstance(limited, Backend)
    assert ModelSpec("any").offers == whole.offers == {*FIELDS, CONTINUATIONS}


def test_log_likelihoods_alone_serve_attacks_on_them(passages: Passages, tmp_path: Path) -> None:
    target, reference = Limited(0), Limited(1)
    table = score(passages, target, reference, attacks=ALONE, out=tmp_path / "limited")
    whole = score(passages, FakeBackend(0), FakeBackend(1), attacks=ALONE, out=tmp_path / "whole")
    for name in ALONE:
        np.testing.assert_array_equal(table.column(name), whole.column(name))
    assert table.record is not None
    assert table.record.passes["target"].model.offers == ("logprob",)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("min_k++", r"attack 'min_k\+\+' cannot run: the target model gives no mean, std, top$"),
        ("surp:k=0.3", "attack 'surp:k=0.3' cannot run: the target model gives no mean, std, top$"),
        ("ez", "attack 'ez' cannot run: the target model gives no rank$"),
    ],
)
def test_an_attack_that_reads_more_is_refused_by_name(
    name: str, message: str, passages: Passages, tmp_path: Path
) -> None:
    target = Limited(0)
    with pytest.raises(AttackError, match=message):
        score(passages, target, FakeBackend(1), attacks=["loss", name], out=tmp_path / "run")
    assert not target.windows, "refused before anything runs"
    assert not (tmp_path / "run").exists()


def test_each_role_needs_what_its_parameter_reads(passages: Passages, tmp_path: Path) -> None:
    table = score(passages, FakeBackend(0), Limited(1), attacks=["min_k++", "reference"], out=tmp_path / "run")
    assert np.isfinite(table.column("min_k++")).all()
    with pytest.raises(AttackError, match="'ez' cannot run: the reference model gives no rank"):
        score(passages, FakeBackend(0), Limited(1), attacks=["ez"], out=tmp_path / "run")


def test_the_default_leaves_out_what_does_not_fit_and_says_so(passages: Passages, tmp_path: Path) -> None:
    done = score_to_disk(passages, Limited(0), Limited(1), out=tmp_path / "run")
    assert done.notes == (
        "the target model gives no mean, std, top, so there is no min_k++, gap_k, surp; "
        "the target model gives no rank, so there is no ez",
    )
    assert set(ALONE) < set(done.attacks)
    table = read_scores(tmp_path / "run")
    assert np.isfinite([table.column(name) for name in done.attacks]).all()


def test_signals_without_all_fields_are_not_taken_for_whole_ones(passages: Passages, tmp_path: Path) -> None:
    score(passages, Limited(0), attacks=["loss"], out=tmp_path / "run")
    with pytest.raises(RunDirectoryError, match=r"another run \(target: model offers"):
        score(passages, FakeBackend(0), attacks=["min_k++"], out=tmp_path / "run")


# Types


@pytest.mark.parametrize("name", [name for name in ATTACKS if "samples" not in ATTACKS[name].evidence])
def test_an_attack_reads_only_what_its_types_name(name: str) -> None:
    """A second proof besides mypy's: fields that the types do not name are NaN, and the score is the same."""
    registered = ATTACKS[name]
    rng = np.random.default_rng(3)
    whole = [
        TokenSignals.of(
            -rng.exponential(2.0, 9), mean=-rng.exponential(2.0, 9) - 0.1, std=rng.random(9) + 0.5,
            top=-rng.random(9), rank=rng.integers(0, 5, 9), token_ids=rng.integers(0, 3, 9), tokenizer="a",
        )
        for _ in range(3)
    ]  # fmt: skip
    needed = set().union(*registered.fields.values())
    lacking = {field: (-1 if field == "rank" else np.nan) for field in FIELDS if field not in needed}
    limited = [TokenSignals.of(**{**arrays(signals), **lacking}, tokenizer="a") for signals in whole]
    assert registered.score(evidence_of(registered.evidence, limited)) == registered.score(
        evidence_of(registered.evidence, whole)
    )


def arrays(signals: TokenSignals) -> dict[str, Any]:
    return {field: getattr(signals, field) for field in ("token_ids", *FIELDS)}


def evidence_of(names: tuple[str, ...], signals: list[TokenSignals]) -> dict[str, object]:
    other: dict[str, object] = {
        "neighbours": tuple(signals), "swapped": tuple(signals), "text": "a text",
        "population": Population(np.array([-2.0, -3.0]), np.array([-2.5, -2.5])),
        "gain_null": GainNull(np.array([0]), np.array([0.25])),
        "shadows": ShadowLikelihoods(np.array([-2.0, -3.0]), np.array([True, False]), 0.5, 0.5),
        "shadow_population": ShadowPopulation(
            np.array([-2.5]), np.array([[-2.0, -3.0]]), np.array([[True, False]])
        ),
        "frequencies": TokenFrequencies(np.array([3, 1, 0]), "a"),
    }  # fmt: skip
    return {name: other.get(name, signals[0 if name == "target" else 1]) for name in names}


def test_without_annotations_an_attack_needs_every_field() -> None:
    @attack("bare", paper="nobody")
    def bare(target, text, *, k=1.0):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return k

    @attack("typed", paper="nobody")
    def typed(target: Likelihoods) -> float:
        return 0.0

    try:
        assert parse_attack("bare:k=2").fields == {"target": set(FIELDS)}
        assert parse_attack("typed").fields == {"target": {"logprob"}}
        names = [chosen.name for chosen in attacks_for((), LoadedSupplies(), {"target": {"logprob"}}).attacks]
        assert "typed" in names
        assert "bare" not in names
    finally:
        del ATTACKS["bare"], ATTACKS["typed"]


def test_every_attack_here_has_types() -> None:
    for registered in ATTACKS.values():
        for name in registered.evidence:
            assert inspect.signature(registered.function).parameters[name].annotation is not inspect.Parameter.empty
