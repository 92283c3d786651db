"""Tiny real models: two layers, a few hundred tokens of vocabulary, built here in a second."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_mia.backends import Backend

# Without this `auto` is measured, and depends on what else the machine does. Tests that name no precision use this.
os.environ.setdefault("LLM_MIA_DTYPE", "float32")
# Models this small gain nothing from threads, and on a busy machine threads wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Processes that tests start would compile the whole package each, 0.5 s, where no bytecode may be kept.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# No test uses the network.
os.environ["HF_HUB_OFFLINE"] = "1"

WORDS = [
    "the",
    "river",
    "bends",
    "under",
    "a",
    "stone",
    "bridge",
    "while",
    "Anna",
    "counts",
    "seven",
    "geese",
    "and",
    "writes",
    "their",
    "names",
    "in",
    "her",
    "small",
    "book",
    "no",
    "one",
    "remembers",
    "who",
    "built",
    "it",
    "but",
    "every",
    "spring",
    "the",
    "water",
    "rises",
    "twice",
    "and",
    "the",
    "old",
    "miller",
    "opens",
    "both",
    "gates",
    "Über",
    "naïve",
    "façade",
    "12",
    "1999",
    "3.14",
    "émigré",
    "çok",
]


def sentences(count: int, seed: int = 0, longest: int = 30) -> list[str]:
    """Seeded texts of mixed length, none of them empty."""
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randint(2, longest))).capitalize() + "." for _ in range(count)]


def build_tokenizer(vocabulary: int, *, bos: bool, seed: int) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sentences(300, seed), trainer)
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


def build_model(tokenizer: Any, *, seed: int, context: int = 64, **changes: Any) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    settings = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": context,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "initializer_range": 0.3,
        **changes,
    }
    return LlamaForCausalLM(LlamaConfig(**settings)).eval()


def with_doubled_logits(model: Any) -> Any:
    """The *model*, changed so that no known head computes its logits."""

    def double(_: Any, __: Any, output: Any) -> None:
        output.logits = output.logits * 2

    model.register_forward_hook(double)
    return model


def save(folder: Path, model: Any, tokenizer: Any) -> str:
    from llm_mia.backends.local import silence_libraries

    with silence_libraries():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes converted models in the user's cache; tests that convert a model name another folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLM_MIA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def empty_record() -> None:
    """No test counts the decisions of another: tests decide on the same candidates again and again."""
    (Path(os.environ["LLM_MIA_CACHE"]) / "decisions.jsonl").unlink(missing_ok=True)


@pytest.fixture(autouse=True, scope="session")
def no_embedded_stand_in() -> Iterator[None]:
    """An audit without a reference does not choose the embedded model, which takes seconds; a test may name it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llm_mia.backends.embedded.is_installed", lambda: False)
        yield


@pytest.fixture(autouse=True, scope="session")
def no_report() -> Iterator[None]:
    """An audit writes no report.html, which takes about 2 s; tests of the page call `write_report` by its module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llm_mia.report.write_report", lambda *_, **__: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def strict_messages() -> Iterator[None]:
    """A message of the command line names only what the running command has, in whichever test it is printed."""
    from llm_mia.cli import parameters

    spelled = parameters.spelled

    def strictly_spelled(message: str) -> str:
        options = parameters.running_options()
        if options:
            unknown = [name for name in parameters.named_in(message) if name not in (*options, *parameters.FUNCTIONS)]
            assert not unknown, f"{message!r} names {unknown}, which the running command does not have"
            unknown = sorted(options_named_in(spelled(message)) - {option.split()[0] for option in options.values()})
            assert not unknown, f"{message!r} names {unknown}, which the running command does not have"
        return spelled(message)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llm_mia.cli.spelled", strictly_spelled)
        patch.setattr("llm_mia.cli.output.spelled", strictly_spelled)
        yield


def options_named_in(text: str) -> set[str]:
    """The options that *text* says the running command has: not those of another command that it names, or of pip."""
    elsewhere = re.compile(r"llm-mia [a-z]+(?: [^'`\"]*)?['`\"]|pip install [^;:]*|\bhf auth \S+")
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", elsewhere.sub("", text)))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a model without BOS and a context of 64 tokens."""
    tokenizer = build_tokenizer(500, bos=False, seed=1)
    return save(tmp_path_factory.mktemp("tiny"), build_model(tokenizer, seed=1), tokenizer)


@pytest.fixture(scope="session")
def tiny_reference(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Another model with the same tokenizer."""
    tokenizer = build_tokenizer(500, bos=False, seed=1)
    return save(tmp_path_factory.mktemp("reference"), build_model(tokenizer, seed=2), tokenizer)


@pytest.fixture(scope="session")
def tiny_bos(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model with another tokenizer, which opens every text with BOS."""
    tokenizer = build_tokenizer(400, bos=True, seed=3)
    return save(tmp_path_factory.mktemp("bos"), build_model(tokenizer, seed=3), tokenizer)


@pytest.fixture
def write_jsonl(tmp_path: Path) -> Callable[..., str]:
    """Write rows to a jsonl file in the test's folder; returns its path."""
    import json

    def write(name: str, rows: Sequence[object]) -> str:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def fake() -> Backend:
    """The seeded bigram model."""
    from llm_mia.backends.fake import FakeBackend

    return FakeBackend(0)


def spans_of_bytes(text: str) -> NDArray[np.int64]:
    """The character that each byte of *text* belongs to: what a tokenizer of bytes gives as its spans."""
    spans = [(at, at + 1) for at, character in enumerate(text) for _ in character.encode()]
    return np.array(spans, dtype=np.int64).reshape(-1, 2)


def pretend(monkeypatch: pytest.MonkeyPatch, make: Callable[[int], Any] | None = None) -> None:
    """Load the seeded bigram model in place of every model, or the result of *make*; the seed is the name's length."""
    from types import SimpleNamespace

    from llm_mia.backends.fake import FakeBackend

    build = make or FakeBackend
    tokenizer = SimpleNamespace(fingerprint=build(0).info.tokenizer, spans=spans_of_bytes)
    monkeypatch.setattr("llm_mia.backends.checking.check_model", lambda *_, **__: None)
    monkeypatch.setattr("llm_mia.backends.loading.load_model", lambda name, **_: build(len(name)))
    monkeypatch.setattr("llm_mia.backends.ModelSpec.tokenizer", lambda _: tokenizer)
