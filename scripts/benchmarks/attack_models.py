"""Models whose members are known, because they are trained here; one training is saved after several epochs."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from llm_mia import training
from llm_mia.backends import embedded
from llm_mia.backends.local import LocalBackend, load, silence_libraries

VOCABULARY, CONTEXT = 4096, 512
LAYERS, WIDTH, HEAD = 2, 64, 32
START, END = "<s>", "</s>"
Build = Callable[[], LocalBackend]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model is trained, apart from its texts."""

    name: str
    epochs: tuple[int, ...]
    """The model is saved after these epochs; the last ends the training."""
    batch_size: int
    learning_rate: float
    method: training.Method = training.Method.FULL


SMOLLM = Recipe("smollm", (1, 2), 8, 2e-4)
"""As in ``llm-mia demo``."""
SCRATCH = Recipe(f"scratch-{LAYERS}x{WIDTH}", (3, 5, 8), 64, 5e-4)


def trained(work: Path, recipe: Recipe, build: Build, texts: Sequence[str], seed: int) -> dict[int, Path]:
    """Folders of the model that *build* returns, trained on *texts*, by the epoch after which it was saved.

    One training serves all epochs: the learning rate is constant, so the model saved after n epochs equals the result
    of a training of n epochs. A finished training in *work* is used again where recipe, texts and seed are the same.
    """
    key = json.dumps([asdict(recipe), seed, list(texts)]).encode()
    folder = work / "models" / f"{recipe.name}-{hashlib.sha256(key).hexdigest()[:16]}"
    last = recipe.epochs[-1]
    folders = {epoch: folder / f"epoch-{epoch}" if epoch != last else folder for epoch in recipe.epochs}
    if (folder / "training.json").exists():
        return folders
    print(f"training {folder.name} on {len(texts)} passages …", file=sys.stderr, flush=True)
    base = folder.with_name(f"{folder.name}-base")
    if not base.exists():
        unfinished = base.with_name(f".writing-{base.name}")
        _save(build(), unfinished)
        unfinished.rename(base)
    settings = training.Recipe(recipe.method, last, recipe.batch_size, recipe.learning_rate, seed=seed)
    training.train(base, texts, folder, settings, keep_epochs=recipe.epochs)
    if recipe.method is not training.Method.LORA:  # an adapter is loaded together with its base
        shutil.rmtree(base)
    return folders


def _save(model: LocalBackend, folder: Path) -> None:
    with silence_libraries():
        model.model.save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)


def smollm() -> LocalBackend:
    """SmolLM2-135M, without further training."""
    return load(
        str(embedded.gguf_file()),
        name=embedded.NAME,
        revision=None,
        dtype="float32",
        device="auto",
        trust_remote_code=False,
    )


def scratch(corpus: Sequence[str], seed: int, layers: int = LAYERS, width: int = WIDTH) -> LocalBackend:
    """A small Llama with random weights and a tokenizer of *corpus*."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        intermediate_size=width * 8 // 3,
        num_hidden_layers=layers,
        num_attention_heads=width // HEAD,
        max_position_embeddings=CONTEXT,
        bos_token_id=0,
        eos_token_id=1,
        tie_word_embeddings=True,
    )
    return LocalBackend(LlamaForCausalLM(config), _tokenizer(corpus), compiled=False)


def _tokenizer(corpus: Sequence[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{START} $A", special_tokens=[(START, 0)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=START, eos_token=END)
