"""What a tokenizer puts before a text opens every window and is not scored; what it puts after a text is not used."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import processors

from llm_mia import load_model
from llm_mia.backends import ModelSpec
from llm_mia.backends.local import LocalTokenizer, surrounding_tokens
from llm_mia.errors import ModelError
from llm_mia.passages import Passages
from llm_mia.perplexities import perplexity
from llm_mia.records import WindowRule
from llm_mia.scoring import score
from llm_mia.signals import Supplies, cut, signals_of, write_signals

from .conftest import build_model, build_tokenizer, save, sentences
from .rounding import assert_close, rounding_of

EXTRA = ["[gMASK]", "<sop>", "fra_Latn"]
TEXT = "The river bends under a stone bridge."


def with_template(single: str, pair: str | None = None, **names: Any) -> Any:
    """The tokenizer of the tests with three more special tokens, and a template for what surrounds a *single* text."""
    from transformers import PreTrainedTokenizerFast

    backend = build_tokenizer(400, bos=False, seed=3).backend_tokenizer
    backend.add_special_tokens(EXTRA)
    ids = [(token, backend.token_to_id(token)) for token in ("<s>", "</s>", *EXTRA)]
    backend.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=ids)
    return PreTrainedTokenizerFast(tokenizer_object=backend, **{"bos_token": "<s>", "eos_token": "</s>", **names})


CASES: dict[str, tuple[Any, list[str]]] = {
    "GLM: two tokens, neither of them BOS": (lambda: with_template("[gMASK] <sop> $A"), ["[gMASK]", "<sop>"]),
    "BOS twice": (lambda: with_template("<s> <s> $A"), ["<s>", "<s>"]),
    "a language, and EOS after the text": (lambda: with_template("fra_Latn $A </s>"), ["fra_Latn"]),
    "BOS, a language, EOS": (lambda: with_template("<s> fra_Latn $A </s>"), ["<s>", "fra_Latn"]),
    "only EOS after the text": (lambda: with_template("$A </s>"), []),
    "BOS in a pair only": (lambda: with_template("$A", "<s> $A $B"), []),
    "BOS is EOS": (lambda: with_template("</s> $A </s>", bos_token="</s>"), ["</s>"]),
    "no BOS, a template with EOS first": (lambda: with_template("</s> $A", bos_token=None), ["</s>"]),
    "BOS without a template": (lambda: build_tokenizer(400, bos=False, seed=3), []),
}


@pytest.mark.parametrize("case", CASES)
def test_what_opens_a_text(case: str) -> None:
    build, expected = CASES[case]
    tokenizer = build()
    local = LocalTokenizer(tokenizer)
    assert tokenizer.convert_ids_to_tokens(list(local.opening)) == expected
    plain = tokenizer(TEXT, add_special_tokens=False).input_ids
    assert local.encode([TEXT])[0].tolist() == plain, "nothing that surrounds the text is part of it"


def test_openings_have_fingerprints_of_their_own() -> None:
    prints: dict[tuple[str, ...], str] = {}
    for build, opening in list(CASES.values())[:-1]:  # the last has another vocabulary
        fingerprint = LocalTokenizer(build()).fingerprint
        assert prints.setdefault(tuple(opening), fingerprint) == fingerprint, (
            "what is put after a text changes no score"
        )
    assert len(set(prints.values())) == len(prints)


def test_add_bos_token_without_a_bos() -> None:
    """transformers puts nothing before the text then, and so nothing is fed."""
    from transformers import PreTrainedTokenizerFast

    backend = build_tokenizer(400, bos=False, seed=3).backend_tokenizer
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=None, add_bos_token=True)
    assert LocalTokenizer(tokenizer).opening == ()


def test_tokenizers_in_python() -> None:
    from transformers import ByT5Tokenizer

    assert surrounding_tokens(ByT5Tokenizer()) == ([], [1])


def test_a_tokenizer_that_changes_the_text_is_refused() -> None:
    class Odd:
        def __call__(self, text: str, add_special_tokens: bool = True, **_: Any) -> Any:
            ids = [len(word) for word in text.split()]
            return type("Encoded", (), {"input_ids": [1, *ids[::-1]] if add_special_tokens else ids})

    with pytest.raises(ModelError, match=r"its tokenizer \(Odd\) changes the tokens of a text where it adds special"):
        surrounding_tokens(Odd())


@pytest.fixture(scope="module")
def glm(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a model whose tokenizer opens a text as GLM's does."""
    tokenizer = with_template("[gMASK] <sop> $A")
    return save(tmp_path_factory.mktemp("glm"), build_model(tokenizer, seed=5), tokenizer)


