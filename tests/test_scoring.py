"""What lies around the model: no text is scored twice, no model is compared with itself, and all of it is reported."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from llm_mia import ModelSpec, Supplies, TokenSignals, read_passages, score
from llm_mia.attacks import ATTACKS, Attack, LoadedSupplies
from llm_mia.backends import Report
from llm_mia.backends.fake import FakeBackend
from llm_mia.errors import RunDirectoryError, UsageError
from llm_mia.passages import Passages
from llm_mia.records import BlockSize, IntArray, Window
from llm_mia.scoring import attacks_for, score_to_disk
from llm_mia.signals import Limits, SignalsCache, Step

from .conftest import sentences

LISTS = ("token_ids", "logprob", "mean", "std", "top", "rank")
# Capitals and all, no two alike.
TEXTS = [f"{i} {text}" for i, text in enumerate(sentences(60, seed=12))]


class Noting(FakeBackend):
    """Notes the windows that it is asked for, call by call."""

    def __init__(self, seed: int = 0, **options: Any) -> None:
        super().__init__(seed, **options)
        self.calls: list[list[bytes]] = []

    def score(
        self, windows: Sequence[Window], report: Report | None = None, *, prefix: IntArray | None = None
    ) -> list[TokenSignals]:
        self.calls.append([bytes(window.tokens.astype(np.uint8)) for window in windows])
        return super().score(windows, report, prefix=prefix)

    @property
    def texts(self) -> list[str]:
        return [text.decode() for call in self.calls for text in call]


@pytest.fixture
def source(write_jsonl: Callable[..., str]) -> Callable[[Sequence[str]], Passages]:
    def make(texts: Sequence[str]) -> Passages:
        return read_passages(write_jsonl("in.jsonl", [{"id": f"p{i}", "text": text} for i, text in enumerate(texts)]))

    return make


Source = Callable[[Sequence[str]], Passages]


# Four passages in a block, a block in a part.
SMALL = Limits(block_passages=4, part_seconds=0.0)


def stored(run: Path, name: str) -> list[dict[str, Any]]:
    parts = sorted((run / "signals" / name).glob("part-*"))
    return [row for part in parts for row in pq.read_table(part).to_pylist()]


# Nothing twice


def test_a_text_that_stands_more_than_once_is_scored_once(source: Source, tmp_path: Path) -> None:
    rng = random.Random(3)
    texts = [*TEXTS[:10], *rng.choices(TEXTS[:20], k=40)]
    model = Noting()
    table = score(source(texts), model, attacks=["loss"], out=tmp_path / "run", limits=SMALL)
    assert sorted(model.texts) == sorted(set(texts))
    by_text = {text: FakeBackend().score([Window(FakeBackend().encode([text])[0], 1)])[0] for text in texts}
    for row, text, loss in zip(stored(tmp_path / "run", "target"), texts, table.column("loss"), strict=True):
        for name in LISTS:
            np.testing.assert_array_equal(row[name], getattr(by_text[text], name))
        assert loss == ATTACKS["loss"].score({"target": by_text[text]})


def test_what_cannot_be_held_is_scored_again_and_a_run_that_continues_does_the_same(
    source: Source, tmp_path: Path
) -> None:
    """Room for about three texts: how often each is scored depends on the input alone."""
    limits = replace(SMALL, cached_bytes=5 * 1024)
    texts = random.Random(4).choices(TEXTS[:12], k=80)
    undisturbed = Noting()
    score(source(texts), undisturbed, attacks=["loss"], out=tmp_path / "undisturbed", limits=limits)
    assert len(set(texts)) < len(undisturbed.texts) < 80
    for stop in range(8, 80, 12):
        out = tmp_path / f"stopped-{stop}"

        def interrupt(step: Step, after: int = stop) -> None:
            if step.passages >= after:
                raise KeyboardInterrupt

        first, second = Noting(), Noting()
        with pytest.raises(KeyboardInterrupt):
            score(source(texts), first, attacks=["loss"], out=out, limits=limits, progress=interrupt)
        kept = len(stored(out, "target"))
        assert 0 < kept < 80
        score(source(texts), second, attacks=["loss"], out=out, limits=limits)
        assert second.calls == undisturbed.calls[-len(second.calls) :], "the same batches, where it goes on"
        assert stored(out, "target") == stored(tmp_path / "undisturbed", "target")
        assert (out / "scores.parquet").read_bytes() == (tmp_path / "undisturbed/scores.parquet").read_bytes()


def test_the_oldest_leaves_first() -> None:
    def signals(n: int) -> TokenSignals:
        floats, ints = np.zeros(2 * n, np.float32)[:n], np.zeros(2 * n, np.int32)[:n]
        return TokenSignals(ints, floats, floats, floats, floats, ints)

    held = SignalsCache(10 * (8 * 100 + 1024))
    for i in range(10):
        held.add(f"d{i}", 100, signals(100))
        held.add("d0", 5, signals(5))
    first = held.get("d0")
    assert first is not None
    assert len(first) == 100
    assert first.logprob.base is None, "a copy, or it would keep its whole batch"
    held.add("another", 100, signals(100))
    assert [held.get(name) is None for name in ("d0", "d1", "another")] == [True, False, False]
    held.add("too large for all", 50_000, signals(50_000))
    assert [held.get(name) for name in ("d1", "another", "too large for all")] == [None] * 3


def test_a_text_without_capitals_is_not_scored_again_in_lower_case(source: Source, tmp_path: Path) -> None:
    texts = [text.lower() if i % 3 else text for i, text in enumerate(TEXTS)]
    model = Noting()
    score(source(texts), model, attacks=["lowercase"], out=tmp_path / "run", limits=SMALL)
    assert model.texts == texts + [text.lower() for text in texts if text != text.lower()]
    target, lowered = stored(tmp_path / "run", "target"), stored(tmp_path / "run", "lowered")
    for i, text in enumerate(texts):
        assert (target[i] == lowered[i]) == (text == text.lower())
        assert lowered[i]["token_ids"] == list(text.lower().encode())[1:]


def test_in_lower_case_alone_every_text_is_scored(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signals of the texts as they stand may be another model's, where nobody asks for them now."""

    def lower_loss(lowered: TokenSignals) -> float:
        return float(lowered.logprob.mean())

    monkeypatch.setitem(ATTACKS, "low", Attack("low", lower_loss, "", ("lowered",)))
    texts = [text.lower() for text in TEXTS]
    score(source(texts), FakeBackend(1), attacks=["loss"], out=tmp_path / "run", limits=SMALL)
    model = Noting()
    table = score(source(texts), model, attacks=["low"], out=tmp_path / "run", limits=SMALL)
    assert model.texts == texts
    assert list(table.columns) == ["loss", "low"], "the column of the first call stays"
    alone = score(source(texts), model, attacks=["low"], out=tmp_path / "alone")
    assert list(alone.columns) == ["low"]
    assert pq.read_table(tmp_path / "alone/scores.parquet").column("n_tokens").null_count == len(texts)


