"""Trains a set of shadow models, and computes the signals of their pool."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..backends import ModelSpec
from ..errors import RunDirectoryError
from ..passages import Passages, PassageSource, to_sources
from ..signals import (
    DryRun,
    Estimated,
    Inputs,
    Limits,
    PlannedPass,
    Progress,
    open_run,
    report_activity,
    run_passes,
    running_dry,
    window_rule,
)
from ..store import RunDirectory
from ..training import Method, Recipe, TrainingRecord, explained_damage
from ._measures import measured
from ._plan import plan_of, refuse_other, spec_of
from ._pool import Pool, read_pool, stored_pool, write_pool
from ._pool_passes import PoolPass, run_side_by_side
from ._record import ShadowsPlan
from ._shadows import MODELS, RECORD, SPLIT, Shadows, read_shadows

if TYPE_CHECKING:
    from ..training import Training

__all__ = ["train_shadows"]

REFERENCE = "reference"


def train_shadows(
    pool: PassageSource,
    base: ModelSpec | str | Path,
    *,
    out: str | Path,
    shadows: int = 8,
    recipe: Recipe | None = None,
    seed: int = 0,
    processes: int = 1,
    window_tokens: int | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Shadows:
    """Train shadow models on random halves of the documents of *pool*, and compute the signals of the pool.

    A call that was stopped at any instant continues with the same call, and ends with the same result. The folder *out*
    is a run directory, which holds the texts of the pool too.

    Args:
        pool: the passages, as for `llm_mia.score`; their labels are not read. A passage is a text of the training.
        base: the model that each training begins with.
        out: the folder.
        shadows: how many models are trained, an even number; each document is in half of them.
        recipe: how each is trained; None: `Recipe()`, 3 epochs with LoRA. For a set of shadows that says something
            about a target it is the recipe of the target.
        seed: draws which shadow is trained on which documents, see `draw_halves`.
        processes: how many shadows are trained at the same time on the CPU, and then read the pool at the same time,
            see `llm_mia.training.compute_side_by_side`.
        window_tokens: longest input fed to a model in a pass, see `llm_mia.signals`.
        limits: how much of a pass is computed, kept and written at once.
        progress: called after every step of a training, and after every batch of a pass.

    Raises:
        UsageError: *shadows* is odd or too small, or the recipe sets texts aside.
        PassageError: the pool cannot be read, or its documents cannot be halved.
        ModelError: the base cannot be loaded, or a training diverges; the message names the shadow.
        MissingExtraError: the recipe needs a package that is not installed.
        RunDirectoryError: *out* holds shadow models of another pool, base or recipe, or cannot be written.
    """
    sources, spec = to_sources(pool), spec_of(base)
    for source in sources:
        source.refuse_output(out)
    spec.refuse_output(out)
    report_activity(progress, "reading the pool")
    contents = read_pool(sources)
    plan = plan_of(contents, spec, shadows, recipe or Recipe(), seed)
    with open_run(out) as run:
        refuse_other(run, plan)
        report_activity(progress, "loading the tokenizer")
        spec.tokenizer()  # refuses an unknown base before anything is written
        if dry := running_dry():
            raise _estimated(dry, run, plan, contents, spec, window_tokens, progress)
        if window_tokens is not None:
            _refuse_windows(spec, window_tokens)
        with _removed_if_nothing_was_trained(run.path):
            _begin(run, plan, contents)
            trained = _train_all(run, plan, contents, spec, processes, progress)
        # A model of the hub may have come to this machine only now.
        plan = replace(plan, base_sha256=plan.base_sha256 or next(iter(trained.values())).base_sha256)
        dtype = _run_passes(run, plan, spec, processes, window_tokens, limits, progress)
        report_activity(progress, "comparing members and non-members")
        run.write_record(RECORD, measured(run, plan, trained, dtype))
    return read_shadows(out)


def _refuse_windows(spec: ModelSpec, window_tokens: int) -> None:
    """Raise `UsageError` where a pass cannot have such windows, before the models are trained that it reads."""
    base = spec.load(compiled=False)
    window_rule(base.info.context, window_tokens, opening=len(base.opening))


@contextlib.contextmanager
def _removed_if_nothing_was_trained(path: Path) -> Iterator[None]:
    """Where the block fails before a weight is on disk, the files that it began with are removed."""
    try:
        yield
    except BaseException:  # an interrupt, too
        models = path / MODELS
        if not any(models.glob("*/training.json")) and not any(models.glob(".*/checkpoint.pt")):
            shutil.rmtree(models, ignore_errors=True)
            for name in (SPLIT, "pool.jsonl"):
                (path / name).unlink(missing_ok=True)
        raise


def _begin(run: RunDirectory, plan: ShadowsPlan, pool: Pool) -> None:
    """Write what the folder begins with, and the pool again where its file was lost or has changed."""
    try:
        stored_pool(run.path, plan.pool_sha256)
    except RunDirectoryError:
        write_pool(run.path, pool)
    if not (run.path / SPLIT).exists():
        run.write_record(SPLIT, plan)


def _train_all(
    run: RunDirectory, plan: ShadowsPlan, pool: Pool, spec: ModelSpec, processes: int, progress: Progress | None
) -> dict[str, TrainingRecord]:
    """Train each shadow model that is not trained; returns the record of each by its role."""
    from ..training import compute_side_by_side

    trainings = _trainings(run, plan, pool, spec)
    left = [training for training in trainings if not (training.out / "training.json").exists()]
    if processes != 1 and left:
        compute_side_by_side(left, processes, name=f"training {len(left)} shadow models", progress=progress)
        progress = None  # their steps were reported
    return {training.name: training.run(progress) for training in trainings}


def _trainings(run: RunDirectory, plan: ShadowsPlan, pool: Pool, spec: ModelSpec) -> list[Training]:
    """The training of each shadow model."""
    from ..training import Training

    trainings = []
    for number, role in enumerate(plan.roles):
        texts = tuple(passage.text for passage in pool.passages if plan.inside[passage.document][number] == "1")
        recipe = replace(plan.recipe, seed=plan.recipe.seed + 1 + number)
        trainings.append(Training(spec, texts, run.path / MODELS / role, recipe, role))
    return trainings


def _estimated(
    dry: DryRun,
    run: RunDirectory,
    plan: ShadowsPlan,
    pool: Pool,
    spec: ModelSpec,
    window_tokens: int | None,
    progress: Progress | None,
) -> Estimated:
    """What ends a dry run: how long the trainings and the passes will take."""
    from ..training import estimate_models

    trainings, inputs = _trainings(run, plan, pool, spec), Inputs.of([Passages.of(pool.passages, name=pool.name)])
    passes = [*plan.roles, *([] if plan.recipe.method is Method.SCRATCH else [REFERENCE])]
    return estimate_models(dry, spec, trainings, passes, inputs, run, window_tokens=window_tokens, progress=progress)


def _run_passes(
    run: RunDirectory,
    plan: ShadowsPlan,
    spec: ModelSpec,
    processes: int,
    window_tokens: int | None,
    limits: Limits | None,
    progress: Progress | None,
) -> str:
    """Compute the signals of the pool under each shadow and the base, all in the precision that is returned."""
    inputs = Inputs.of([stored_pool(run.path, plan.pool_sha256)])
    models = {role: replace(spec, name=run.path / MODELS / role, revision=None) for role in plan.roles}
    if plan.recipe.method is not Method.SCRATCH:
        models[REFERENCE] = spec

    def run_alone(models: Mapping[str, ModelSpec], progress: Progress | None) -> None:
        with explained_damage(Path(model.name) for model in models.values()):
            planned = [PlannedPass(role, role, role, inputs) for role in models]
            run_passes(run, inputs, models, planned, window_tokens=window_tokens, limits=limits, progress=progress)

    # The precision is chosen once: by a measurement for each model, shadows would differ by their rounding.
    first, *others = models
    dtype = run.record.passes[first].model.dtype if first in run.record.passes else "auto"
    run_alone({first: models[first].in_precision(dtype)}, progress)
    dtype = run.record.passes[first].model.dtype
    rest = {role: models[role].in_precision(dtype) for role in others}
    if processes != 1:
        size = (inputs.passages, inputs.bytes)
        passes = [
            PoolPass(run.path, plan.pool_sha256, *size, role, model, window_tokens, limits)
            for role, model in rest.items()
        ]
        run_side_by_side(run, passes, processes, progress=progress)
        progress = None  # their steps were reported
    run_alone(rest, progress)  # of those that were run, it checks that they are of these models
    return dtype
