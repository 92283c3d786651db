"""The documents of pilots with their variants, and the other texts that their models are trained on."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..errors import InputError, UsageError
from ..passages import PassageSource, cut_document, to_passages
from ..signals import Progress
from ._make import USUAL_VARIANTS, kind_named, written_variants
from ._manifest import MANIFEST, CanaryKind, read_sealed
from ._plan_record import PilotTexts
from ._texts import Variants, documents_of, refuse_equal, refuse_visible, supplied_variants

__all__ = ["MOST_OTHERS", "PilotSource", "package_documents", "pilot_source"]

PASSAGE_TOKENS = 64
"""Of a document from the package, at most about."""
SHORTEST = 120
"""Bytes of such a document: headings alone are no text."""
MOST_OTHERS = 600
"""Passages of the package that are no documents, but other texts."""
LONGEST_TOKENS = 512
"""Of a document that gets an addition; of a longer one the beginning is used, so that the addition lies in a window."""


@dataclass(frozen=True, slots=True, eq=False)
class PilotSource:
    """Where pilots take their documents from."""

    texts: PilotTexts
    kind: CanaryKind
    documents: Mapping[str, str]
    """The text of each; of the kind rephrase, and of sealed variants, the first variant."""
    supplied: Variants | None
    """The variants of each document, where they are supplied."""
    variants: int
    """Of a document; where they are supplied, the most."""
    notes: tuple[str, ...] = ()

    def sha256(self) -> str:
        """Digest of all texts that pilots may draw."""
        texts = self.supplied or {name: (text,) for name, text in self.documents.items()}
        digest = hashlib.sha256()
        for name, each in texts.items():
            for part in (name, *each):
                encoded = part.encode(errors="surrogatepass")
                digest.update(len(encoded).to_bytes(8) + encoded)
        return digest.hexdigest()

    def draw(self, pilot: int, count: int, seed: int) -> list[str]:
        """The names of the *count* documents of a *pilot*; no document is in two pilots as long as there are enough."""
        names = sorted(self.documents)
        random.Random(f"documents {seed}").shuffle(names)  # noqa: S311 - a draw that anybody can repeat, no secret
        first = (pilot - 1) * count
        return [names[at % len(names)] for at in range(first, first + count)]

    def variants_of(self, names: Sequence[str], key: bytes, progress: Progress | None) -> Variants:
        """The variants of the documents *names*; those that are not supplied are drawn by *key*."""
        if self.supplied is not None:
            return {name: self.supplied[name] for name in names}
        chosen = {name: self.documents[name] for name in names}
        words = self.documents.values()
        return written_variants(self.kind, chosen, self.variants, key, words=words, progress=progress)[0]


def pilot_source(
    texts: PassageSource | None,
    kind: CanaryKind | str | None,
    variants: int | None,
    rephrased: PassageSource | None,
) -> PilotSource:
    """What the arguments of `plan_canaries` name.

    Raises:
        UsageError: they do not fit each other.
        InputError: a file is damaged, or documents have too few variants.
    """
    if variants is not None and variants < 2:
        raise UsageError(f"`variants` is {variants}: a document needs at least 2, of which a single one becomes public")
    if isinstance(texts, str | Path) and (Path(texts) / MANIFEST).is_file():
        return _sealed(Path(texts), kind, variants, rephrased)
    named = kind_named(CanaryKind.TOKEN if kind is None else kind)
    if (named is CanaryKind.REPHRASE) != (rephrased is not None):
        missing = "the kind rephrase takes its variants from a file: give `rephrased`, or another `kind`"
        surplus = f"`rephrased` is for the kind rephrase, and `kind` is {named}: leave out `rephrased`"
        raise UsageError(missing if rephrased is None else surplus)
    if texts is None and named is CanaryKind.REPHRASE:
        raise UsageError("the kind rephrase needs your texts: give `texts`, or another `kind`")
    if texts is None:
        return PilotSource(PilotTexts.PACKAGE, named, package_documents()[0], None, variants or USUAL_VARIANTS)
    documents, notes = documents_of(to_passages(texts)), tuple[str, ...]()
    if rephrased is not None:
        supplied, notes = supplied_variants(documents, to_passages(rephrased, label_column=""), variants)
        refuse_equal(supplied)
        refuse_visible(supplied)
        most = max(map(len, supplied.values()))
        return PilotSource(PilotTexts.TEXTS, named, documents, supplied, most, notes)
    beginnings = {name: next(iter(cut_document(text, LONGEST_TOKENS))) for name, text in documents.items()}
    cut = sum(len(beginnings[name]) < len(text) for name, text in documents.items())
    if cut:
        notes = (f"of {cut} of {len(documents)} documents pilots use the beginning, about {LONGEST_TOKENS} tokens",)
    return PilotSource(PilotTexts.TEXTS, named, beginnings, None, variants or USUAL_VARIANTS, notes)


def _sealed(
    folder: Path, kind: CanaryKind | str | None, variants: int | None, rephrased: PassageSource | None
) -> PilotSource:
    """The variants of a folder of canaries, which is only read; neither its secret nor its draw is used."""
    sealed = read_sealed(folder)
    if rephrased is not None or (kind is not None and kind_named(kind) is not sealed.manifest.kind):
        raise UsageError(
            f"{folder}: holds canaries of the kind {sealed.manifest.kind}, so `kind` and `rephrased` are decided: "
            "leave them out"
        )
    fewest = min(map(len, sealed.variants.values()))
    if variants is not None and variants > fewest:
        raise InputError(
            f"{folder}: has a document with {fewest} variants, fewer than `variants`, {variants}: leave it out"
        )
    supplied = {name: texts[:variants] for name, texts in sealed.variants.items()}
    documents = {name: texts[0] for name, texts in supplied.items()}
    return PilotSource(PilotTexts.CANARIES, sealed.manifest.kind, documents, supplied, max(map(len, supplied.values())))


@cache
def package_documents() -> tuple[dict[str, str], tuple[str, ...]]:
    """Passages of Python's language reference by name, and further passages: no passage is in both."""
    from pydoc_data.topics import topics

    passages = (each.strip() for text in topics.values() for each in cut_document(text, PASSAGE_TOKENS))
    texts = [*dict.fromkeys(each for each in passages if len(each.encode()) >= SHORTEST)]
    random.Random("other texts").shuffle(texts)  # noqa: S311 - likewise
    return {f"passage-{at:04d}": text for at, text in enumerate(texts[MOST_OTHERS:])}, tuple(texts[:MOST_OTHERS])
