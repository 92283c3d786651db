"""Neighbours by a masked language model: tiny real BERTs and RoBERTas."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

from llm_mia.backends.masked import Fillers, MaskedRewriter, draw_columns
from llm_mia.errors import ModelError

from .conftest import WORDS, save, sentences
from .masked_models import build_masked, byte_pairs, word_pieces

TEXT = "The river  bends under a stone bridge,\n\nwhile Anna counts seven geese AND\twrites their names in her book. "
LONG = "\n".join(sentences(40, seed=4))


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Uncased, with a context of 48 tokens."""
    tokenizer = word_pieces(lowercase=True)
    return save(tmp_path_factory.mktemp("bert"), build_masked("Bert", tokenizer), tokenizer)


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Cased, byte-level; of its 50 positions two are the padding's."""
    tokenizer = byte_pairs()
    return save(tmp_path_factory.mktemp("roberta"), build_masked("Roberta", tokenizer, context=50), tokenizer)


@pytest.fixture(params=["bert", "roberta"])
def rewriter(request: pytest.FixtureRequest) -> MaskedRewriter:
    return MaskedRewriter(request.getfixturevalue(request.param), device="cpu")


def replaced(text: str, version: str) -> list[tuple[str, str]]:
    """Pairs of a word and its replacement, where they differ; everything between words must be equal."""
    parts, others = (re.split(r"(\w+)", whole) for whole in (text, version))
    assert parts[::2] == others[::2]
    return [(a, b) for a, b in zip(parts[1::2], others[1::2], strict=True) if a != b]


def test_a_share_of_the_words_is_replaced_and_nothing_else(rewriter: MaskedRewriter) -> None:
    texts = [TEXT, *sentences(10, seed=3)]
    for text, version in zip(texts, rewriter.rewrite(texts, 0), strict=True):
        pairs = replaced(text, version)
        assert 1 <= len(pairs) <= 0.1 * len(text.split()) + 1
        for word, other in pairs:
            assert word.casefold() != other.casefold()
            assert word[0].isupper() == other[0].isupper() or not other[0].isalpha()


def test_a_whole_share(rewriter: MaskedRewriter) -> None:
    whole = MaskedRewriter(rewriter.name, device="cpu", share=1.0)
    version = whole.rewrite([TEXT], 0)[0]
    assert len(replaced(TEXT, version)) >= 15, "of 19 words a few may be no single tokens"
    assert re.search(r"\s([A-Z]{2,}|\d+)\t", version), "AND is replaced in capitals"


def test_versions_depend_on_text_number_and_seed_only(rewriter: MaskedRewriter) -> None:
    texts = [*sentences(12, seed=5), TEXT, LONG]
    alone = [rewriter.rewrite([text], 1)[0] for text in texts]
    assert rewriter.rewrite(texts, 1) == alone
    assert rewriter.rewrite(texts[::-1], 1) == alone[::-1]
    single = MaskedRewriter(rewriter.name, device="cpu", tokens_per_batch=1)
    assert single.rewrite([*texts, *texts], 1) == [*alone, *alone]
    again = MaskedRewriter(rewriter.name, device="cpu")
    assert again.rewrite(texts, 1) == alone
    other = MaskedRewriter(rewriter.name, device="cpu", seed=1)
    assert other.rewrite([LONG], 1) != [alone[-1]]
    assert len({rewriter.rewrite([LONG], number)[0] for number in range(8)}) == 8


def test_a_text_that_is_longer_than_the_context_is_never_cut(rewriter: MaskedRewriter) -> None:
    assert len(rewriter.tokenizer(LONG, verbose=False).input_ids) > 8 * 48
    whole = MaskedRewriter(rewriter.name, device="cpu", share=0.3)
    pairs = replaced(LONG, whole.rewrite([LONG], 0)[0])
    words = LONG.split()
    assert 0.2 * len(words) < len(pairs) < 0.35 * len(words)
    places = [m.start() / len(LONG) for m in re.finditer(r"\w+", LONG)]
    version = re.findall(r"\w+", whole.rewrite([LONG], 0)[0])
    changed = [p for p, a, b in zip(places, re.findall(r"\w+", LONG), version, strict=True) if a != b]
    assert np.histogram(changed, 8, (0, 1))[0].min() > 0.1 * len(words) / 8


