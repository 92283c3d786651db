"""PEFT adapters: merged completely, or refused in one line; the figure is that of the model in memory."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from llm_mia import load_model
from llm_mia.backends import ModelSpec
from llm_mia.backends.local import silence_libraries

from .conftest import save
from .gguf_files import GGUF_FAMILIES, gguf_tensors, write_model
from .rounding import assert_close, rounding_of
from .test_loading import logprobs, refusal

FILE = "adapter_model.safetensors"
QUERY = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"


def lora(**changes: Any) -> Any:
    import peft

    settings = {"r": 4, "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM", "init_lora_weights": False}
    return peft.LoraConfig(**{**settings, **changes})


def train(base: str, folder: Path, config: Any, rows: int | None = None) -> NDArray[np.float32]:
    """Save an adapter with weights drawn at random; return the log-likelihoods of `TEXTS` in memory.

    Args:
        base: the folder of the base model.
        folder: the folder for the adapter.
        config: peft's configuration.
        rows: the size of the vocabulary after tokens were added.
    """
    import peft
    import transformers

    torch.manual_seed(0)
    with silence_libraries(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        if rows:
            model.resize_token_embeddings(rows, mean_resizing=False)
        adapted = peft.get_peft_model(model, config).eval()
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.data += 0.3 * torch.randn_like(parameter)
        adapted.save_pretrained(folder)
        if config.is_prompt_learning:
            return np.zeros(0, np.float32)
        tokenizer = transformers.AutoTokenizer.from_pretrained(base)
        return logprobs(load_model(adapted, tokenizer=tokenizer, compiled=False))


KINDS: dict[str, dict[str, Any]] = {
    "DoRA": {"use_dora": True},
    "rank-stabilised": {"use_rslora": True},
    "on a base without its main directions": {"init_lora_weights": "pissa"},
    "with a whole head": {"modules_to_save": ["lm_head"]},
    "with new vectors for two tokens": {"trainable_token_indices": [3, 5]},
}


@pytest.mark.parametrize("changes", KINDS.values(), ids=KINDS)
def test_kinds_of_lora(changes: dict[str, Any], tiny: str, tmp_path: Path) -> None:
    expected = train(tiny, tmp_path / "a", lora(**changes))
    merged = load_model(tmp_path / "a", dtype="float32", compiled=False)
    assert_close(logprobs(merged), expected, rounding_of(merged))


RESIZED: dict[str, dict[str, Any]] = {
    "saved because they grew": {},
    "trained as a whole": {"modules_to_save": ["embed_tokens", "lm_head"]},
    "adapted, too": {"target_modules": ["q_proj", "embed_tokens", "lm_head"]},
}


@pytest.mark.parametrize("changes", RESIZED.values(), ids=RESIZED)
def test_embeddings_with_rows_for_new_tokens(changes: dict[str, Any], tiny: str, tmp_path: Path) -> None:
    expected = train(tiny, tmp_path / "a", lora(**changes), rows=501)
    merged: Any = load_model(tmp_path / "a", dtype="float32", compiled=False)
    assert merged.model.get_input_embeddings().weight.shape[0] == 501
    assert_close(logprobs(merged), expected, rounding_of(merged))


def change_tensors(folder: Path, **changes: Any) -> None:
    weights = load_file(folder / FILE)
    for name, tensor in changes.items():
        if tensor is None:
            del weights[name]
        else:
            weights[name] = tensor
    save_file(weights, folder / FILE)


def change_settings(folder: Path, **changes: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_embeddings_with_rows_that_are_not_all_there(tiny: str, tmp_path: Path) -> None:
    train(tiny, tmp_path / "a", lora(), rows=501)
    change_tensors(tmp_path / "a", **{"base_model.model.lm_head.weight": None})
    assert refusal(tmp_path / "a") == (
        f"it was trained after tokens were added (501 for 455 in {tiny}), and does not hold all embeddings of these "
        "tokens: merge it into its base model where it was trained"
    )


@pytest.fixture
def adapter(tiny: str, tmp_path: Path) -> Path:
    train(tiny, tmp_path / "adapter", lora())
    return tmp_path / "adapter"


def test_tensors_without_a_place(adapter: Path, tiny: str) -> None:
    change_tensors(adapter, **{QUERY.replace("layers.0", "layers.7"): torch.ones(4, 32)})
    assert refusal(adapter) == (
        f"its weights hold tensors that have no place in {tiny} with this adapter_config.json (1, such as "
        f"{QUERY.replace('layers.0', 'layers.7')}): does it belong to that model?"
    )


def test_a_layer_without_its_tensors(adapter: Path, tiny: str) -> None:
    change_tensors(adapter, **{QUERY: None})
    assert refusal(adapter) == (
        f"its weights lack tensors that adapter_config.json requires (1, such as {QUERY}): does it belong to {tiny}?"
    )


@pytest.mark.parametrize("change", [{"r": 8}, {"target_modules": ["no_such_layer"]}])
def test_settings_of_another_training(change: dict[str, Any], adapter: Path, tiny: str) -> None:
    change_settings(adapter, **change)
    assert refusal(adapter).startswith(
        f"it does not fit its base model {tiny}: is that the model, and are target_modules and r in its "
        "adapter_config.json those of the training? ("
    )


def test_settings_of_a_later_peft(adapter: Path) -> None:
    change_settings(adapter, not_yet_known=None, later=False)
    assert np.isfinite(logprobs(load_model(adapter, compiled=False))).all(), "they are switched off"
    change_settings(adapter, later=3)
    assert "would ignore (later): install a newer peft, or merge the adapter" in refusal(adapter)
    change_settings(adapter, peft_type="LATER")
    assert refusal(adapter).startswith("its kind of adapter, 'LATER', is unknown to peft ")


@pytest.mark.parametrize("kind", ["PromptTuningConfig", "PrefixTuningConfig", "PromptEncoderConfig"])
def test_learned_prompts(kind: str, tiny: str, tmp_path: Path) -> None:
    import peft

    train(tiny, tmp_path / "a", getattr(peft, kind)(num_virtual_tokens=4, task_type="CAUSAL_LM"))
    assert refusal(tmp_path / "a") == (
        "its adapter puts learned prompts before every text, and no text has a likelihood without them: name its base "
        "model"
    )


@pytest.mark.parametrize("start", ["pissa_niter_4", "corda", "lora_ga"])
def test_a_base_that_was_changed_at_random(start: str, adapter: Path) -> None:
    """With ``pissa_niter_4`` every load gave other figures, and no load those of the training."""
    change_settings(adapter, init_lora_weights=start)
    assert refusal(adapter) == (
        f"it was trained on a base model that peft had changed at random (init_lora_weights {start!r}), and does not "
        "hold that change: merge it into that base model where it was trained"
    )


def test_repeated_layers(tiny: str, tmp_path: Path) -> None:
    """They share their weights, to which a merge would add the adapters of all of them."""
    in_memory = train(tiny, tmp_path / "a", lora(layer_replication=[[0, 2], [1, 2]]))
    assert np.isfinite(in_memory).all(), "the way that the message names works"
    assert refusal(tmp_path / "a") == (
        "it repeats layers of its base model (layer_replication), which share their weights, so it cannot be merged: "
        "load it in Python, and give `load_model` the model in memory"
    )


def test_a_kind_that_cannot_be_merged(tiny: str, tmp_path: Path) -> None:
    import peft

    train(tiny, tmp_path / "a", peft.AdaptionPromptConfig(task_type="CAUSAL_LM", adapter_len=4, adapter_layers=1))
    assert refusal(tmp_path / "a").startswith("peft cannot merge an adapter of its kind (ADAPTION_PROMPT), and only ")


def test_a_base_that_is_an_adapter(adapter: Path, tmp_path: Path) -> None:
    second = Path(shutil.copytree(adapter, tmp_path / "second"))
    change_settings(second, base_model_name_or_path=str(adapter))
    assert refusal(second) == (
        f"its base model {adapter} is an adapter, too: merge that adapter into its base model first"
    )


def test_a_whole_model_and_an_adapter_in_a_folder(adapter: Path, tiny: str) -> None:
    shutil.copy(Path(tiny) / "model.safetensors", adapter)
    assert refusal(adapter).startswith("holds a whole model and an adapter: move adapter_config.json and ")


def test_a_revision_of_the_base_is_for_the_hub(adapter: Path) -> None:
    before = logprobs(load_model(adapter, compiled=False))
    change_settings(adapter, revision="main")
    assert np.array_equal(logprobs(load_model(adapter, compiled=False)), before), "the base is a folder"
    change_settings(adapter, base_model_name_or_path="no-such-organisation/model", revision="v2")
    assert "its base model 'no-such-organisation/model': no such folder here" in refusal(adapter)
    assert ModelSpec(adapter).sha256() is None


def test_a_base_in_gguf(tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers

    monkeypatch.setenv("LLM_MIA_CACHE", str(tmp_path / "cache"))
    case = GGUF_FAMILIES["llama"]
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=455, **case.config))
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny)
    save(tmp_path / "base", model, tokenizer)
    expected = train(str(tmp_path / "base"), tmp_path / "a", lora())
    write_model(tmp_path / "b.gguf", "llama", case.entries, gguf_tensors(case, model), Path(tiny))
    tokenizer.save_pretrained(tmp_path)
    change_settings(tmp_path / "a", base_model_name_or_path=str(tmp_path / "b.gguf"))
    merged = load_model(tmp_path / "a", dtype="float32", compiled=False)
    assert_close(logprobs(merged), expected, rounding_of(merged))
    before = ModelSpec(tmp_path / "a").sha256()
    (tmp_path / "b.gguf").write_bytes(b"another model")
    assert ModelSpec(tmp_path / "a").sha256() != before, "the base counts"
