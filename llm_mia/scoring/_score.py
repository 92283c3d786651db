"""The call that makes all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..attacks import Attack, all_attacks, parse_attack, refuse_other_frequencies
from ..backends import Backend, ModelSpec
from ..errors import AttackError
from ..passages import InputCheck, Passages, check_inputs
from ..records import AttackRecord
from ..scores import ScoreTable, read_scores
from ..signals import (
    ALIGNED,
    Aids,
    Inputs,
    Limits,
    Material,
    ModelSource,
    Progress,
    make_passes,
    model_or_spec,
    plan,
    refuse_other_tokenizer,
    shared_by_all,
)
from ..store import RunDirectory
from ._table import write_table

__all__ = ["ModelSource", "Scored", "attacks_for", "score", "score_to_disk"]


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
    """The columns of scores."""
    unscored: int
    """Passages that lack a score of some attack."""
    notes: tuple[str, ...] = ()
    """What a reader ought to know, one sentence each."""


def attacks_for(specs: Sequence[str], *, reference: bool, material: Material | None = None) -> list[Attack]:
    """The attacks that *specs* name, or every attack that models and *material* can serve.

    Attacks that cost a pass for each of many rewritten texts are made only where they are named.

    Raises:
        AttackError: an unknown attack, the same one twice, or one that needs what is not there.
    """
    material = material or Material()
    if not specs:
        served = [one for one in all_attacks().values() if material.serves(one, reference=reference)]
        return [variant for one in served for variant in one.variants()]
    attacks = [parse_attack(spec) for spec in specs]
    for one in attacks:
        material.refuse_wanting(one, reference=reference)
        if [other.name for other in attacks].count(one.name) > 1:
            raise AttackError(f"attack {one.name!r} is named twice")
    return attacks


def score(
    sources: Passages | Sequence[Passages],
    target: ModelSource,
    reference: ModelSource | None = None,
    *,
    attacks: Sequence[str] = (),
    aids: Aids | None = None,
    out: str | Path,
    window_tokens: int | None = None,
    check: InputCheck | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> ScoreTable:
    """Score every passage by every attack, and leave the run directory *out* behind.

    The same call continues a run that was stopped; on a finished run it computes only attacks that are new, and a model
    that is given by its name is not loaded.

    Args:
        sources: what `read_passages` gives, one or several.
        target: the model under suspicion.
        reference: a model that was not trained on the passages, for the attacks that need one.
        attacks: as typed, ``min_k:k=0.1``; none: all that models and aids allow at a pass or two each.
        aids: shots, a population, token frequencies, rewritten texts, for the attacks that need them.
        out: the run directory.
        window_tokens: longest input fed to a model, see `llm_mia.signals`.
        check: the result of `check_inputs` on the same *sources*, where it has been made already.
        limits: how much is computed, kept and written at once.
        progress: called after every batch.

    Raises:
        PassageError, AttackError, ModelError, RunDirectoryError: see `llm_mia.errors`.
    """
    done = score_to_disk(
        sources,
        target,
        reference,
        attacks=attacks,
        aids=aids,
        out=out,
        window_tokens=window_tokens,
        check=check,
        limits=limits,
        progress=progress,
    )
    return read_scores(done.path)


def score_to_disk(
    sources: Passages | Sequence[Passages],
    target: ModelSource,
    reference: ModelSource | None = None,
    *,
    attacks: Sequence[str] = (),
    aids: Aids | None = None,
    out: str | Path,
    window_tokens: int | None = None,
    check: InputCheck | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Scored:
    """Do what `score` does, and do not read the table back: memory does not grow with the number of passages.

    But for some 50 bytes a passage, with which ids and texts are told apart.
    """
    sources = [sources] if isinstance(sources, Passages) else list(sources)
    material = Material.read(aids)
    chosen = attacks_for(attacks, reference=reference is not None, material=material)
    models = {"target": model_or_spec(target), "reference": None if reference is None else model_or_spec(reference)}
    notes: tuple[str, ...] = ()
    with RunDirectory(out) as run:
        if any(ALIGNED & set(one.evidence) for one in chosen) and len({*_tokenizers(run, models).values()}) > 1:
            chosen, notes = _unaligned(chosen, named=bool(attacks))
        if material.frequencies is not None and any("frequencies" in one.evidence for one in chosen):
            refuse_other_frequencies(material.frequencies, _tokenizers(run, {"target": models["target"]})["target"])
        inputs = Inputs(sources, check or check_inputs(sources))
        if aids is not None:
            aids.refuse_scored(inputs)
        planned = plan(chosen, material, inputs)
        make_passes(run, inputs, models, planned, window_tokens=window_tokens, limits=limits, progress=progress)
        run.update(attacks=(), shared={})  # a stop between the two lines below must leave no table under another's name
        unscored = write_table(run, inputs, planned, chosen, material, progress)
        run.update(attacks=tuple(map(_record, chosen)), shared=shared_by_all(chosen, planned, material))
    counts = inputs.check.sources
    members, nonmembers = sum(one.members for one in counts), sum(one.nonmembers for one in counts)
    return Scored(
        path=run.path,
        passages=inputs.passages,
        members=members,
        nonmembers=nonmembers,
        candidates=inputs.passages - members - nonmembers,
        attacks=tuple(one.name for one in chosen),
        unscored=unscored,
        notes=notes,
    )


def _record(one: Attack) -> AttackRecord:
    return AttackRecord(one.name, 1, dict(one.hyper_parameters), one.evidence)


def _tokenizers(run: RunDirectory, models: Mapping[str, Backend | ModelSpec | None]) -> dict[str, str]:
    """Fingerprint of each model's tokenizer; of a model whose signals are here, the record says."""
    made, found = run.record.passes, dict[str, str]()
    for role, source in models.items():
        if isinstance(source, Backend):
            found[role] = source.info.tokenizer
        elif role in made:
            found[role] = made[role].model.tokenizer
        elif source is not None:
            found[role] = source.tokenizer().fingerprint
    return found


def _unaligned(attacks: Sequence[Attack], *, named: bool) -> tuple[list[Attack], tuple[str, ...]]:
    """*attacks* without those that set token beside token, and a note that says so; where *named* they are refused."""
    out = [one.name for one in attacks if ALIGNED & set(one.evidence)]
    if named:
        refuse_other_tokenizer(out[0])
    left = [one for one in attacks if one.name not in out]
    return left, (f"target and reference have different tokenizers, so there is no {', '.join(out)}",)