def plain_loop(model: Any, before: Sequence[int], ids: Sequence[int]) -> np.ndarray[Any, Any]:
    """The log-probability of each of *ids* after *before*, from the model's own logits."""
    fed = torch.tensor([[*before, *ids]])
    with torch.inference_mode():
        logprob = model(input_ids=fed).logits.float().log_softmax(-1)[0, :-1]
    scored: np.ndarray[Any, Any] = logprob.gather(1, fed[0, 1:, None])[len(before) - 1 :, 0].numpy()
    return scored


def test_it_is_fed_and_not_scored(glm: str, tmp_path: Path) -> None:
    backend: Any = load_model(glm, dtype="float32", compiled=False)
    opening = [backend.tokenizer.convert_tokens_to_ids(token) for token in ("[gMASK]", "<sop>")]
    texts = [*sentences(5, seed=8, longest=8), "a"]
    allowed = rounding_of(backend)
    for text, signals in zip(texts, signals_of(backend, texts), strict=True):
        ids = backend.encode([text])[0].tolist()
        assert signals.token_ids.tolist() == ids, "token 0 is scored"
        expected = plain_loop(backend.model, opening, ids)
        assert_close(signals.logprob, expected, allowed)
        assert perplexity([text], backend)[0] == pytest.approx(np.exp(-expected.mean(dtype=float)), rel=1e-4)
    record = write_signals(texts, ModelSpec(glm, dtype="float32"), out=tmp_path / "run").passes["target"].model
    assert record.opening == tuple(opening)
    stored = json.loads((tmp_path / "run" / "run.json").read_text())["passes"]["target"]["model"]
    assert (stored["opening"], stored["opening_text"]) == (opening, ["[gMASK]", "<sop>"])


def test_it_precedes_shots_once(glm: str, tmp_path: Path) -> None:
    """With a prefix, as `recall` has, the opening is before the shots and not between them and the text."""
    spec = ModelSpec(glm, dtype="float32")
    shots = Passages.of([{"text": "Anna counts geese.", "label": 0}])
    table = score([TEXT], spec, attacks=["recall"], supplies=Supplies(shots=shots), out=tmp_path / "run")
    backend: Any = spec.load(compiled=False)
    before, ids = backend.encode(["Anna counts geese.\n", TEXT])
    alone = plain_loop(backend.model, backend.opening, ids.tolist()).mean()
    after_shots = plain_loop(backend.model, [*backend.opening, *before], ids.tolist()).mean()
    # A quotient of two means of float32 numbers, of which each has the rounding of a mean of so many tokens.
    allowed = 2 * rounding_of(backend).of_mean(1) / abs(float(alone))
    assert table.column("recall")[0] == pytest.approx(float(after_shots / alone), abs=allowed)


def test_it_opens_each_window_of_a_long_text(glm: str) -> None:
    backend: Any = load_model(glm, dtype="float32", compiled=False)
    ids = backend.encode([" ".join([TEXT] * 12)])[0]
    windows = cut(ids, WindowRule(24, 6), opening=backend.opening)
    assert len(windows) > 2
    expected = [
        plain_loop(backend.model, w.tokens[: w.first_scored].tolist(), w.tokens[w.first_scored :].tolist())
        for w in windows
    ]
    scored = np.concatenate([signals.logprob for signals in backend.score(windows)])
    assert_close(scored, np.concatenate(expected), rounding_of(backend))
    assert len(scored) == len(ids)