def test_an_attack_on_the_text_alone_needs_no_pass(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def length(text: str) -> float:
        return float(len(text))

    monkeypatch.setitem(ATTACKS, "length", Attack("length", length, "", ("text",)))
    table = score(source(TEXTS), ModelSpec("never loaded"), attacks=["length"], out=tmp_path / "run")
    assert table.column("length").tolist() == [len(text) for text in TEXTS]


def test_a_block_in_which_nothing_can_be_scored(source: Source, tmp_path: Path) -> None:
    table = score(source(["a", "b"]), Noting(), attacks=["loss"], out=tmp_path / "run")
    assert np.isnan(table.column("loss")).all()


# A model against itself

REFUSED = "the reference model is the target model itself, so a comparison of the two shows nothing"


def test_a_reference_that_is_the_target_is_refused_before_anything_is_scored(source: Source, tmp_path: Path) -> None:
    target, reference = Noting(0), Noting(0)
    with pytest.raises(UsageError, match=REFUSED):
        score(source(TEXTS), target, reference, out=tmp_path / "run")
    assert not target.calls
    assert not (tmp_path / "run").exists()
    with pytest.raises(UsageError, match=REFUSED):  # an attack that takes no reference is compared with it, too
        score(source(TEXTS), target, reference, attacks=["loss"], out=tmp_path / "run")
    other = Noting(0, context=512)
    score(source(TEXTS), target, other, window_tokens=512, attacks=["reference"], out=tmp_path / "other")


def test_two_names_of_one_model(tiny: str, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in Path(tiny).iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    # Its files say it already, but for the dtype, which "auto" leaves open.
    with monkeypatch.context() as patch:
        patch.setattr("llm_mia.backends.loading.load_model", None)
        with pytest.raises(UsageError, match=REFUSED):
            score(source(TEXTS), tiny, copy, out=tmp_path / "run")
    float32 = ModelSpec(copy, dtype="float32")
    with pytest.raises(UsageError, match=REFUSED):
        score(source(TEXTS[:3]), ModelSpec(tiny, dtype="float32"), float32, out=tmp_path / "run")
    (copy / "config.json").write_text((copy / "config.json").read_text() + "\n")
    with pytest.raises(UsageError, match=REFUSED):
        score(source(TEXTS[:3]), ModelSpec(tiny, dtype="float32"), float32, out=tmp_path / "run")
    assert list(json.loads((tmp_path / "run/run.json").read_text())["passes"]) == ["target"]
    score(source(TEXTS[:3]), ModelSpec(tiny, dtype="bfloat16"), float32, out=tmp_path / "two precisions")


# Blocks


@pytest.mark.parametrize(
    ("tokens", "expected"), [(1, 65_536), (512, 65_536), (1024, 131_072), (16_384, 2_097_152), (10**9, 2_097_152)]
)
def test_a_block_goes_by_what_the_model_likes(tokens: int, expected: int) -> None:
    assert Limits().block_size(tokens) == BlockSize(4096, expected, tokens)
    assert Limits().block_size(tokens, rewritten_by_model=True) == BlockSize(4096, expected // 8, tokens)


def test_a_run_that_continues_keeps_its_blocks(source: Source, tmp_path: Path) -> None:
    """Or another machine, with room for larger batches, would make others."""
    texts = [f"{i} " + "words " * 150 for i in range(400)]
    small, large = Noting(), Noting()
    small.tokens_per_batch, large.tokens_per_batch = 512, 4096
    score(source(texts[:100]), small, attacks=["loss"], out=tmp_path / "run")
    score(source(texts), large, attacks=["loss"], out=tmp_path / "run")
    assert {len(call) for call in large.calls} == {1}, "512 tokens at once hold one of these texts, 4096 hold four"
    assert json.loads((tmp_path / "run/run.json").read_text())["passes"]["target"]["block"] == {
        "passages": 4096,
        "bytes": 65_536,
        "batch_tokens": 512,
    }


# What is reported


def test_progress(source: Source, tmp_path: Path) -> None:
    texts = [*TEXTS, *[text.lower() for text in TEXTS], *TEXTS[:5]]
    n_bytes, n_tokens = (sum(len(text.encode()) - less for text in texts) for less in (0, 1))
    for turn in range(2):
        steps: list[Step] = []
        done = score_to_disk(
            source(texts), Noting(0), Noting(1), attacks=["all"], supplies=Supplies(neighbours=1),
            out=tmp_path / "run", limits=SMALL, progress=steps.append,
        )  # fmt: skip
        for name in ("target", "lowered", "reference", "scores"):
            mine = [step for step in steps if step.name == name]
            last = mine[-1]
            assert (last.passages, last.tokens, last.bytes) == (len(texts), n_tokens, n_bytes)
            assert {(step.total_passages, step.total_bytes) for step in mine} == {(len(texts), n_bytes)}
            for before, after in pairwise(mine):
                assert before.passages <= after.passages
                assert before.tokens <= after.tokens
                assert before.bytes <= after.bytes
            assert len(mine) <= (70, 3)[turn], "what is stored is reported at once"
    assert (done.passages, done.candidates, done.members, done.nonmembers, done.unscored) == (125, 125, 0, 0, 0)
    both = LoadedSupplies(("target", "reference"))
    assert done.attacks == tuple(chosen.name for chosen in attacks_for(["all"], both).attacks)


def test_input_that_grows_while_it_is_scored(source: Source, tmp_path: Path) -> None:
    passages = source(TEXTS)
    more = [{"id": f"q{i}", "text": text} for i, text in enumerate(TEXTS)]

    def grow(step: Step) -> None:
        if step.name == "scores" and step.passages == 0:
            with Path(passages.name).open("a") as file:
                file.writelines(json.dumps(row) + "\n" for row in more)

    with pytest.raises(RunDirectoryError, match="the input grew while it was scored; run the same command again"):
        score(passages, FakeBackend(), attacks=["loss"], out=tmp_path / "run", progress=grow)
    assert len(score(passages, FakeBackend(), attacks=["loss"], out=tmp_path / "run")) == 2 * len(TEXTS)


def test_the_run_directory_is_not_among_the_texts(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("The river bends under a stone bridge.", encoding="utf-8")
    for out in (folder, folder / "run"):
        with pytest.raises(UsageError, match="lies in the folder that is read"):
            score(read_passages(folder), FakeBackend(0), attacks=["loss"], out=out)
    assert [path.name for path in folder.iterdir()] == ["a.txt"]
    score(read_passages(folder), FakeBackend(0), attacks=["loss"], out=folder / ".run")  # hidden, so it is not read
