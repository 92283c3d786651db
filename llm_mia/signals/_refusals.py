"""Models that do not fit together, refused with a message that says what to do."""

from __future__ import annotations

from typing import NoReturn

from ..backends import Backend, ModelSpec
from ..errors import AttackError, UsageError
from ..records import ModelRecord
from ..store import differences

__all__ = ["refuse_other_tokenizer", "refuse_target_as", "refuse_target_record_as"]


def refuse_target_as(role: str, target: Backend | ModelSpec | None, other: Backend | ModelSpec | None) -> None:
    """Raises `UsageError` where the model of *role* is the target, as far as that is known without loading a model."""
    if isinstance(target, ModelSpec) and isinstance(other, ModelSpec):
        digest = target.sha256()
        if digest is not None and digest == other.sha256() and target.dtype == other.dtype:
            _refuse_target(role)
    elif isinstance(target, Backend) and isinstance(other, Backend):
        refuse_target_record_as(role, target.info, other.info)


def refuse_target_record_as(role: str, target: ModelRecord, other: ModelRecord) -> None:
    """Raises `UsageError` where the model of *role* gives the signals that the target gives."""
    if not any(differences(target, other)):
        _refuse_target(role)


def _refuse_target(role: str) -> NoReturn:
    raise UsageError(
        f"the {role} model is the target model itself, so a comparison of the two shows nothing: name a {role} model "
        "that was not trained on the passages, or attacks that need none"
    )


def refuse_other_tokenizer(attack: str) -> NoReturn:
    """Raises `AttackError`: *attack* compares token with token, and its models cut texts differently."""
    raise AttackError(
        f"attack {attack!r} compares token with token, and its models have different tokenizers: leave it out, or give "
        "models with the target's tokenizer (attack 'reference' compares by byte)"
    )
