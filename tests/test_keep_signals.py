"""What a run keeps of its signals: the same scores, less disk, and whoever reads what is gone is refused in a line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_mia import estimate, read_scores, score, write_signals
from llm_mia.attacks import ATTACKS, Likelihoods, attack, parse_attack
from llm_mia.backends.fake import FakeBackend
from llm_mia.errors import RunDirectoryError, UsageError
from llm_mia.passages import Passages
from llm_mia.records import KeptSignals
from llm_mia.scores import ScoreTable
from llm_mia.scoring import score_to_disk
from llm_mia.signals import Limits, Supplies, sharing
from llm_mia.store import read_run, read_signals

from .conftest import sentences
from .test_sharing import TEXTS as REPEATED, OfBatches, ToWorkers
from .test_store import Counting, everything, refusal

TEXTS = [*sentences(30, seed=8), *sentences(4, seed=8), "x"]
SMALL = Limits(block_passages=8, part_tokens=400)


def scored(
    out: Path, kept: str | None = None, *attacks: str, model: FakeBackend | None = None, **more: Any
) -> ScoreTable:
    options: dict[str, Any] = {"attacks": attacks or ["loss"], "limits": SMALL, "reference": FakeBackend(1), **more}
    return score(TEXTS, model or FakeBackend(0), out=out, keep_signals=kept, **options)


def columns(table: ScoreTable) -> dict[str, bytes]:
    others = {f"{name}@{role}": column for role, of_role in table.others.items() for name, column in of_role.items()}
    return {name: np.asarray(column).tobytes() for name, column in {**table.columns, **others}.items()}


def size(out: Path) -> int:
    return sum(path.stat().st_size for path in out.rglob("part-*"))


# What is kept


@pytest.mark.parametrize(
    ("attacks", "fields"),
    [
        (["loss", "zlib"], ("logprob",)),
        (["min_k++"], ("logprob", "mean", "std", "top")),
        (["camia", "wbc"], ("token_ids", "logprob")),
        (["ez", "lowercase"], ("logprob", "rank")),
        (["min_k++", "ez", "camia"], None),
    ],
    ids=str,
)
def test_the_scores_are_the_same_and_the_disk_holds_less(
    attacks: list[str], fields: tuple[str, ...] | None, tmp_path: Path
) -> None:
    tables = {kept: scored(tmp_path / kept, kept, *attacks) for kept in KeptSignals}
    assert columns(tables[KeptSignals.SCORES]) == columns(tables[KeptSignals.FULL]) == columns(tables[KeptSignals.NONE])
    records = {kept: read_run(tmp_path / kept) for kept in KeptSignals}
    assert records[KeptSignals.SCORES].passes["target"].kept_fields == fields
    assert {made_by.kept_fields for made_by in records[KeptSignals.NONE].passes.values()} == {()}
    sizes = [size(tmp_path / kept) for kept in KeptSignals]
    assert sizes[0] > sizes[1] > sizes[2] or (fields is None and sizes[0] >= sizes[1] > sizes[2])
    stored = [list(read_signals(tmp_path / kept, "target", ()).text_digests()) for kept in KeptSignals]
    assert stored[0] == stored[1] == stored[2]


ALONE = [
    name for name in ATTACKS if {"target", "text", "reference", "aligned_reference"}.issuperset(ATTACKS[name].evidence)
]


@pytest.mark.parametrize("name", ALONE)
def test_each_attack_reads_only_what_it_declares(name: str, tmp_path: Path) -> None:
    """A planted fault is in the next test: an attack that reads more has other scores."""
    kept, full = (scored(tmp_path / kept, kept, name) for kept in ("scores", "full"))
    assert columns(kept) == columns(full)


def test_an_attack_that_reads_more_than_it_declares_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def repeated(target: Likelihoods) -> float:
        """Distinct tokens."""
        return float(len(np.unique(target.token_ids)))  # type: ignore[attr-defined]

    monkeypatch.setattr(repeated, "__module__", "llm_mia.attacks.planted")
    attack("planted", paper="none")(repeated)
    try:
        kept, full = (columns(scored(tmp_path / kept, kept, "planted")) for kept in ("scores", "full"))
        assert kept["planted"] == full["planted"]
        declared = np.frombuffer(full["planted"])
        assert set(declared[np.isfinite(declared)].tolist()) == {1.0}  # −1 each: in every run, so any test notices
        monkeypatch.setattr(repeated, "__module__", "elsewhere")  # mypy has not checked that of another package
        assert "token_ids" in parse_attack("planted").reads("target")
        counts = np.frombuffer(columns(scored(tmp_path / "foreign", "scores", "planted"))["planted"])
        assert np.nanmax(counts) > 1
    finally:
        del ATTACKS["planted"]


def test_a_record_without_the_field_keeps_everything(tmp_path: Path) -> None:
    scored(tmp_path / "run")
    path = tmp_path / "run/run.json"
    record = json.loads(path.read_text())
    for made_by in record["passes"].values():
        del made_by["kept_fields"]
    path.write_text(json.dumps(record))
    assert read_run(tmp_path / "run").kept_signals is KeptSignals.FULL
    model = Counting(0)
    assert list(scored(tmp_path / "run", None, "min_k++", model=model).columns) == ["loss", "min_k++"]
    assert model.windows == 0


def test_the_estimate_is_of_what_is_kept(tmp_path: Path) -> None:
    of_each = {
        kept: estimate(score, TEXTS, FakeBackend(0), attacks=["loss"], out=tmp_path / "run", keep_signals=kept)
        for kept in KeptSignals
    }
    assert of_each[KeptSignals.FULL].bytes_on_disk > 2 * of_each[KeptSignals.SCORES].bytes_on_disk
    assert [each.kept_signals for each in of_each.values()] == list(KeptSignals)
    assert not (tmp_path / "run").exists()


# The same folder again


def test_a_finished_run_computes_nothing_and_says_the_same(tmp_path: Path) -> None:
    first = scored(tmp_path / "run", "none", "loss", "zlib")
    before, model = everything(tmp_path / "run"), Counting(0)
    for kept in ("none", None):
        assert columns(scored(tmp_path / "run", kept, "loss", "zlib", model=model)) == columns(first)
    assert model.windows == 0
    assert everything(tmp_path / "run") == before


def test_a_run_that_is_stopped_at_any_instant_is_finished_by_the_same_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file is put in its place by a rename, so the instants between renames are all that a kill may leave."""
    whole, rename = scored(tmp_path / "whole", "none", "loss", "lowercase"), Path.replace
    expected = {name: size(tmp_path / "whole/signals" / name) for name in ("target", "lowered", "reference")}
    for stop in range(100):
        left = iter(range(stop))

        def replace_file(self: Path, target: Path, left: Any = left) -> Path:
            if next(left, None) is None:
                raise KeyboardInterrupt
            return rename(self, target)

        out = tmp_path / f"run-{stop}"
        monkeypatch.setattr(Path, "replace", replace_file)
        try:
            scored(out, "none", "loss", "lowercase")
            stopped = False
        except KeyboardInterrupt:
            stopped = True
        monkeypatch.setattr(Path, "replace", rename)
        all_scored = (out / "scores.parquet").exists()
        model = Counting(0)
        assert columns(scored(out, "none", "loss", "lowercase", model=model)) == columns(whole)
        assert model.windows == 0 or not all_scored
        assert {made_by.kept_fields for made_by in read_run(out).passes.values()} == {()}
        assert {name: size(out / "signals" / name) for name in expected}.keys() == expected.keys()
        assert size(out) < 1.5 * size(tmp_path / "whole")
        if not stopped:
            break
    assert 12 < stop < 99