def test_no_window_is_longer_than_what_the_model_takes(rewriter: MaskedRewriter) -> None:
    fed: list[Any] = []
    forward = rewriter.model.forward

    def spy(**inputs: Any) -> Any:
        fed.append(inputs["input_ids"])
        return forward(**inputs)

    rewriter.model.forward = spy
    rewriter.rewrite([LONG], 0)
    assert max(ids.shape[1] for ids in fed) <= 48
    assert rewriter.room == 46
    opening = rewriter.tokenizer("a word").input_ids[0]
    assert all((ids[:, 0] == opening).all() for ids in fed)
    masks = sum(int((ids == rewriter.tokenizer.mask_token_id).sum()) for ids in fed)
    assert masks == len(replaced(LONG, rewriter.rewrite([LONG], 0)[0]))


@pytest.mark.parametrize("text", ["", " ", "\n\t\n"])
def test_blanks_stay_as_they_are(rewriter: MaskedRewriter, text: str) -> None:
    assert rewriter.rewrite([text, TEXT], 0)[0] == text
    assert rewriter.rewrite([text], 0) == [text]
    assert rewriter.rewrite([], 0) == []


@pytest.mark.parametrize("text", ["我们在河边看见七只鹅。" * 5, "Straßenbahnhaltestellen Übergangsregelungen " * 9])
def test_where_whole_words_are_few_pieces_change(rewriter: MaskedRewriter, text: str) -> None:
    spans = rewriter.plan(text, 0).spans
    assert len(spans) > 3
    assert 0 < sum(end - start for start, end in spans) < 0.2 * len(text)
    edges = [0, *(place for span in spans for place in span), len(text)]
    outside = [text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]
    assert re.fullmatch(r"(\w+?)".join(map(re.escape, outside)), rewritten(rewriter, text, 0))


@pytest.mark.parametrize(
    "text", ["a", "river", ".", "?!…", "xqz", "中河见", "🙂 🙂", "[MASK] <mask> [SEP]", "ﬁne e\u0301mile\u200b", "ß"]
)
def test_odd_texts(rewriter: MaskedRewriter, text: str) -> None:
    for number in range(3):
        version = rewriter.rewrite([text], number)[0]
        assert version.strip()
        assert version != text


def test_the_words_are_the_likeliest_but_the_one_that_stood_there(bert: str) -> None:
    """Against the logits of the model for that text alone."""
    rewriter = MaskedRewriter(bert, device="cpu")
    tokenizer = rewriter.tokenizer
    for number in range(20):
        (original, chosen), *others = replaced(
            "anna counts seven geese", rewritten(rewriter, "anna counts seven geese", number)
        )
        assert not others
        masked = "anna counts seven geese".replace(original, "[MASK]")
        encoded = tokenizer(masked, return_tensors="pt")
        with torch.inference_mode():
            logits = rewriter.model(**encoded).logits[0]
        order = logits[encoded.input_ids[0] == tokenizer.mask_token_id][0].argsort(descending=True).tolist()
        fit = [t for t in tokenizer.convert_ids_to_tokens(order) if t.isalnum() and t != original]
        assert chosen in fit[:5]


def rewritten(rewriter: MaskedRewriter, text: str, number: int) -> str:
    return rewriter.rewrite([text], number)[0]


