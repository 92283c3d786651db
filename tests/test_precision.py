"""What ``auto`` means: measured, set by the environment, and kept by a run that continues."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llm_mia import ModelSpec, extract, load_model, read_passages, score
from llm_mia.backends.local import choose_dtype, faster_dtype
from llm_mia.errors import ModelError, RunDirectoryError
from llm_mia.records import DTypeChoice

from .conftest import sentences
from .rounding import PRECISIONS

SIZES = SimpleNamespace(hidden_size=64, intermediate_size=96)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """No environment variable says what ``auto`` means."""
    monkeypatch.delenv("LLM_MIA_DTYPE")


@pytest.mark.parametrize(
    ("float32", "bfloat16", "expected"),
    [
        (1.2, 1.0, "float32"),
        (1.4, 1.0, "bfloat16"),
        (1.3, 1.0, "bfloat16"),
        (0.5, 1.0, "float32"),
        (8.0, 2.0, "bfloat16"),
    ],
)
def test_bfloat16_must_be_worth_its_rounding(float32: float, bfloat16: float, expected: str) -> None:
    assert faster_dtype(float32, bfloat16) == expected


@pytest.mark.usefixtures("measured")
def test_on_a_cpu_both_are_measured_and_recorded(tiny: str) -> None:
    info = load_model(tiny, device="cpu", compiled=False).info
    choice = info.dtype_choice
    assert choice is not None
    assert (choice.dtype, choice.reason) == (info.dtype, "measured")
    assert choice.float32_gflops is not None
    assert choice.bfloat16_gflops is not None
    assert choice.dtype == faster_dtype(1 / choice.float32_gflops, 1 / choice.bfloat16_gflops)
    assert load_model(tiny, device="cpu", compiled=False).info == info, "measured once in a process"


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize("config", [SIZES, SimpleNamespace(hidden_size=64), SimpleNamespace(intermediate_size=[8, 9])])
def test_sizes_that_a_configuration_lacks_are_guessed(config: Any) -> None:
    assert choose_dtype(config, "cpu").reason == "measured"


@pytest.mark.usefixtures("measured")
def test_the_kind_of_device_decides_elsewhere() -> None:
    assert choose_dtype(SIZES, "mps") == DTypeChoice("float32", "device")


@pytest.mark.parametrize("dtype", [*PRECISIONS, "float16"])
def test_the_environment_says_what_auto_means(dtype: str, tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_MIA_DTYPE", dtype)
    info = load_model(tiny, compiled=False).info
    assert (info.dtype, info.dtype_choice) == (dtype, DTypeChoice(dtype, "environment"))
    assert choose_dtype(SIZES, "cuda").dtype == dtype
    named = load_model(tiny, dtype="float32", compiled=False).info
    assert (named.dtype, named.dtype_choice) == ("float32", None), "a precision that is named needs no choice"


@pytest.mark.parametrize("value", ["int3", "auto", "BFLOAT16"])
def test_an_environment_that_names_no_precision_is_refused(
    value: str, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_MIA_DTYPE", value)
    message = f"the environment variable LLM_MIA_DTYPE is '{value}': it must be float32, bfloat16, float16"
    with pytest.raises(ModelError, match=message):
        load_model(tiny)
    assert load_model(tiny, dtype="float32", compiled=False).info.dtype == "float32"


def target_model(run: Path, name: str = "target") -> Any:
    return json.loads((run / "run.json").read_text("utf-8"))["passes"][name]["model"]


@pytest.fixture
def passages(write_jsonl: Callable[..., str]) -> str:
    return write_jsonl("in.jsonl", [{"text": text} for text in sentences(20, seed=8)])


@pytest.mark.parametrize(("begun", "now"), [PRECISIONS, PRECISIONS[::-1]])
def test_a_run_that_continues_keeps_the_precision_that_it_began_with(
    begun: str, now: str, tiny: str, passages: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, spec, run = read_passages(passages), ModelSpec(tiny), tmp_path / "run"

    def stop(step: Any) -> None:
        if step.tokens:
            raise KeyboardInterrupt

    monkeypatch.setenv("LLM_MIA_DTYPE", begun)
    with pytest.raises(KeyboardInterrupt):
        score(source, spec, attacks=["loss"], out=run, progress=stop)
    assert not (run / "scores.parquet").exists()
    monkeypatch.setenv("LLM_MIA_DTYPE", now)
    score(source, spec, attacks=["loss"], out=run)
    assert target_model(run)["dtype"] == begun
    score(source, spec, attacks=["loss", "lowercase"], out=run)
    for name in ("target", "lowered"):
        assert target_model(run, name)["dtype"] == begun
        assert target_model(run, name)["dtype_choice"] == {
            "dtype": begun, "reason": "environment", "float32_gflops": None, "bfloat16_gflops": None,
        }  # fmt: skip
    with pytest.raises(RunDirectoryError, match=f"model dtype {begun} there, {now} here"):
        score(source, ModelSpec(tiny, dtype=now), attacks=["loss"], out=run)


def test_proofs_are_made_in_the_precision_of_the_signals(
    tiny: str, passages: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []

    class RecordedSpec(ModelSpec):
        def load(self, **options: Any) -> Any:
            backend = super().load(**options)
            loaded.append(backend.info.dtype)
            return backend

    model = RecordedSpec(tiny)
    rule: dict[str, Any] = {"stretch": 2, "probability": 1e-9, "samples": 0, "most_proofs": 2}
    monkeypatch.setenv("LLM_MIA_DTYPE", "bfloat16")
    extract(passages, model, out=tmp_path / "run", **rule)
    monkeypatch.setenv("LLM_MIA_DTYPE", "float32")
    assert extract(passages, model, out=tmp_path / "run", proof=True, **rule).proofs
    assert loaded == ["bfloat16", "bfloat16"]