def test_nothing_is_removed_that_is_not_asked_for(tmp_path: Path) -> None:
    scored(tmp_path / "run", "full", "loss", "min_k++")
    before = everything(tmp_path / "run")
    scored(tmp_path / "run", None)
    assert everything(tmp_path / "run") == before
    scored(tmp_path / "run", "scores")  # the columns of the earlier call count, too
    assert read_run(tmp_path / "run").passes["target"].kept_fields == ("logprob", "mean", "std", "top")
    less = size(tmp_path / "run")
    assert less < sum(len(content) for name, content in before.items() if "part-" in name)
    scored(tmp_path / "run", "none")
    assert size(tmp_path / "run") < less / 2
    assert list(read_scores(tmp_path / "run").columns) == ["loss", "min_k++"]


def test_signals_that_no_attack_of_the_call_reads_stay(tmp_path: Path) -> None:
    scored(tmp_path / "run", "full", "loss", "lowercase")
    done = score_to_disk(
        TEXTS, FakeBackend(0), FakeBackend(1), attacks=["loss"], out=tmp_path / "run", keep_signals="none"
    )
    assert done.notes[-1] == "the signals of lowered stay: they are of passes that no attack of this call reads"
    assert read_run(tmp_path / "run").passes["lowered"].kept_fields is None


