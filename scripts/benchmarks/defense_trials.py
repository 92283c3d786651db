"""Trials of defences: a pool for each seed, a base model, and `defend` with every defence."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llm_mia.backends import ModelSpec, embedded
from llm_mia.backends.local import silence_libraries
from llm_mia.defenses import Defenses, defend
from llm_mia.training import Method, Recipe, train

from . import attack_models as models
from .attack_corpora import Read, passages_of

TOKENS = 72
"""Of a passage, by the estimate of `read_passages`."""
TRAINING = (
    "dp:epsilon=8",
    "dropout:p=0.2",
    "weight_decay:w=0.1",
    "early_stopping",
    "label_smoothing:a=0.1",
    "epochs:n=1",
)
OUTPUTS = (
    "logprobs_only",
    "top_k:k=5",
    "rounding:d=2",
    "rounding:d=0",
    "temperature:t=2",
    "noise:sd=0.5",
    "no_prompt_logprobs",
    "sampled_text",
    "sampled_text:queries=one",
)


@dataclass(frozen=True, slots=True)
class Setting:
    """A kind of model, and how large its trials are."""

    name: str
    recipe: Recipe
    pool: int
    """Passages; half of them are trained on."""
    sibling: int
    """Passages that the base is trained on; 0: the base is SmolLM2."""


SCRATCH = Setting("scratch", Recipe(Method.SCRATCH, epochs=8, batch_size=64, learning_rate=5e-4), 4000, 1900)
SMOLLM = Setting("smollm", Recipe(Method.LORA, epochs=3, batch_size=8), 160, 0)
QUICK = {"scratch": 200, "smollm": 48}
"""Passages of a pool that only shows that everything runs."""


def trials(setting: Setting, corpora: Mapping[str, Read], seeds: int, work: Path, quick: bool) -> Iterator[Defenses]:
    """What every defence buys and costs, for each seed and corpus; finished trainings and passes are used again."""
    size = QUICK[setting.name] if quick else setting.pool
    for corpus, read in corpora.items():
        passages = passages_of(corpus, read, TOKENS, work)
        sibling = min(setting.sibling, size)
        if len(passages) < size + sibling:
            raise SystemExit(
                f"corpus {corpus!r} has {len(passages)} passages, and a trial takes {size + sibling}: name a larger "
                "corpus with --corpus NAME=FOLDER"
            )
        for seed in range(seeds):
            began = time.monotonic()
            drawn = random.Random(seed).sample(passages, size + sibling)  # noqa: S311 - reproducible, no secret
            folder = work / setting.name / f"{corpus}-{size}-{seed}"
            base = _base(setting, passages, drawn[size:], folder, seed)
            yield defend(
                [{"id": f"passage-{at:05d}", "text": text} for at, text in enumerate(drawn[:size])],
                base,
                with_=(*TRAINING, *OUTPUTS),
                out=folder / "defences",
                recipe=setting.recipe,
                seed=seed,
                stretch=30,
            )
            print(f"{folder}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def _base(setting: Setting, corpus: Sequence[str], sibling: Sequence[str], folder: Path, seed: int) -> ModelSpec:
    """SmolLM2; or a small model that was trained on other passages of the corpus, as long as the target is."""
    if not setting.sibling:
        return ModelSpec(embedded.NAME, dtype="float32")
    untrained = folder / "untrained"
    if not untrained.exists():
        model = models.scratch(corpus, seed)
        unfinished = folder / ".untrained"
        with silence_libraries():
            model.model.save_pretrained(unfinished)
            model.tokenizer.save_pretrained(unfinished)
        unfinished.rename(untrained)
    train(ModelSpec(untrained), sibling, folder / "base", setting.recipe, name="base")
    return ModelSpec(folder / "base", dtype="float32")
