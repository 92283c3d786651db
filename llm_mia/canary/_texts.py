"""Documents as whole texts, the variants of them that a user supplies, and what must not be equal."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from ..errors import InputError
from ..passages import Passages
from ..rewriting import UNSPACED

__all__ = ["Variants", "documents_of", "ngrams_of", "refuse_equal", "refuse_visible", "supplied_variants", "units_of"]

Variants = dict[str, tuple[str, ...]]
"""The texts of the variants of each document."""
BETWEEN_PASSAGES = "\n\n"
KEY_UNITS = 8
"""Units at the beginning of a variant by which it is looked for in others."""
_UNIT = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")


def documents_of(passages: Passages) -> dict[str, str]:
    """The text of each document: its passages, with an empty line between them."""
    parts: dict[str, list[str]] = {}
    for passage in passages:
        parts.setdefault(passage.document, []).append(passage.text)
    return {document: BETWEEN_PASSAGES.join(texts) for document, texts in parts.items()}


def supplied_variants(
    documents: Mapping[str, str], rephrased: Passages, most: int | None
) -> tuple[Variants, tuple[str, ...]]:
    """The variants of each document, of which the first is its text; and notes on their number.

    Args:
        documents: the texts.
        rephrased: further variants of each; the document of a passage says whose variant it is.
        most: how many variants of a document are used at most; None: all.

    Raises:
        InputError: a passage is of no document, or a document has no further variant.
    """
    variants = {document: [text] for document, text in documents.items()}
    surplus = 0
    for passage in rephrased:
        of_document = variants.get(passage.document)
        if of_document is None:
            raise InputError(
                f"{passage.where}: there is no document {passage.document!r:.60} of which it could be a variant: name "
                "its document as the texts do"
            )
        if most is None or len(of_document) < most:
            of_document.append(passage.text)
        else:
            surplus += 1
    alone = [document for document, texts in variants.items() if len(texts) < 2]
    if alone:
        raise InputError(
            f"{rephrased.name}: document {alone[0]!r:.60} has a single variant, its text (so have {len(alone)} of "
            f"{len(variants)} documents): add a variant of each, or leave these documents out"
        )
    return {document: tuple(texts) for document, texts in variants.items()}, tuple(_notes(variants, most, surplus))


def _notes(variants: Mapping[str, Sequence[str]], most: int | None, surplus: int) -> Iterator[str]:
    numbers = [len(texts) for texts in variants.values()]
    wanted = max(numbers) if most is None else most
    fewer = sum(number < wanted for number in numbers)
    if fewer:
        yield (
            f"the documents have unequal numbers of variants: {fewer} of {len(numbers)} have fewer than {wanted}, the "
            f"least {min(numbers)}; the test remains exact, and fewer variants show less"
        )
    if surplus:
        yield f"{surplus} further variants were left out, because `variants` is {most}"


def units_of(text: str) -> list[str]:
    r"""The words of *text* without regard to case, white space and accent form; characters of unspaced scripts.

    >>> units_of("A  River\nbends"), units_of("川は曲")
    (['a', 'river', 'bends'], ['川', 'は', '曲'])
    """
    return _UNIT.findall(unicodedata.normalize("NFC", text).casefold())


def ngrams_of(units: Sequence[str], size: int) -> set[tuple[str, ...]]:
    """All runs of *size* units."""
    return {tuple(units[at : at + size]) for at in range(len(units) - size + 1)}


def refuse_equal(variants: Mapping[str, Sequence[str]]) -> None:
    """Raise `InputError` where two variants of a document differ in nothing but case, white space or normalisation."""
    for document, texts in variants.items():
        seen: dict[tuple[str, ...], int] = {}
        for number, text in enumerate(texts):
            earlier = seen.setdefault(tuple(units_of(text)), number)
            if earlier != number:
                raise InputError(
                    f"document {document!r:.60}: variants {earlier} and {number} are equal but for case, white space "
                    "and Unicode normalisation: rewrite the one or the other"
                )


def refuse_visible(variants: Mapping[str, Sequence[str]]) -> None:
    """Raise `InputError` where a variant is a part of another: where that is public, this would not be sealed."""
    named = [(document, number) for document, texts in variants.items() for number in range(len(texts))]
    units = [units_of(text) for texts in variants.values() for text in texts]
    by_key: dict[tuple[str, ...], list[int]] = {}
    for at, each in enumerate(units):
        by_key.setdefault(tuple(each[:KEY_UNITS]), []).append(at)
    sizes = sorted({len(key) for key in by_key})
    joined = [f" {' '.join(each)} " for each in units]
    for outer, each in enumerate(units):
        for inner in _candidates(each, sizes, by_key):
            if inner != outer and joined[inner] in joined[outer]:
                (document, number), (other, of_other) = named[inner], named[outer]
                raise InputError(
                    f"document {document!r:.60}: variant {number} is contained in variant {of_other} of {other!r:.60}, "
                    "so it would not stay sealed where that becomes public: rewrite it, or remove it"
                )


def _candidates(
    units: Sequence[str], sizes: Sequence[int], by_key: Mapping[tuple[str, ...], list[int]]
) -> Iterator[int]:
    """The variants whose beginning occurs in *units*."""
    for size in sizes:
        for key in ngrams_of(units, size):
            yield from by_key.get(key, ())
