"""Trials for low false positive rates: many non-members, models that are trained here, and signals that are kept."""

from __future__ import annotations

import functools
import random
import shutil
import sys
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_mia import training
from llm_mia.backends import ModelSpec, embedded
from llm_mia.passages import Passages
from llm_mia.records import TokenSignals
from llm_mia.signals import write_signals
from llm_mia.store import read_signals, replacing

from . import attack_models as models
from .attack_corpora import Read, documents_of, passages_of

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

SCRATCH, SMOLLM2 = "scratch", "smollm2"
ROLES = ("target", "reference")
FLOATS = ("logprob", "mean", "std", "top")
FIELDS = (*FLOATS, "rank", "token_ids")
ARCHITECTURES: Mapping[str, tuple[int, int]] = {"1x32": (1, 32), "2x64": (2, 64), "4x96": (4, 96)}
"""Layers and width of the models that are trained from nothing."""
METHODS: Mapping[str, training.Method] = {"full": training.Method.FULL, "lora": training.Method.LORA}
"""How SmolLM2 is fine-tuned; these are its kinds of model, as the architectures are those of models from nothing."""
RATES = {training.Method.FULL: 2e-4, training.Method.LORA: 1e-3}


@dataclass(frozen=True, slots=True)
class TailSizes:
    """How many passages a trial has of each kind, and how long they are."""

    members: int
    """Trained on, and scored; the reference is trained on as many others of the corpus, which are not scored."""
    fitted: int
    """Non-members on which a score may be fitted."""
    measured: int
    """Non-members on which the figures are measured, at least; the rest of the corpus joins them, up to *most*."""
    most: int
    tokens: int = 72
    """Of a passage, by the estimate of `read_passages`."""
    epochs: tuple[int, ...] = (2, 3, 5, 8)


SIZES = {
    SCRATCH: TailSizes(1_000, 2_000, 10_000, 12_000),
    SMOLLM2: TailSizes(200, 500, 2_000, 2_000, epochs=(1,)),
}
QUICK = {
    SCRATCH: TailSizes(60, 60, 100, 150, epochs=(2, 3)),
    SMOLLM2: TailSizes(4, 8, 12, 12, epochs=(1,)),
}


@dataclass(frozen=True, slots=True, eq=False)
class Masks:
    """Which passages of a trial are used for what; shapes (passages,)."""

    members: Bools
    fitted: Bools
    """Non-members on which a score may be fitted."""
    measured: Bools
    """Non-members on which the figures are measured, and nothing is fitted."""
    units: Ints
    """A number for each passage, or for its document: what is drawn for a part as a whole."""


@dataclass(frozen=True, slots=True)
class TailTrial:
    """A target whose members are known, a reference that was trained on none of the scored passages, and the labels."""

    models: str
    """``scratch`` or ``smollm2``."""
    corpus: str
    kind: str
    """The architecture, or how SmolLM2 was fine-tuned."""
    seed: int
    folder: Path
    texts: Sequence[str]
    """The scored passages: members, then non-members to fit on, then non-members to measure on."""
    documents: Sequence[str]
    """Of these passages."""
    sibling: Sequence[str]
    """What the reference is trained on."""
    sizes: TailSizes

    @property
    def name(self) -> str:
        """A name for rows and messages."""
        return f"{self.corpus} {self.kind} {self.seed}"

    @property
    def by_passage(self) -> Masks:
        """Non-members to fit on are drawn by passage: documents give passages to every part."""
        at = np.arange(len(self.texts))
        fitted = self.sizes.members + self.sizes.fitted
        return Masks(at < self.sizes.members, (at >= self.sizes.members) & (at < fitted), at >= fitted, at)

    @property
    def by_document(self) -> Masks:
        """Non-members to fit on are those of some documents; all that is measured is of others."""
        members = np.arange(len(self.texts)) < self.sizes.members
        names = sorted(set(self.documents))
        random.Random(f"documents {self.seed}").shuffle(names)  # noqa: S311 - a reproducible order, no secret
        number = {name: at for at, name in enumerate(names)}
        of_passage = np.array([number[name] for name in self.documents])
        sizes = np.bincount(of_passage[~members], minlength=len(names))
        count = int(np.searchsorted(np.cumsum(sizes), self.sizes.fitted)) + 1
        fitting = of_passage < count
        return Masks(members & ~fitting, ~members & fitting, ~members & ~fitting, of_passage)


