"""The Python of README.md and of the guides runs as printed, on tiny models; `help(llm_mia)` lists the functions."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import llm_mia
from llm_mia.attacks import ATTACKS

from .conftest import build_model, build_tokenizer, save, sentences

ROOT = Path(__file__).parents[1]
BLOCKS = {
    path.stem: re.findall(r"```python\n(.*?)```", path.read_text("utf-8"), re.DOTALL)
    for path in (ROOT / "README.md", *sorted((ROOT / "llm_mia" / "guides").glob("*.md")))
}
TEXTS = sentences(110, seed=70)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the README takes for granted: files of passages and two models."""
    folder = tmp_path_factory.mktemp("readme")
    texts = iter(TEXTS)
    for name, count in (("known", 20), ("heldout", 60), ("candidates", 20)):
        rows = [{"id": f"{name}{i}", "text": next(texts)} for i in range(count)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pool = [{"id": f"pool{i}", "text": text} for i, text in enumerate(TEXTS[:20])]
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pool))
    for name, seed in (("model", 1), ("base", 2)):
        tokenizer = build_tokenizer(500, bos=False, seed=1)
        save(folder / name, build_model(tokenizer, seed=seed), tokenizer)
    return folder


@pytest.fixture
def names() -> dict[str, Any]:
    """The variables that the README takes for granted."""
    tokenizer = build_tokenizer(500, bos=False, seed=1)
    rng = np.random.default_rng(0)
    return {
        "__name__": "notebook",
        "dataframe": pd.DataFrame({"body": TEXTS[100:], "member": [1, 0] * 5}),
        "model": build_model(tokenizer, seed=1).train(),
        "tokenizer": tokenizer,
        "scores": rng.normal(size=60),
        "labels": [0] * 40 + [None] * 20,
        "left": Figure().add_subplot(),
        "right": Figure().add_subplot(),
    }


@pytest.mark.parametrize("page", [page for page, blocks in BLOCKS.items() if blocks])
def test_the_python_of_a_guide_runs(
    page: str, folder: Path, names: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LLM_MIA_DTYPE", "float32")
    before = dict(ATTACKS)
    try:
        for number, block in enumerate(BLOCKS[page]):
            for _ in range(2):  # as the cell of a notebook that is run again
                exec(compile(block, f"{page}, block {number}", "exec"), names)
    finally:
        ATTACKS.clear()
        ATTACKS.update(before)


def test_help_lists_every_public_function_with_a_public_class_that_it_returns() -> None:
    section = (llm_mia.__doc__ or "").split("What each function returns:")[1].split("The rest is in")[0]
    calls = set(re.findall(r"^    (\w+)[(.]|, (\w+)[(.]", section, re.MULTILINE))
    listed = {name for pair in calls for name in pair if name}
    functions = {name for name in llm_mia.__all__ if name[0].islower()}
    assert functions == listed - {"Passages", "ScoreTable"}
    returned = set(re.findall(r"^        (?:list of )?([A-Z]\w+)", section, re.MULTILINE))
    assert len(returned) > 8
    assert not returned - set(llm_mia.__all__)
