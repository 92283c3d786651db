"""What a call of `score` is going to do, decided before a passage is read or a model is loaded."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from ..attacks import LoadedSupplies
from ..backends import Backend, ModelSpec
from ..errors import AttackError, ModelError, UsageError
from ..records import STAND_IN
from ..scores import is_other_role
from ..signals import ModelSource, Supplies, model_or_spec, refuse_other_tokenizer
from ..store import RunDirectory
from ._select import Selection, attacks_for

__all__ = ["AUTO", "NGRAM", "NONE", "STAND_IN_WORDS", "References", "ScoringPlan", "plan_scoring"]

References: TypeAlias = ModelSource | Sequence[ModelSource] | None
"""A reference model, or several; None where there is none."""
AUTO, NGRAM, NONE = STAND_IN_WORDS = ("auto", "ngram", "none")
"""In the place of a stand-in: words by which an audit chooses it."""
ROLE = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class ScoringPlan:
    """The models, supplies and attacks of a call of `score`."""

    models: Mapping[str, Backend | ModelSpec]
    """By role: ``target``, ``reference``, ``reference-2`` …, ``stand-in``, and what else was given."""
    supplies: LoadedSupplies
    selection: Selection
    """The attacks that models and supplies allow, as far as this is known without the tokenizers."""

    @property
    def trained_on(self) -> dict[str, Collection[str]]:
        """By role: digests of the texts on which a model was trained in this run, and which it gives no score."""
        return {role: getattr(model, "trained_on", ()) for role, model in self.models.items()}

    def with_stand_in(self, model: ModelSource) -> ScoringPlan:
        """The plan with *model* as the stand-in, which no attack takes and which takes the target's place."""
        models = {**self.models, STAND_IN: model_or_spec(model)}
        return replace(self, models=models, supplies=replace(self.supplies, roles=tuple(models)))

    def with_models(self, models: Mapping[str, Backend | ModelSpec]) -> ScoringPlan:
        """The plan with *models* in the place of those of the same roles."""
        return replace(self, models={**self.models, **models})

    def selection_for(self, run: RunDirectory | None) -> Selection:
        """The selection without attacks that the tokenizers of the models do not allow; *run* may have recorded these.

        Raises `AttackError` where the user named such an attack, or gave token frequencies of another tokenizer.
        """
        selection = self._with_same_tokenizer(run)
        for kind in {kind.name: kind for attack in selection.attacks for kind in attack.kinds}.values():
            if kind.refuse_tokenizer:
                kind.refuse_tokenizer(self.supplies, self._tokenizer(run, "target"))
        return selection

    def _with_same_tokenizer(self, run: RunDirectory | None) -> Selection:
        """The selection without attacks that compare tokens of models with different tokenizers."""
        tokenizers: dict[str, str] = {}
        left_out, others = list[str](), dict[str, None]()
        for attack in self.selection.attacks:
            for role in filter(attack.compares_tokens_of, self.models):
                for each in {"target", role} - {*tokenizers}:
                    tokenizers[each] = self._tokenizer(run, each)
                if tokenizers[role] != tokenizers["target"]:
                    if attack.name in self.selection.named:
                        refuse_other_tokenizer(attack.name)
                    left_out.append(attack.name)
                    others[role] = None
        models = f"target and {', '.join(others)} have different tokenizers"
        return self.selection.without(left_out, f"{models}, so there is no {', '.join(dict.fromkeys(left_out))}")

    def _tokenizer(self, run: RunDirectory | None, role: str) -> str:
        """Fingerprint of a model's tokenizer; where the run has signals of the model, from the record."""
        model, passes = self.models[role], run.record.passes if run else {}
        if isinstance(model, Backend):
            return model.info.tokenizer
        return passes[role].model.tokenizer if role in passes else model.tokenizer().fingerprint


def plan_scoring(
    target: ModelSource,
    reference: References = None,
    *,
    stand_in: ModelSource | None = None,
    models: Mapping[str, ModelSource] | None = None,
    attacks: Sequence[str] = (),
    supplies: Supplies | None = None,
) -> ScoringPlan:
    """What `score` does with these arguments: supplies are read, and attacks are chosen; no model is loaded.

    Raises:
        AttackError: an attack is unknown, is named twice, or needs what is not there.
        PassageError, InputError: a supply cannot be read.
        UsageError: a role or a supply is not valid.
    """
    by_role = _by_role(target, reference, stand_in, models)
    loaded = (supplies or Supplies()).load(by_role)
    try:
        selection = attacks_for(attacks, loaded, {role: model.offers for role, model in by_role.items()})
    except AttackError as error:
        problem = _problem(by_role) if "gives no" in str(error) else ""
        raise AttackError(f"{error}; {problem}") if problem else error from None
    if not selection.attacks and (problem := _problem(by_role)):
        raise ModelError(problem)
    return ScoringPlan(by_role, loaded, selection)


def _problem(models: Mapping[str, Backend | ModelSpec]) -> str:
    """Why the first endpoint that gives no log-probabilities gives none; empty where there is no such endpoint."""
    return next((m.problem for m in models.values() if isinstance(m, ModelSpec) and m.is_endpoint and m.problem), "")


def _by_role(
    target: ModelSource, reference: References, stand_in: ModelSource | None, models: Mapping[str, ModelSource] | None
) -> dict[str, Backend | ModelSpec]:
    given = {"target": target}
    for number, source in enumerate(_several(reference), start=1):
        given["reference" if number == 1 else f"reference-{number}"] = source
    if stand_in in (AUTO, NGRAM):
        raise UsageError(f"`stand_in` is {stand_in!r}: only an audit makes that choice, so give a model")
    if stand_in is not None and stand_in != NONE:
        given[STAND_IN] = stand_in
    for role, source in (models or {}).items():
        if role == "target" or is_other_role(role) or not ROLE.fullmatch(role):
            raise UsageError(
                f"`models` has the role {role!r}: a role consists of lower-case letters, digits, '-' and '_', as in "
                "'shadow-00'; give the target as `target` and reference models as `reference`"
            )
        given[role] = source
    by_role = {role: model_or_spec(source) for role, source in given.items()}
    _refuse_repeated({role: model for role, model in by_role.items() if is_other_role(role)})
    return by_role


def _several(reference: References) -> Sequence[ModelSource]:
    if reference is None:
        return ()
    # A name is a sequence, too: of characters.
    alone = isinstance(reference, str | Path | ModelSpec | Backend) or not isinstance(reference, Sequence)
    return (reference,) if alone else reference  # type: ignore[return-value]


def _refuse_repeated(models: Mapping[str, Backend | ModelSpec]) -> None:
    """Refuse a model that is given in two roles: it would be counted as two witnesses."""
    roles, given = list(models), list(models.values())
    for at, model in enumerate(given):
        if model in given[:at]:
            named = f"model {str(model.name)!r}" if isinstance(model, ModelSpec) else f"model {model.info.id!r}"
            raise UsageError(
                f"{named} is given both as {roles[given.index(model)]} and as {roles[at]}: give different models, "
                "because a second is to confirm the first"
            )
