"""The calls that run passes and attacks, and leave scores and their record in the run directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..backends import ModelSpec
from ..passages import PassageSource, to_sources
from ..records import KeptSignals
from ..scores import ScoreTable, is_other_role, read_scores
from ..signals import (
    Inputs,
    Limits,
    ModelSource,
    Progress,
    Supplies,
    evidence_dependencies,
    left_out_notes,
    open_run,
    plan_passes,
    refuse_scored,
    refuse_shared_documents,
    report_activity,
    run_passes,
    running_dry,
    written_token_notes,
)
from ._keeping import Keeping, kept_signals
from ._score_columns import columns_of
from ._score_file import write_table
from ._scoring_plan import References, ScoringPlan, plan_scoring

__all__ = ["ModelSource", "Scored", "run_scoring", "score", "score_to_disk"]


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
    """How many passages lack a score of at least 1 of these attacks."""
    left_out: int = 0
    """How many passages have no signals of some pass, because a process ended each time that it computed them."""
    notes: tuple[str, ...] = ()
    """What a reader ought to know, a sentence each."""


def score(
    sources: PassageSource,
    target: ModelSource,
    reference: References = None,
    *,
    stand_in: ModelSource | None = None,
    models: Mapping[str, ModelSource] | None = None,
    attacks: Sequence[str] = (),
    supplies: Supplies | None = None,
    out: str | Path,
    keep_signals: KeptSignals | str | None = None,
    window_tokens: int | None = None,
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
        reference: a model that was not trained on the passages, for the attacks that need one; or several. Attacks that
            need one take the first, and are computed with each of the others in its place too (`ScoreTable.others`).
        stand_in: a model that cannot know the passages, which is compared with the target where there is no reference.
        models: further models by role, such as ``shadow-00``, for the attacks that need them.
        attacks: names with settings, as ``min_k:k=0.1``; ``all``: every attack that models and supplies allow; none:
            those of them that cost little for what they bring.
        supplies: shots, a population, token frequencies, rewritten texts, for the attacks that need them.
        out: the run directory.
        keep_signals: what is kept of the signals on disk. ``full``: all, so that other attacks, a report and `extract`
            can use them. ``scores``: what the attacks of this run read. ``none``: the same while it runs, and when the
            scores are written only the digests of the texts. None: what the run directory keeps already, or ``full``.
        window_tokens: longest input fed to a model, see `llm_mia.signals`.
        limits: how much is computed, kept and written at once.
        progress: called after every batch.

    Raises:
        PassageError, AttackError, ModelError, RunDirectoryError, UsageError: see `llm_mia.errors`.
    """
    done = score_to_disk(
        sources,
        target,
        reference,
        stand_in=stand_in,
        models=models,
        attacks=attacks,
        supplies=supplies,
        out=out,
        keep_signals=keep_signals,
        window_tokens=window_tokens,
        limits=limits,
        progress=progress,
    )
    return read_scores(done.path)


def score_to_disk(
    sources: PassageSource,
    target: ModelSource,
    reference: References = None,
    *,
    stand_in: ModelSource | None = None,
    models: Mapping[str, ModelSource] | None = None,
    attacks: Sequence[str] = (),
    supplies: Supplies | None = None,
    out: str | Path,
    keep_signals: KeptSignals | str | None = None,
    window_tokens: int | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Scored:
    """Do what `score` does, without reading the table back: memory does not grow with the number of passages.

    The exception is some 50 bytes a passage, which show whether ids or texts are repeated.
    """
    plan = plan_scoring(target, reference, stand_in=stand_in, models=models, attacks=attacks, supplies=supplies)
    return run_scoring(
        sources,
        plan,
        out=out,
        keep_signals=keep_signals,
        window_tokens=window_tokens,
        limits=limits,
        progress=progress,
    )


def run_scoring(
    sources: PassageSource,
    plan: ScoringPlan,
    *,
    out: str | Path,
    keep_signals: KeptSignals | str | None = None,
    window_tokens: int | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Scored:
    """Do what `score_to_disk` does, by a plan of `plan_scoring`."""
    sources, wanted = to_sources(sources), kept_signals(keep_signals)
    for source in sources:
        source.refuse_output(out)
    for model in plan.models.values():
        if isinstance(model, ModelSpec):
            model.refuse_output(out)
    report_activity(progress, "reading the passages")
    inputs, supplies = Inputs.of(sources), plan.supplies
    with open_run(out) as run:
        selection = plan.selection_for(run)
        chosen = selection.attacks
        refuse_scored(supplies, inputs)
        if any("gain_null" in attack.evidence for attack in chosen):
            refuse_shared_documents(supplies, inputs)
        planned = plan_passes(chosen, supplies, inputs, [role for role in plan.models if is_other_role(role)])
        keeping = Keeping.of(run, inputs, chosen, planned, wanted)
        planned = keeping.planned
        if dry := running_dry():
            dry.attacks, dry.kept_signals = tuple(attack.name for attack in chosen), wanted or run.record.kept_signals
        before = [attack.name for attack in run.record.attacks]
        run_passes(run, inputs, plan.models, planned, window_tokens=window_tokens, limits=limits, progress=progress)
        models_of = {name: record.model for name, record in run.record.passes.items()}
        depends = evidence_dependencies(chosen, planned, supplies, models_of)
        columns = columns_of(run, chosen, depends, {role: models_of[role] for role in plan.models if role in models_of})
        keeping.refuse_unreadable(run, columns)
        # Whichever of these lines is the last before a stop, the record names only columns that the table holds.
        columns.record_copied(run)
        written = write_table(run, inputs, planned, columns, supplies, plan.trained_on, progress)
        columns.record_all(run)
        kept_notes = keeping.finish(run, progress)
        record = run.record
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
        unscored=written.unscored,
        left_out=len({each.position for made_by in record.passes.values() for each in made_by.left_out}),
        notes=(
            *selection.without(lost, note).notes,
            *written.notes,
            *written_token_notes(record),
            *left_out_notes(record),
            *kept_notes,
        ),
    )