def scored_without_table(out: Path) -> None:
    (out / "scores.parquet").unlink()
    scored(out, model=Counting(0))


def refusals(out: Path) -> dict[str, Callable[[], object]]:
    changed = [*TEXTS[:3], TEXTS[3] + " ", *TEXTS[4:]]
    return {
        "another attack": lambda: scored(out, None, "min_k++", model=Counting(0)),
        "another attack, none": lambda: scored(out, "none", "loss", "min_k++", model=Counting(0)),
        "full": lambda: scored(out, "full", model=Counting(0)),
        "another input": lambda: score(TEXTS[:-1], Counting(0), FakeBackend(1), attacks=["loss"], out=out),
        "another text": lambda: score(changed, Counting(0), FakeBackend(1), attacks=["loss"], out=out),
        "signals alone": lambda: write_signals(TEXTS, Counting(0), out=out),
        "reader": lambda: read_signals(out, "target"),
        "no table": lambda: scored_without_table(out),
    }


WHAT_TO_DO = (
    "score again into another folder, and set `keep_signals` to full",
    "another folder, or leave out `keep_signals`",
)
NONE_SAYS = {
    "another attack": "the signals of target were not kept (`keep_signals`: none), which min_k++ needs; ",
    "another attack, none": "the signals of target were not kept (`keep_signals`: none), which min_k++ needs; ",
    "full": "holds less of the signals (`keep_signals`: none) than full, and the rest is gone; ",
    "another input": "its scores are of another input, and the signals of target were not kept (`keep_signals`: none)",
    "another text": "holds signals of ",
    "signals alone": "the signals of target were not kept (`keep_signals`: none); ",
    "reader": "the signals of target were not kept (`keep_signals`: none); ",
    "no table": "its scores.parquet is missing or damaged, and the signals of target were not kept (",
}


