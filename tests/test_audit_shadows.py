"""Audits whose threshold shadow models set: real tiny models, and the finding's allowance for the spread of models."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llm_mia.auditing import Audit, audit, read_audit
from llm_mia.passages import Passages
from llm_mia.shadow import Shadows, train_shadows
from llm_mia.training import Method, Recipe, train
from tests.conftest import sentences

RECIPE = Recipe(Method.FULL, epochs=8, batch_size=8, learning_rate=1e-2)
DOCUMENTS = 32
FPR = 0.2


def rows(seed: int = 30, documents: int = DOCUMENTS) -> list[dict[str, str]]:
    texts = iter(sentences(documents, seed=seed))
    return [{"id": f"p{at}", "document": f"doc {at}", "text": next(texts)} for at in range(documents)]


@pytest.fixture(scope="module")
def shadows(tiny: str, tmp_path_factory: pytest.TempPathFactory) -> Shadows:
    pool = Passages.of(rows(), name="pool")
    return train_shadows(pool, tiny, out=tmp_path_factory.mktemp("shadows"), shadows=4, recipe=RECIPE)


@pytest.fixture(scope="module")
def target(tiny: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Trained as the shadows were, on the half of the pool with an even number."""
    folder = tmp_path_factory.mktemp("target") / "model"
    train(tiny, [row["text"] for row in rows()[::2]], folder, replace(RECIPE, seed=100))
    return str(folder)


@pytest.fixture(scope="module")
def done(shadows: Shadows, target: str, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return audit(
        Passages.of(rows(), name="candidates"),
        target=target,
        shadows=shadows,
        fpr=FPR,
        out=tmp_path_factory.mktemp("run"),
        history=tmp_path_factory.mktemp("history"),
    )


def test_audit(done: Audit, shadows: Shadows) -> None:
    from rich.console import Console
    from llm_mia.report import audit_screen, audit_details, audit_summary
    import json
    c=Console(width=80); c.print(audit_screen(done)); c.print(audit_details(done)); json.dumps(audit_summary(done))
    import shutil; shutil.copytree(done.path,"/tmp/audit_run",dirs_exist_ok=True); shutil.copytree(shadows.path,"/tmp/audit_shadows",dirs_exist_ok=True)
    assert read_audit(done.path) == done
