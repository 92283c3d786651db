"""Special tokens that are written in a text are text, unless the texts are in the model's template."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors

from llm_mia import load_model
from llm_mia.backends import ModelSpec
from llm_mia.backends.local import LocalBackend, LocalTokenizer
from llm_mia.backends.masked import MaskedRewriter
from llm_mia.cli import main
from llm_mia.errors import ModelError, RunDirectoryError
from llm_mia.extraction import extract
from llm_mia.passages import Passages
from llm_mia.perplexities import write_perplexities
from llm_mia.scoring import score_to_disk
from llm_mia.signals import signals_of, write_signals
from llm_mia.store import read_run

from .conftest import build_model, build_tokenizer, save, sentences
from .masked_models import build_masked, word_pieces

SPECIAL = ["<unk>", "<s>", "</s>", "[MASK]"]
PIECES = ["12", "▁", "▁x", "x", "y", "a", "b", "1", "2", "<", ">", "/", "s", "[", "]", "M", "A", "S", "K"]


def fast(backend: Tokenizer) -> Any:
    from transformers import PreTrainedTokenizerFast

    backend.add_special_tokens(SPECIAL)
    backend.add_tokens([AddedToken("<keep>", special=False)])
    names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "mask_token": "[MASK]"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **names)


def vocabulary(*more: str) -> dict[str, int]:
    return {token: index for index, token in enumerate([*SPECIAL, *PIECES, *more])}


def unigram() -> Any:
    scored = [*((token, 0.0) for token in SPECIAL), *((piece, -1.0 - at) for at, piece in enumerate(PIECES))]
    backend = Tokenizer(models.Unigram(scored, unk_id=0))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    return fast(backend)


def words() -> Any:
    backend = Tokenizer(models.WordLevel(vocabulary(), unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return fast(backend)


def pieces_of_words() -> Any:
    backend = Tokenizer(models.WordPiece(vocabulary("##<", "##s", "##>", "##/"), unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return fast(backend)


def pairs(whole_words: bool) -> Any:
    backend = Tokenizer(models.BPE(vocabulary(), [("1", "2")], unk_token="<unk>", ignore_merges=whole_words))
    return fast(backend)


def in_python() -> Any:
    from transformers import ByT5Tokenizer

    tokenizer = ByT5Tokenizer()
    tokenizer.add_tokens(["<keep>"])
    return tokenizer


KINDS: dict[str, tuple[Any, str, list[str], list[str]]] = {
    "Unigram": (
        unigram,
        "x <s>12</s>",
        ["▁x", "▁", "<", "s", ">", "12", "<", "/", "s", ">"],
        ["▁x", "▁", "<s>", "▁", "12", "</s>"],
    ),
    "WordLevel": (words, "x <s> 12", ["x", "<unk>", "12"], ["x", "<s>", "12"]),
    "WordPiece": (pieces_of_words, "x </s>", ["x", "<", "##/", "##s", "##>"], ["x", "</s>"]),
    "BPE": (lambda: pairs(False), "<s>12</s>", ["<", "s", ">", "12", "<", "/", "s", ">"], ["<s>", "12", "</s>"]),
    "BPE of whole words": (lambda: pairs(True), "</s>", ["<", "/", "s", ">"], ["</s>"]),
    "Python": (in_python, "a</s>", ["a", "<", "/", "s", ">"], ["a", "</s>"]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_text(kind: str) -> None:
    build, text, as_text, as_tokens = KINDS[kind]
    tokenizer = build()
    for templated, expected in ((False, as_text), (True, as_tokens)):
        local = LocalTokenizer(tokenizer, templated=templated)
        [ids] = local.encode([text])
        assert tokenizer.convert_ids_to_tokens(ids.tolist()) == expected
        if tokenizer.is_fast:
            spans = local.spans(text)
            assert len(spans) == len(ids)
            assert spans[-1, 1] == len(text)


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_that_were_added_and_are_not_special_stay_tokens(kind: str) -> None:
    tokenizer = KINDS[kind][0]()
    [ids] = LocalTokenizer(tokenizer).encode(["x<keep>y"])
    assert "<keep>" in tokenizer.convert_ids_to_tokens(ids.tolist())


def test_the_other_tokens_of_a_text_are_the_same() -> None:
    """The copy that reads special tokens as text differs in nothing else."""
    tokenizer = unigram()
    texts = ["x 12 a/b", "☃", "", "yy  <<>>", "x<keep>y"]
    plain = [tokenizer(text, add_special_tokens=False).input_ids for text in texts]
    assert [ids.tolist() for ids in LocalTokenizer(tokenizer).encode(texts)] == plain


def test_a_padding_token_that_is_an_ordinary_character_stays_text() -> None:
    tokenizer = pairs(False)
    tokenizer.pad_token = "y"
    local = LocalTokenizer(tokenizer)
    assert tokenizer.convert_ids_to_tokens(local.encode(["xy12"])[0].tolist()) == ["x", "y", "12"]
    assert local.special_tokens.first_in("xy12") is None


def test_a_tokenizer_that_cannot_is_refused_with_the_passage() -> None:
    from transformers import ByT5Tokenizer

    class Odd(ByT5Tokenizer):  # type: ignore[misc]
        """As tokenizers of other people, which ignore the argument."""

        def tokenize(self, text: str, **_: Any) -> list[str]:
            tokens: list[str] = super().tokenize(text)
            return tokens

    tokenizer = Odd()
    model = build_model(tokenizer, seed=0, vocab_size=400)
    backend = LocalBackend(model, tokenizer, compiled=False)
    with pytest.raises(ModelError) as refused:
        signals_of(backend, ["a text", "a</s>b"])
    assert str(refused.value) == (
        "passage '1': model 'in memory': its tokenizer (Odd) reads '</s>' in a text as a special token, and cannot "
        "read it as text: remove it from the texts, or set `templated` if they are in the model's template"
    )
    assert len(signals_of(LocalBackend(model, tokenizer, compiled=False, templated=True), ["a</s>b"])[0]) == 2


def test_a_special_token_that_is_not_written_in_the_text() -> None:
    """The model of this tokenizer gives padding for what it does not know, and the tokenizer names another token."""
    from transformers import PreTrainedTokenizerFast

    scored = [("<pad>", 0.0), ("<unk>", 0.0), ("a", -1.0)]
    backend = Tokenizer(models.Unigram(scored, unk_id=0))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", unk_token="<unk>")
    with pytest.raises(ModelError) as caught:
        LocalTokenizer(tokenizer)
    assert str(caught.value) == (
        "model 'in memory': its tokenizer (TokenizersBackend) gives the special token '<pad>' for a text in which it "
        "is not written, as it does if its unknown token has another number: give the tokenizer that belongs to the "
        "model"
    )


def test_where_they_are_written() -> None:
    special = LocalTokenizer(pairs(False)).special_tokens
    found = {text: special.first_in(text) for text in ("x < s", "1<2 </s><s>", "a[MASK", "a[MASK]", "<keep>", "")}
    assert list(found.values()) == [None, "</s>", None, "[MASK]", None, None]


TEXTS = [*sentences(4, seed=6, longest=8), "He wrote <s>twelve</s> 12 geese.", "The end</s>"]


@pytest.fixture
def folder(tiny_bos: str) -> ModelSpec:
    return ModelSpec(tiny_bos, dtype="float32")


def test_scores_of_a_text_with_them(folder: ModelSpec) -> None:
    """The right tokens are those of the pieces of the text, in which nothing is special."""
    as_text, as_tokens = folder.load(compiled=False), replace(folder, templated=True).load(compiled=False)
    [text], [tokens] = signals_of(as_text, [TEXTS[4]]), signals_of(as_tokens, [TEXTS[4]])
    assert not {0, 1} & set(text.token_ids.tolist())
    assert [token for token in tokens.token_ids.tolist() if token < 2] == [0, 1]
    assert len(text) > len(tokens)
    assert as_text.info.tokenizer != as_tokens.info.tokenizer
    assert (as_text.info.templated, as_tokens.info.templated) == (False, True)


def test_of_a_model_in_memory() -> None:
    tokenizer = build_tokenizer(400, bos=True, seed=3)
    model = build_model(tokenizer, seed=3)
    lengths = [
        len(load_model(model, tokenizer=tokenizer, compiled=False, templated=on).encode(["<s>"])[0])
        for on in (False, True)
    ]
    assert lengths[0] > lengths[1] == 1


def test_a_run_says_so_and_continues_only_in_the_same_way(folder: ModelSpec, tmp_path: Path) -> None:
    passages = Passages.of([{"id": f"p{n}", "text": text} for n, text in enumerate(TEXTS)])
    held = "2 passages hold special tokens of the target, such as '<s>' ("
    done = score_to_disk(passages, folder, attacks=["loss"], out=tmp_path / "run")
    assert [note for note in done.notes if "special" in note] == [
        f"{held}row 5): they are read as text; set `templated` if the passages are in the model's template"
    ]
    record = read_run(tmp_path / "run").passes["target"]
    assert record.written_tokens is not None
    assert (record.written_tokens.passages, record.model.templated) == (2, False)
    again = score_to_disk(passages, folder, attacks=["loss", "zlib"], out=tmp_path / "run")
    assert any(note.startswith(held) for note in again.notes), "also where no model is loaded"
    with pytest.raises(RunDirectoryError, match="model templated False there, True here; model tokenizer"):
        write_signals(passages, replace(folder, templated=True), out=tmp_path / "run")
    templated = replace(folder, templated=True)
    done = score_to_disk(passages, templated, attacks=["loss"], out=tmp_path / "other")
    assert [note.partition("): ")[2] for note in done.notes if note.startswith(held)] == [
        "they are read as special tokens, because `templated` is set"
    ]
    written = write_perplexities(passages, folder, out=tmp_path / "p.csv")
    assert [note.startswith(held) for note in written.notes] == [True]
    extraction = extract(passages, folder, out=tmp_path / "extraction", stretch=2)
    assert any(note.startswith(held) for note in extraction.input_notes)


def test_texts_without_them_give_no_note(folder: ModelSpec, tmp_path: Path) -> None:
    done = score_to_disk(TEXTS[:3], folder, attacks=["loss"], out=tmp_path / "run")
    assert not [note for note in done.notes if "special" in note]


def test_the_option(tiny_bos: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    command = ["score", str(file), "-m", tiny_bos, "-a", "loss", "-q"]
    assert main([*command, "-o", str(tmp_path / "text")]) == 0
    assert "set --templated if the passages are in the model's template" in capsys.readouterr().err
    assert main([*command, "-o", str(tmp_path / "tokens"), "--templated"]) == 0
    assert "they are read as special tokens, because --templated is set" in capsys.readouterr().err
    extracting = ["extract", str(file), "-m", tiny_bos, "-q", "--details", "--stretch", "2"]
    assert main([*extracting, "-o", str(tmp_path / "spans")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "set --templated if the passages are in the model's template" in shown, "among the notes of the result, too"


def test_a_token_beyond_the_embeddings_is_refused_with_the_passage(tmp_path: Path) -> None:
    """As after `add_tokens` without `resize_token_embeddings`: an id that would be an IndexError, or another's row."""
    tokenizer = build_tokenizer(400, bos=True, seed=3)
    model = build_model(tokenizer, seed=3)
    tokenizer.add_tokens(["<unseen>"])
    backend = LocalBackend(model, tokenizer, name="mine", compiled=False)
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("a river", "a <unseen> river")))
    with pytest.raises(ModelError) as refused:
        write_signals(file, backend, out=tmp_path / "run")
    assert str(refused.value) == (
        f"{file} line 2: model 'mine': its tokenizer gives the token 400 ('<unseen>'), and the model has 400 "
        "embeddings: use the tokenizer that belongs to it, or resize the model's embeddings"
    )


