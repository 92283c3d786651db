"""How much bfloat16 changes scores and AUROC, on passages whose membership is known."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from llm_mia.backends import load_model
from llm_mia.metrics import auroc
from llm_mia.passages import read_passages
from llm_mia.scores import ScoreTable
from llm_mia.scoring import score
from llm_mia.training import Method, Recipe, train

from .figures import Figure
from .texts import passages


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values.argsort().argsort().astype(np.float64)


def precision_figures(count: int) -> list[Figure]:
    """Scores in float32 and in bfloat16 of *count* passages, half of which the model was trained on for one epoch."""
    texts = passages(count, tokens=64, seed=3)
    members = texts[: count // 2]
    with tempfile.TemporaryDirectory() as folder:
        train("embedded", members, Path(folder) / "model", Recipe(Method.FULL, 1, 8, 2e-4))
        file = Path(folder) / "texts.jsonl"
        rows = [{"text": text, "label": int(position < count // 2)} for position, text in enumerate(texts)]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        tables: dict[str, ScoreTable] = {}
        for dtype in ("float32", "bfloat16"):
            target = load_model(Path(folder) / "model", dtype=dtype)
            reference = load_model("embedded", dtype=dtype)
            tables[dtype] = score(read_passages(file), target, reference, out=Path(folder) / dtype)
    full, half = tables["float32"], tables["bfloat16"]
    spearman = {
        name: float(np.corrcoef(_ranks(full.column(name)), _ranks(half.column(name)))[0, 1]) for name in full.columns
    }
    moved = {
        name: abs(auroc(full.column(name), full.labels).value - auroc(half.column(name), half.labels).value)
        for name in full.columns
    }
    worst, most = min(spearman, key=lambda n: spearman[n]), max(moved, key=lambda n: moved[n])
    each = ", ".join(f"{name} {value:.4f}" for name, value in spearman.items())
    return [
        Figure("bfloat16 against float32: lowest Spearman of an attack's scores", spearman[worst],
               at_least=0.999, note=each),
        Figure("bfloat16 against float32: largest difference in AUROC", moved[most], at_most=0.003,
               note=f"{most}; {count} passages, half of them trained on for one epoch"),
    ]  # fmt: skip


def gpu_figures() -> list[Figure]:
    """A random model of an 8B shape on CUDA; without CUDA, a row that has no value."""
    if not torch.cuda.is_available():
        return [Figure("models of an 8B shape", None, note="no GPU on this machine; scripts/check_gpu measures them")]
    from .gpu import EIGHT_B, shape_figures

    return [figure for vocabulary in EIGHT_B.vocabularies for figure in shape_figures(vocabulary)]
