"""A folder of shadow models, and what attacks get from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..attacks import ShadowSet
from ..attacks.cohort import pooled_spreads
from ..backends import ModelSpec
from ..errors import RunDirectoryError, UsageError
from ..passages import Passages
from ..records import Passage, RunRecord, text_sha256
from ..signals import Inputs, passages_with_signals
from ..store import StoredChunk, UnwrittenRun, read_record, read_run
from ..training import Method
from ._pool import REPAIR, stored_pool
from ._record import ShadowsPlan, ShadowsRecord

__all__ = ["MODELS", "RECORD", "SPLIT", "Shadows", "distinct_and_scored", "read_shadows", "spreads"]

MODELS, RECORD, SPLIT = "models", "shadows.json", "split.json"
MOST_OF_POPULATION = 1_000
"""Passages with which each passage is compared: a share of them is known to about 0.03 at most."""


def read_shadows(path: str | Path) -> Shadows:
    """The shadow models in the folder *path*, which `train_shadows` wrote.

    Raises:
        RunDirectoryError: the folder holds no shadow models, their training is not finished, or a file is damaged.
    """
    path = Path(path)
    if not (path / RECORD).exists():
        if (path / SPLIT).exists():
            raise RunDirectoryError(
                f"{path}: its shadow models are not finished; run the command that trains them again, which continues"
            )
        raise RunDirectoryError(f"{path}: holds no {RECORD}, so no shadow models are there; name another folder")
    advice = f"{REPAIR}, which writes the file again"
    return Shadows(path, read_record(ShadowsRecord, path / RECORD, RunDirectoryError, advice))


@dataclass(frozen=True, eq=False)
class Shadows:
    """A set of shadow models on disk; its folder is a run directory."""

    path: Path
    record: ShadowsRecord
    """The contents of ``shadows.json``."""

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of the shadow models: ``shadow-00``, ``shadow-01`` and so on."""
        return self.record.plan.roles

    @property
    def has_reference(self) -> bool:
        """Whether the base is a reference model; one whose weights are not used is none."""
        return self.record.plan.recipe.method is not Method.SCRATCH

    @cached_property
    def pool(self) -> Passages:
        """The passages of the pool, in the order of the signals.

        Raises:
            RunDirectoryError: they are no longer what the shadow models were trained on.
        """
        return stored_pool(self.path, self.record.plan.pool_sha256)

    def models(self, *, trust_remote_code: bool = False) -> dict[str, ModelSpec]:
        """The shadow models by role, in the precision in which the signals of the pool were computed.

        Raises:
            UsageError: they run Python code from the repository of their base, and *trust_remote_code* is not given.
        """
        spec = self._spec(trust_remote_code)
        return {role: replace(spec, name=self.path / MODELS / role, revision=None) for role in self.roles}

    def reference(self, *, trust_remote_code: bool = False) -> ModelSpec | None:
        """The base model; None where shadows were trained from random weights.

        Raises:
            UsageError: as for `models`.
        """
        return self._spec(trust_remote_code) if self.has_reference else None

    def _spec(self, trust_remote_code: bool) -> ModelSpec:
        """The base, read as it was in the training."""
        plan = self.record.plan
        if plan.trust_remote_code and not trust_remote_code:
            raise UsageError(
                f"{self.path}: its shadow models run Python code from the repository of their base {plan.base}: give "
                "`trust_remote_code` if you trust that code"
            )
        return ModelSpec(
            plan.base,
            plan.base_revision,
            self.record.dtype,
            trust_remote_code=trust_remote_code,
            pre_tokenizer=plan.pre_tokenizer,
            templated=plan.templated,
        )

    def holds(self, passages: Iterable[Passage]) -> bool:
        """Whether the text of every passage is in the pool."""
        return all(text_sha256(passage.text) in self.inside for passage in passages)

    @cached_property
    def inside(self) -> dict[str, tuple[bool, ...]]:
        """By SHA-256 of the text of a pool passage: whether each shadow was trained on it."""
        of_document = {
            document: tuple(digit == "1" for digit in digits) for document, digits in self.record.plan.inside.items()
        }
        return {text_sha256(passage.text): of_document[passage.document] for passage in self.pool}

    @cached_property
    def mean_logprobs(self) -> NDArray[np.float64]:
        """Mean log-likelihoods of the passages of the pool, shape (passages, shadows); NaN where no token is scored."""
        rows = [
            [chunks[role].signals(at).mean_logprob for role in self.roles]
            for passages, chunks in self.signals(self.roles)
            for at in range(len(passages))
        ]
        return np.array(rows, dtype=np.float64)

    def signals(self, roles: Sequence[str]) -> Iterator[tuple[list[Passage], dict[str, StoredChunk]]]:
        """The passages of the pool, a few hundred at a time, each time with their signals by the *roles*.

        Raises:
            RunDirectoryError: signals are missing or damaged.
        """
        run = UnwrittenRun(self.path)
        for role in roles:
            if sum(map(len, run.signals(role, ()).parts())) < self.record.plan.passages:
                raise RunDirectoryError(f"{self.path}: lacks signals of {role}; {REPAIR}, which computes them")
        yield from passages_with_signals(run, Inputs.of([self.pool]), roles)

    def refuse_other_weights(self, run: str | Path) -> None:
        """Refuse a run whose shadow models have other weights than when they read the pool.

        Raises:
            RunDirectoryError: the message names the first such model.
        """
        passes, before = read_run(run).passes, read_run(self.path).passes
        for role in self.roles:
            if role in passes and passes[role].model.weights_sha256 != before[role].model.weights_sha256:
                raise RunDirectoryError(
                    f"{self.path / MODELS / role}: its weights have changed since it read the pool; remove this "
                    f"folder, {REPAIR}, which trains the model again, and name another folder than {run}"
                )

    def supply(self) -> ShadowSet:
        """What attacks need of the shadow models besides signals."""
        likelihoods, passages = self.mean_logprobs, list(self.pool)
        kept = distinct_and_scored(passages, likelihoods)
        spread_in, spread_out = spreads(likelihoods[kept], [passages[at] for at in kept], self.inside)
        chosen = kept[_evenly_spaced(len(kept), MOST_OF_POPULATION)]
        population = Passages.of([passages[at] for at in chosen], name=f"{self.path}: population")
        return ShadowSet(
            roles=self.roles,
            inside=self.inside,
            spread_in=spread_in,
            spread_out=spread_out,
            population=population,
            population_logprob=likelihoods[chosen],
            sha256=self.sha256(),
            seed=self.record.plan.seed,
        )

    def sha256(self) -> str:
        """Digest of pool, split, recipe, and of the weights and precision of each shadow model."""
        return _sha256(self.record.plan, read_run(self.path))


