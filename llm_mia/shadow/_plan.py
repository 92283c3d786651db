"""What a set of shadow models is trained from: the plan, and whether a folder holds shadow models of another plan."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path

from ..backends import ModelSpec
from ..errors import RunDirectoryError, UsageError
from ..passages import PassageSource, to_sources
from ..store import RunDirectory, differences, read_record
from ..training import Recipe, refuse_damaged
from ._pool import Pool, read_pool
from ._record import ShadowsPlan
from ._shadows import MODELS, RECORD, SPLIT, read_shadows
from ._split import draw_halves

__all__ = ["plan_of", "plan_shadows", "refuse_other", "spec_of"]


def plan_shadows(
    pool: PassageSource,
    base: ModelSpec | str | Path,
    *,
    shadows: int = 8,
    recipe: Recipe | None = None,
    seed: int = 0,
) -> ShadowsPlan:
    """What `train_shadows` would train, without training it: the split, and how much text there is.

    Raises:
        UsageError: *shadows* is odd or too small, or the recipe sets texts aside.
        PassageError: the pool cannot be read, or its documents cannot be halved.
    """
    return plan_of(read_pool(to_sources(pool)), spec_of(base), shadows, recipe or Recipe(), seed)


def spec_of(base: ModelSpec | str | Path) -> ModelSpec:
    """The base as a model that is not loaded yet.

    Raises:
        UsageError: *base* is a model in memory.
    """
    if not isinstance(base, ModelSpec | str | Path):
        raise UsageError(
            f"`base` is of the type {type(base).__name__}: give the name or the folder of a model, which is trained"
        )
    return base if isinstance(base, ModelSpec) else ModelSpec(base)


def plan_of(pool: Pool, spec: ModelSpec, shadows: int, recipe: Recipe, seed: int) -> ShadowsPlan:
    """The plan for this pool.

    Raises:
        UsageError: *shadows* is odd or too small, or the recipe sets texts aside.
    """
    if recipe.early_stopping is not None:
        raise UsageError(
            "`early_stopping` sets training texts aside, so a shadow model would not be trained on all of its half: "
            "leave it out"
        )
    groups = pool.group_of
    sizes = Counter(groups.values())
    halves = draw_halves([*sizes.values()], shadows, seed)
    digits = {group: "".join("01"[inside] for inside in row) for group, row in zip(sizes, halves.tolist(), strict=True)}
    return ShadowsPlan(
        base=str(spec.name),
        base_revision=spec.revision,
        base_sha256=spec.sha256(),
        recipe=recipe,
        seed=seed,
        pool=pool.name,
        pool_sha256=pool.sha256(),
        passages=len(pool.passages),
        bytes=sum(passage.n_bytes for passage in pool.passages),
        joined=len(groups) - len(sizes),
        inside={document: digits[group] for document, group in groups.items()},
        trust_remote_code=spec.trust_remote_code,
        pre_tokenizer=spec.pre_tokenizer,
        templated=spec.templated,
    )


def refuse_other(run: RunDirectory, plan: ShadowsPlan) -> None:
    """Refuse a folder of other shadow models, or of something else.

    Raises:
        RunDirectoryError: the message says what differs.
    """
    path = run.path
    if (path / SPLIT).exists():
        there = read_record(ShadowsPlan, path / SPLIT, RunDirectoryError, "name another folder")
    elif (path / RECORD).exists():  # the file was lost; the record of finished shadow models has its contents
        there = read_shadows(path).record.plan
    elif run.record.passes or (path / MODELS).exists():
        raise RunDirectoryError(f"{path}: holds another run, and no {SPLIT} of shadow models; name another folder")
    else:
        return
    what = [*differences(_compared(there), _compared(plan))]
    if there.pool_sha256 != plan.pool_sha256:
        what = [f"another pool: {there.pool} there, {plan.pool} here, or its texts have changed", *what]
    if there.base_sha256 and plan.base_sha256:  # the digests decide, wherever the files lie
        if there.base_sha256 != plan.base_sha256:
            what = [f"another base: {there.base} there, {plan.base} here, or its files have changed", *what]
    elif there.base != plan.base:
        what = [f"another base: {there.base} there, {plan.base} here", *what]
    if not what and there.inside != plan.inside:
        what = ["the split was drawn by another release of numpy"]
    if what:
        raise RunDirectoryError(f"{path}: holds other shadow models ({'; '.join(what)}); name another folder")
    for role in plan.roles:
        refuse_damaged(path / MODELS / role)


def _compared(plan: ShadowsPlan) -> dict[str, object]:
    recipe = asdict(plan.recipe)
    if plan.recipe.seed == plan.seed:  # a single option sets both
        del recipe["seed"]
    how_read = {"pre_tokenizer": plan.pre_tokenizer, "templated": plan.templated}
    return {"recipe": recipe, "seed": plan.seed, "shadows": len(plan.roles), **how_read}
