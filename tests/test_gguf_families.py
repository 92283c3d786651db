"""A model in GGUF gives the figures of the same model as safetensors, in every family that is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_mia import load_model
from llm_mia.backends.local import silence_libraries
from llm_mia.errors import ModelError

from .conftest import build_tokenizer
from .gguf_files import GGUF_FAMILIES, GgufFamily, gguf_tensors, write_model
from .rounding import assert_close, rounding_of
from .test_loading import logprobs


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    build_tokenizer(500, bos=False, seed=1).save_pretrained(folder)
    return folder


def build(case: GgufFamily, tokenizer: Any) -> Any:
    """A small model in which every tensor differs from what it is initialised with.

    Its numbers are multiples of 2⁻¹², so that 1 can be added to them without rounding, and taken away.
    """
    import torch
    import transformers

    with silence_libraries():
        torch.manual_seed(0)
        config = getattr(transformers, f"{case.family}Config")(vocab_size=len(tokenizer), **case.config)
        config._experts_implementation = "eager"  # in float64, too, from which `rounding_of` derives its bounds
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    for name, parameter in model.named_parameters():
        parameter.data = ((parameter.data + 0.1 * torch.rand_like(parameter)) * 4096).round() / 4096
        if name.endswith("A_log"):
            parameter.data.zero_()  # log(exp(x)) is x without rounding
            parameter.data[:, 1] = 1 / 4096
    return model


@pytest.mark.parametrize("case", GGUF_FAMILIES.values(), ids=GGUF_FAMILIES)
def test_the_same_figures_as_safetensors(case: GgufFamily, tokenizer: Path, tmp_path: Path) -> None:
    import transformers

    words = transformers.AutoTokenizer.from_pretrained(tokenizer)
    words.save_pretrained(tmp_path)  # a tokenizer beside the file comes first
    model = build(case, words)
    write_model(tmp_path / "a.gguf", case.architecture, case.entries, gguf_tensors(case, model), tokenizer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLM_MIA_CACHE", str(tmp_path / "cache"))
        read = load_model(tmp_path / "a.gguf", dtype="float32", compiled=False)
    expected = load_model(model, tokenizer=words, compiled=False)
    if case.exact:
        assert np.array_equal(logprobs(read), logprobs(expected)), "the same numbers in the same arithmetic"
    else:
        assert_close(logprobs(read), logprobs(expected), rounding_of(expected))


@pytest.mark.parametrize("case", ["gptneox", "falcon 7B", "gemma", "qwen3", "starcoder2"])
def test_heads_that_transformers_would_compute_otherwise(case: str, tokenizer: Path, tmp_path: Path) -> None:
    """Heads that are narrower than the tensors, or of which a part is turned, where transformers ignores that."""
    family = GGUF_FAMILIES[case]
    name = "attention.key_length" if case in ("gptneox", "falcon 7B") else "rope.dimension_count"
    tensors = gguf_tensors(family, build(family, build_tokenizer(500, bos=False, seed=1)))
    write_model(tmp_path / "a.gguf", family.architecture, {**family.entries, name: 4}, tensors, tokenizer)
    with pytest.raises(ModelError) as caught:
        load_model(tmp_path / "a.gguf", dtype="float32", compiled=False)
    assert str(caught.value).endswith(
        f"its entry {family.architecture}.{name} (4) would be lost, and the model would be another: name the folder of "
        "safetensors that it was converted from"
    )
