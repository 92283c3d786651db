"""Sentences and random words that are put into documents, far apart from each other."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..backends import Backend, Sampler, Tokenizer
from ..errors import InputError, UsageError
from ..perplexities import perplexity
from ._texts import Variants, ngrams_of, units_of

__all__ = ["SentenceRule", "sampled_sentences", "unequal_words", "with_traps", "word_traps"]

WORDS = 16
"""Random words of a trap."""
FEWEST_WORDS = 200
"""Different words of the texts, of which random words can be drawn."""
SHARED = 3
"""No two traps have so many consecutive words in common."""
AT_ONCE = 64
"""Most sentences that are sampled at once."""
MOST_ROUNDS = 12
"""Rounds without a sentence of use, after which the sampling is given up."""
COOLEST, HOTTEST = 0.3, 4.0
"""Temperatures between which the sampling looks for the wanted perplexity."""
FIRST_STEP = 1.25
"""By what the temperature is multiplied or divided, until the perplexity passes the range; then by less each time."""
_PARAGRAPH_END = re.compile(r"(?<=\S)(?=[^\S\n]*\n[^\S\n]*\n|\s*\Z)")
_WORD = re.compile(r"[^\W\d_]{3,20}")


@dataclass(frozen=True, slots=True)
class SentenceRule:
    """What a sampled sentence must be."""

    low: float = 20.0
    """Its lowest perplexity under the model that samples it."""
    high: float = 200.0
    """Its highest."""
    tokens: int = 24
    """Its tokens, also when it is read again, and behind another sentence."""

    def __post_init__(self) -> None:
        """Raise `UsageError` for a range or a number that no sentence can have."""
        if not 1 <= self.low < self.high < math.inf:
            raise UsageError(f"`perplexity` is {self.low:g}-{self.high:g}: give LOW-HIGH, as in 20-200, from 1 on")
        if self.tokens < 8:
            raise UsageError(f"`trap_tokens` is {self.tokens}: it must be at least 8")


class _Apart:
    """Traps of which no two have `SHARED` consecutive words in common."""

    def __init__(self) -> None:
        self._taken: set[tuple[str, ...]] = set()

    def take(self, trap: str) -> bool:
        """Whether *trap* is far from all that were taken; then it is taken too."""
        grams = ngrams_of(units_of(trap), SHARED)
        if not grams or grams & self._taken:
            return False
        self._taken |= grams
        return True


class _Temperature:
    """The temperature of the sampling, which is changed until the perplexity of sentences lies in a range."""

    def __init__(self) -> None:
        self.value, self.measured = 1.0, math.nan
        self._step = FIRST_STEP
        self._upwards: bool | None = None

    def adapt(self, measured: float, rule: SentenceRule) -> None:
        """Change it where *measured*, the median perplexity at it, is out of the range of *rule*."""
        self.measured = measured
        if rule.low <= measured <= rule.high:
            return
        upwards = measured < rule.low
        if self._upwards is not None and upwards != self._upwards:
            self._step = math.sqrt(self._step)
        self._upwards = upwards
        self.value = min(max(self.value * (self._step if upwards else 1 / self._step), COOLEST), HOTTEST)


def with_traps(documents: Mapping[str, str], traps: Sequence[str], variants: int, secret: bytes) -> Variants:
    """*variants* versions of each document, each with another of the *traps*, all at the same place.

    The place is the end of a paragraph: that nearest to a character that is drawn by SHA-256 of *secret* and the
    document. Nothing else is changed.
    """
    result, left = {}, iter(traps)
    for document, text in documents.items():
        place = _place(text, _number(secret, "place", document) % max(1, len(text)))
        result[document] = tuple(f"{text[:place]} {next(left)}{text[place:]}" for _ in range(variants))
    return result


def _place(text: str, drawn: int) -> int:
    ends = [match.start() for match in _PARAGRAPH_END.finditer(text)]
    return min(ends, key=lambda end: abs(end - drawn))


def word_traps(texts: Iterable[str], count: int, secret: bytes) -> list[str]:
    """*count* traps of 16 words, drawn uniformly from the different words of *texts* by *secret*.

    No two traps have three consecutive words in common.

    Raises:
        InputError: the texts have fewer than 200 different words, or too few for so many traps.
    """
    words = sorted({word.casefold() for text in texts for word in _WORD.findall(text)})
    if len(words) < FEWEST_WORDS:
        raise InputError(
            f"the texts have {len(words)} different words, and random words are drawn from at least {FEWEST_WORDS}: "
            "give more texts"
        )
    rng, apart, traps = np.random.default_rng(_number(secret, "words", "")), _Apart(), list[str]()
    for _ in range(20 * count):
        trap = " ".join(rng.choice(words, WORDS))
        if apart.take(trap):
            traps.append(trap)
            if len(traps) == count:
                return traps
    raise InputError(
        f"the texts have {len(words)} different words, too few for {count} traps without common words in a row: give "
        "more texts, or fewer `variants`"
    )


def sampled_sentences(
    model: Backend,
    tokenizer: Tokenizer,
    words: Iterable[str],
    count: int,
    secret: bytes,
    rule: SentenceRule,
    report: Callable[[int], None] | None = None,
) -> list[str]:
    """*count* sentences that *model* wrote, each of the perplexity and the number of tokens of *rule*.

    Each continues a word that is drawn from the texts *words*; all is drawn by *secret*. The number of tokens is that
    after the sentence was written and read again; behind another sentence it adds as many as all others do. No two
    have three consecutive words in common. The temperature is raised or lowered until the perplexities lie in the
    range.

    Raises:
        UsageError: the model does not continue texts.
        InputError: too few of its sentences lie in the range.
    """
    if not isinstance(model, Sampler):
        raise UsageError(f"`model` is {model.info.id!r}, which does not continue texts: name a model that does")
    starts = sorted({word for text in words for word in _WORD.findall(text)}) or ["The"]
    rng, apart, sentences = np.random.default_rng(_number(secret, "sentences", "")), _Apart(), list[str]()
    temperature, idle, surplus = _Temperature(), 0, _surplus(tokenizer, "The")
    while idle < MOST_ROUNDS:
        if report:
            report(len(sentences))
        at_once = min(AT_ONCE, 2 * (count - len(sentences)) + 8)
        prompts = [starts[at][:1].upper() + starts[at][1:] for at in rng.integers(0, len(starts), at_once)]
        seed = int(rng.integers(0, 1 << 31))
        # Equal prompts of a call would be continued equally.
        continued = model.sample(
            list(dict.fromkeys(prompts)), number=1, max_tokens=rule.tokens + 8, temperature=temperature.value, seed=seed
        )
        drafts = [prompt + each[0] for prompt, each in zip(dict.fromkeys(prompts), continued, strict=True)]
        cut = partial(_sentence, tokenizer=tokenizer, tokens=rule.tokens, surplus=surplus)
        whole = [draft for draft in map(cut, drafts) if draft]
        perplexities = perplexity(whole, model) if whole else np.empty(0)
        before = len(sentences)
        for sentence, value in zip(whole, perplexities, strict=True):
            if rule.low <= value <= rule.high and apart.take(sentence):
                sentences.append(sentence)
                if len(sentences) == count:
                    return sentences
        if whole:
            temperature.adapt(float(np.nanmedian(perplexities)), rule)
        idle = 0 if len(sentences) > before else idle + 1
    raise InputError(
        f"{model.info.id}: gave {len(sentences)} of {count} sentences of `perplexity` {rule.low:g}-{rule.high:g} (its "
        f"last had about {temperature.measured:.0f}): name another range, or fewer `variants`"
    )


def unequal_words(variants: Variants, tokenizer: Tokenizer) -> str:
    """In how many documents the *variants* have unequal numbers of tokens, and by how many; empty where all are equal.

    Variants with unequal numbers of tokens differ in more than their additions. The test remains exact.
    """
    numbers = [[len(each) for each in tokenizer.encode(texts)] for texts in variants.values()]
    apart = [max(each) - min(each) for each in numbers]
    unequal = sum(each > 0 for each in apart)
    if not unequal:
        return ""
    return (
        f"in {unequal} of {len(variants)} documents the variants have unequal numbers of tokens, by {max(apart)} at "
        "most: some sentences join with the words around them; the test remains exact"
    )


def _surplus(tokenizer: Tokenizer, text: str) -> int:
    """How many tokens more *text* adds behind another sentence than it has alone."""
    alone, before, behind = map(len, tokenizer.encode([text, ".", f". {text}"]))
    return behind - before - alone


def _sentence(draft: str, tokenizer: Tokenizer, tokens: int, surplus: int) -> str | None:
    """The first *tokens* tokens of *draft*, of which the last is a full stop; None where they are others when read.

    It is also None where the sentence does not have *surplus* tokens more behind another sentence than alone.
    """
    text = " ".join(draft.split())
    spans = tokenizer.spans(text)
    if len(spans) < tokens:
        return None
    sentence = text[: int(spans[: tokens - 1, 1].max())].rstrip(" .,;:!?") + "."
    whole = "\N{REPLACEMENT CHARACTER}" not in sentence and sentence.isprintable()
    if not whole or len(tokenizer.encode([sentence])[0]) != tokens:
        return None
    return sentence if _surplus(tokenizer, sentence) == surplus else None


def _number(secret: bytes, purpose: str, document: str) -> int:
    """A number of 128 bits; it shows nothing about *secret*."""
    parts = [secret, purpose.encode(), document.encode(errors="surrogatepass")]
    framed = b"".join(len(part).to_bytes(8) + part for part in parts)
    return int.from_bytes(hashlib.sha256(b"llm_mia canary trap\n" + framed).digest()[:16])
