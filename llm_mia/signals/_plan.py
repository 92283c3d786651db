"""Which passes a run makes, and what each depends on besides the model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from ..attacks import MANY_PASSES, Attack, passes_needed
from ..backends import ModelSpec, load_rewriter
from ..errors import ModelError
from ..records import WindowRule
from ..rewriting import neighbour, swapped
from ._aids import MEMBER, NONMEMBER, Material
from ._inputs import Inputs
from ._windows import window_rule

if TYPE_CHECKING:
    from ..backends import Rewriter

__all__ = ["ALIGNED", "Planned", "Rewrite", "plan", "shared_by_all"]

Rewrite: TypeAlias = Callable[[Sequence[str]], Sequence[str]]
LEAST_ROOM = 8
ALIGNED = frozenset({"aligned_reference", "population"})
"""Evidence that sets token beside token, so that both models must have one tokenizer."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One pass."""

    name: str
    """Its folder under ``signals/``."""
    evidence: str
    """The pass as `llm_mia.attacks` calls it; several passes make ``neighbours``."""
    role: str
    """Whose it is: ``target`` or ``reference``."""
    inputs: Inputs
    rewrite: Rewrite | None = None
    """What it makes of the texts; None: nothing."""
    shots: str = ""
    """What stands before every passage."""
    record: Mapping[str, Any] = field(default_factory=dict)
    """What its signals depend on besides the model and the window rule, for ``run.json``."""

    def rule(self, context: int, window_tokens: int | None, shots_tokens: int) -> WindowRule:
        """The window rule of a model that takes *context* tokens, when *shots_tokens* of them are taken.

        Raises `ModelError` where no room is left for passages.
        """
        rule = window_rule(context, window_tokens)
        room = context - shots_tokens
        if room < LEAST_ROOM:
            raise ModelError(
                f"the shots are {shots_tokens} tokens and the model takes {context}: give fewer or shorter ones"
            )
        return rule if rule.tokens <= room else window_rule(context, room)


def plan(attacks: Iterable[Attack], material: Material, inputs: Inputs) -> list[Planned]:
    """The passes that serve *attacks*; those of one model stand together."""
    return [one for name in passes_needed(attacks) for one in _planned(name, material, inputs)]


def shared_by_all(attacks: Iterable[Attack], planned: Sequence[Planned], material: Material) -> dict[str, Any]:
    """By kind of evidence: what scores depend on besides the passes of single names, for ``run.json``."""
    used = {evidence for one in attacks for evidence in one.evidence}
    found: dict[str, Any] = {}
    for kind in MANY_PASSES:
        own = [one for one in planned if one.evidence == kind]
        if own:
            found[kind] = {"passes": len(own), **own[0].record}
    if "frequencies" in used and material.frequencies is not None:
        counts = material.frequencies.counts
        digest = hashlib.sha256(counts.astype("<i8").tobytes()).hexdigest()
        # What a corpus is called may differ: `llm_mia.store.differences` doesn't compare an "id".
        found["frequencies"] = {"id": material.frequencies.corpus, "counts_sha256": digest}
    return found


def _planned(name: str, material: Material, inputs: Inputs) -> list[Planned]:
    role = "reference" if name.endswith("reference") else "target"
    if name == "lowered":
        return [Planned(name, name, role, inputs, _lower)]
    if name in ("prefixed", "member_prefixed"):
        shots = material.shots[MEMBER if name == "member_prefixed" else NONMEMBER]
        digest = hashlib.sha256(shots.encode()).hexdigest()
        return [Planned(name, name, role, inputs, shots=shots, record={"shots_sha256": digest})]
    if name == "neighbours":
        return _neighbours(material, inputs)
    if name == "swapped":
        rewrites: list[Rewrite] = [
            partial(_each, partial(swapped, number=number, seed=material.seed)) for number in range(material.neighbours)
        ]
        return _several(name, "swapped", rewrites, {"by": "swaps of words"}, material, inputs)
    if name.startswith("population_"):
        assert material.population is not None, "an attack without its evidence was refused before"
        digests = [source.sha256() for source in material.population.sources]
        return [Planned(name, name, role, material.population, record={"inputs_sha256": digests})]
    return [Planned(name, name, role, inputs)]


def _neighbours(material: Material, inputs: Inputs) -> list[Planned]:
    if material.neighbour_model is None:
        by: dict[str, Any] = {"by": "dropout and swaps of words"}
        rewrites: list[Rewrite] = [
            partial(_each, partial(neighbour, number=number, seed=material.seed))
            for number in range(material.neighbours)
        ]
    else:
        written = _Written(material.neighbour_model, material.seed)
        by = {"by": "masked language model", "model": written.sha256()}
        rewrites = [partial(written, number) for number in range(material.neighbours)]
    return _several("neighbours", "neighbour", rewrites, by, material, inputs)


def _several(
    kind: str, stem: str, rewrites: Sequence[Rewrite], by: Mapping[str, Any], material: Material, inputs: Inputs
) -> list[Planned]:
    """A pass for each rewritten text, called by *stem* and number."""
    record = {"rewrite": {**by, "seed": material.seed}}
    return [
        Planned(f"{stem}-{number:02d}", kind, "target", inputs, rewrite, record=record)
        for number, rewrite in enumerate(rewrites)
    ]


def _lower(texts: Sequence[str]) -> Sequence[str]:
    return [text.lower() for text in texts]


def _each(rewrite: Callable[[str], str], texts: Sequence[str]) -> Sequence[str]:
    return [rewrite(text) for text in texts]


class _Written:
    """Texts by a masked language model, which is loaded when the first is asked for."""

    def __init__(self, model: ModelSpec, seed: int) -> None:
        self._model, self._seed = model, seed
        self._loaded: Rewriter | None = None

    def __call__(self, number: int, texts: Sequence[str]) -> Sequence[str]:
        return self._rewriter().rewrite(texts, number)

    def sha256(self) -> str | None:
        """Of the model's files. One that isn't on this machine is fetched for it: a later run would find it here."""
        digest = self._model.sha256()
        if digest is None:
            self._rewriter()
            digest = self._model.sha256()
        return digest

    def _rewriter(self) -> Rewriter:
        if self._loaded is None:
            self._loaded = load_rewriter(self._model, seed=self._seed)
        return self._loaded
