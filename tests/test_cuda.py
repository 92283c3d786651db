"""Signals on a CUDA device: the same as on the CPU, beyond rounding."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from llm_mia import load_model
from llm_mia.records import WindowRule
from llm_mia.signals import cut

from .conftest import sentences
from .rounding import PRECISIONS, assert_same_signals, rounding_of


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", PRECISIONS)
def test_signals_are_those_of_the_cpu(tiny: str, dtype: str) -> None:
    on_cpu: Any = load_model(tiny, dtype=dtype, device="cpu", compiled=False)
    on_cuda: Any = load_model(tiny, dtype=dtype, device="cuda")
    rule, texts = WindowRule(tokens=48, context=12), sentences(40, seed=7, longest=60)
    windows = [window for i, ids in enumerate(on_cpu.encode(texts)) for window in cut(ids, rule, passage=i)]
    assert len(windows) > len(texts), "some passages must be longer than a window"
    assert_same_signals(on_cuda.score(windows), on_cpu.score(windows), rounding_of(on_cpu))