def _sha256(plan: ShadowsPlan, run: RunRecord) -> str:
    models = {role: run.passes[role] for role in plan.roles}
    depends: dict[str, Any] = {
        "pool": plan.pool_sha256,
        "inside": dict(plan.inside),
        "recipe": asdict(plan.recipe),
        "seed": plan.seed,
        "models": {
            role: [of.model.weights_sha256, of.model.tokenizer, of.model.dtype, of.window.tokens, of.window.context]
            for role, of in models.items()
        },
    }
    return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()


def distinct_and_scored(passages: list[Passage], likelihoods: NDArray[np.float64]) -> NDArray[np.intp]:
    """Positions of the passages that every shadow scores, each text once."""
    first: dict[str, int] = {}
    for at, passage in enumerate(passages):
        first.setdefault(passage.text, at)
    kept = np.fromiter(first.values(), dtype=np.intp)
    return kept[np.isfinite(likelihoods[kept]).all(axis=1)]


def spreads(
    likelihoods: NDArray[np.float64], passages: list[Passage], inside: dict[str, tuple[bool, ...]]
) -> tuple[float, float]:
    """The pooled standard deviations of `ShadowLikelihoods`, in and out; each text of *passages* counts once."""
    members = np.array([inside[text_sha256(passage.text)] for passage in passages], dtype=np.bool_)
    return pooled_spreads(likelihoods, members.reshape(likelihoods.shape))


def _evenly_spaced(count: int, most: int) -> NDArray[np.intp]:
    """At most *most* positions below *count*, evenly spaced."""
    return np.arange(min(count, most)) * count // max(1, min(count, most))
