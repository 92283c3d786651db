"""Planning canaries: the power is that of the test itself, and pilots leave numbers alone."""

from __future__ import annotations

import json
import math
import re
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_mia.canary import (
    MeasuredEffect,
    PilotTexts,
    documents_for,
    draw_test,
    fewest_documents,
    interval_over_pilots,
    measured_effect,
    plan_canaries,
    power_of_test,
    read_plan,
)
from llm_mia.cli import main
from llm_mia.errors import InputError, LlmMiaError, ModelError, RunDirectoryError, UsageError
from llm_mia.passages import Passages
from llm_mia.records import Interval
from llm_mia.report.figures import write_plan_figure
from llm_mia.report.words import plan_advice, plan_headline, plan_notes
from llm_mia.signals import Step, estimate
from llm_mia.training import Method, Recipe

from .canary_folders import SECRET, a_plan, rephrased, seal

Floats = NDArray[np.float64]
Scored = tuple[list[Floats], list[int]]
RECIPE = Recipe(Method.FULL, epochs=1, batch_size=8, learning_rate=3e-3)
VARIED = rephrased(32, 3)
SMALL: dict[str, Any] = {"pilots": 3, "pilot_documents": 4, "others": 8, "recipe": RECIPE}


def documents(number: int, variants: int, effect: float, rng: np.random.Generator) -> Scored:
    """Documents whose public variants score higher, some of them much and some not at all."""
    scores, public = list[Floats](), list[int]()
    for _ in range(number):
        each = rng.normal(size=variants) * rng.uniform(0.5, 2)
        at = int(rng.integers(variants))
        each[at] += effect * float(each.std()) * rng.exponential()
        scores.append(each)
        public.append(at)
    return scores, public


def measured(variants: int, effect: float, seed: int = 0) -> MeasuredEffect:
    """The effect that so many documents show that it is known."""
    rng = np.random.default_rng(seed)
    return measured_effect([documents(400, variants, effect, rng) for _ in range(3)])


def realised(number: int, variants: int, effect: float, trials: int, level: float = 0.01) -> float:
    """How often the test reaches the level on new documents."""
    rng, choices = np.random.default_rng(number), 100_000 if variants**number <= 100_000 else 999
    tests = (
        draw_test(*documents(number, variants, effect, rng), choices=choices, seed=trial).p_value
        for trial in range(trials)
    )
    return sum(each <= level for each in tests) / trials


def tolerance(power: float, trials: int) -> float:
    """What `power_of_test` promises, and three standard errors of the trials."""
    return 0.05 + 3 * math.sqrt(power * (1 - power) / trials)


@pytest.mark.parametrize(("variants", "effect", "number"), [(2, 3.0, 18), (3, 3.0, 5), (8, 1.0, 30)])
def test_the_power_is_how_often_the_test_reaches_the_level(variants: int, effect: float, number: int) -> None:
    power = power_of_test(measured(variants, effect), number, 0.01).value
    assert abs(realised(number, variants, effect, trials=150) - power) < 0.05 + 2.5 * math.sqrt(
        power * (1 - power) / 250
    )


def test_a_power_of_twice_as_many_documents_would_be_noticed() -> None:
    wrong = power_of_test(measured(8, 1.0), 60, 0.01).value
    assert abs(realised(30, 8, 1.0, trials=150) - wrong) > tolerance(wrong, 150)