@dataclass(frozen=True, slots=True, eq=False)
class Flat:
    """The signals of a model on all passages, end to end; arrays have shape (tokens,) but for *lengths*."""

    lengths: Ints
    """Tokens of each passage, 1 or more."""
    logprob: NDArray[np.float64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    top: NDArray[np.float64]
    rank: Ints
    token_ids: Ints

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum of *values*, shape (tokens,), over each passage."""
        return np.asarray(np.add.reduceat(values, np.cumsum(self.lengths) - self.lengths))

    def means(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mean of *values*, shape (tokens,), over each passage."""
        return self.sums(values) / self.lengths

    def each(self) -> Iterator[TokenSignals]:
        """The signals of each passage."""
        ends = np.cumsum(self.lengths).tolist()
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            yield TokenSignals.of(
                **{name: getattr(self, name)[start:end] for name in FIELDS},
                tokenizer="shared",
            )


def tail_trials(
    kind: str, corpora: Mapping[str, Read], count: int, work: Path, *, quick: bool = False
) -> list[TailTrial]:
    """The first *count* trials of the plan. Corpora alternate, and kinds of model do so that every pair occurs.

    Every seed draws anew from the whole corpus, so trials of a corpus share passages, and no training.
    """
    names, kinds = list(corpora), list(ARCHITECTURES if kind == SCRATCH else METHODS)
    sizes = (QUICK if quick else SIZES)[kind]
    trials = []
    for number in range(count):
        turn, at = divmod(number, len(names))
        corpus, of_kind = names[at], kinds[(number + turn) % len(kinds)]
        seed = number // (len(names) * len(kinds))
        texts, documents = _passages(corpus, corpora[corpus], sizes.tokens, work)
        needed = 2 * sizes.members + sizes.fitted + sizes.measured
        if len(texts) < needed:
            raise SystemExit(
                f"corpus {corpus!r} has {len(texts)} passages, and a trial takes {needed}: name a larger one with "
                "--corpus NAME=FOLDER"
            )
        order = list(range(len(texts)))
        random.Random(f"{of_kind} {seed}").shuffle(order)  # noqa: S311 - a reproducible order, no secret
        scored = order[sizes.members :][: sizes.members + sizes.fitted + sizes.most]
        trials.append(
            TailTrial(
                models=kind,
                corpus=corpus,
                kind=of_kind,
                seed=seed,
                folder=work / kind / f"{corpus}-{of_kind}-{seed}",
                texts=[texts[at] for at in scored],
                documents=[documents[at] for at in scored],
                sibling=[texts[at] for at in order[: sizes.members]],
                sizes=sizes,
            )
        )
    return trials


@functools.cache
def _passages(corpus: str, read: Read, tokens: int, work: Path) -> tuple[list[str], list[str]]:
    return passages_of(corpus, read, tokens, work), documents_of(corpus, read, tokens, work)


def flat_signals(trial: TailTrial, epoch: int, work: Path, last: int = 0) -> dict[str, Flat]:
    """The signals of both models after *epoch*, by role; what is in *work* already is not computed again.

    A training goes on to the epoch *last* where signals after that epoch are to follow.
    """
    return {role: _signals(trial, epoch, role, work, max(epoch, last)) for role in ROLES}


def _signals(trial: TailTrial, epoch: int, role: str, work: Path, last: int) -> Flat:
    # The reference is fine-tuned too little to differ from its base: as in an audit, it is the base itself.
    base = trial.models == SMOLLM2 and role == "reference"
    file = trial.folder / ("signals-base.npz" if base else f"signals-{epoch}-{role}.npz")
    if not file.exists():
        model = (
            ModelSpec(embedded.NAME, dtype="float32") if base else ModelSpec(_trained(trial, role, work, last)[epoch])
        )
        began, run = time.monotonic(), file.with_suffix("")
        passages = Passages.of([{"id": f"p{at}", "text": text} for at, text in enumerate(trial.texts)])
        write_signals(passages, model, out=run)
        rows = [row.signals for row in read_signals(run, "target")]
        arrays = {name: np.concatenate([getattr(row, name) for row in rows]) for name in FIELDS}
        with replacing(file) as unfinished, unfinished.open("wb") as stream:
            np.savez(stream, lengths=np.array([len(row) for row in rows], np.int32), **arrays)  # type: ignore[arg-type]
        shutil.rmtree(run)
        print(f"{file}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    with np.load(file) as stored:
        floats = {name: stored[name].astype(np.float64) for name in FLOATS}
        whole = {name: stored[name].astype(np.int64) for name in ("lengths", "rank", "token_ids")}
        return Flat(**floats, **whole)


def _trained(trial: TailTrial, role: str, work: Path, last: int) -> dict[int, Path]:
    """Folders of the model with this *role*, by epoch up to *last*."""
    members = list(trial.texts[: trial.sizes.members])
    epochs = tuple(epoch for epoch in trial.sizes.epochs if epoch <= last)
    if trial.models == SMOLLM2:
        method = METHODS[trial.kind]
        recipe = models.Recipe(f"smollm-{trial.kind}", epochs, 8, RATES[method], method)
        return models.trained(work, recipe, models.smollm, members, trial.seed)
    recipe = replace(models.SCRATCH, name=f"scratch-{trial.kind}", epochs=epochs)
    texts, seed = (members, trial.seed) if role == "target" else (list(trial.sibling), 1_000 + trial.seed)
    # The tokenizer may not know what the members are: it is learned from all passages of the trial.
    everything = sorted([*trial.texts, *trial.sibling])
    return models.trained(
        work, recipe, lambda: models.scratch(everything, seed, *ARCHITECTURES[trial.kind]), texts, seed
    )


def describe(trial: TailTrial) -> dict[str, NDArray[np.float64]]:
    """What the texts alone say: bytes, and bytes of zlib's code; shapes (passages,)."""
    encoded = [text.encode() for text in trial.texts]
    return {
        "bytes": np.array([len(text) for text in encoded], np.float64),
        "zlib": np.array([len(zlib.compress(text)) for text in encoded], np.float64),
    }


def trial_record(trial: TailTrial, masks: Masks) -> dict[str, Any]:
    """The trial as plain values."""
    return {
        "corpus": trial.corpus,
        "kind": trial.kind,
        "seed": trial.seed,
        **{name: int(getattr(masks, name).sum()) for name in ("members", "fitted", "measured")},
    }
