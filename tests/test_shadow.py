"""Shadow models of tiny models: what is stored is true, they know what they were shown, and a killed call continues."""

from __future__ import annotations

import hashlib
import json
import math
import multiprocessing
import os
import shutil
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_mia.attacks import choose_shadows
from llm_mia.backends import ModelSpec
from llm_mia.defenses import defend
from llm_mia.errors import AttackError, InputError, LlmMiaError, ModelError, RunDirectoryError, UsageError
from llm_mia.metrics import auroc
from llm_mia.passages import Passages
from llm_mia.scoring import score_to_disk
from llm_mia.shadow import Shadows, ShadowsPlan, ShadowsRecord, plan_shadows, read_shadows, shadow_table, train_shadows
from llm_mia.signals import Step, signals_of
from llm_mia.store import RunDirectory, differences, from_json, read_run, read_signals, to_json
from llm_mia.training import EarlyStopping, Method, Recipe, read_training
from tests.conftest import sentences

RECIPE = Recipe(Method.FULL, epochs=5, batch_size=10, learning_rate=2e-2)
DOCUMENTS, PER_DOCUMENT = 10, 2


def rows(seed: int = 30) -> list[dict[str, str]]:
    texts = iter(sentences(DOCUMENTS * PER_DOCUMENT, seed=seed))
    return [
        {"id": f"{at}-{part}", "document": f"doc {at}", "text": next(texts), "label": "1"}
        for at in range(DOCUMENTS)
        for part in range(PER_DOCUMENT)
    ]


def pool(seed: int = 30) -> Passages:
    return Passages.of(rows(seed), name="pool")


@pytest.fixture(scope="module")
def shadows(tiny: str, tmp_path_factory: pytest.TempPathFactory) -> Shadows:
    return train_shadows(pool(), tiny, out=tmp_path_factory.mktemp("shadows"), shadows=4, recipe=RECIPE)