@pytest.mark.slow
@pytest.mark.parametrize("variants", [2, 3, 8, 16])
@pytest.mark.parametrize("effect", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("number", [5, 10, 30, 100, 300])
def test_the_power_of_many_designs(variants: int, effect: float, number: int) -> None:
    if number < fewest_documents(variants, 0.01):
        pytest.skip("no p-value is so small")
    power = power_of_test(measured(variants, effect), number, 0.01).value
    assert abs(realised(number, variants, effect, trials=600) - power) < tolerance(power, 600)


def test_both_ways_to_compute_the_power_agree_where_they_meet() -> None:
    for variants, effect in ((2, 1.0), (8, 0.4)):
        each = measured(variants, effect)
        exact, normal = power_of_test(each, 200, 0.01), power_of_test(each, 201, 0.01)
        for one, other in ((exact.value, normal.value), (exact.low, normal.low), (exact.high, normal.high)):
            assert one == pytest.approx(other, abs=0.06)


def test_without_an_effect_the_power_is_at_most_the_level() -> None:
    rng = np.random.default_rng(3)
    scores = [rng.normal(size=8) for _ in range(400)]
    nothing = measured_effect([(scores, [int(at) for at in rng.integers(0, 8, 400)]) for _ in range(5)])
    centred = replace(nothing, effect=Interval(0.0, 0.0, 0.0))
    for number in (50, 500):
        assert power_of_test(centred, number, 0.01).value == pytest.approx(0.01, abs=0.006)


def covered(of_pilots: float, interval: Callable[[list[Floats]], Interval]) -> float:
    """How often an interval covers the mean, where the means of pilots vary so much, besides their documents."""
    rng, hits = np.random.default_rng(1), 0
    for _ in range(2000):
        pilots = [rng.normal(0.4 + of_pilots * rng.normal(), 1, 8) for _ in range(6)]
        found = interval(pilots)
        hits += found.low <= 0.4 <= found.high
    return hits / 2000


def over_pilots(pilots: list[Floats]) -> Interval:
    return interval_over_pilots([float(each.mean()) for each in pilots])


@pytest.mark.parametrize("of_pilots", [0.0, 0.3, 2.0])
def test_the_interval_covers_the_mean_of_further_pilots(of_pilots: float) -> None:
    assert covered(of_pilots, over_pilots) == pytest.approx(0.95, abs=0.016)


def test_an_interval_over_documents_alone_would_not() -> None:
    assert covered(0.3, lambda pilots: interval_over_pilots([*np.concatenate(pilots).tolist()])) < 0.9


def test_the_documents_that_would_do_have_the_power() -> None:
    each = measured(8, 1.0)
    needed = documents_for(each, 0.8, 0.01, fewest_documents(8, 0.01))
    assert needed.low <= needed.value <= needed.high
    assert power_of_test(each, int(needed.value), 0.01).value >= 0.8
    assert power_of_test(each, int(needed.value) - 1, 0.01).value < 0.8
    weak = measured(8, 0.15)
    needed = documents_for(weak, 0.8, 0.01, 3)
    assert needed.value > 200
    assert power_of_test(weak, int(needed.value), 0.01).value == pytest.approx(0.8, abs=0.01)
    assert math.isinf(documents_for(replace(weak, effect=Interval(-0.1, -0.2, 0.0)), 0.8, 0.01, 3).value)


def test_fewer_documents_cannot_reach_the_level() -> None:
    for variants in (2, 3, 8):
        number = fewest_documents(variants, 0.01)
        assert variants**number >= 100 > variants ** (number - 1)
        assert power_of_test(measured(variants, 3.0), number - 1, 0.01).value == 0.0


# Pilots


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def canaries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seal(tmp_path_factory.mktemp("canaries") / "dir", VARIED)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory, canaries: Path, tiny: str) -> Any:
    before = contents(canaries)
    plan = plan_canaries(canaries, out=tmp_path_factory.mktemp("planned") / "plan", model=tiny, documents=60, **SMALL)
    assert contents(canaries) == before, "the folder of canaries is only read"
    return plan


def test_a_plan_holds_what_the_pilots_show(planned: Any) -> None:
    assert read_plan(planned.path) == planned
    assert (planned.settings.texts, planned.design.variants, planned.pilots) == (PilotTexts.CANARIES, 3, 3)
    assert [(each.attack, each.repeats, each.documents) for each in planned.effects] == [
        (attack, repeats, 12) for attack in ("reference", "loss") for repeats in (1, 2, 4, 8)
    ]
    effects = {(each.attack, each.repeats): each.effect for each in planned.effects}
    assert effects["reference", 8].value > effects["reference", 1].value
    assert effects["reference", 8].low > 0
    assert planned.published_share == pytest.approx(60 / 68)
    assert planned.shown == (30, 60, 120, 240)
    assert planned.power == planned.power_of(1, 60)
    assert any("share documents" in note for note in planned.notes)  # 48 of 32


def test_pilots_leave_numbers_alone(planned: Any) -> None:
    files = contents(planned.path)
    assert set(files) <= {
        *(f"pilots/{name}.json" for name in ("settings", "pilot-1", "pilot-2", "pilot-3")),
        *("plan.json", "plan.png", "plan.svg", ".lock"),
    }
    texts = [text.encode() for each in VARIED.values() for text in each]
    for name, held in files.items():
        assert not any(text[:20] in held for text in texts), name
        assert b"letter-" not in held, name
        assert SECRET.hex().encode() not in held, name
    assert stat.S_IMODE(planned.path.stat().st_mode) == 0o700


