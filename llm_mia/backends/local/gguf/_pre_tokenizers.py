"""The pre-tokenizers that GGUF files name: where a byte-pair tokenizer cuts a text before it merges.

A GGUF file holds the vocabulary and the merges of a tokenizer, but of its pre-tokenizer only a name, in the entry
``tokenizer.ggml.pre``. The names are those of llama.cpp (``src/llama-vocab.cpp``). The patterns are those of the
models' files ``tokenizer.json``, where they are known, and otherwise those of llama.cpp.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PRE_TOKENIZERS", "PreTokenizer"]


@dataclass(frozen=True, slots=True)
class PreTokenizer:
    """How the models of a family cut a text, and what else their GGUF files leave out."""

    patterns: tuple[str, ...]
    """Regular expressions. Each cuts the pieces that those before it have left: a match is a piece, and so is what is
    between two matches."""
    composes: bool = False
    """Whether characters are composed first (Unicode's normal form NFC)."""
    whole_words: bool = False
    """Whether a piece that is in the vocabulary is a token, whatever the merges give."""
    opens_with_bos: bool = False
    """Whether BOS is put before a text where the file does not state it."""
    opening: tuple[str, ...] = ()
    """Tokens before every text that no entry of the file names."""


# The parts of which the patterns consist.
_CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_CAMEL = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+%(tail)s"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*%(tail)s"
)
_CAMEL_NOT_HAN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+%(tail)s"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*%(tail)s"
)
_SIGNS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
_SIGNS_SLASH = r" ?[^\s\p{L}\p{N}]+[\r\n/]*"
_LINES = r"\s*[\r\n]+"
_BLANKS = r"\s+(?!\S)|\s+"

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|" + _BLANKS
_LLAMA3 = "|".join([_CONTRACTION, _WORD, r"\p{N}{1,3}", _SIGNS, _LINES, _BLANKS])
_QWEN2 = "|".join([_CONTRACTION, _WORD, r"\p{N}", _SIGNS, _LINES, _BLANKS])
_QWEN35 = "|".join(
    [_CONTRACTION, r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+", r"\p{N}", r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*", _LINES, _BLANKS]
)
_JAIS2_BLANKS = "|".join(rf"\s{{{n}}}(?!\S)" for n in ("512", "256", "128", "64", "32", "16", "8", "4", "1,2"))
_JAIS2 = "|".join([_CONTRACTION, _WORD, r"\p{N}{1,3}", _SIGNS, _LINES, _JAIS2_BLANKS, r"\s"])
_GPT4O = "|".join([_CAMEL % {"tail": _CONTRACTION + "?"}, r"\p{N}{1,3}", _SIGNS_SLASH, _LINES, _BLANKS])
_TEKKEN = "|".join([_CAMEL % {"tail": ""}, r"\p{N}", _SIGNS_SLASH, _LINES, _BLANKS])
_KIMI = "|".join([r"\p{Han}+", _CAMEL_NOT_HAN % {"tail": _CONTRACTION + "?"}, r"\p{N}{1,3}", _SIGNS, _LINES, _BLANKS])
_SEED = "|".join([_CONTRACTION, _WORD, r"\p{N}", r" ?[^\s\p{L}\p{N}\r\n]+", _LINES, _BLANKS])
_EXAONE_MOE = "|".join(
    [
        _CONTRACTION,
        r"[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+",
        r"\p{N}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]?",
        r"\s*[\r\n]",
        _BLANKS,
    ]
)
_MINICPM5 = "|".join([_CONTRACTION, _WORD, r"\p{N}+", _SIGNS, _LINES, _BLANKS])
_BLOOM = r" ?[^(\s|.,!?…。，、।۔،)]+"

_HAN_AND_KANA = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
_CJK = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
_ASCII_SIGN_AND_WORD = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""
_DEEPSEEK3_WORD = _ASCII_SIGN_AND_WORD + r"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+"
_DEEPSEEK3 = "|".join([_DEEPSEEK3_WORD + r"[\r\n]*", _LINES, _BLANKS])
_SPARK = "|".join([_DEEPSEEK3_WORD, r"[\r\n]", _BLANKS])
_YOUTU_SCRIPTS = (
    "[\uac00-\ud7a3\u3131-\u318e]+|[！…“”‘’—：；，、\u3001-\u303f\ufe30-\ufe4f]+|[\u3105-\u312f]+|" + _HAN_AND_KANA
)
# The letters with case of an older release of Unicode.
_CASED = (
    "A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373"
    "\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f"
    "\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77"
    "\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d"
    "\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb"
    "\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128"
    "\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4"
    "\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf"
    "\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f\U000104b0-\U000104d3"
    "\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943"
)

