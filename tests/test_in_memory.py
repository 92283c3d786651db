"""Models in memory, in the middle of a training run: scored as from a folder, and left as they were."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from llm_mia import load_model
from llm_mia.backends import Backend, WindowError
from llm_mia.errors import ModelError, UsageError
from llm_mia.signals import cut, window_rule

from .conftest import build_model, build_tokenizer, save, sentences

TEXTS = sentences(12, seed=5, longest=60)
TOKENIZER = build_tokenizer(500, bos=True, seed=1)


def in_memory(model: Any) -> Backend:
    return load_model(model, tokenizer=TOKENIZER, compiled=False)


def log_probabilities(backend: Backend) -> list[list[float]]:
    rule = window_rule(backend.info.context)
    windows = [w for tokens in backend.encode(TEXTS) for w in cut(tokens, rule, opening=backend.opening)]
    return [signals.logprob.tolist() for signals in backend.score(windows)]


def training_model() -> Any:
    """A model with dropout in the middle of a training run: gradients computed, a module frozen in evaluation."""
    model = build_model(TOKENIZER, seed=1, attention_dropout=0.5).train()
    model.model.layers[0].eval()
    ids = torch.tensor([TOKENIZER(TEXTS[0]).input_ids[:32]])
    model(input_ids=ids, labels=ids).loss.backward()
    model.lm_head.weight.requires_grad_(False)
    return model


def test_scores_are_those_of_the_same_model_from_a_folder(tmp_path: Path) -> None:
    model = training_model()
    folder = save(tmp_path / "model", model, TOKENIZER)
    loaded, given = load_model(folder, dtype="float32", compiled=False), in_memory(model)
    assert log_probabilities(given) == log_probabilities(loaded), "the same arithmetic, so the same bits"
    for field in ("config_sha256", "dtype", "tokenizer", "context", "head"):
        assert getattr(given.info, field) == getattr(loaded.info, field)
    assert given.info.id.endswith("in memory")


def test_a_model_in_memory_stays_as_it_was() -> None:
    model = training_model()
    before = copy.deepcopy(model)
    modes = {name: module.training for name, module in model.named_modules()}
    gradients = {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}
    config = model.config.to_dict()
    backend = in_memory(model)
    assert {name: module.training for name, module in model.named_modules()} == modes, "after loading"
    log_probabilities(backend)
    prefix = np.array([*backend.opening, *backend.encode(["some shots "])[0]], dtype=np.int32)
    tokens = backend.encode(TEXTS[:1])[0][:20]
    backend.score(cut(tokens, window_rule(32)), prefix=prefix)
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert model.config.to_dict() == config
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    for (name, now), (_, then) in zip(model.named_parameters(), before.named_parameters(), strict=True):
        assert (now.device, now.dtype, now.requires_grad) == (then.device, then.dtype, then.requires_grad)
        assert torch.equal(now, then)
        kept = gradients[name]
        assert (now.grad is None) == (kept is None)
        if kept is not None and now.grad is not None:
            assert torch.equal(now.grad, kept)
    for (_, now), (_, then) in zip(model.named_buffers(), before.named_buffers(), strict=True):
        assert torch.equal(now, then)
    ids = torch.tensor([TOKENIZER(TEXTS[1]).input_ids[:32]])
    model(input_ids=ids, labels=ids).loss.backward()  # and its training goes on


def test_the_mode_comes_back_where_scoring_fails() -> None:
    model = training_model()
    backend: Any = in_memory(model)
    modes = [module.training for module in model.modules()]
    model.model.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(WindowError, match="division by zero"):
        log_probabilities(backend)
    assert [module.training for module in model.modules()] == modes


# A call in peft of transformers.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_an_adapter_in_memory_scores_like_the_merged_model() -> None:
    peft = pytest.importorskip("peft")
    torch.manual_seed(3)
    config = peft.LoraConfig(target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    model = peft.get_peft_model(build_model(TOKENIZER, seed=1), config)
    names = [name for name, _ in model.named_modules()]
    given = log_probabilities(in_memory(model))
    assert [name for name, _ in model.named_modules()] == names, "nothing was merged"
    merged = log_probabilities(in_memory(copy.deepcopy(model).merge_and_unload()))
    plain = log_probabilities(in_memory(build_model(TOKENIZER, seed=1)))
    difference = max(abs(a - b) for pair in zip(given, merged, strict=True) for a, b in zip(*pair, strict=True))
    changed = max(abs(a - b) for pair in zip(given, plain, strict=True) for a, b in zip(*pair, strict=True))
    # Two layers of width 32 with additions in another order: some hundred roundings of 6e-8 on logits of about 10.
    assert difference < 1e-4 < changed
    learned_prompts = peft.get_peft_model(
        build_model(TOKENIZER, seed=1), peft.PromptTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM")
    )
    with pytest.raises(ModelError, match="puts learned prompts before every text"):
        in_memory(learned_prompts)


def test_what_is_not_a_causal_model_of_transformers_is_refused() -> None:
    model = build_model(TOKENIZER, seed=1)
    with pytest.raises(UsageError, match="a model does not hold its tokenizer: give it as `tokenizer`"):
        load_model(model)
    with pytest.raises(UsageError, match="`model` is of the type Linear: give the name of a model, or a causal"):
        load_model(torch.nn.Linear(2, 2), tokenizer=TOKENIZER)
    with pytest.raises(UsageError, match="`tokenizer` is of the type str: give a tokenizer of transformers"):
        load_model(model, tokenizer="gpt2")
    with pytest.raises(UsageError, match="`dtype` is only for loading a model by its name, and `model` is in memory"):
        load_model(model, tokenizer=TOKENIZER, dtype="float32")
    with pytest.raises(UsageError, match="`model` is the name 'gpt2', and its tokenizer is loaded"):
        load_model("gpt2", tokenizer=TOKENIZER)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    bert = transformers.BertLMHeadModel(transformers.BertConfig(vocab_size=len(TOKENIZER), is_decoder=False, **sizes))
    with pytest.raises(ModelError, match=r"model 'model in memory': not a causal language model"):
        in_memory(bert)


def test_threads_that_share_a_model_take_turns() -> None:
    model = training_model()
    backend = in_memory(model)
    alone = log_probabilities(backend)
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda _: log_probabilities(backend), range(12)))
    assert all(each == alone for each in together), "no thread computes with the dropout of another"
    assert model.lm_head.training, "and the model trains on"


def test_mixed_precision_around_a_call_changes_no_score() -> None:
    backend = in_memory(build_model(TOKENIZER, seed=1))
    alone = log_probabilities(backend)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert log_probabilities(backend) == alone, "the record says float32"


def test_a_parameter_without_dimensions_is_part_of_the_digest() -> None:
    digests = []
    for scale in (1.0, 2.0):
        model = build_model(TOKENIZER, seed=1)
        model.register_buffer("scale", torch.tensor(scale))
        digests.append(in_memory(model).info.weights_sha256)
    assert digests[0] != digests[1]


def test_a_model_that_does_not_compute_is_refused_by_its_name() -> None:
    model = build_model(TOKENIZER, seed=1)
    with pytest.raises(ModelError, match=r"in memory': does not compute as a causal language model \("):
        in_memory(model.model)  # without its head
    with pytest.raises(UsageError, match="weights on the device 'meta'"):
        in_memory(model.to("meta"))