def test_another_design_needs_no_pilot(planned: Any, canaries: Path, tiny: str) -> None:
    before = {path: path.stat().st_mtime_ns for path in (planned.path / "pilots").glob("pilot-*.json")}
    steps = list[Step]()
    other = plan_canaries(
        canaries, out=planned.path, model=tiny, documents=25, repeats=8, level=0.05, progress=steps.append, **SMALL
    )
    assert not any(step.total_bytes for step in steps), "nothing is trained or read"
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert other.effects[0].effect == planned.effects[0].effect
    assert (other.design.documents, other.shown) == (25, (12, 25, 50, 100))
    assert estimate(plan_canaries, canaries, out=planned.path, model=tiny, **SMALL).trainings == ()
    with pytest.raises(RunDirectoryError, match=r"holds pilots of other settings \(others 8 there, 9 here\)"):
        plan_canaries(canaries, out=planned.path, model=tiny, **{**SMALL, "others": 9})


class StoppedError(Exception):
    """Ends a call, as an interrupt does."""


@pytest.mark.slow
def test_a_stopped_plan_continues(planned: Any, canaries: Path, tiny: str, tmp_path: Path) -> None:
    def stop(step: Step) -> None:
        if step.name == "training pilot 2" and step.passages:
            raise StoppedError

    arguments = {"out": tmp_path / "plan", "model": tiny, "documents": 60, "keep_models": True, **SMALL}
    with pytest.raises(StoppedError):
        plan_canaries(canaries, **arguments, progress=stop)
    first = tmp_path / "plan/pilots/pilot-1.json"
    written = first.stat().st_mtime_ns
    assert (tmp_path / "plan/pilots/pilot-1/model").is_dir()
    assert estimate(plan_canaries, canaries, **arguments).trainings[0].name == "pilot 2"
    again = plan_canaries(canaries, **arguments)
    assert first.stat().st_mtime_ns == written
    assert replace(again, seconds=planned.seconds) == planned
    held = contents(tmp_path / "plan")
    assert sum(name.endswith("model.safetensors") for name in held) == 3
    assert not any(SECRET in each or SECRET.hex().encode() in each for each in held.values())
    plan_canaries(canaries, **{**arguments, "keep_models": False})
    assert not [name for name in contents(tmp_path / "plan") if name.endswith("safetensors")]


def test_a_dry_run_writes_nothing(canaries: Path, tiny: str, tmp_path: Path) -> None:
    expected = estimate(plan_canaries, canaries, out=tmp_path / "plan", model=tiny, **SMALL)
    assert [(each.name, each.texts) for each in expected.trainings] == [(f"pilot {at}", 68) for at in (1, 2, 3)]
    assert len(expected.passes) == 6
    assert not (tmp_path / "plan").exists()


@pytest.mark.slow
def test_texts_of_the_package_and_of_the_user(tiny: str, tmp_path: Path) -> None:
    """Their variants are random words, which are drawn for each pilot."""
    of_package = estimate(plan_canaries, out=tmp_path / "a", model=tiny, pilots=3, pilot_documents=4, others=0)
    assert of_package.trainings[0].texts == 60
    words = [f"word{a}{b}" for a in "abcdefghiklmnoprs" for b in "abcdefghiklmnoprs"]
    rows = [{"id": f"{at}", "text": " ".join(words[at::7]) + "."} for at in range(16)]
    of_user = estimate(plan_canaries, rows, out=tmp_path / "b", model=tiny, pilots=3, pilot_documents=4, others=0)
    assert of_user.trainings[0].texts == 60


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"variants": 1}, UsageError, "`variants` is 1: a document needs at least 2"),
        ({"documents": 0}, UsageError, "`documents` is 0: a design has at least 1 document"),
        ({"repeats": 0}, UsageError, "`repeats` is 0"),
        ({"level": 1e-6}, UsageError, "`level` is 1e-06: the test gives no p-value below 1e-05"),
        ({"level": 0.0}, UsageError, "`level` is 0"),
        ({"goal": 1.0}, UsageError, "`goal` is 1: a power lies between"),
        ({"pilots": 2}, UsageError, "`pilots` is 2: the interval is over pilots, and needs at least 3"),
        ({"pilot_documents": 1}, UsageError, "`pilot_documents` is 1"),
        ({"others": 601}, UsageError, "`others` is 601: it must lie between 0 and 600"),
        (
            {"documents": 4},
            InputError,
            "4 documents with 3 variants can give no p-value .* at least 5",
        ),
        ({"variants": 4}, InputError, "has a document with 3 variants, and `variants` is 4"),
        ({"kind": "token"}, UsageError, "holds canaries of the kind rephrase"),
        (
            {"pilot_documents": 9},
            InputError,
            "are 32 documents, and a pilot needs 36, .* give `pilot_documents` 8",
        ),
        ({"model": "openai:m@http://127.0.0.1:1/v1"}, ModelError, "is behind an endpoint: a pilot trains its model"),
        ({"model": None}, UsageError, "`model` is of the type NoneType"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_a_line(
    changes: dict[str, Any], kind: type[LlmMiaError], message: str, canaries: Path, tiny: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=message) as raised:
        plan_canaries(canaries, **{"out": tmp_path / "plan", "model": tiny, **SMALL, **changes})
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "plan").exists()


