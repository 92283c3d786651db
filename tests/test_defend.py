"""Defences of a tiny model: what is trained, what is measured, what continues, and what is refused."""

from __future__ import annotations

import csv
import json
import math
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_mia.defenses import Defenses, defend, parse_training_defense, plan_defenses, read_defenses
from llm_mia.errors import MissingExtraError, ModelError, PassageError, RunDirectoryError, UsageError
from llm_mia.metrics import auroc
from llm_mia.signals import Step
from llm_mia.store import read_signals
from llm_mia.training import Method, Recipe

from .conftest import build_tokenizer, save, sentences
from .families import build_family

RECIPE = Recipe(method=Method.FULL, epochs=4, batch_size=16, learning_rate=1e-2)
WITH = ("epochs:n=1", "temperature:t=2", "sampled_text", "sampled_text:queries=one", "epochs:n=1+top_k:k=5")
Rows = list[dict[str, str]]


def pool(count: int = 96, seed: int = 5) -> Rows:
    """Passages of which two are a document."""
    texts = [text for text in dict.fromkeys(sentences(1000, seed=seed)) if len(text) > 60][:count]
    return [{"id": f"p{at}", "text": text, "document": f"d{at // 2}"} for at, text in enumerate(texts)]


def run(base: str, out: Path, *named: str, **settings: Any) -> Defenses:
    given = {"with_": named, "recipe": RECIPE, "canaries": 8, "stretch": 8, "window_tokens": 64, **settings}
    return defend(given.pop("rows", pool()), base, out=out, **given)


@pytest.fixture(scope="module")
def finished(tiny: str, tmp_path_factory: pytest.TempPathFactory) -> Defenses:
    return run(tiny, tmp_path_factory.mktemp("defended") / "out", *WITH)


@pytest.fixture
def copied(finished: Defenses, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished.path, tmp_path / "copy"))


def test_after_a_first_training_that_diverged_another_recipe_may_be_tried(tiny: str, tmp_path: Path) -> None:
    short = replace(RECIPE, epochs=1)
    with pytest.raises(ModelError, match="diverged"):
        run(tiny, tmp_path / "out", recipe=replace(short, learning_rate=1e18), canaries=0)
    assert run(tiny, tmp_path / "out", recipe=short, canaries=0).plan.recipe == short


