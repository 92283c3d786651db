"""The call that trains a model without defence and with each, and measures what leaks and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from ..backends import ModelSpec
from ..errors import UsageError
from ..passages import Passages, PassageSource, passages_sha256, to_sources
from ..records import Passage
from ..signals import Inputs, Progress, report_activity, running_dry
from ..training import Recipe, TrainingRecord
from ._canaries import Canaries, insert_canaries
from ._claiming import claimed, refuse_other
from ._measuring import Measured, measure
from ._models import Workshop
from ._planning import PlannedDefense, plan_defenses
from ._record import Defenses, Plan, write_defenses
from ._split import PoolSplit, split_pool
from ._table import write_tables

__all__ = ["defend"]

RATES = (0.01, 0.001)


def defend(
    pool: PassageSource,
    base: ModelSpec | str | Path,
    *,
    with_: Sequence[str] = (),
    out: str | Path,
    recipe: Recipe | None = None,
    canaries: int = 64,
    fprs: Sequence[float] = RATES,
    seed: int = 0,
    stretch: int = 50,
    probability: float = 1e-3,
    window_tokens: int | None = None,
    progress: Progress | None = None,
) -> Defenses:
    """Train a model without defence and with each, and measure what each leaks and what it costs.

    Half of the documents of *pool* are trained on, the same for every defence; the others are held out. The base is the
    reference model of the attacks. The strongest attack on each defence is chosen on half of the documents, of members
    and of non-members, and every figure of it is of the other half: so no figure is the best of several on the same
    documents. A call that was stopped continues; a call with more defences trains those alone.

    Leaves ``defences.json``, ``defences.csv``, ``attacks.csv``, the models under ``models/`` and their signals in the
    folder *out*.

    Args:
        pool: `Passages`, one or several; a path; or what `Passages.of` takes. Labels are not read.
        base: the model that every training begins with.
        with_: defences, of the training such as ``dp:epsilon=8``, and of the outputs such as ``top_k:k=5``; both may be
            combined, as in ``dp:epsilon=8+rounding:d=2``.
        out: the folder.
        recipe: of the training without defence; its seed is *seed*.
        canaries: number of random texts that are added, half of them to the members, to measure ε; 0: none.
        fprs: rates of false positives at which the share of detected members is given.
        seed: draws the members, the half that chooses the attack, the canaries, and all that is random in a training.
        stretch: tokens that a model must write word for word for a member to count as extractable.
        probability: the least probability of such a stretch.
        window_tokens: longest input fed to a model, see `llm_mia.signals`.
        progress: called after every batch and every step.

    Raises:
        PassageError: the pool cannot be read, or has too few documents.
        UsageError: an unknown defence, or a setting out of its range.
        MissingExtraError: DP-SGD without Opacus.
        ModelError: a model fails, or a training diverges.
        RunDirectoryError: the folder is of another pool, base, seed or recipe.
    """
    _check(fprs, canaries, stretch, probability)
    spec = base if isinstance(base, ModelSpec) else ModelSpec(base)
    report_activity(progress, "reading the passages")
    sources = to_sources(pool)
    for source in sources:
        source.refuse_output(out)
    spec.refuse_output(out)
    name = ", ".join(source.name for source in sources)
    split = split_pool(name, chain.from_iterable(sources), seed)
    recipe = replace(recipe or Recipe(), seed=seed)
    drawn = insert_canaries(split.members, canaries, seed) if canaries else None
    texts = [*split.members, *(() if drawn is None else drawn.inside)]
    planned = plan_defenses(with_, recipe, texts)
    plan = Plan(str(spec.name), spec.sha256(), passages_sha256(split.passages), seed, recipe, canaries, window_tokens)
    path = Path(out)
    refuse_other(path, plan)
    workshop = Workshop(path, spec, recipe, texts, _read(name, split, drawn), canaries, window_tokens, progress)
    if dry := running_dry():
        raise workshop.estimated(dry, planned)
    with claimed(path, plan):
        passes, records = _run(workshop, planned)
        report_activity(progress, "measuring")
        measured = Measured(path, Inputs.of(workshop.sources), split, drawn, tuple(fprs), stretch, probability)
        result = measure(measured, plan, planned, passes, records)
        write_defenses(result)
        write_tables(result)
    return result


def _run(workshop: Workshop, planned: Sequence[PlannedDefense]) -> tuple[list[str], dict[str, TrainingRecord]]:
    """Train every model, and let it read all passages; returns the pass of each defence, and the trainings by role."""
    workshop.read_by_base()
    records: dict[str, TrainingRecord] = {}
    for defense in planned:  # each training before any measurement: what fails, fails early
        if defense.role not in records:
            records[defense.role] = workshop.train(defense)
    passes = [
        workshop.read_at_temperature(defense)
        if defense.output is not None and defense.output.needs_second_pass
        else defense.role
        for defense in planned
    ]
    return passes, records


def _check(fprs: Sequence[float], canaries: int, stretch: int, probability: float) -> None:
    for rate in fprs:
        if not 0 < rate < 1:
            raise UsageError(f"`fprs` holds {rate:g}: a rate lies between 0 and 1, both excluded")
    if not fprs or len(set(fprs)) < len(fprs):
        raise UsageError("`fprs` is empty or holds a rate twice: give different rates")
    if canaries < 0:
        raise UsageError(f"`canaries` is {canaries}: it must be at least 0")
    if stretch < 1:
        raise UsageError(f"`stretch` is {stretch}: it must be at least 1")
    if not 0 < probability <= 1:
        raise UsageError(f"`probability` is {probability:g}: it must be above 0, and at most 1")


def _read(name: str, split: PoolSplit, canaries: Canaries | None) -> list[Passages]:
    """What every model reads: the pool, with its labels, and the canaries."""
    sources = [Passages.of(split.passages, name=name)]
    if canaries is not None:
        labelled = [*((text, 1) for text in canaries.inside), *((text, 0) for text in canaries.outside)]
        names = [f"canary-{number:04d}" for number in range(len(labelled))]
        rows = [Passage(each, text, each, label) for each, (text, label) in zip(names, labelled, strict=True)]
        sources.append(Passages.of(rows, name="canaries"))
    return sources