def test_other_bad_input(canaries: Path, tiny: str, tmp_path: Path) -> None:
    few = Passages.of([{"text": f"{name} and nothing else"} for name in "abc"])
    for arguments, message in (
        (
            {"texts": few},
            "there are 3 documents, and a pilot needs at least 16, 4 .* leave out `texts`, .* give 3 as `documents`",
        ),
        ({"texts": few, "kind": "rephrase"}, "the kind rephrase takes its variants from a file"),
        ({"kind": "rephrase", "rephrased": few}, "the kind rephrase needs your texts"),
        ({"kind": "other"}, "`kind` is 'other'"),
    ):
        with pytest.raises(LlmMiaError, match=message):
            plan_canaries(**{"out": tmp_path / "plan", "model": tiny, **SMALL, **arguments})
    with pytest.raises(UsageError, match="`out` lies in the folder of the canaries"):
        plan_canaries(canaries, out=canaries / "plan", model=tiny, **SMALL)
    with pytest.raises(ModelError):
        plan_canaries(canaries, out=tmp_path / "plan", model=tmp_path / "missing", **SMALL)
    assert not (tmp_path / "plan").exists()
    assert not (canaries / "tests.jsonl").exists()


# The screen


def test_the_first_screen_answers_first(
    planned: Any, canaries: Path, tiny: str, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--pilots", "3", "--pilot-documents", "4", "--others", "8", "--learning-rate", "0.003"]
    command = ["canary", "plan", str(canaries), "-m", tiny, "-o", str(planned.path), "--documents", "60", *small]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].replace("\N{NO-BREAK SPACE}", " ").startswith("60 documents × 3 variants, seen once: power ")
    assert len(lines) <= 15
    assert max(map(len, lines)) <= 80
    assert (planned.path / "plan.png").stat().st_size > 10_000
    assert main(["show", str(planned.path), "--details"]) == 0
    details = capsys.readouterr().out
    assert "What the pilots measured" in details
    assert "loss" in details
    assert main(["show", str(planned.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["design"]["documents"] == 60
    assert main([*command, "--variants", "1"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("llm-mia: --variants is 1: a document needs at least 2")
    assert main([*command, "--power", "2"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("llm-mia: --power is 2: a power lies between 0 and 1")


@pytest.mark.parametrize(
    ("power", "low", "advice"),
    [
        (
            0.92,
            0.85,
            "For a model trained as the pilots were, 220 documents [more than 160] would do for a power of 80 %.",
        ),
        (0.92, 0.6, "Enough for 80 % at the measured effect"),
        (0.5, 0.2, "Not enough: 220 documents [more than 160] would do for a power of 80 %."),
    ],
)
def test_the_advice_follows_from_the_power(power: float, low: float, advice: str, tmp_path: Path) -> None:
    plan = a_plan(tmp_path, power, low)
    assert plan_advice(plan).replace("\N{NO-BREAK SPACE}", " ").startswith(advice)
    assert re.search(r"300 documents × 8 variants, seen once: power \d+ % \[\d+, \d+\] at p ≤ 0.01", plain(plan))


@pytest.mark.parametrize(("effect", "noted"), [(0.5, False), (2.5, True)])
def test_pilots_that_remember_all_are_noted(effect: float, noted: bool, tmp_path: Path) -> None:
    plan = a_plan(tmp_path)
    effects = tuple(replace(each, effect=Interval(effect, effect, effect)) for each in plan.effects)
    notes = " ".join(plan_notes(replace(plan, effects=effects)))
    assert ("say little about a model that remembers less" in notes) is noted


def plain(plan: Any) -> str:
    return plan_headline(plan).replace("\N{NO-BREAK SPACE}", " ")


def test_the_figure_marks_the_design(tmp_path: Path) -> None:
    svg, png = write_plan_figure(a_plan(tmp_path, repeats=3))
    assert "the design: 300 documents" in svg.read_text("utf-8")
    assert "seen 3 times" in svg.read_text("utf-8")
    assert png.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("name", ["documents", "repeats", "pilots"])
def test_a_plan_of_any_size_is_not_computed(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"`{name}` is larger than"):
        plan_canaries(out=tmp_path / "plan", **{name: 10**400})  # type: ignore[arg-type]
    assert not (tmp_path / "plan").exists()