def test_an_opening_beyond_the_embeddings_is_refused() -> None:
    tokenizer = build_tokenizer(400, bos=True, seed=3)
    model = build_model(tokenizer, seed=3)
    backend = tokenizer.backend_tokenizer
    backend.add_special_tokens(["<bos>"])
    backend.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 400)])
    with pytest.raises(ModelError, match=r"its tokenizer gives the token 400 \('<bos>'\), and the model has 400"):
        LocalBackend(model, tokenizer, compiled=False)


def test_a_rewriter_reads_them_as_text(tmp_path: Path) -> None:
    tokenizer = word_pieces(lowercase=True)
    save(tmp_path, build_masked("Bert", tokenizer), tokenizer)
    rewriter = MaskedRewriter(str(tmp_path), seed=1)
    plan = rewriter.plan("the [MASK] river", 0)
    masks = [at for at, token in enumerate(plan.ids) if token == tokenizer.mask_token_id]
    assert masks == plan.masked, "the only masks are the rewriter's own"


def encoded(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    return [ids.tolist() for ids in LocalTokenizer(tokenizer).encode(texts)]


def test_the_callers_tokenizer_is_as_before() -> None:
    tokenizer = unigram()
    before = tokenizer("x <s>").input_ids
    encoded(tokenizer, ["x <s>"])
    assert tokenizer("x <s>").input_ids == before
    assert np.isin(1, before)