def test_the_table_has_a_row_for_each_defence_and_the_model_without_defence_first(finished: Defenses) -> None:
    assert [row.name for row in finished.rows] == ["none", *WITH]
    assert [row.role for row in finished.rows] == ["baseline", "epochs-n-1", *["baseline"] * 3, "epochs-n-1"]
    assert [row.model for row in finished.rows] == ["none", "epochs:n=1", *["none"] * 3, "epochs:n=1"]
    assert (finished.members, finished.nonmembers, finished.documents, finished.choosing) == (48, 48, 48, 24)
    assert read_defenses(finished.path) == finished
    with (finished.path / "defences.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["defence"] for row in rows] == ["none", *WITH]
    leakage = finished.baseline.leakage
    assert leakage is not None
    assert float(rows[0]["auroc_low"]) == leakage.auroc.low
    assert rows[4]["auroc"] == "", "nothing can be computed on text that answers a single query"
    with (finished.path / "attacks.csv").open() as file:
        attacks = [(each["defence"], each["attack"], each["way"], each["auroc"]) for each in csv.DictReader(file)]
    assert attacks == [
        (row.name, each.attack, each.variant, "" if each.auroc is None else str(each.auroc.value))
        for row in finished.rows
        for each in row.attacks
    ]


def test_figures_are_of_the_half_that_did_not_choose(finished: Defenses) -> None:
    """The AUROC of the attack ``loss``, computed again from the signals and the plan alone."""
    from llm_mia.defenses import split_pool
    from llm_mia.passages import Passages

    split = split_pool("pool", Passages.of(pool()), seed=0)
    losses = np.array([float(row.signals.logprob.mean()) for row in read_signals(finished.path, "baseline")])[:96]
    rows = np.flatnonzero(~split.choosing)
    documents = [split.documents[row] for row in rows]
    expected = auroc(losses[rows], split.labels[rows], documents=documents)
    shown = next(each.auroc for each in finished.baseline.attacks if each.attack == "loss")
    # The attack adds up in float32.
    assert shown is not None
    assert shown.value == pytest.approx(expected.value, abs=2 / (24 * 24))
    held_out = np.flatnonzero(split.labels == 0)
    signals = [row.signals.logprob for row in read_signals(finished.path, "baseline")]
    mean = np.concatenate([signals[row] for row in held_out]).mean(dtype=np.float64)
    assert finished.baseline.utility.perplexity.value == pytest.approx(math.exp(-mean), rel=1e-5)  # float32 sums


def test_a_model_that_learnt_its_texts_by_heart_leaks_and_fewer_epochs_change_the_model(finished: Defenses) -> None:
    baseline, fewer = finished.rows[:2]
    assert baseline.leakage is not None
    assert baseline.leakage.auroc.low > 0.5
    assert baseline.leakage.change is None
    assert fewer.training is not None
    assert fewer.training.recipe.epochs == 1
    assert fewer.utility.perplexity != baseline.utility.perplexity
    assert baseline.utility.ratio.value == 1.0
    assert baseline.gap is not None
    assert fewer.gap is not None
    assert baseline.gap.value > fewer.gap.value


def test_temperature_does_not_stop_attacks_on_the_whole_distribution(finished: Defenses) -> None:
    """A catalogue lists it as a defence: the attacker computes the model's log-probabilities back."""
    baseline, temperature = finished.baseline, finished.rows[2]
    assert temperature.leakage is not None
    assert temperature.leakage.auroc.low > 0.5
    assert not temperature.leakage.lower
    undefended = {each.attack: each.auroc for each in baseline.attacks}
    for each in temperature.attacks:
        if each.variant == "inverted":
            assert each.auroc == undefended[each.attack]


def test_a_mask_blinds_the_attacks_that_read_what_it_hides(finished: Defenses) -> None:
    text, single, top = ({each.attack for each in row.attacks if each.auroc is not None} for row in finished.rows[3:])
    assert text == {"first_choice", "first_choice_gain"}
    assert single == set()
    assert finished.rows[4].leakage is None
    assert "loss" in top
    assert "min_k++" not in top, "it reads the mean and the spread of the whole distribution"
    client = finished.rows[5].client
    assert client is not None
    assert 0 < client.hidden.value < 1
    assert client.passages == 48, "a client reads no canary"


def test_a_defence_that_more_queries_undo_has_a_note(finished: Defenses) -> None:
    noted = [note.figures["defence"] for note in finished.notes if note.kind == "more queries"]
    assert noted == ["sampled_text"], "a single query shows nothing"


def test_too_few_non_members_give_no_rate(finished: Defenses) -> None:
    assert finished.baseline.leakage is not None
    assert dict(finished.baseline.leakage.tpr_at_fpr) == {0.01: None, 0.001: None}
    assert [note.figures["needed"] for note in finished.notes if note.kind == "few non-members"] == [99, 999]


def test_another_defence_trains_nothing_again(finished: Defenses, copied: Path, tiny: str) -> None:
    steps: list[Step] = []

    def note(step: Any) -> None:
        if isinstance(step, Step):
            steps.append(step)

    again = run(tiny, copied, *WITH, "rounding:d=1", progress=note)
    assert again.rows[: len(finished.rows)] == finished.rows
    assert again.rows[-1].name == "rounding:d=1"
    trained = [step for step in steps if step.name.startswith("training")]
    assert trained
    assert all(step.kept == step.passages for step in trained), "a finished training is not repeated"


def test_a_masked_temperature_is_attacked_with_the_base_at_the_same_temperature(copied: Path, tiny: str) -> None:
    """The attack ``reference``, computed again from the signals of both models, with the base at both temperatures."""
    from llm_mia.defenses import split_pool
    from llm_mia.passages import Passages

    masked = run(tiny, copied, *WITH, "temperature:t=2+logprobs_only").rows[-1]
    split = split_pool("pool", Passages.of(pool()), seed=0)

    def per_token(name: str) -> NDArray[np.float64]:
        means = [float(row.signals.logprob.mean(dtype=np.float64)) for row in read_signals(copied, name)]
        return np.array(means[: len(split.passages)])

    def area(scores: NDArray[np.float64], rows: NDArray[np.intp]) -> float:
        return auroc(scores[rows], split.labels[rows], documents=[split.documents[row] for row in rows]).value

    halves = [np.flatnonzero(half) for half in (split.choosing, ~split.choosing)]
    target = per_token("baseline-temperature-2")
    ways = {"direct": target - per_token("reference"), "matched": target - per_token("base-temperature-2")}
    best = max(ways, key=lambda way: area(ways[way], halves[0]))
    shown = next(each for each in masked.attacks if each.attack == "reference")
    assert shown.auroc is not None
    assert (best, shown.variant) == ("matched", "matched"), "the attacker compares like with like"
    assert shown.auroc.value == pytest.approx(area(ways[best], halves[1]), abs=2 / (24 * 24))


def test_what_was_stopped_continues(finished: Defenses, copied: Path, tiny: str) -> None:
    """Stopped before the second model was trained, and before any table was written."""
    for name in ("defences.json", "defences.csv"):
        (copied / name).unlink()
    shutil.rmtree(copied / "models" / "epochs-n-1")
    again = run(tiny, copied, *WITH)

    def without_time(result: Defenses) -> list[Any]:
        return [replace(row, seconds=0.0, training=None) for row in result.rows]

    assert without_time(again) == without_time(finished)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": 1}, r"holds defences of another call \(.*seed 0 there, 1 here.*\); name another folder"),
        ({"rows": pool(94)}, "another pool, or its texts have changed"),
        ({"recipe": replace(RECIPE, epochs=5)}, "recipe epochs 4 there, 5 here"),
        ({"canaries": 0}, "canaries 8 there, 0 here"),
    ],
)
def test_a_folder_of_other_defences_is_refused(copied: Path, tiny: str, settings: dict[str, Any], message: str) -> None:
    before = (copied / "defences.json").read_bytes()
    with pytest.raises(RunDirectoryError, match=message):
        run(tiny, copied, *WITH, **settings)
    assert (copied / "defences.json").read_bytes() == before


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("dropuot", "no defence is named 'dropuot': did you mean 'dropout'?"),
        ("roundign:d=2", "did you mean 'rounding'?"),
        ("dropout:p=1.5", r"p=1.5 is out of range; it must be above 0 and below 1"),
        ("dropout:q=1", "has no setting 'q'; it has: p"),
        ("dropout:p=many", "p=many is not a number"),
        ("early_stopping:patience=0", "out of range; it must be a whole number from 1 to 1,000"),
        ("dp:epsilon=0", "it must be above 0$"),
        ("epochs:n=4", "must train for fewer than the 4 `epochs` without it"),
        ("deduplication", "no text of the members occurs twice"),
        ("weight_decay:w=0", "out of range"),
        ("none", "always measured: leave it out"),
        ("none:", "defence 'none' has no setting ''; it has: none"),
        ("dp:epsilon=inf", "it must be above 0$"),
        ("dropout+dropout:p=0.1", "names 'dropout' twice"),
        ("top_k:k=0", "k=0 is out of range; it must be a whole number"),
        ("dp:epsilon=0.01,delta=1e-12", "delta=1e-12': epsilon is 0.01, and .* texts reach no less than"),
        ("dp+early_stopping", "early stopping looks at texts that DP-SGD does not protect"),
    ],
)
def test_a_defence_that_makes_no_sense_is_refused_before_anything_is_trained(
    tiny: str, tmp_path: Path, named: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?").replace("p+e", r"p\+e")):
        run(tiny, tmp_path / "out", named)
    assert not (tmp_path / "out").exists()


def test_a_defence_named_twice_is_refused(tiny: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'dropout' is named twice: remove the second"):
        run(tiny, tmp_path / "out", "dropout", "dropout")
    for second in ("dropout:p=0.20", "dropout:p=2e-1"):
        with pytest.raises(UsageError, match=r"defences 'dropout' and '.*' are the same: remove the second"):
            run(tiny, tmp_path / "out", "dropout", second)


def test_a_defence_is_trained_once_however_it_is_typed(copied: Path, tiny: str) -> None:
    """Also together with a defence of the outputs, and in a later call."""
    trained = sorted(path.name for path in (copied / "models").iterdir())
    again = run(tiny, copied, "epochs", "epochs:n=1+rounding:d=1", "epochs:n=01+rounding")
    assert [row.role for row in again.rows] == ["baseline", *["epochs-n-1"] * 3]
    assert sorted(path.name for path in (copied / "models").iterdir()) == trained
    spelled = [plan_defenses([name], RECIPE, ["a text"])[1].role for name in ("dropout+epochs", "epochs:n=1+dropout")]
    assert spelled == ["dropout-p-0-2-epochs-n-1"] * 2


def test_a_model_that_cannot_drop_is_refused_in_the_words_of_the_defence(tmp_path: Path) -> None:
    """The message names the defence; `dropout` between backticks would be the parameter of the training without it."""
    tokenizer = build_tokenizer(300, bos=False, seed=1)
    base = save(tmp_path / "base", build_family("Mamba", "float32", vocab_size=320), tokenizer)
    with pytest.raises(ModelError) as refused:
        run(base, tmp_path / "out", "dropout:p=0.3", canaries=0, recipe=replace(RECIPE, epochs=1))
    assert str(refused.value).startswith("defence 'dropout:p=0.3': model ")
    assert "leave out dropout, or use `method` lora" in str(refused.value)


def test_opacus_missing_is_known_before_anything_is_trained(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opacus", None)
    with pytest.raises(MissingExtraError, match=r"opacus.* is not installed: pip install 'llm-mia\[dp\]'"):
        run(tiny, tmp_path / "out", "dp:epsilon=8")
    assert not (tmp_path / "out").exists()


def test_a_pool_with_few_documents_is_refused_with_their_number(tiny: str, tmp_path: Path) -> None:
    with pytest.raises(PassageError, match="holds 39 documents: at least 40 are needed"):
        run(tiny, tmp_path / "out", rows=pool(78))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fprs": (0.0,)}, "`fprs` holds 0"),
        ({"fprs": (0.1, 0.1)}, "holds a rate twice"),
        ({"canaries": -1}, "`canaries` is -1"),
        ({"canaries": 2}, "`canaries` is 2: it must be at least 4"),
        ({"stretch": 0}, "`stretch` is 0"),
        ({"probability": 0.0}, "`probability` is 0"),
    ],
)
def test_settings_out_of_range_are_refused(tiny: str, tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run(tiny, tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("spec", "change"),
    [
        (
            "dp:epsilon=2,delta=1e-5,clip=0.5",
            lambda r: (r.privacy.epsilon, r.privacy.delta, r.privacy.clip) == (2, 1e-5, 0.5),
        ),
        ("dp", lambda r: (r.privacy.epsilon, r.privacy.delta, r.privacy.clip) == (8, None, 1)),
        ("dropout", lambda r: r.dropout == 0.2),
        ("weight_decay:w=0.3", lambda r: r.weight_decay == 0.3),
        ("early_stopping:share=0.2", lambda r: (r.early_stopping.share, r.early_stopping.patience) == (0.2, 1)),
        ("label_smoothing:a=0.05", lambda r: r.label_smoothing == 0.05),
        ("epochs:n=2", lambda r: r.epochs == 2),
        ("deduplication", lambda r: r.deduplicate),
    ],
)
def test_each_defence_changes_its_part_of_the_recipe(spec: str, change: Callable[[Any], bool]) -> None:
    defended = parse_training_defense(spec).changed(RECIPE)
    assert change(defended)
    assert not change_in_others(defended, RECIPE) > 1


def change_in_others(one: Recipe, other: Recipe) -> int:
    """How many fields differ."""
    return sum(getattr(one, name) != getattr(other, name) for name in one.__dataclass_fields__)


@pytest.mark.slow  # DP-SGD computes the gradient of every text by itself
def test_private_training_leaks_less_and_its_canaries_show_less_than_it_guarantees(tiny: str, tmp_path: Path) -> None:
    """The model without defence learns the canaries by heart: there the same measure shows what it can show at most."""
    result = run(tiny, tmp_path / "out", "dp:epsilon=0.5", "dp:epsilon=0.5+rounding:d=2", canaries=64)
    baseline, private, both = result.rows
    assert private.training is not None
    assert private.training.change > 0
    assert private.epsilon is not None
    assert private.epsilon <= 0.5
    assert private.shown is not None
    assert private.shown.lower <= private.epsilon
    assert baseline.shown is not None
    assert baseline.shown.lower > private.epsilon, "without noise the same canaries refute ε = 0.5"
    assert baseline.leakage is not None
    assert private.leakage is not None
    assert private.leakage.auroc.value < baseline.leakage.auroc.value
    assert private.leakage.lower
    assert both.role == private.role
    assert both.outputs
    (note,) = (note for note in result.notes if note.kind == "canaries")
    assert note.figures == {"canaries": 64, "highest": baseline.shown.highest}


def test_the_command_prints_the_record(
    finished: Defenses, copied: Path, tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from llm_mia.cli import main

    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pool()))
    settings = ["--method", "full", "--epochs", "4", "--batch-size", "16", "--learning-rate", "0.01"]
    settings += ["--canaries", "8", "--stretch", "8"]
    named = [word for name in WITH for word in ("--with", name)]
    command = ["defend", str(tmp_path / "pool.jsonl"), "-m", tiny, *named, "-o", str(copied), *settings]
    assert main([*command, "--window-tokens", "64", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in printed["rows"]] == ["none", *WITH]
    assert {"defences.svg", "defences.png"} <= {path.name for path in copied.iterdir()}
    assert main(["show", str(copied), "--json"]) == 0
    # An option that show does not have is named with its command.
    shown = capsys.readouterr().out.replace("--canaries of 'llm-mia defend'", "--canaries")
    assert json.loads(shown) == printed, "show prints the same without a model"
    assert main([*command, "--window-tokens", "64", "--with", "temprature"]) == 2
    assert "did you mean 'temperature'" in capsys.readouterr().err


def test_a_folder_of_another_run_is_refused_and_left_as_it_was(finished: Defenses, tiny: str, tmp_path: Path) -> None:
    """Otherwise the pass `reference` of shadow models would get passages that they do not have."""
    (tmp_path / "run.json").write_bytes((finished.path / "run.json").read_bytes())
    with pytest.raises(
        RunDirectoryError, match=r"holds another run, and no plan\.json of defences; name another folder"
    ):
        run(tiny, tmp_path, *WITH)
    assert {path.name for path in tmp_path.iterdir()} <= {"run.json", ".defend.lock"}


def test_a_base_that_was_moved_is_the_same_base(copied: Path, tiny: str, tmp_path: Path, finished: Defenses) -> None:
    moved = shutil.copytree(tiny, tmp_path / "moved")
    assert run(str(moved), copied, *WITH).baseline.leakage == finished.baseline.leakage


def test_a_base_that_cannot_be_read_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        run(str(tmp_path / "nothing"), tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()


def test_another_call_in_the_same_folder_is_refused_before_it_changes_the_plan(tiny: str, tmp_path: Path) -> None:
    seen: list[str] = []

    def progress(step: Step) -> None:
        if step.name == "loading the model" and not seen:
            with pytest.raises(RunDirectoryError, match="another run is writing here; wait for it or name another"):
                run(tiny, tmp_path / "out", seed=1)
            seen.append((tmp_path / "out" / "plan.json").read_text("utf-8"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tiny, tmp_path / "out", progress=progress)
    assert json.loads(seen[0])["seed"] == 0
