"""A tokenizer without its model: counting tokens and finding their positions in a text need no weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import transformers
from numpy.typing import NDArray

from ...errors import ModelError
from ...records import IntArray
from ._identity import PROBE_TEXT, tokenizer_fingerprint
from ._libraries import explain_errors
from ._special_tokens import AS_TEXT, SpecialTokens, reader_of_text

__all__ = ["LocalTokenizer", "missing_spans_message", "read_tokenizer", "surrounding_tokens"]


PROBES = ("a word", "The river bends, twice.")


class LocalTokenizer:
    """A tokenizer of transformers; ids, opening and fingerprint are those of a `LocalBackend` with the same tokenizer.

    Args:
        tokenizer: a tokenizer of transformers.
        name: the name in messages.
        templated: read special tokens in a text, such as ``<|im_start|>``, as special tokens; without it they are text.

    Raises:
        ModelError: the tokens of a text are not always the same, or what precedes them is not.
    """

    def __init__(self, tokenizer: Any, *, name: str = "in memory", templated: bool = False) -> None:
        _refuse_dropout(tokenizer, name)
        self.tokenizer = tokenizer
        self.name = name
        self.special_tokens = SpecialTokens(tokenizer)
        self._reader = tokenizer if templated else reader_of_text(tokenizer, self.special_tokens)
        self._arguments = {**AS_TEXT, "split_special_tokens": not templated}
        before, _ = surrounding_tokens(tokenizer)
        self.opening = tuple(before)
        # Not the number of entries: some vocabularies skip ids.
        vocabulary = tokenizer.get_vocab()
        self.vocabulary = 1 + max(vocabulary.values())
        # As text a special token is like any other string, so two tokenizers may differ in what they call special.
        probe = PROBE_TEXT + "".join(self.special_tokens.ids) if templated else PROBE_TEXT
        self.fingerprint = tokenizer_fingerprint(vocabulary, self.encode([probe])[0].tolist(), self.opening)

    def encode(self, texts: Sequence[str]) -> list[IntArray]:
        """Token ids of each text, shape (n,), without special tokens added and without a limit on length.

        Raises:
            ModelError: the tokenizer cannot read a special token in a text as text.
        """
        encoded = [np.array(ids, dtype=np.int32) for ids in self._reader(list(texts), **self._arguments).input_ids]
        if self._arguments["split_special_tokens"]:
            for text, ids in zip(texts, encoded, strict=True):
                self._refuse_special_tokens(text, ids)
        return encoded

    def _refuse_special_tokens(self, text: str, ids: IntArray) -> None:
        control = self.special_tokens.control.intersection(ids.tolist())
        if not control:
            return
        written = self.special_tokens.first_in(text)
        if written is None:
            token = self.tokenizer.convert_ids_to_tokens(min(control))
            raise ModelError(
                f"model {self.name!r}: its tokenizer ({type(self.tokenizer).__name__}) gives the special token "
                f"{token!r} for a text in which it is not written, as it does if its unknown token has another number: "
                "give the tokenizer that belongs to the model"
            )
        raise ModelError(
            f"model {self.name!r}: its tokenizer ({type(self.tokenizer).__name__}) reads "
            f"{written!r} in a text as a special token, and cannot read it as text: remove "
            "it from the texts, or set `templated` if they are in the model's template"
        )

    def spans(self, text: str) -> NDArray[np.int64]:
        """Start and end of each token in *text*, in characters, shape (tokens, 2); see `Tokenizer.spans`.

        Raises:
            ModelError: the tokenizer is written in Python, and does not record the positions of tokens.
        """
        if not self.tokenizer.is_fast:
            raise ModelError(f"model {self.name!r}: {missing_spans_message(self.tokenizer)}")
        encoded = self._reader(text, **self._arguments, return_offsets_mapping=True)
        return np.array(encoded.offset_mapping, dtype=np.int64).reshape(-1, 2)


def _refuse_dropout(tokenizer: Any, name: str) -> None:
    """Refuse a *tokenizer* that leaves out merges at random, as some do in training: a text has other tokens each time.

    The caller may train with it, so it is not changed here.
    """
    model = getattr(getattr(tokenizer, "backend_tokenizer", None), "model", None)
    dropout = getattr(model, "dropout", None)
    if dropout:
        raise ModelError(
            f"model {name!r}: its tokenizer leaves out merges at random (dropout {dropout:.3g}), so a text has other "
            "tokens each time: set dropout to null in tokenizer.json, or in Python "
            "tokenizer.backend_tokenizer.model.dropout to None"
        )


def read_tokenizer(folder: Path, *, trust_remote_code: bool = False) -> Any:
    """The tokenizer of transformers in *folder*.

    Raises:
        ModelError: there is none, or it is damaged.
    """
    with explain_errors("its tokenizer cannot be loaded: is tokenizer.json present and complete?"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
    if not len(tokenizer("a word", add_special_tokens=False).input_ids):
        raise ModelError("its tokenizer has no vocabulary: the folder lacks tokenizer.json")
    return tokenizer


def missing_spans_message(tokenizer: Any) -> str:
    """The message for a *tokenizer* of transformers that does not report the position of each token in a text."""
    return (
        f"its tokenizer ({type(tokenizer).__name__}) does not report the position of each token in a text: "
        "use a model with a fast tokenizer (tokenizer.json)"
    )


def surrounding_tokens(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The special tokens that *tokenizer* puts before and after a text.

    Raises:
        ModelError: they depend on the text, or the tokens of the text change with them.
    """
    around = [_around(tokenizer, text) for text in PROBES]
    if around[0] is None or around[0] != around[1]:
        raise ModelError(
            f"its tokenizer ({type(tokenizer).__name__}) changes the tokens of a text where it adds special tokens, "
            "so what comes before a text is unknown: use a tokenizer that puts the same tokens before every text"
        )
    return around[0]


def _around(tokenizer: Any, text: str) -> tuple[list[int], list[int]] | None:
    whole = list(tokenizer(text, verbose=False).input_ids)
    plain = list(tokenizer(text, add_special_tokens=False, verbose=False).input_ids)
    n = len(plain)
    places = [at for at in range(len(whole) - n + 1) if whole[at : at + n] == plain]
    return (whole[: places[0]], whole[places[0] + n :]) if places else None
