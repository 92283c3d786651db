"""scripts/check_gpu on a machine without a card: a line and 2; and that its figures compute, on small shapes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[1]


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import benchmarks.card

    return benchmarks.card


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_without_a_card_a_line_says_so(card: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(sys, "argv", ["check_gpu"])
    assert card.main() == 2
    assert capsys.readouterr().err == "scripts/check_gpu: no CUDA device on this machine, so nothing was checked\n"


def test_packages_that_are_missing_are_named(card: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(sys, "argv", ["check_gpu"])
    monkeypatch.setattr(card, "NEEDED", ("numpy", "no_such_package"))
    assert card.main() == 2
    assert capsys.readouterr().err.startswith("scripts/check_gpu: needs no_such_package, which ")


def test_a_section_that_fails_or_comes_too_late_has_a_row_without_a_value(card: Any) -> None:
    def fails() -> list[Any]:
        raise RuntimeError("CUDA error: no kernel\nmore")

    ran = card.run_sections({"kernel": fails, "head": lambda: [card.Figure("head", 1.0, at_least=0.5)]}, 60)
    assert (ran["kernel"][0].name, ran["kernel"][0].value) == ("kernel: not run", None)
    assert ran["kernel"][0].note == "RuntimeError: CUDA error: no kernel"
    assert ran["head"][0].reached == "yes"
    late = card.run_sections({"kernel": fails}, card.LEAST_LEFT["kernel"] - 1)
    assert late["kernel"][0].note == "the time was over"


def test_errors_against_float64_are_those_of_a_wrong_statistic(card: Any) -> None:
    from benchmarks import gpu

    from llm_mia.backends.moments import eager_sweep

    logits, targets = 4 * torch.randn(8, 500, generator=torch.Generator().manual_seed(1)), torch.arange(8)
    moments = eager_sweep(logits, targets)
    assert max(gpu._errors(moments, logits, targets)) <= 1
    for wrong in range(5):
        changed = [each + (1 if position == wrong else 0) for position, each in enumerate(moments)]
        errors = list(gpu._errors(changed, logits, targets))
        assert [error > 1 for error in errors] == [position == wrong for position in range(5)]


def test_a_small_shape_computes_on_the_cpu(card: Any) -> None:
    names = [each.name for each in card.sections(dry_run=True)["128k"]()]
    assert names[0] == "small shape on the CPU, vocabulary 2,000: share of bf16 peak"
    assert len(card.sections(dry_run=True)["head"]()) == 2


@pytest.mark.slow
def test_the_whole_check_runs_dry(tmp_path: Path) -> None:
    command = ["scripts/check_gpu", "--dry-run", "--out", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "0 goals missed, 0 sections not run" in ran.stderr, ran.stderr
    assert (tmp_path / "gpu-dry-run.json").exists()