def contents(folder: Path) -> dict[str, str]:
    """The digest of each file of weights, signals and text in a folder of shadow models."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in (".lock", "run.json")]
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.name not in ("training.json", "shadows.json")  # they hold times
    }


@pytest.mark.slow
def test_shadows_that_are_trained_at_the_same_time_are_the_same(shadows: Shadows, tiny: str, tmp_path: Path) -> None:
    train_shadows(pool(), tiny, out=tmp_path / "shadows", shadows=4, recipe=RECIPE, processes=2)
    assert contents(tmp_path / "shadows") == contents(shadows.path)


def test_passes_that_run_at_the_same_time_are_the_same_after_a_process_was_killed(
    shadows: Shadows, tiny: str, tmp_path: Path
) -> None:
    """Of a folder of trained shadows all passes but the first are missing; one of the first two to run is killed."""
    out, first = tmp_path / "shadows", shadows.roles[0]
    shutil.copytree(shadows.path, out)
    before = read_run(shadows.path)
    with RunDirectory(out) as run:
        run.update(passes={first: before.passes[first]}, wall_seconds={first: 1.0})
    for folder in (out / "signals").iterdir():
        if folder.name != first:
            shutil.rmtree(folder)

    def kill() -> None:
        while not (running := multiprocessing.active_children()):
            time.sleep(0.01)
        os.kill(running[0].pid or 0, signal.SIGKILL)

    killing = threading.Thread(target=kill)
    killing.start()
    steps: list[Step] = []

    def train() -> None:
        train_shadows(pool(), tiny, out=out, shadows=4, recipe=RECIPE, processes=2, progress=steps.append)

    with pytest.raises(ModelError, match=r"^shadow-0[12]: the process that read the pool by it was killed by signal 9"):
        train()
    killing.join()
    assert not multiprocessing.active_children()
    train()
    assert contents(out) == contents(shadows.path)
    after = read_run(out)
    assert not [*differences(before.passes, after.passes)]
    assert after.wall_seconds.keys() == before.passes.keys()
    last = next(step for step in reversed(steps) if step.name == "signals of 4 models")
    assert (last.passages, last.bytes, last.kept) == (4 * 20, last.total_bytes, 4 * 20)


def test_models_are_loaded_as_they_were_trained(tiny: str, shadows: Shadows) -> None:
    """How texts are read is kept; code from a repository runs only where it is allowed again."""
    base = ModelSpec(tiny, trust_remote_code=True, templated=True)
    plan = plan_shadows(pool(), base, shadows=4, recipe=RECIPE)
    kept = Shadows(shadows.path, replace(shadows.record, plan=plan))
    with pytest.raises(UsageError, match="`trust_remote_code`"):
        kept.models()
    with pytest.raises(UsageError, match="`trust_remote_code`"):
        kept.reference()
    for spec in (*kept.models(trust_remote_code=True).values(), kept.reference(trust_remote_code=True)):
        assert spec is not None
        assert (spec.trust_remote_code, spec.templated, spec.dtype) == (True, True, shadows.record.dtype)
    assert not any(spec.trust_remote_code for spec in shadows.models(trust_remote_code=False).values())


def test_the_record_is_true(shadows: Shadows, tiny: str) -> None:
    record, plan = shadows.record, shadows.record.plan
    assert record == from_json(ShadowsRecord, to_json(record)) == read_shadows(shadows.path).record
    assert plan == plan_shadows(pool(), tiny, shadows=4, recipe=RECIPE)
    assert from_json(ShadowsPlan, (shadows.path / "split.json").read_text()) == plan
    assert (plan.base, plan.pool, plan.passages, plan.joined) == (tiny, "pool", 20, 0)
    assert shadows.roles == ("shadow-00", "shadow-01", "shadow-02", "shadow-03")
    texts = [row["text"] for row in rows()]
    for number, shadow in enumerate(record.shadows):
        training = read_training(shadows.path / "models" / shadow.role)
        members = [row["text"] for row in rows() if plan.inside[row["document"]][number] == "1"]
        assert (shadow.documents, shadow.passages) == (DOCUMENTS // 2, len(members)) == (5, training.texts)
        assert training.recipe == Recipe(**{**vars_of(RECIPE), "seed": 1 + number})
        assert training.texts_sha256 == hashlib.sha256("\0".join(members).encode()).hexdigest()
        losses = [-float(of.logprob.mean()) for of in signals_of(shadows.models()[shadow.role], texts)]
        inside = [loss for loss, text in zip(losses, texts, strict=True) if text in members]
        outside = [loss for loss, text in zip(losses, texts, strict=True) if text not in members]
        # Documents have equally many passages, so the mean over documents is that over passages. 1e-5 is the rounding
        # of float32 logits of magnitude 10 in another batch.
        assert shadow.loss_in == pytest.approx(np.mean(inside), abs=1e-5)
        assert shadow.loss_out == pytest.approx(np.mean(outside), abs=1e-5)
        assert shadow.gap.low < shadow.gap.value == shadow.loss_out - shadow.loss_in < shadow.gap.high
        assert shadow.gap.value > 0.3, "it knows what it was shown"
    assert shadows.reference() is not None


def vars_of(recipe: Recipe) -> dict[str, Any]:
    return {name: getattr(recipe, name) for name in Recipe.__dataclass_fields__}


def test_the_supply_holds_the_split_the_spreads_and_the_population(shadows: Shadows) -> None:
    supply, likelihoods = shadows.supply(), shadows.mean_logprobs
    inside = np.array([supply.memberships(row["text"]) for row in rows()])
    assert (inside.sum(axis=1) == 2).all()
    assert not supply.memberships("another text").any()
    deviations = [
        likelihoods[at, kind] - likelihoods[at, kind].mean() for at in range(20) for kind in (inside[at], ~inside[at])
    ]
    # Two shadows of a kind: one degree of freedom a passage.
    assert supply.spread_in == pytest.approx(math.sqrt(sum(np.square(d).sum() for d in deviations[::2]) / 20))
    assert supply.spread_out == pytest.approx(math.sqrt(sum(np.square(d).sum() for d in deviations[1::2]) / 20))
    assert (supply.spread_in, supply.spread_out) == (shadows.record.spread_in, shadows.record.spread_out)
    assert [passage.text for passage in supply.population] == [row["text"] for row in rows()]
    assert (supply.population_logprob == likelihoods).all()
    assert supply.sha256 == read_shadows(shadows.path).sha256()
    assert shadows.holds(pool())
    assert not shadows.holds(Passages.of(["another text"]))


def test_the_table_scores_each_shadow_in_the_place_of_the_target(shadows: Shadows) -> None:
    table, supply = shadow_table(shadows, ["loss", "reference", "min_k:k=0.5"]), shadows.supply()
    assert len(table) == 20 * 4
    assert list(table.ids[:5]) == [*(f"0-0@shadow-{at:02d}" for at in range(4)), "0-1@shadow-00"]
    assert list(table.documents[:9]) == [*["doc 0"] * 8, "doc 1"]
    inside = np.array([supply.memberships(row["text"]) for row in rows()])
    assert table.labels.reshape(20, 4).tolist() == inside.astype(int).tolist()
    loss = table.column("loss").reshape(20, 4)
    assert loss == pytest.approx(shadows.mean_logprobs, abs=1e-6)  # float32 sums
    base = np.array([of.signals.logprob.mean(dtype=float) for of in read_signals(shadows.path, "reference")])
    assert table.column("reference").reshape(20, 4) == pytest.approx(shadows.mean_logprobs - base[:, None], abs=1e-5)
    few = shadow_table(shadows, ["loss"], texts={rows()[3]["text"]})
    assert few.column("loss").tolist() == loss[3].tolist()
    assert set(shadow_table(shadows).columns) >= {"loss", "min_k", "reference"}


def test_the_evidence_of_a_shadow_in_the_place_of_the_target_has_as_many_of_each_kind(shadows: Shadows) -> None:
    supply = shadows.supply()
    for row in rows():
        inside = supply.memberships(row["text"])
        for place in range(4):
            chosen = choose_shadows(inside, seed=supply.seed, text=row["text"], place=place)
            assert place not in chosen
            assert (inside[chosen].sum(), (~inside[chosen]).sum()) == (1, 1)


def test_the_table_holds_likelihood_ratios_of_each_shadow_among_the_others(shadows: Shadows) -> None:
    names = ["lira", "lira:form=offline", "shadow_rmia"]
    table, supply = shadow_table(shadows, names), shadows.supply()
    likelihoods, of_lira = shadows.mean_logprobs, table.column("lira").reshape(20, 4)
    for at, row in enumerate(rows()):
        inside = supply.memberships(row["text"])
        for place in range(4):
            chosen = choose_shadows(inside, seed=supply.seed, text=row["text"], place=place)
            (known,), (unknown,) = likelihoods[at, chosen][inside[chosen]], likelihoods[at, chosen][~inside[chosen]]
            near, far = (
                (likelihoods[at, place] - known) / supply.spread_in,
                (likelihoods[at, place] - unknown) / supply.spread_out,
            )
            ratio = (far**2 - near**2) / 2 + math.log(supply.spread_out / supply.spread_in)
            assert of_lira[at, place] == pytest.approx(ratio, rel=1e-9)
            assert table.column("lira:form=offline")[4 * at + place] == pytest.approx(far, rel=1e-9)
    rmia = table.column("shadow_rmia")
    assert ((rmia > 0) & (rmia <= 1)).all()
    members = table.labels == 1
    for name in names:
        assert auroc(table.column(name), table.labels).value > 0.9, "members of 5 epochs are known"
    assert members.sum() == 40


def test_a_folder_may_be_moved(shadows: Shadows, tmp_path: Path) -> None:
    moved = read_shadows(shutil.copytree(shadows.path, tmp_path / "moved"))
    there, here = moved.supply(), shadows.supply()
    assert (there.sha256, there.population.sha256()) == (here.sha256, here.population.sha256())


def test_what_the_table_cannot_compute_is_refused(shadows: Shadows) -> None:
    with pytest.raises(AttackError, match="attack 'lowercase' takes 'lowered', and no such pass"):
        shadow_table(shadows, ["lowercase"])
    with pytest.raises(InputError, match="no passage of the pool has one of the `texts`"):
        shadow_table(shadows, ["loss"], texts={"another text"})


class Stopped(Exception):  # noqa: N818 - stands for a signal that kills the process
    pass


def test_a_call_that_is_stopped_anywhere_continues_and_ends_with_the_same_files(tiny: str, tmp_path: Path) -> None:
    recipe = Recipe(Method.FULL, epochs=1, batch_size=10, learning_rate=1e-2)

    def call(folder: Path, stop_at: int = 0) -> list[str]:
        steps: list[str] = []

        def progress(step: Step) -> None:
            steps.append(step.name)
            if len(steps) == stop_at:
                raise Stopped

        try:
            train_shadows(pool(), tiny, out=folder, shadows=4, recipe=recipe, progress=progress)
        except Stopped:
            steps.append("stopped")
        return steps

    whole = call(tmp_path / "whole")
    assert {"training shadow-00", "training shadow-03", "shadow-00", "shadow-03", "reference"} <= {*whole}
    # Of a call that continues, what was finished takes a step; so each call comes further than the one before.
    stops = [call(tmp_path / "out", at) for at in range(2, len(whole), 6)]
    assert sum(steps[-1] == "stopped" for steps in stops) >= 4
    call(tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert call(tmp_path / "out").count("loading the model") == 0, "nothing is trained twice"


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"pool": pool(31)}, "another pool: pool there, pool here, or its texts have changed"),
        ({"base": "tiny_reference"}, "another base: .* there, .* here, or its files have changed"),
        ({"shadows": 6}, "shadows 4 there, 6 here"),
        ({"seed": 1}, "seed 0 there, 1 here"),
        ({"recipe": Recipe(Method.FULL)}, "recipe epochs 5 there, 3 here"),
    ],
)
def test_a_folder_of_other_shadows_is_refused(
    shadows: Shadows, tiny: str, request: pytest.FixtureRequest, changes: dict[str, Any], what: str
) -> None:
    given = {"pool": pool(), "base": tiny, "shadows": 4, "recipe": RECIPE, **changes}
    if "base" in changes:
        given["base"] = request.getfixturevalue(changes["base"])
    before = contents(shadows.path)
    with pytest.raises(RunDirectoryError, match=f"holds other shadow models \\(.*{what}.*; name another folder"):
        train_shadows(given.pop("pool"), given.pop("base"), out=shadows.path, **given)
    assert contents(shadows.path) == before


@pytest.mark.parametrize(
    ("base", "changes", "error", "message"),
    [
        ("no such model", {}, ModelError, "no such model"),
        ("tiny", {"shadows": 5}, UsageError, "`shadows` is 5: it must be even, and at least 4"),
        (
            "tiny",
            {"recipe": Recipe(early_stopping=EarlyStopping())},
            UsageError,
            "`early_stopping` sets training texts",
        ),
        ("tiny", {"window_tokens": 4}, UsageError, "`window_tokens` is 4: it must be "),
        ("tiny", {"recipe": Recipe(Method.FULL, learning_rate=1e18)}, ModelError, "shadow-00: .* in step \\d+"),
    ],
)
def test_what_cannot_be_trained_is_refused_and_leaves_nothing(
    base: str, changes: dict[str, Any], error: type[LlmMiaError], message: str, tiny: str, tmp_path: Path
) -> None:
    given = {"shadows": 4, "recipe": RECIPE, **changes}
    with pytest.raises(error, match=message):
        train_shadows(pool(), tiny if base == "tiny" else base, out=tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_results_do_not_go_into_the_folder_of_the_base(tiny: str) -> None:
    before = contents(Path(tiny))
    with pytest.raises(UsageError, match="`out` is the folder of the model itself"):
        train_shadows(pool(), tiny, out=tiny, shadows=4, recipe=RECIPE)
    with pytest.raises(UsageError, match="`out` is the folder of the model itself"):
        defend(pool(), tiny, out=tiny)
    with pytest.raises(UsageError, match="`out` is the folder of the model itself"):
        score_to_disk(pool(), tiny, attacks=["loss"], out=tiny)
    assert contents(Path(tiny)) == before


def test_shadows_from_random_weights_have_no_reference(tiny: str, tmp_path: Path) -> None:
    recipe = Recipe(Method.SCRATCH, epochs=1, learning_rate=1e-3)
    shadows = train_shadows(pool(), tiny, out=tmp_path, shadows=4, recipe=recipe)
    assert shadows.reference() is None
    assert not (tmp_path / "signals" / "reference").exists()
    assert "reference" not in shadow_table(shadows).columns
    with pytest.raises(AttackError, match="attack 'reference' needs a reference model"):
        shadow_table(shadows, ["reference"])


def test_an_unfinished_or_another_folder_is_refused(shadows: Shadows, tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"holds no shadows\.json, so no shadow models are there"):
        read_shadows(tmp_path)
    (tmp_path / "split.json").write_bytes((shadows.path / "split.json").read_bytes())
    with pytest.raises(
        RunDirectoryError, match="its shadow models are not finished; run the command that trains them again"
    ):
        read_shadows(tmp_path)
    (tmp_path / "shadows.json").write_text(json.dumps({"schema_version": 4}))
    with pytest.raises(RunDirectoryError, match="run the command that trained the shadow models again, which writes"):
        read_shadows(tmp_path)