_DIGITS_GPT2 = PreTokenizer((r"\p{N}", _GPT2))
_LLAMA = PreTokenizer((_LLAMA3,), whole_words=True, opens_with_bos=True)
_DEEPSEEK_V3 = PreTokenizer((r"\p{N}{1,3}", _HAN_AND_KANA, _DEEPSEEK3))
_OF_GPT2 = PreTokenizer((_GPT2,))
_OF_NEOX = PreTokenizer((_GPT2,), composes=True)
_OF_QWEN2 = PreTokenizer((_QWEN2,), composes=True)
_LIKE_QWEN2 = PreTokenizer((_QWEN2,))
_OF_GPT4O = PreTokenizer((_GPT4O,))
_OF_BLOOM = PreTokenizer((_BLOOM,))

PRE_TOKENIZERS: dict[str, PreTokenizer] = {
    **dict.fromkeys(
        ("gpt-2", "phi-2", "gigachat", "a.x-4.0", "mellum", "exaone4", "jais", "trillion", "granite-docling"), _OF_GPT2
    ),
    **dict.fromkeys(("olmo", "mpt"), _OF_NEOX),
    **dict.fromkeys(("smollm", "starcoder", "refact", "codeshell", "exaone", "minerva-7b", "mellum2"), _DIGITS_GPT2),
    "command-r": PreTokenizer((r"\p{N}", _GPT2), composes=True),
    **dict.fromkeys(("llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"), _LLAMA),
    **dict.fromkeys(("dbrx", "smaug-bpe"), PreTokenizer((_LLAMA3,))),
    **dict.fromkeys(("glm4", "chatglm-bpe"), PreTokenizer((_LLAMA3,), opening=("[gMASK]", "<sop>"))),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen"), _OF_QWEN2),
    **dict.fromkeys(
        (
            "stablelm2",
            "hunyuan",
            "solar-open",
            "megrez",
            "kormo",
            "f2llmv2",
            "grok-2",
            "bailingmoe",
            "bailingmoe2",
            "llada-moe",
        ),
        _LIKE_QWEN2,
    ),
    "qwen35": PreTokenizer((_QWEN35,), composes=True),
    **dict.fromkeys(("gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"), _OF_GPT4O),
    "tiny_aya": PreTokenizer((r"\d{1,3}(?=(?:\d{3})*\b)", _GPT4O)),
    "cohere2moe": PreTokenizer((r"\d{1,3}(?=(?:\d{3})*\b)", _GPT4O)),
    "tekken": PreTokenizer((_TEKKEN,), whole_words=True, opens_with_bos=True),
    "kimi-k2": PreTokenizer((_KIMI,)),
    "jais-2": PreTokenizer((_JAIS2,)),
    "falcon": PreTokenizer((r"[\p{P}$+<=>^~|`]+", _GPT2, "[0-9][0-9][0-9]")),
    "deepseek-llm": PreTokenizer(
        (
            r"[\r\n]",
            rf"\s?[{_CASED}]+",
            "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+",
            r"\s+$",
            _CJK,
            r"\p{N}+",
        )
    ),
    "deepseek-coder": PreTokenizer((r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _CJK, r"\p{N}")),
    **dict.fromkeys(("deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"), _DEEPSEEK_V3),
    "spark2_5": PreTokenizer((r"\p{N}{1,3}", _HAN_AND_KANA, _SPARK, r"\p{N}")),
    "youtu": PreTokenizer(
        (_YOUTU_SCRIPTS, "|".join([_CAMEL % {"tail": _CONTRACTION + "?"}, r"\p{N}", _SIGNS_SLASH, _LINES, _BLANKS])),
        whole_words=True,
    ),
    **dict.fromkeys(("bloom", "poro-chat", "gpt3-finnish"), _OF_BLOOM),
    "viking": PreTokenizer((_BLOOM, r"\p{N}")),
    "seed-coder": PreTokenizer((_SEED,)),
    "ufakzeka": PreTokenizer(("|".join([_WORD, r"\p{N}", _SIGNS, _LINES, _BLANKS]),)),
    "laguna": PreTokenizer((r"[^\n]+|[\n]+", _QWEN2)),
    "exaone-moe": PreTokenizer((_EXAONE_MOE,)),
    "minicpm5": PreTokenizer((r"\p{N}{1,3}", _MINICPM5), whole_words=True),
}
"""By the name in the file. Not listed, and so refused: ``default`` and no name at all, which no model has; the names of
embedding models; and chameleon, superbpe, afmoe, whitespace and sarvam-moe, which need more than patterns."""