def test_draws_follow_the_softmax() -> None:
    values = np.log(np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]]) + np.array([[0.0], [1e-300]]))
    for number, expected in ((0.0, 0), (0.49, 0), (0.5, 1), (0.74, 1), (0.75, 2), (1 - 2**-53, 2)):
        assert draw_columns(values, [number, number]).tolist() == [expected, 0]
    barred = np.array([[1.0, -np.inf, -np.inf]])
    assert draw_columns(barred, [1 - 2**-53]).tolist() == [0]


def test_fillers_are_whole_words_and_never_what_stood_there(bert: str, roberta: str) -> None:
    for name in (bert, roberta):
        tokenizer = MaskedRewriter(name, device="cpu").tokenizer
        fillers = Fillers(tokenizer, len(tokenizer))
        assert {"river", "geese", "bridge"} <= set(fillers.words.values())
        for word in fillers.words.values():
            assert word == word.strip() != ""
            assert not word.startswith("##")
            assert "\ufffd" not in word
        known = {word.casefold() for word in WORDS}
        assert len([word for word in fillers.words.values() if word in known]) > 20
        river = next(i for i, word in fillers.words.items() if word == "river")
        logits = torch.zeros(2, len(tokenizer))
        logits[:, river] = 9
        tokens, values = fillers.likeliest(logits, [0, 0], ["River", "bridge"], len(tokenizer))
        kept = [
            {fillers.words[i].casefold() for i in row[np.isfinite(v)]} for row, v in zip(tokens, values, strict=True)
        ]
        assert "river" not in kept[0]
        assert "river" in kept[1]
        assert "bridge" not in kept[1]


def test_weights_that_are_no_numbers_are_refused(bert: str) -> None:
    rewriter = MaskedRewriter(bert, device="cpu")
    with torch.no_grad():
        rewriter.model.get_input_embeddings().weight.fill_(torch.nan)
    with pytest.raises(ModelError, match="gives NaN"):
        rewriter.rewrite([TEXT], 0)


def test_nothing_to_choose_from_is_refused(bert: str) -> None:
    tokenizer = MaskedRewriter(bert, device="cpu").tokenizer
    with pytest.raises(ModelError, match="no whole words"):
        Fillers(tokenizer, 5)


def test_texts_go_in_batches(bert: str) -> None:
    rewriter = MaskedRewriter(bert, device="cpu", tokens_per_batch=400)
    rows = []
    forward = rewriter.model.forward

    def spy(**inputs: Any) -> Any:
        rows.append(len(inputs["input_ids"]))
        return forward(**inputs)

    rewriter.model.forward = spy
    rewriter.rewrite(["a stone bridge"] * 64, 0)
    assert sum(rows) == 64
    assert len(rows) <= 3


def test_out_of_memory_halves_the_batch_and_chooses_the_same_words(bert: str) -> None:
    rewriter, texts = MaskedRewriter(bert, device="cpu", tokens_per_batch=4000), [f"{TEXT} {i}" for i in range(20)]
    expected = rewriter.rewrite(texts, 0)

    def refuse_many(_: Any, __: Any, given: dict[str, Any]) -> None:
        if len(given["input_ids"]) > 3:
            raise torch.OutOfMemoryError("out of memory")

    rewriter.model.register_forward_pre_hook(refuse_many, with_kwargs=True)
    assert rewriter.rewrite(texts, 0) == expected
    assert rewriter.tokens_per_batch < 4000


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            torch.OutOfMemoryError("out of memory"),
            r"is out of memory with a window .* tokens: give another `device`",
        ),
        (KeyError("no layer"), r"fails on a window of \d+ tokens \('no layer'\): give another masked language model"),
    ],
)
def test_a_model_that_fails_is_one_line(bert: str, error: Exception, message: str) -> None:
    rewriter = MaskedRewriter(bert, device="cpu")

    def fail(*_: Any) -> None:
        raise error

    rewriter.model.register_forward_pre_hook(fail)
    with pytest.raises(ModelError, match=message):
        rewriter.rewrite([TEXT], 0)
