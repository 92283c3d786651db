"""A set of shadow models, in words."""

from __future__ import annotations

import shlex
from pathlib import Path

from ...durations import duration
from ...records import Interval
from ...shadow import ShadowsPlan, ShadowsRecord
from ...training import Method, Recipe
from ._answer import Answer, Outcome
from ._answering import short_name
from ._counting import counted, size_words

__all__ = ["shadows_answer", "shadows_next", "shadows_notes", "shadows_work"]

METHODS = {
    Method.FULL: "all weights trained",
    Method.LORA: "LoRA of rank {rank}",
    Method.SCRATCH: "trained from random weights",
}
ASSUMPTION = "They stand for a target that was trained as they were, on texts like those of the pool."


def recipe_words(recipe: Recipe) -> str:
    """How a model is trained, as a phrase.

    >>> recipe_words(Recipe(epochs=1, dropout=0.2))
    'LoRA of rank 8, 1 epoch, batches of 8, learning rate 0.001, dropout 0.2'
    """
    parts = [
        METHODS[recipe.method].format(rank=recipe.lora_rank),
        counted(recipe.epochs, "epoch"),
        f"batches of {recipe.batch_size}",
        f"learning rate {recipe.rate:g}",
    ]
    parts += [] if recipe.dropout is None else [f"dropout {recipe.dropout:g}"]
    parts += [f"weight decay {recipe.weight_decay:g}"] if recipe.weight_decay else []
    parts += [f"DP-SGD with ε = {recipe.privacy.epsilon:g}"] if recipe.privacy is not None else []
    return ", ".join(parts)


def shadows_work(plan: ShadowsPlan) -> str:
    """How much is to be trained, before it is."""
    shadows, documents = len(plan.roles), len(plan.inside)
    return (
        f"{shadows} shadow models of {short_name(plan.base)}, each on half of {counted(documents, 'document')} "
        f"({counted(plan.passages, 'passage')}, {size_words(plan.bytes)}): {recipe_words(plan.recipe)}; then each "
        f"of the models reads all passages"
    )


def shadows_answer(record: ShadowsRecord) -> Answer:
    """What was trained, how much membership shows in it, and what it may be used for."""
    plan, gap = record.plan, record.gap
    losses = [[getattr(shadow, side) for shadow in record.shadows] for side in ("loss_in", "loss_out")]
    of_losses = ", ".join(
        f"{sum(side) / len(side):.2f} on {name}" for side, name in zip(losses, ("members", "others"), strict=True)
    )
    seconds = sum(shadow.seconds for shadow in record.shadows)
    facts = [
        ("loss", f"{of_losses}, nats per token"),
        ("gap", f"{_of_gap(gap)} between them, for the same document"),
        ("recipe", recipe_words(plan.recipe)),
        ("time", f"{duration(seconds)} for the training"),
    ]
    trust = [ASSUMPTION, *shadows_notes(record)[:1]]
    return Answer(
        question=f"{len(plan.roles)} shadow models of {short_name(plan.base)}",
        outcome=Outcome.FINDING if gap.low > 0 else Outcome.DOUBTFUL,
        headline=_headline(record),
        error_rate="",
        facts=tuple(facts),
        trust=tuple(trust),
        caveats=max(0, len(shadows_notes(record)) - 1),
    )


def _headline(record: ShadowsRecord) -> str:
    plan, trained = record.plan, [shadow.tokens for shadow in record.shadows]
    on = (
        f"Each was trained on half of {counted(len(plan.inside), 'document')} (about "
        f"{round(sum(trained) / len(trained)):,} tokens)"
    )
    if record.gap.low > 0:
        return f"{on}, and membership shows."
    return f"{on}, and no difference between members and others is measured."


def shadows_notes(record: ShadowsRecord) -> list[str]:
    """What a reader has to know, a sentence each."""
    plan, notes = record.plan, []
    if not record.gap.low > 0:
        notes.append(
            "Attacks with these shadow models will show little: train as the target was trained, or on more documents."
        )
    cut = max((shadow.cut for shadow in record.shadows), default=0)
    if cut:
        notes.append(
            f"Of the passages of a shadow model, up to {cut:,} are longer than the model's context: what exceeds it "
            "was not trained on. Give shorter passages by `passage_tokens`."
        )
    if plan.joined:
        notes.append(
            f"Documents that share a text with an earlier document: {plan.joined:,}. Both are in the same models."
        )
    if record.unscored:
        notes.append(f"Passages without a likelihood, because they are too short: {record.unscored:,}.")
    return notes


def shadows_next(path: Path) -> str:
    """The command that uses the shadow models in the folder *path*."""
    return f"llm-mia audit CANDIDATES -m TARGET --shadows {shlex.quote(str(path))} -o run/"


def _of_gap(gap: Interval) -> str:
    """The gap with a digit more than most figures have: that of a short training is small, and still above zero.

    >>> _of_gap(Interval(0.0042, 0.0011, 0.0073))
    '0.004 (0.001–0.007)'
    """
    return f"{gap.value:.3f} ({gap.low:.3f}–{gap.high:.3f})"
