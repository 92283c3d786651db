"""From a name to a masked language model, or to an error of one line that gives the reason."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from llm_mia.backends import ModelSpec
from llm_mia.backends.masked import MaskedRewriter
from llm_mia.errors import ModelError, UsageError

from .conftest import save, sentences
from .masked_models import build_masked, word_pieces


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Uncased, with a context of 48 tokens."""
    tokenizer = word_pieces(lowercase=True)
    return save(tmp_path_factory.mktemp("bert"), build_masked("Bert", tokenizer), tokenizer)


def test_known_again_by_its_files(bert: str, tmp_path: Path) -> None:
    rewriter = MaskedRewriter(bert, device="cpu")
    assert (rewriter.name, rewriter.revision, rewriter.seed, rewriter.share) == (bert, None, 0, 0.1)
    copy = shutil.copytree(bert, tmp_path / "copy")
    assert ModelSpec(str(copy)).sha256() == ModelSpec(bert).sha256() is not None
    spoil_config(copy)
    assert ModelSpec(str(copy)).sha256() != ModelSpec(bert).sha256()


def spoil_config(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "layer_norm_eps": 0.5}))


def refusal(name: str | Path, **options: Any) -> str:
    with pytest.raises(ModelError) as caught:
        MaskedRewriter(str(name), **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"model '{name}': ")
    return message.removeprefix(f"model '{name}': ")


def test_a_causal_model_is_refused(tiny: str) -> None:
    assert refusal(tiny) == "not a masked language model: its tokenizer has no mask token; name a model such as BERT"


def test_a_causal_model_with_a_mask_token_is_refused(tiny: str, bert: str, tmp_path: Path) -> None:
    folder = shutil.copytree(bert, tmp_path / "model")
    shutil.copy(Path(tiny) / "config.json", folder)
    assert refusal(folder) == "not a masked language model (LlamaConfig): name a model such as BERT"


def test_a_model_without_a_head_for_masks_is_refused(bert: str, tmp_path: Path) -> None:
    tokenizer = word_pieces(lowercase=True)
    folder = save(tmp_path / "encoder", build_masked("Bert", tokenizer).bert, tokenizer)
    assert re.fullmatch(
        r"its weights are not those of a masked language model: .* \(\d+, such as cls\..*\): name a model such as .*",
        refusal(folder),
    )


def change_weights(folder: Path, **tensors: Any) -> None:
    weights = {**load_file(folder / "model.safetensors"), **tensors}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def test_heads_for_other_tasks_are_not_used(bert: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bert, tmp_path / "model"))
    change_weights(
        folder,
        **{
            "bert.pooler.dense.weight": torch.ones(32, 32),
            "cls.seq_relationship.weight": torch.ones(2, 32),
            "bert.embeddings.position_ids": torch.arange(48)[None],
        },
    )
    texts = sentences(3)
    versions = [MaskedRewriter(str(name), device="cpu").rewrite(texts, 0) for name in (bert, folder)]
    assert versions[0] == versions[1]


def test_a_tensor_without_a_place_is_refused(bert: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bert, tmp_path / "model"))
    change_weights(folder, **{"bert.encoder.layer.2.output.dense.weight": torch.ones(32, 64)})
    assert refusal(folder).startswith(
        "its weights hold tensors that config.json gives no place to (1, such as bert.encoder.layer.2.output.dense."
    )


def test_a_slow_tokenizer_is_refused(bert: str, tmp_path: Path) -> None:
    import transformers

    folder = shutil.copytree(bert, tmp_path / "slow")
    for file in folder.glob("tokenizer*"):
        file.unlink()
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("\n".join(["<cls>", "<pad>", "<eos>", "<unk>", "<mask>", "a", "w", "o", "r", "d"]))
    transformers.EsmTokenizer(str(vocabulary)).save_pretrained(folder)
    assert refusal(folder) == (
        "its tokenizer (EsmTokenizer) does not report the position of each token in a text: "
        "use a model with a fast tokenizer (tokenizer.json)"
    )


def lose(pattern: str) -> Callable[[Path], None]:
    def delete(folder: Path) -> None:
        for file in folder.glob(pattern):
            file.unlink()

    return delete


def shorten(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lose("config.json"), "holds no config.json, so it is not a model"),
        (lose("*.safetensors"), "holds no model.safetensors: copy or download the weights too"),
        (lose("tokenizer*"), "token"),
        (shorten, "its weights file is damaged or cut short"),
    ],
)
def test_a_damaged_folder_is_refused(bert: str, tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    folder = shutil.copytree(bert, tmp_path / "model")
    damage(folder)
    assert message in refusal(folder)


def test_what_is_no_model_is_refused(bert: str, tmp_path: Path) -> None:
    assert refusal("/no/such/model") == "no such folder or file"
    assert refusal("no-such-organisation/no-such-model").startswith("no such folder here, and the hub did not")
    with pytest.raises(UsageError, match=r"has no `revision` 'main': leave out `revision`"):
        MaskedRewriter(bert, revision="main")
    gguf = tmp_path / "model.gguf"
    gguf.write_bytes(b"GGUF")
    assert refusal(gguf).startswith("is a GGUF file")
    with pytest.raises(UsageError, match=r"`device` is 'no-such-device', and torch finds no such device here"):
        MaskedRewriter(bert, device="no-such-device")
    with pytest.raises(UsageError, match=r"^`share` must be above 0 and at most 1: got "):
        MaskedRewriter(bert, share=0.0)
