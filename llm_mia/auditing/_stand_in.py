"""The stand-in: a model that cannot know the passages, in the place of a reference model where none is given.

If it separates the passages, too, then not because they were trained on.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TypeAlias

from ..backends import Backend, ModelSpec, embedded, ngram
from ..backends.digests import files_sha256, gguf_parts
from ..decision import NoteKind
from ..errors import UsageError
from ..records import STAND_IN, Note, Passage
from ..scoring import STAND_IN_WORDS, ModelSource, ScoringPlan
from ..store import read_run
from ._texts import KnownTexts

__all__ = ["AUTO", "FEWEST_OTHERS", "StandIn", "TrainingHalf", "choose_stand_in"]

AUTO, NGRAM, NONE = STAND_IN_WORDS
FEWEST_OTHERS = 19
"""Documents of non-members on which the n-gram model must not be trained: fewer cannot certify 5 %."""
StandIn: TypeAlias = ModelSource | None
"""A model; or ``auto``, ``ngram`` or ``none``. None means ``none``."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The plan with the stand-in, and what a reader has to know about it."""

    plan: ScoringPlan
    notes: tuple[Note, ...] = ()


def choose_stand_in(wanted: StandIn, plan: ScoringPlan, texts: KnownTexts, out: str | Path) -> Chosen:
    """The *plan* with the stand-in that is *wanted*.

    ``auto`` is no stand-in where *plan* has a reference model. Else it is the embedded model, if that is installed and
    is not the target; else an n-gram model that is trained on half of the documents of non-members, if the other half
    can be compared; else none. A run in *out* that began with an n-gram model goes on with it.

    Args:
        wanted: ``auto``, ``ngram``, ``none`` or a model.
        plan: what is scored.
        texts: the known non-members, and what else is scored.
        out: the run directory.

    Raises:
        UsageError: an n-gram model is *wanted*, and there are too few documents.
    """
    if wanted is None or wanted == NONE or (wanted == AUTO and "reference" in plan.models):
        return Chosen(plan)
    if wanted not in (AUTO, NGRAM):
        return Chosen(plan.with_stand_in(wanted))
    target = plan.models["target"]
    if wanted == AUTO and not _began_with_ngram(out) and embedded.is_installed() and not _is_embedded(target):
        return Chosen(plan.with_stand_in(_embedded_like(target)), (Note(NoteKind.STAND_IN, {"model": embedded.NAME}),))
    half = TrainingHalf.of(_nonmembers(texts))
    if half.others < FEWEST_OTHERS:
        documents, needed = half.documents + half.others, 2 * FEWEST_OTHERS - 1
        if wanted == NGRAM:
            raise UsageError(
                f"`stand_in` is 'ngram', which is trained on half of the documents of non-members: that takes {needed} "
                f"documents, and there are {documents}; name a model as `stand_in`, or 'none'"
            )
        return Chosen(plan, (Note(NoteKind.STAND_IN_MISSING, {"documents": documents, "needed": needed}),))
    figures = {"model": NGRAM, "trained_on": half.documents, "documents": half.documents + half.others}
    return Chosen(plan.with_stand_in(ngram.NgramBackend(half.texts)), (Note(NoteKind.STAND_IN, figures),))


@dataclass(frozen=True, slots=True)
class TrainingHalf:
    """The documents on which an n-gram model is trained; the others are left to be compared with the candidates."""

    texts: Sequence[str]
    documents: int
    others: int
    """How many documents it is not trained on."""

    @classmethod
    def of(cls, passages: Iterable[Passage]) -> TrainingHalf:
        """Half of the documents of *passages*, drawn by a hash of their names, and less where they are large.

        The same passages give the same half, in whatever order they come. *passages* are read twice.
        """
        sizes: Counter[str] = Counter()
        for passage in passages:
            sizes[passage.document] += passage.n_bytes
        drawn = sorted(sizes, key=_hash)[: len(sizes) // 2]
        before = dict(zip(drawn, accumulate((sizes[document] for document in drawn), initial=0), strict=False))
        texts: dict[str, list[str]] = {document: [] for document in drawn if before[document] < ngram.MOST_BYTES}
        for passage in passages:
            if passage.document in texts:
                texts[passage.document].append(passage.text)
        in_order = [text for of_document in texts.values() for text in sorted(of_document)]
        return cls(in_order, len(texts), len(sizes) - len(texts))


def _hash(document: str) -> bytes:
    # Not the hash of another draw in this package: a half must not be all of another half.
    return hashlib.sha256(f"{STAND_IN} {document}".encode()).digest()


def _nonmembers(texts: KnownTexts) -> Iterable[Passage]:
    """The known non-members; read again from their source if only a sample of them is in memory."""
    held, source = [passage for passage in texts.passages if passage.label == 0], texts.sources[0]
    return held if len(held) == len(source.contents().digests) else source


def _began_with_ngram(out: str | Path) -> bool:
    """Whether the run in *out* has signals of an n-gram model in this role: another model would be refused there."""
    if not (Path(out) / "run.json").exists():
        return False
    record = read_run(out).passes.get(STAND_IN)
    return record is not None and record.model.id == ngram.NAME


def _is_embedded(target: Backend | ModelSpec) -> bool:
    """Whether the target has the weights of the embedded model."""
    if isinstance(target, ModelSpec):
        return target.sha256() == ModelSpec(embedded.NAME).sha256()
    return target.info.weights_sha256 == files_sha256(gguf_parts(embedded.gguf_file()))


def _embedded_like(target: Backend | ModelSpec) -> ModelSpec:
    """The embedded model, on the device and in the precision of the target."""
    if not isinstance(target, ModelSpec):
        return ModelSpec(embedded.NAME)
    return ModelSpec(embedded.NAME, dtype=target.dtype, device=target.device, tokens_per_batch=target.tokens_per_batch)
