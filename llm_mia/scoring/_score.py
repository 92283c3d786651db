"""The call that makes all of it: passes, scores, and the record of both."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..backends import Backend, ModelSpec
from ..errors import UsageError
from ..passages import InputCheck, PassageSource, check_inputs, to_sources
from ..scores import ScoreTable, read_scores
from ..signals import (
    Inputs,
    Limits,
    ModelSource,
    Progress,
    Supplies,
    evidence_depends,
    make_passes,
    model_or_spec,
    plan,
    refuse_other_tokenizer,
)
from ..store import RunDirectory
from ._columns import columns_of
from ._select import Selection, attacks_for
from ._table import write_table

__all__ = ["ModelSource", "Scored", "score", "score_to_disk", "select"]

ROLE = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Scored:
    """What lies in ``scores.parquet``, without its rows."""

    path: Path
    """The run directory."""
    passages: int
    members: int
    nonmembers: int
    candidates: int
    attacks: tuple[str, ...]
    """The columns of this call; those of earlier calls are in the table too."""
    unscored: int
    """Passages that lack a score of some of these attacks."""
    notes: tuple[str, ...] = ()
    """What a reader ought to know, one sentence each."""


def score(
    sources: PassageSource,
    target: ModelSource,
    reference: ModelSource | None = None,
    *,
    models: Mapping[str, ModelSource] | None = None,
    attacks: Sequence[str] = (),
    supplies: Supplies | None = None,
    out: str | Path,
    window_tokens: int | None = None,
    check: InputCheck | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> ScoreTable:
    """Score every passage by every attack, and leave the run directory *out* behind.

    The same call continues a run that was stopped. A call with other attacks adds their columns to the table, and
    computes no column again that is there. Where all signals are there, a model that is given by its name is not
    loaded.

    Args:
        sources: `Passages`, one or several; a path; or what `Passages.of` takes.
        target: the model under suspicion.
        reference: a model that was not trained on the passages, for the attacks that need one.
        models: further models by role, such as ``shadow-00``, for the attacks that need them.
        attacks: names with settings, as ``min_k:k=0.1``; ``all``: every attack that models and supplies allow; none:
            those of them that cost little for what they bring.
        supplies: shots, a population, token frequencies, rewritten texts, for the attacks that need them.
        out: the run directory.
        window_tokens: longest input fed to a model, see `llm_mia.signals`.
        check: the result of `check_inputs` on the same *sources*, where it has been made already.
        limits: how much is computed, kept and written at once.
        progress: called after every batch.

    Raises:
        PassageError, AttackError, ModelError, RunDirectoryError, UsageError: see `llm_mia.errors`.
    """
    done = score_to_disk(
        sources,
        target,
        reference,
        models=models,
        attacks=attacks,
        supplies=supplies,
        out=out,
        window_tokens=window_tokens,
        check=check,
        limits=limits,
        progress=progress,
    )
    return read_scores(done.path)


def score_to_disk(
    sources: PassageSource,
    target: ModelSource,
    reference: ModelSource | None = None,
    *,
    models: Mapping[str, ModelSource] | None = None,
    attacks: Sequence[str] = (),
    supplies: Supplies | None = None,
    out: str | Path,
    window_tokens: int | None = None,
    check: InputCheck | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Scored:
    """Do what `score` does, without reading the table back: memory does not grow with the number of passages.

    The exception is some 50 bytes a passage, which show whether ids or texts are repeated.
    """
    sources = to_sources(sources)
    by_role = _by_role(target, reference, models)
    provided = (supplies or Supplies()).read(by_role)
    selection = attacks_for(attacks, provided, _offers(by_role))
    with RunDirectory(out) as run:
        selection = _with_one_tokenizer(selection, run, by_role)
        chosen = selection.attacks
        for kind in {kind.name: kind for attack in chosen for kind in attack.kinds}.values():
            if kind.refuse_tokenizer:
                kind.refuse_tokenizer(provided, _tokenizer(run, "target", by_role["target"]))
        inputs = Inputs(sources, check or check_inputs(sources))
        if supplies is not None:
            supplies.refuse_scored(inputs)
        planned = plan(chosen, provided, inputs)
        before = [attack.name for attack in run.record.attacks]
        make_passes(run, inputs, by_role, planned, window_tokens=window_tokens, limits=limits, progress=progress)
        models_of = {name: made.model for name, made in run.record.passes.items()}
        columns = columns_of(run, chosen, evidence_depends(chosen, planned, provided, models_of))
        # A stop between two of these lines leaves in the record only columns that the table holds as it says.
        columns.write_record(run, columns.stay)
        unscored = write_table(run, inputs, planned, columns, provided, progress)
        columns.write_record(run, columns.records)
    lost = [name for name in before if name not in columns.names]
    note = f"the table no longer holds the scores of {', '.join(lost)}, which were of other passages or are damaged"
    counts = inputs.check.sources
    members, nonmembers = sum(source.members for source in counts), sum(source.nonmembers for source in counts)
    return Scored(
        path=run.path,
        passages=inputs.passages,
        members=members,
        nonmembers=nonmembers,
        candidates=inputs.passages - members - nonmembers,
        attacks=tuple(attack.name for attack in chosen),
        unscored=unscored,
        notes=selection.without(lost, note).notes,
    )


def select(
    attacks: Sequence[str],
    target: ModelSource,
    reference: ModelSource | None = None,
    *,
    models: Mapping[str, ModelSource] | None = None,
    supplies: Supplies | None = None,
) -> Selection:
    """The attacks that `score` would run with these arguments; no model is loaded.

    Raises:
        AttackError: an attack that is unknown, is named twice, or needs what is not there.
        PassageError, UsageError: what is supplied cannot be read or does not fit.
    """
    by_role = _by_role(target, reference, models)
    return attacks_for(attacks, (supplies or Supplies()).read(by_role), _offers(by_role))


def _by_role(
    target: ModelSource, reference: ModelSource | None, models: Mapping[str, ModelSource] | None
) -> dict[str, Backend | ModelSpec]:
    given = {"target": target, **({} if reference is None else {"reference": reference})}
    for role, source in (models or {}).items():
        if role in ("target", "reference") or not ROLE.fullmatch(role):
            raise UsageError(
                f"`models` names the role {role!r}: a role is of lower-case letters, digits, '-' and '_', as in "
                "'shadow-00', and target and reference have parameters of their own"
            )
        given[role] = source
    return {role: model_or_spec(source) for role, source in given.items()}


def _offers(by_role: Mapping[str, Backend | ModelSpec]) -> dict[str, frozenset[str]]:
    return {role: source.offers for role, source in by_role.items()}


def _with_one_tokenizer(
    selection: Selection, run: RunDirectory, by_role: Mapping[str, Backend | ModelSpec]
) -> Selection:
    """The selection without attacks that compare tokens of models with different tokenizers.

    Raises `AttackError` where the user named such an attack.
    """
    tokenizers: dict[str, str] = {}
    left_out, others = list[str](), dict[str, None]()
    for attack in selection.attacks:
        for role in [role for role in by_role if attack.compares_tokens_of(role)]:
            for each in {"target", role} - {*tokenizers}:
                tokenizers[each] = _tokenizer(run, each, by_role[each])
            if tokenizers[role] != tokenizers["target"]:
                if attack.name in selection.named:
                    refuse_other_tokenizer(attack.name)
                left_out.append(attack.name)
                others[role] = None
    who = f"target and {', '.join(others)} have different tokenizers"
    return selection.without(left_out, f"{who}, so there is no {', '.join(dict.fromkeys(left_out))}")


def _tokenizer(run: RunDirectory, role: str, source: Backend | ModelSpec) -> str:
    """Fingerprint of the model's tokenizer; of a model whose signals are here, from the record."""
    if isinstance(source, Backend):
        return source.info.tokenizer
    made = run.record.passes
    return made[role].model.tokenizer if role in made else source.tokenizer().fingerprint
