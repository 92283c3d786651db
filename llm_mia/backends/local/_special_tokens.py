"""Special tokens that are written in texts, such as ``<s>`` in HTML, and a tokenizer that reads them as text."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from tokenizers import Tokenizer
from transformers import BatchEncoding, PreTrainedTokenizerFast

__all__ = ["AS_TEXT", "SpecialTokens", "reader_of_text"]

AS_TEXT = {"add_special_tokens": False, "truncation": False, "verbose": False, "split_special_tokens": True}
"""The arguments with which a `reader_of_text` is called."""


class SpecialTokens:
    """The special tokens of a *tokenizer* of transformers, by the strings that it would read as them."""

    def __init__(self, tokenizer: Any) -> None:
        added = getattr(tokenizer, "added_tokens_decoder", {})
        self.ids: dict[str, int] = {str(token): index for index, token in added.items() if token.special}
        named = zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True)
        # A single character is ordinary text: some tokenizers pad with an exclamation mark.
        self.ids = {token: index for token, index in {**self.ids, **dict(named)}.items() if len(token.strip()) > 1}
        self.control: frozenset[int] = frozenset(self.ids.values()) - {tokenizer.unk_token_id}
        """The ids that a text must not give; that of an unknown token it may."""
        self._lengths = sorted({len(token) for token in self.ids}, reverse=True)
        starts = "".join(re.escape(start) for start in sorted({token[0] for token in self.ids}))
        # There may be thousands, so a pattern of all would be slow.
        self._start = re.compile(f"[{starts}]") if starts else None

    def first_in(self, text: str) -> str | None:
        """The first special token that is written in *text*; None where there is none."""
        for start in self._start.finditer(text) if self._start else ():
            at = start.start()
            for length in self._lengths:
                if text[at : at + length] in self.ids:
                    return text[at : at + length]
        return None


def reader_of_text(tokenizer: Any, special: SpecialTokens) -> Any:
    """A tokenizer that reads special tokens in a text as text, when it is called with `AS_TEXT`.

    That is *tokenizer* itself where it can. Some fast tokenizers cannot: those whose model finds a special token among
    its other entries, as Unigram does. Then it is a copy in which no text has the names of these entries. Tokens that
    were added and are not special stay tokens: the model was trained on texts with them.
    """
    if not tokenizer.is_fast:
        added = getattr(tokenizer, "added_tokens_decoder", {})
        kept = {str(token): index for index, token in added.items() if str(token) not in special.ids}
        return _PiecewiseReader(tokenizer, kept) if kept else tokenizer
    if not _leaking(tokenizer, special):
        return tokenizer
    return PreTrainedTokenizerFast(
        tokenizer_object=_renamed(tokenizer.backend_tokenizer, special.ids), clean_up_tokenization_spaces=False
    )


class _PiecewiseReader:
    """Reads what is between the tokens *kept* by a tokenizer in Python, which would read these as text, too."""

    def __init__(self, tokenizer: Any, kept: Mapping[str, int]) -> None:
        self._tokenizer, self._kept = tokenizer, kept
        longest_first = sorted(kept, key=len, reverse=True)
        self._pattern = re.compile("(" + "|".join(map(re.escape, longest_first)) + ")")

    def __call__(self, texts: Sequence[str], **arguments: Any) -> BatchEncoding:
        return BatchEncoding({"input_ids": [self._ids(text, arguments) for text in texts]})

    def _ids(self, text: str, arguments: Mapping[str, Any]) -> list[int]:
        ids: list[int] = []
        for place, piece in enumerate(self._pattern.split(text)):
            if place % 2:
                ids.append(self._kept[piece])
            elif piece:
                ids += self._tokenizer(piece, **arguments).input_ids
        return ids


def _leaking(tokenizer: Any, special: SpecialTokens) -> bool:
    """Whether a text with a special token gives that token, although it is to be read as text."""
    texts = [text for token in special.ids for text in (token, f"a{token}b", f"a {token} b")]
    encoded = tokenizer(texts, **AS_TEXT).input_ids if texts else []
    return any(special.control.intersection(ids) for ids in encoded)


def _renamed(backend: Tokenizer, special: Collection[str]) -> Tokenizer:
    """A copy of *backend* in which the entries *special* have names that no text contains; their ids are the same."""
    content = json.loads(backend.to_str())
    # Two noncharacters of Unicode, which are not for interchange.
    fresh = {token: f"\ufdd0{index}\ufdd1" for index, token in enumerate(special)}
    model = content["model"]
    if isinstance(model["vocab"], Mapping):
        model["vocab"] = {fresh.get(token, token): index for token, index in model["vocab"].items()}
    else:
        model["vocab"] = [[fresh.get(token, token), score] for token, score in model["vocab"]]
    if "merges" in model:
        model["merges"] = [merge for merge in model["merges"] if not set(_involved(merge)) & fresh.keys()]
    if model.get("unk_token") in fresh:
        model["unk_token"] = fresh[model["unk_token"]]
    for token in content["added_tokens"]:
        token["content"] = fresh.get(token["content"], token["content"])
    return Tokenizer.from_str(json.dumps(content))


def _involved(merge: str | list[str]) -> Iterator[str]:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    yield from (left, right, left + right)
