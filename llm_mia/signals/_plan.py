"""Which passes a run consists of, and what each depends on besides the model."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..attacks import EVIDENCE, Attack, EvidenceKind, LoadedSupplies, ModelPass, Rewrite, SampleSettings
from ..errors import PassageError, UsageError
from ..records import STAND_IN, ModelRecord, WindowRule
from ..store import ALL_FIELDS
from ._inputs import Inputs
from ._windows import window_rule

__all__ = ["PlannedPass", "Rewrite", "evidence_dependencies", "plan_passes"]

LEAST_ROOM = 8


@dataclass(frozen=True, slots=True)
class PlannedPass:
    """A pass that is to run: a model over all texts of its input."""

    name: str
    """Its folder under ``signals/``."""
    declaration: str
    """Name of the `llm_mia.attacks.ModelPass` that declares it; several passes may share a declaration."""
    role: str
    """Role of the model."""
    inputs: Inputs
    rewrite: Rewrite | None = None
    """Changes the texts; None: they stay as they are."""
    prefix: str = ""
    """A text that the model reads before each text; its tokens are not scored."""
    depends: Mapping[str, Any] = field(default_factory=dict)
    """What its signals depend on besides the model and the window rule, for ``run.json``."""
    shortened: bool = False
    """Whether a window that exceeds the model's context is shortened, because it was meant for another model."""

    samples: SampleSettings | None = None
    """Where the model continues the beginnings of the texts, and computes no signals: how."""
    keeps: tuple[str, ...] | None = None
    """The arrays of `TokenSignals` that are kept on disk, if the pass begins here; None: all."""
    reads: Collection[str] = ALL_FIELDS
    """Those that will be read: a run directory that does not keep them is refused before a model is loaded."""

    @property
    def rewritten_by_model(self) -> bool:
        """Whether a model rewrites the texts, which takes as long as to score them."""
        return "model" in self.depends.get("rewrite", {})

    def rule(self, model: ModelRecord, window_tokens: int | None, shots_tokens: int) -> WindowRule:
        """The window rule of *model*, when the shots take *shots_tokens* of its context.

        Raises `UsageError` where no room is left for passages.
        """
        opening = len(model.opening)
        if self.shortened and window_tokens is not None:
            window_tokens = min(window_tokens, model.context)
        rule = window_rule(model.context, window_tokens, opening=opening)
        room = model.context - shots_tokens
        if room < LEAST_ROOM + max(0, 2 * opening - 2):
            raise UsageError(
                f"the `shots` have {shots_tokens} tokens, and the model takes {model.context} at most: give fewer or "
                "shorter passages as `shots`"
            )
        return rule if rule.tokens <= room else window_rule(model.context, room, opening=opening)


def plan_passes(
    attacks: Iterable[Attack], supplies: LoadedSupplies, inputs: Inputs, others: Collection[str] = ()
) -> list[PlannedPass]:
    """The passes that serve *attacks*, model after model; and a pass over the passages for each role of *others*.

    Raises `PassageError` where the population is needed and holds no passage.
    """
    declared = list(_declared(attacks))
    texts = {"passages": inputs}
    needed = {each.texts for each in declared}
    if "population" in needed:
        texts["population"] = _population(supplies)
    if "shadow_population" in needed:
        assert supplies.shadows is not None, "an attack that lacks its evidence was refused before"
        texts["shadow_population"] = Inputs.of([supplies.shadows.population])
    planned: dict[str, PlannedPass] = {}
    for role in supplies.roles:
        for each in declared:
            for version in each.versions_for(role, supplies) if each.matches(role) else ():
                planned[version.name] = PlannedPass(
                    version.name,
                    each.name,
                    role,
                    texts[each.texts],
                    version.rewrite,
                    version.prefix,
                    version.depends,
                    samples=version.samples,
                )
        if role in others:
            planned.setdefault(role, PlannedPass(role, role, role, inputs, shortened=role == STAND_IN))
    return list(planned.values())


def _declared(attacks: Iterable[Attack]) -> Iterator[ModelPass]:
    """The passes that *attacks* declare, each once, in the order of `EVIDENCE`."""
    used = {name for attack in attacks for name in attack.evidence}
    passes = {each.name: each for name, kind in EVIDENCE.items() if name in used for each in kind.passes}
    return iter(passes.values())


def _population(supplies: LoadedSupplies) -> Inputs:
    assert supplies.population is not None, "an attack that lacks its evidence was refused before"
    population = Inputs.of([supplies.population])
    if not population.passages:
        raise PassageError(supplies.population.name, "holds no passage to compare with")
    return population


def evidence_dependencies(
    attacks: Iterable[Attack],
    planned: Sequence[PlannedPass],
    supplies: LoadedSupplies,
    models: Mapping[str, ModelRecord],
) -> dict[str, Any]:
    """By kind of evidence: JSON values that scores depend on besides the passes whose names are fixed.

    These are the supplies; and of a kind whose number of passes varies, that number and the *models* by name of pass.
    """
    used = {name for attack in attacks for name in attack.evidence}
    kinds = [kind for name, kind in EVIDENCE.items() if name in used]
    depends = {
        kind.name: {
            **_of_varying_passes(kind, planned, models),
            **(kind.depends(supplies) if kind.depends else {}),
        }
        for kind in kinds
    }
    return {name: values for name, values in depends.items() if values}


def _of_varying_passes(
    kind: EvidenceKind, planned: Sequence[PlannedPass], models: Mapping[str, ModelRecord]
) -> dict[str, Any]:
    passes = [each for each in planned if each.declaration in {declared.name for declared in kind.passes}]
    if not kind.pass_count_varies or not passes:
        return {}
    record: dict[str, Any] = {"passes": len(passes), **passes[0].depends}
    if any(each.role not in ("target", "reference") for each in passes):
        record["models"] = {each.name: _identity(models[each.name]) for each in passes}
    return record


def _identity(model: ModelRecord) -> dict[str, str]:
    """The values by which a model is recognised."""
    names = ("weights_sha256", "config_sha256", "dtype", "tokenizer", "head")
    return {name: getattr(model, name) for name in names}