@pytest.mark.parametrize("what", NONE_SAYS)
def test_what_needs_the_signals_is_refused_in_a_line(what: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    scored(out, "none")
    before = everything(out)
    message = refusal(refusals(out)[what])
    assert message.startswith(f"{out}: {NONE_SAYS[what]}")
    assert message.endswith((*WHAT_TO_DO, "name another folder"))
    assert everything(out) == {name: content for name, content in before.items() if Path(name).exists()}


def test_what_the_attacks_did_not_read_is_refused_by_name(tmp_path: Path) -> None:
    out, model = tmp_path / "run", Counting(0)
    scored(out, "scores")
    expected = (
        f"{out}: the signals of target hold only logprob (`keep_signals`: scores), not mean, std, top, which min_k++ "
        "needs; to have them, score again into another folder, and set `keep_signals` to full"
    )
    assert refusal(lambda: scored(out, None, "min_k++", model=model)) == expected
    assert "hold only logprob (`keep_signals`: scores), not token ids" in refusal(lambda: scored(out, None, "camia"))
    assert "holds less of the signals (`keep_signals`: scores)" in refusal(lambda: scored(out, "full"))
    assert list(scored(out, None, "win_k", model=model).columns) == ["loss", "win_k"]  # reads what is there
    assert model.windows == 0
    with pytest.raises(UsageError, match="`keep_signals` is 'all': it must be one of full, scores, none"):
        scored(out, "all")


def test_a_reader_gets_only_what_it_names(tmp_path: Path) -> None:
    """So a reader that names too little fails where everything is kept, and not only where little is."""
    scored(tmp_path / "run", "full")
    (chunk, *_) = read_signals(tmp_path / "run", "target", ("logprob",)).chunks()
    signals = chunk.signals(0)
    assert np.isfinite(signals.logprob).all()
    assert np.isnan(signals.mean).all()
    assert set(signals.rank.tolist()) == set(signals.token_ids.tolist()) == {-1}
    (keys, *_) = read_signals(tmp_path / "run", "target", ()).chunks()
    assert keys.n_tokens.tolist() == chunk.n_tokens.tolist()
    with pytest.raises(KeyError):
        keys.signals(0)


def test_a_part_that_lacks_what_the_record_names_is_refused(tmp_path: Path) -> None:
    for kept in ("full", "none"):
        scored(tmp_path / kept, kept)
    (part, *_) = (tmp_path / "none/signals/target").glob("part-*")
    (tmp_path / "full/signals/target" / part.name).write_bytes(part.read_bytes())
    with pytest.raises(RunDirectoryError, match=r"damaged \(it lacks the columns token_ids, logprob"):
        list(read_signals(tmp_path / "full", "target"))


def test_the_same_passages_in_other_files_are_known_by_their_texts(tmp_path: Path) -> None:
    """As after `score` of a single file, with several processes, and then `audit` of its parts."""
    rows = [{"id": f"p{at}", "text": text} for at, text in enumerate(TEXTS)]
    options: dict[str, Any] = {"attacks": ["loss"], "out": tmp_path / "run"}
    whole = score(rows, FakeBackend(0), keep_signals="none", **options)
    parts = [Passages.of(rows[:9], name="a", label=0), Passages.of(rows[9:], name="b")]
    model = Counting(0)
    divided = score(parts, model, **options)
    assert (columns(divided), model.windows) == (columns(whole), 0)
    assert divided.rows(0).tolist() == list(range(9))
    shorter = [{**row, "text": row["text"][:-1] + "!"} if at == 5 else row for at, row in enumerate(rows)]
    before = everything(tmp_path / "run")
    assert "holds signals of 'p5'" in refusal(lambda: score(shorter, model, **options))
    assert everything(tmp_path / "run") == before


# Others who compute


def test_workers_that_know_nothing_of_the_run_compute_what_is_kept(tmp_path: Path) -> None:
    def run(out: Path) -> list[bytes]:
        model = OfBatches(0)
        score(REPEATED, model, attacks=["loss", "lowercase"], out=out, keep_signals="scores", limits=SMALL)
        folders = [read_signals(out, name, ("logprob",)) for name in ("target", "lowered")]
        return [row.signals.logprob.tobytes() for folder in folders for row in folder]

    alone = run(tmp_path / "alone")
    with sharing(ToWorkers(OfBatches(0))):
        assert run(tmp_path / "shared") == alone
    assert read_run(tmp_path / "shared").passes["target"].kept_fields == ("logprob",)


def test_a_supply_that_is_read_once_is_read_from_what_is_kept(tmp_path: Path) -> None:
    supplies = Supplies(population=Passages.of(sentences(12, seed=99)))
    full, kept = (scored(tmp_path / kept, kept, "rmia", "info_rmia", supplies=supplies) for kept in ("full", "scores"))
    assert columns(full) == columns(kept)
    assert read_run(tmp_path / "scores").passes["population_target"].kept_fields == ("logprob",)
    again = scored(tmp_path / "scores", "none", "rmia", "info_rmia", supplies=supplies, model=Counting(0))
    assert columns(again) == columns(full)
