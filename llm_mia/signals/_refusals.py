"""Models and supplies that do not fit a run, refused with a message that says what to do."""

from __future__ import annotations

from itertools import chain
from typing import NoReturn

from ..attacks import LoadedSupplies
from ..backends import Backend, ModelSpec
from ..errors import AttackError, PassageError, UsageError
from ..passages import shared_text
from ..records import ModelRecord
from ..store import RunDirectory, differences
from ._inputs import Inputs
from ._plan import PlannedPass

__all__ = [
    "refuse_other_dependencies",
    "refuse_other_tokenizer",
    "refuse_scored",
    "refuse_shared_documents",
    "refuse_target_in_role",
    "refuse_target_record_in_role",
]


def refuse_target_in_role(role: str, target: Backend | ModelSpec | None, other: Backend | ModelSpec | None) -> None:
    """Raises `UsageError` where the model of *role* is the target, as far as this is known before a model is loaded."""
    if isinstance(target, ModelSpec) and isinstance(other, ModelSpec):
        digest = target.sha256()
        if digest is not None and digest == other.sha256() and target.dtype == other.dtype:
            _refuse_target(role)
    elif isinstance(target, Backend) and isinstance(other, Backend):
        refuse_target_record_in_role(role, target.info, other.info)


def refuse_target_record_in_role(role: str, target: ModelRecord, other: ModelRecord) -> None:
    """Raises `UsageError` where the model of *role* gives the signals that the target gives."""
    if not any(differences(target, other)):
        _refuse_target(role)


def _refuse_target(role: str) -> NoReturn:
    if role.startswith("shadow-"):
        raise UsageError(
            f"the target is {role} of the shadow models itself, which cannot be compared with it: name another target, "
            "or other `shadows`"
        )
    raise UsageError(
        f"the {role} model is the target model itself, so a comparison of the two shows nothing: name a {role} model "
        "that was not trained on the passages, or leave it out"
    )


def refuse_other_tokenizer(attack: str) -> NoReturn:
    """Raises `AttackError`: *attack* compares token with token, and its models cut texts differently."""
    raise AttackError(
        f"attack {attack!r} compares token with token, and its models have different tokenizers: leave it out, or give "
        "models with the target's tokenizer (attack 'reference' compares by byte)"
    )


def refuse_scored(supplies: LoadedSupplies, inputs: Inputs) -> None:
    """Raises `PassageError` where a passage of the shots or of the population is also scored.

    Its score would depend on its label.
    """
    shared = shared_text(inputs.sources, supplies.not_scored) if supplies.not_scored else None
    if shared is not None:
        scored, supplied = shared
        raise PassageError(
            supplied.where, f"its text is also a passage to score ({scored.where}): remove one of the two"
        )


def refuse_shared_documents(supplies: LoadedSupplies, inputs: Inputs) -> None:
    """Raises `PassageError` where a named document has passages in the population, and others that are scored.

    An attack that learns from the population gives the other passages of its documents scores that are too small: a
    threshold that is set on them flags too much.
    """
    population = supplies.population or ()
    learned = {passage.document: passage for passage in population if passage.document != passage.id}
    if not learned:
        return
    for passage in chain.from_iterable(inputs.sources):
        if passage.document != passage.id and passage.document in learned:
            raise PassageError(
                learned[passage.document].where,
                f"its document {passage.document!r:.60} is also that of a passage to score ({passage.where}), and "
                "excess_gain learns from the population, so the error rate would not hold: give `population` other "
                "documents, or leave out excess_gain by naming other `attacks`",
            )


def refuse_other_dependencies(run: RunDirectory, wanted: PlannedPass) -> None:
    """Refuse, before a model is loaded, stored signals of other shots, rewrites or passages."""
    before = run.record.passes.get(wanted.name)
    if before is not None:
        there = {name: before.depends.get(name) for name in wanted.depends}
        run.refuse_differences(wanted.name, there, wanted.depends)
