"""A folder of shadow models that lost or changed a file: repaired by the same call, or refused, and never believed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from llm_mia.auditing import audit
from llm_mia.errors import ModelError, RunDirectoryError
from llm_mia.shadow import Shadows, read_shadows, train_shadows
from llm_mia.training import Method, Recipe, train
from tests.conftest import sentences

RECIPE = Recipe(Method.FULL, epochs=1, batch_size=10, learning_rate=1e-2)
ROWS = [{"id": f"p{at}", "document": f"d{at}", "text": text} for at, text in enumerate(sentences(20, seed=12))]
SIGNALS = "signals/shadow-02/part-000000000-000000019.parquet"
AGAIN = "run the command that trained the shadow models again"


def trained(base: str, out: Path) -> Shadows:
    return train_shadows(ROWS, base, out=out, shadows=4, recipe=RECIPE)


@pytest.fixture(scope="module")
def whole(tiny: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tiny, tmp_path_factory.mktemp("whole") / "shadows").path


@pytest.fixture
def damaged(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "shadows"))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but those that hold times."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix in (".jsonl", ".parquet")]
    files += [*folder.rglob("*.safetensors"), folder / "split.json"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def exchange_documents(folder: Path) -> None:
    """Two texts of the pool change their documents, and so the models that are taken to know them."""
    first, second, *rest = (folder / "pool.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(first), json.loads(second)]
    rows[0]["document"], rows[1]["document"] = rows[1]["document"], rows[0]["document"]
    (folder / "pool.jsonl").write_text("\n".join([*map(json.dumps, rows), *rest]) + "\n", "utf-8")


@pytest.mark.parametrize("lost", ["pool.jsonl", "split.json", "shadows.json", "models/shadow-03", SIGNALS, "signals"])
def test_the_same_call_restores_what_was_lost(lost: str, damaged: Path, whole: Path, tiny: str) -> None:
    shutil.rmtree(damaged / lost) if (damaged / lost).is_dir() else (damaged / lost).unlink()
    assert trained(tiny, damaged).record.gap == read_shadows(whole).record.gap
    assert contents(damaged) == contents(whole)


def test_a_pool_that_has_changed_is_refused_and_restored(damaged: Path, whole: Path, tiny: str) -> None:
    """The signals hold no documents, so only the digest of the pool shows it."""
    exchange_documents(damaged)
    with pytest.raises(
        RunDirectoryError, match=rf"pool\.jsonl: has changed since the shadow .* trained; {AGAIN}, which"
    ):
        read_shadows(damaged).supply()
    trained(tiny, damaged)
    assert contents(damaged) == contents(whole)


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("pool.jsonl", rf"pool\.jsonl: is missing; {AGAIN}, which writes the file again"),
        (SIGNALS, f"lacks signals of shadow-02; {AGAIN}, which computes them"),
        ("shadows.json", "are not finished; run the command that trains them again, which continues"),
    ],
)
def test_a_reader_names_the_command_that_restores_what_was_lost(lost: str, message: str, damaged: Path) -> None:
    (damaged / lost).unlink()
    with pytest.raises(RunDirectoryError, match=message):
        read_shadows(damaged).supply()


@pytest.mark.parametrize(
    ("lost", "message"), [("training.json", r"no training\.json that can be read"), ("model.safetensors", "no weights")]
)
def test_a_model_that_lacks_a_file_is_trained_again_where_its_folder_is_removed(
    lost: str, message: str, damaged: Path, tiny: str
) -> None:
    (damaged / "models" / "shadow-01" / lost).unlink()
    with pytest.raises(
        RunDirectoryError, match=rf"shadow-01: is damaged \(holds {message}\); remove this folder, and run"
    ):
        trained(tiny, damaged)


def test_weights_that_cannot_be_read_are_trained_again_where_their_folder_is_removed(damaged: Path, tiny: str) -> None:
    weights = damaged / "models" / "shadow-01" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-900])
    with pytest.raises(ModelError, match=r"damaged or cut short .*; if its files are damaged, remove this folder, and"):
        trained(tiny, damaged)


@pytest.mark.parametrize("known", [None, [{"text": f"{row['text']} Nobody was trained on this."} for row in ROWS]])
def test_weights_that_have_changed_are_refused_by_an_audit(
    known: list[dict[str, str]] | None, damaged: Path, tiny: str, tmp_path: Path
) -> None:
    """Otherwise the scores of the target would be compared with the pool under other models."""
    models = damaged / "models"
    train(tiny, [row["text"] for row in ROWS[::2]], tmp_path / "target", RECIPE)
    shutil.copy(models / "shadow-02" / "model.safetensors", models / "shadow-01" / "model.safetensors")
    with pytest.raises(
        RunDirectoryError, match=rf"shadow-01: its weights have changed since it read .*, {AGAIN}, which"
    ):
        audit(
            ROWS,
            nonmembers=known,
            target=str(tmp_path / "target"),
            shadows=damaged,
            stand_in="none",
            attacks=["lira"],
            fpr=0.5,
            out=tmp_path / "run",
            report=False,
        )
