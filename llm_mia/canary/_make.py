"""Making canaries: variants, their seal, and the draw of those that become public."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

from ..backends import Backend
from ..errors import InputError, RunDirectoryError, UsageError
from ..passages import PassageSource, to_passages
from ..perplexities import tokenizer_of
from ..signals import ModelSource, Progress, model_or_spec, report_activity
from ..store import locked, to_json, write_text, writing
from ._manifest import (
    MANIFEST,
    PUBLIC,
    SECRET,
    SECRET_BYTES,
    VARIANTS,
    CanaryKind,
    Manifest,
    Sealed,
    SealedDocument,
    public_draw,
    read_manifest,
    read_sealed,
)
from ._names import file_names
from ._sealing import commitment_of, leaf_of, merkle_root
from ._texts import Variants, documents_of, refuse_equal, refuse_visible, supplied_variants
from ._traps import SentenceRule, sampled_sentences, unequal_words, with_traps, word_traps

__all__ = ["USUAL_VARIANTS", "WrittenCanaries", "draw_canaries", "kind_named", "make_canaries", "written_variants"]

USUAL_VARIANTS = 8


@dataclass(frozen=True, slots=True)
class WrittenCanaries:
    """A folder of canaries, as `make_canaries` or `draw_canaries` left it."""

    folder: Path
    manifest: Manifest
    drawn: bool
    """Whether the public variants are drawn, and lie in the folder ``public``."""
    notes: tuple[str, ...] = ()
    """What a reader ought to know about the variants."""


def make_canaries(
    source: PassageSource,
    *,
    out: str | Path,
    kind: CanaryKind | str,
    variants: int | None = None,
    rephrased: PassageSource | None = None,
    model: ModelSource | None = None,
    sentences: SentenceRule | None = None,
    beacon: str | None = None,
    beacon_source: str | None = None,
    secret: bytes | None = None,
    progress: Progress | None = None,
) -> WrittenCanaries:
    """Seal several variants of each document in the new folder *out*, and draw which becomes public.

    The folder is described in `read_sealed`. Without *beacon* and *beacon_source*, and where *beacon* is known before,
    whoever seals could have tried several secrets until the draw pleased him: only with *beacon_source*, the root
    published, and `draw_canaries` afterwards, nobody chose.

    Args:
        source: the texts; a document is all passages that name it, else a passage. A text file should be a single
            passage (`passage_tokens` of `read_passages`), or its passages are joined by empty lines.
        out: a folder that does not exist.
        kind: how the variants of a document differ.
        variants: how many each document has; None: 8, and of supplied variants all.
        rephrased: for the kind rephrase: further variants, with the document of each. The text itself is variant 0.
        model: for the kind insert: the model that writes the sentences, and measures their perplexity.
        sentences: for the kind insert: what the sentences must be.
        beacon: the public value that the draw depends on, where it is known already.
        beacon_source: where the value will come from; nothing is drawn before `draw_canaries`.
        secret: 32 random bytes; None: new ones.
        progress: is called while sentences are written.

    Raises:
        UsageError: *kind* and the other arguments do not fit each other.
        InputError: a document has a single variant, variants are equal, or a variant is a part of another.
        RunDirectoryError: *out* exists, or cannot be written.
    """
    out, kind, passages = Path(out), kind_named(kind), to_passages(source)
    _refuse_arguments(kind, variants, rephrased, model, sentences, beacon, beacon_source)
    if out.exists():
        raise RunDirectoryError(
            f"{out}: exists already, and what is sealed is never changed; documents that are added need canaries of "
            "their own: name another folder with `out`"
        )
    passages.refuse_output(out)
    key = secrets.token_bytes(SECRET_BYTES) if secret is None else secret
    documents, notes = documents_of(passages), tuple[str, ...]()
    if rephrased is not None:
        texts, notes = supplied_variants(documents, to_passages(rephrased, label_column=""), variants)
    else:
        number = USUAL_VARIANTS if variants is None else variants
        texts, notes = written_variants(
            kind, documents, number, key, model=model, sentences=sentences, progress=progress
        )
    refuse_equal(texts)
    refuse_visible(texts)
    manifest = _sealed(kind, texts, key, beacon_source or "", beacon if beacon_source is None else None)
    if beacon_source is None and beacon is None:
        manifest = replace(manifest, beacon="")
    _write(out, Sealed(manifest, key, texts, public_draw(manifest, key)))
    return WrittenCanaries(out, manifest, manifest.beacon is not None, notes)


def draw_canaries(folder: str | Path, beacon: str) -> WrittenCanaries:
    """Draw the public variants of the canaries in *folder* by the value *beacon*, and write them to ``public``.

    The same value may be given again, which writes public files that are missing. Of two draws the second waits.

    Raises:
        UsageError: *beacon* is empty.
        InputError: another value was given before, or `read_sealed` refuses the folder.
    """
    folder, beacon = Path(folder), beacon.strip()
    if not beacon:
        raise UsageError("`beacon` is empty: give the public value")
    read_manifest(folder)  # else a lock would be left in a folder without canaries
    with locked(folder / f".{MANIFEST}.drawing"):
        return _drawn(folder, beacon)


def _drawn(folder: Path, beacon: str) -> WrittenCanaries:
    sealed = read_sealed(folder)
    if (before := sealed.manifest.beacon) not in (None, beacon):
        how = f"with the beacon {before!r:.60}" if before else "without a beacon"
        raise InputError(
            f"{folder / MANIFEST}: was drawn {how}, and a second draw would be a choice: publish the variants in "
            f"{folder / PUBLIC}, or seal the texts again in another folder"
        )
    manifest = replace(sealed.manifest, beacon=beacon)
    # First the manifest: a draw that is stopped between the two is finished by the same call, and by no other.
    if before is None:
        write_text(folder / MANIFEST, to_json(manifest))
    if not (folder / PUBLIC).exists():
        _write_public(folder, replace(sealed, manifest=manifest, public=public_draw(manifest, sealed.secret)))
    return WrittenCanaries(folder, manifest, drawn=True)


def written_variants(
    kind: CanaryKind,
    documents: Mapping[str, str],
    number: int,
    key: bytes,
    *,
    words: Iterable[str] | None = None,
    model: ModelSource | None = None,
    sentences: SentenceRule | None = None,
    progress: Progress | None = None,
) -> tuple[Variants, tuple[str, ...]]:
    """*number* variants of each document that differ in an addition, which is drawn by *key*; and notes on them.

    Args:
        kind: token or insert.
        documents: their texts.
        number: of variants.
        key: decides additions and places.
        words: texts whose words are drawn; None: those of *documents*.
        model: for the kind insert, as of `make_canaries`.
        sentences: likewise.
        progress: is called while sentences are written.
    """
    of_words = [*(documents.values() if words is None else words)]
    if kind is CanaryKind.TOKEN:
        return with_traps(documents, word_traps(of_words, number * len(documents), key), number, key), ()
    return _with_sentences(documents, number, of_words, model, sentences or SentenceRule(), key, progress)


def kind_named(kind: CanaryKind | str) -> CanaryKind:
    """The kind with this name; `UsageError` where there is none."""
    try:
        return CanaryKind(kind)
    except ValueError:
        raise UsageError(f"`kind` is {kind!r}: give one of {', '.join(CanaryKind)}") from None


def _refuse_arguments(
    kind: CanaryKind,
    variants: int | None,
    rephrased: PassageSource | None,
    model: ModelSource | None,
    sentences: SentenceRule | None,
    beacon: str | None,
    beacon_source: str | None,
) -> None:
    if variants is not None and variants < 2:
        raise UsageError(f"`variants` is {variants}: a document needs at least 2, of which 1 becomes public")
    if kind is CanaryKind.REPHRASE and rephrased is None:
        raise UsageError("the kind rephrase takes its variants from a file: give `rephrased`, or another `kind`")
    if kind is not CanaryKind.REPHRASE and rephrased is not None:
        raise UsageError(f"`rephrased` is for the kind rephrase, and `kind` is {kind}: leave out `rephrased`")
    if kind is not CanaryKind.INSERT and (model is not None or sentences is not None):
        raise UsageError(f"`model` and `perplexity` are for the kind insert, and `kind` is {kind}: leave them out")
    if beacon is not None and beacon_source is not None:
        raise UsageError(
            "`beacon` is a value that is known, and `beacon_source` says where it will come from: give one"
        )
    if (beacon is not None and not beacon.strip()) or (beacon_source is not None and not beacon_source.strip()):
        raise UsageError("`beacon` or `beacon_source` is empty: give the public value, or where it will come from")


def _with_sentences(
    documents: Mapping[str, str],
    number: int,
    words: Sequence[str],
    model: ModelSource | None,
    rule: SentenceRule,
    secret: bytes,
    progress: Progress | None,
) -> tuple[Variants, tuple[str, ...]]:
    """*number* versions of each document, each with another sentence by *model*; and notes on their tokens."""
    report_activity(progress, "loading the model")
    backend, wanted = _loaded(model), number * len(documents)
    tokenizer, report = tokenizer_of(backend), partial(_report, progress, wanted)
    written = sampled_sentences(backend, tokenizer, words, wanted, secret, rule, report)
    texts = with_traps(documents, written, number, secret)
    return texts, tuple(filter(None, [unequal_words(texts, tokenizer)]))


def _report(progress: Progress | None, wanted: int, sentences: int) -> None:
    report_activity(progress, f"writing sentences: {10 * (10 * sentences // wanted)} %")


def _loaded(model: ModelSource | None) -> Backend:
    source = model_or_spec("embedded" if model is None else model)
    return source if isinstance(source, Backend) else source.load(compiled=False)


def _sealed(kind: CanaryKind, variants: Variants, secret: bytes, source: str, beacon: str | None) -> Manifest:
    documents = tuple(
        SealedDocument(document, tuple(leaf_of(secret, document, number, text) for number, text in enumerate(texts)))
        for document, texts in variants.items()
    )
    root = merkle_root([*chain.from_iterable(each.leaves for each in documents)])
    return Manifest(kind, documents, root, commitment_of(secret), beacon and beacon.strip(), source.strip())


def _write(out: Path, sealed: Sealed) -> None:
    """Write the folder *out*, completely or not at all."""
    with _replacing_folder(out) as folder:
        (folder / SECRET).parent.mkdir(mode=0o700)
        _write_owned(folder / SECRET, sealed.secret.hex() + "\n")
        rows = (
            {"document": document, "variant": number, "text": text}
            for document, texts in sealed.variants.items()
            for number, text in enumerate(texts)
        )
        _write_owned(folder / VARIANTS, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        if sealed.public is not None:
            _write_public(folder, sealed)
        write_text(folder / MANIFEST, to_json(sealed.manifest))


def _write_public(folder: Path, sealed: Sealed) -> None:
    """Write the variants that *sealed* names as public to a folder in *folder*, completely or not at all."""
    assert sealed.public is not None
    with _replacing_folder(folder / PUBLIC, 0o755) as unfinished:
        names = file_names([*sealed.variants])
        for name, texts, chosen in zip(names, sealed.variants.values(), sealed.public, strict=True):
            write_text(unfinished / name, texts[chosen])


def _write_owned(path: Path, text: str) -> None:
    """Write a file that nobody but its owner can read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def _replacing_folder(path: Path, mode: int = 0o700) -> Iterator[Path]:
    """A temporary folder, which becomes *path* when it is complete, or is removed after an error."""
    temporary = path.with_name(f".writing-{path.name}-{secrets.token_hex(4)}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir(mode=mode)
        try:
            yield temporary
            temporary.rename(path)
        except BaseException:
            shutil.rmtree(temporary)
            raise
