"""The tokenizer of a GGUF file, built from what the file says; a tokenizer.json in the same folder is used first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from ....errors import ModelError, UsageError
from ...digests import gguf_parts
from .._libraries import explain_errors
from ._metadata import read_metadata
from ._pre_tokenizers import PRE_TOKENIZERS, PreTokenizer

__all__ = ["GgufTokenizer", "read_gguf_tokenizer"]

NORMAL, CONTROL, USER_DEFINED = 1, 3, 4
"""Kinds of tokens in the entry ``tokenizer.ggml.token_type``."""
TOKENIZER_FILE = "tokenizer.json"
BLANK = "\u2581"
ROLES = {"bos_token": "bos_token_id", "eos_token": "eos_token_id", "unk_token": "unknown_token_id"}
"""The special tokens of transformers, and the entries that name them; of padding nothing depends."""
DEFAULTS = {"llama": {"bos_token_id": 1, "eos_token_id": 2, "unknown_token_id": 0}}
"""By the kind of vocabulary: what llama.cpp assumes where a file does not name a special token."""
# The vocabularies of these architectures are ordered as their merges are, and their scores are not.
ORDERED_BY_ID = ("gemma", "gemma2", "gemma3", "gemma3_text")
ADVICE = (
    "put the tokenizer.json of the model in the folder of the GGUF file, or give as `pre_tokenizer` the name of the "
    "family that cuts texts as this model does, such as llama-bpe or qwen2"
)


@dataclass(frozen=True, slots=True)
class GgufTokenizer:
    """A tokenizer for a GGUF file."""

    tokenizer: Any
    """Of transformers."""
    source: str
    """What it was built from, for the record of the model."""


def read_gguf_tokenizer(file: Path, *, pre_tokenizer: str | None = None) -> GgufTokenizer:
    """The tokenizer of a GGUF *file*.

    Args:
        file: the GGUF file.
        pre_tokenizer: a name of `PRE_TOKENIZERS`, for a file that names none of them.

    Raises:
        UsageError: *pre_tokenizer* is no such name.
        ModelError: the file is damaged; or neither it nor its folder tells how the model cuts texts.
    """
    if pre_tokenizer is not None and pre_tokenizer not in PRE_TOKENIZERS:
        raise UsageError(f"`pre_tokenizer` is {pre_tokenizer!r}, which is not known: {_known_names()}")
    entries = read_metadata(_first_part(file))
    vocabulary = _Vocabulary.of(entries)
    if (beside := file.parent / TOKENIZER_FILE).is_file():
        return GgufTokenizer(_read_tokenizer_file(beside, vocabulary), "tokenizer.json in the folder of the GGUF file")
    if vocabulary.kind == "gpt2":
        pre, source = _choose(entries.get("tokenizer.ggml.pre"), pre_tokenizer)
        backend = _byte_pairs(vocabulary, pre)
    elif vocabulary.kind in ("llama", "gemma4"):
        pre, source = PreTokenizer(()), f"GGUF file, vocabulary {vocabulary.kind}"
        backend = _sentence_pieces(vocabulary)
    else:
        raise ModelError(
            f"its GGUF file has a vocabulary of the kind {vocabulary.kind!r}, from which no tokenizer is built here: "
            "put the tokenizer.json of the model in the folder of the GGUF file"
        )
    return GgufTokenizer(_finished(backend, vocabulary, pre), source)


def _first_part(file: Path) -> Path:
    """The file of a split model that holds the tokenizer."""
    first = gguf_parts(file)[0]
    if not first.is_file():
        raise ModelError(f"lacks {first.name}, the first of the files into which the model was split: copy it, too")
    return first


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    """The entries ``tokenizer.ggml.*`` of a file."""

    kind: str
    architecture: str
    tokens: Sequence[str]
    types: Sequence[int]
    """Kinds of the tokens."""
    entries: Mapping[str, Any]

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> _Vocabulary:
        entries = {
            name.removeprefix("tokenizer.ggml."): value
            for name, value in metadata.items()
            if name.startswith("tokenizer.ggml.")
        }
        tokens = entries.get("tokens")
        if not tokens or "model" not in entries:
            raise ModelError("its GGUF file holds no tokenizer: put the tokenizer.json of the model in its folder")
        types = entries.get("token_type") or [NORMAL] * len(tokens)
        return cls(entries["model"], metadata.get("general.architecture", ""), tokens, types, entries)

    def role(self, entry: str) -> str | None:
        """The text of a special token; None where there is none."""
        index = self.entries.get(entry, DEFAULTS.get(self.kind, {}).get(entry))
        return self.tokens[index] if index is not None and index < len(self.tokens) else None

    def of_type(self, kind: int) -> list[str]:
        """The tokens of a kind."""
        return [token for token, of in zip(self.tokens, self.types, strict=True) if of == kind]

    def merges(self) -> list[tuple[str, str]]:
        """The merges that the file lists, in their order."""
        # A token may begin with a blank in a vocabulary that is not byte-level: the separator is a later one.
        listed = self.entries.get("merges") or ()
        return [(merge[:at], merge[at + 1 :]) for merge in listed for at in [merge.find(" ", 1)]]


def _known_names() -> str:
    return f"the names are {', '.join(sorted(PRE_TOKENIZERS))}"


def _choose(named: str | None, chosen: str | None) -> tuple[PreTokenizer, str]:
    """The pre-tokenizer of a file that names *named*, and what the record of the model says of it."""
    if named in PRE_TOKENIZERS:
        return PRE_TOKENIZERS[named], f"GGUF file, pre-tokenizer {named}"
    if chosen is not None:
        what = "none" if named is None else repr(named)
        return PRE_TOKENIZERS[chosen], f"GGUF file, pre-tokenizer {chosen} by choice (the file names {what})"
    what = "names no pre-tokenizer" if named is None else f"names the pre-tokenizer {named!r}, which is not known"
    raise ModelError(f"its GGUF file {what}, so where the model cuts texts is unknown: {ADVICE}")


def _byte_pairs(vocabulary: _Vocabulary, pre: PreTokenizer) -> Tokenizer:
    """Byte-level BPE."""
    spelling = bytes_to_unicode()
    alphabet = set(spelling.values())
    # Tokens that the model matches in the text are spelled as they are; all others in the alphabet of the bytes.
    ids = {
        token if set(token) <= alphabet or of in (CONTROL, USER_DEFINED) else _spelled(token, spelling): index
        for index, (token, of) in enumerate(zip(vocabulary.tokens, vocabulary.types, strict=True))
    }
    with explain_errors("the tokenizer in its GGUF file is damaged"):
        backend = Tokenizer(models.BPE(vocab=ids, merges=vocabulary.merges(), ignore_merges=pre.whole_words))
    if pre.composes:
        backend.normalizer = normalizers.NFC()
    cuts = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in pre.patterns]
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([*cuts, to_bytes])
    backend.decoder = decoders.ByteLevel()
    return backend


def _spelled(token: str, spelling: Mapping[int, str]) -> str:
    return "".join(spelling[byte] for byte in token.encode())


def _sentence_pieces(vocabulary: _Vocabulary) -> Tokenizer:
    """BPE over characters, blanks written as U+2581, bytes for what is not in the vocabulary: as SentencePiece."""
    # Gemma's tokens of several blanks are written as blanks, and looked up as U+2581.
    tokens = [BLANK * len(token) if token and not token.strip(" ") else token for token in vocabulary.tokens]
    ids = {token: index for index, token in enumerate(tokens)}
    merges = vocabulary.merges() or _merges_of_scores(tokens, vocabulary)
    with explain_errors("the tokenizer in its GGUF file is damaged"):
        model = models.BPE(
            vocab=ids,
            merges=merges,
            unk_token=vocabulary.role("unknown_token_id"),
            fuse_unk=True,
            byte_fallback="<0x00>" in ids,
        )
    backend = Tokenizer(model)
    prefix = bool(vocabulary.entries.get("add_space_prefix", vocabulary.kind == "llama"))
    blanks = normalizers.Replace(" ", BLANK)
    backend.normalizer = normalizers.Sequence([normalizers.Prepend(BLANK), blanks]) if prefix else blanks
    steps = [decoders.Replace(BLANK, " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if prefix else steps)
    return backend


def _merges_of_scores(tokens: Sequence[str], vocabulary: _Vocabulary) -> list[tuple[str, str]]:
    """Every way to join two tokens to a third, the likeliest result first: SentencePiece keeps scores, not merges."""
    scores = vocabulary.entries.get("scores") or range(0, -len(tokens), -1)
    if vocabulary.architecture in ORDERED_BY_ID:
        scores = range(0, -len(tokens), -1)
    # Control tokens are never the result of a merge, and neither are bytes.
    plain = {
        token: score
        for token, of, score in zip(tokens, vocabulary.types, scores, strict=True)
        if of in (NORMAL, USER_DEFINED)
    }
    ids = {token: index for index, token in enumerate(tokens)}
    ways = [
        (-score, ids[token[:at]], ids[token[at:]], token[:at], token[at:])
        for token, score in plain.items()
        for at in range(1, len(token))
        if token[:at] in plain and token[at:] in plain
    ]
    return [(left, right) for *_, left, right in sorted(ways)]


def _finished(backend: Tokenizer, vocabulary: _Vocabulary, pre: PreTokenizer) -> Any:
    """The tokenizer of transformers: with its special tokens, and with what it puts before and after a text."""
    # A token that the backend does not know would get a new id, beyond the embeddings of the model.
    known = backend.get_vocab()
    for kind, special in ((CONTROL, True), (USER_DEFINED, False)):
        added = [token for token in vocabulary.of_type(kind) if token in known]
        backend.add_tokens([AddedToken(token, normalized=False, special=special) for token in added])
    eos = vocabulary.role("eos_token_id") if vocabulary.entries.get("add_eos_token") else None
    _put_around(backend, _opening(vocabulary, pre), [] if eos is None else [eos])
    return _of_transformers(backend, vocabulary)


def _of_transformers(backend: Tokenizer, vocabulary: _Vocabulary) -> Any:
    known, roles = backend.get_vocab(), {name: vocabulary.role(entry) for name, entry in ROLES.items()}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        clean_up_tokenization_spaces=False,
        **{name: token for name, token in roles.items() if token in known},
    )


def _put_around(backend: Tokenizer, opening: Sequence[str], closing: Sequence[str]) -> None:
    """Let *backend* put these tokens before and after a text."""
    if not opening and not closing:
        return
    # By name, because a template would take a token with a dollar sign or a colon apart.
    names = {token: f"token{index}" for index, token in enumerate(dict.fromkeys([*opening, *closing]))}
    backend.post_processor = processors.TemplateProcessing(
        single=[*(names[token] for token in opening), "$A", *(names[token] for token in closing)],
        special_tokens=[
            {"id": name, "ids": [backend.token_to_id(token)], "tokens": [token]} for token, name in names.items()
        ],
    )


def _opening(vocabulary: _Vocabulary, pre: PreTokenizer) -> list[str]:
    """The tokens that the model expects before every text."""
    if pre.opening and set(pre.opening) <= set(vocabulary.tokens):
        return list(pre.opening)
    # The reference tokenizer of Gemma 4 puts no BOS before a text, whatever its file says.
    unstated = vocabulary.kind == "llama" or pre.opens_with_bos
    if vocabulary.kind == "gemma4" or not vocabulary.entries.get("add_bos_token", unstated):
        return []
    bos = vocabulary.role("bos_token_id")
    if bos is None:
        raise ModelError(
            "its GGUF file puts a BOS token before every text, and does not name that token: put the "
            "tokenizer.json of the model in the folder of the GGUF file"
        )
    return [bos]


def _read_tokenizer_file(file: Path, vocabulary: _Vocabulary) -> Any:
    """The tokenizer in *file*, of which the tokens have the ids that they have in the GGUF file."""
    with explain_errors(f"{file}: is damaged, or no tokenizer"):
        backend = Tokenizer.from_file(str(file))
    ids = {_blanks(token): index for token, index in backend.get_vocab().items()}
    for index, (token, of) in enumerate(zip(vocabulary.tokens, vocabulary.types, strict=True)):
        if of == NORMAL and ids.get(_blanks(token)) != index:
            raise ModelError(
                f"{file}: is not the tokenizer of the GGUF file, in which the token {index} is {token!r}: remove it, "
                "or move the GGUF file to another folder"
            )
    bos = vocabulary.role("bos_token_id")
    opens = backend.post_processor is not None and backend.num_special_tokens_to_add(is_pair=False) > 0
    if bos in backend.get_vocab() and vocabulary.entries.get("add_bos_token") and not opens:
        _put_around(backend, [bos], [])
    return _of_transformers(backend, vocabulary)


def _blanks(token: str) -> str:
    return token.replace(BLANK, " ")
