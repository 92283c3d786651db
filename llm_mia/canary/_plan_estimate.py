"""How long the pilots of a plan will take: measured, and nothing is written."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..backends import embedded
from ..signals import DryRun, Estimated, Inputs, PassEstimate, Progress
from ..store import RunDirectory, UnwrittenRun
from ._manifest import CanaryKind
from ._pilot import PilotRun
from ._traps import SentenceRule

__all__ = ["estimated_pilots"]


def estimated_pilots(dry: DryRun, path: Path, runs: Sequence[PilotRun], progress: Progress | None) -> Estimated:
    """What ends a dry run: how long the trainings and the passes of the pilots that are left will take."""
    from ..training import estimate_models

    left = [each for each in runs if not each.file.exists()]
    if not left:
        return Estimated(dry.estimate(0))
    if left[0].settings.kind is CanaryKind.INSERT and left[0].source.supplied is None:
        _estimate_sentences(dry, left, progress)
        # Random words are about as long as the sentences that are not written yet.
        left = [replace(each, source=replace(each.source, kind=CanaryKind.TOKEN)) for each in left]
    run: RunDirectory = UnwrittenRun(path)
    passes = [f"pilot {each.number}, {name}" for each in left for name in ("trained", "untrained")]
    return estimate_models(
        dry,
        left[0].model,
        [each.training for each in left],
        passes,
        Inputs.of([left[0].passages]),
        run,
        window_tokens=left[0].settings.window_tokens,
        progress=progress,
    )


def _estimate_sentences(dry: DryRun, left: Sequence[PilotRun], progress: Progress | None) -> None:
    """Measure how long sentences take to write, on those of a document, and note it in *dry*."""
    first = left[0]
    names = first.source.draw(first.number, 1, first.settings.recipe.seed)
    began = time.monotonic()
    written = sum(map(len, first.source.variants_of(names, first.key, progress).values()))
    took = time.monotonic() - began
    dry.measuring += took
    documents = sum(each.settings.documents * len(each.settings.repeats) for each in left)
    count = documents * first.settings.variants
    dry.passes.append(
        PassEstimate(
            name="sentences",
            role="writer",
            model=embedded.NAME,
            passages=documents,
            tokens=count * SentenceRule().tokens,
            seconds=took / written * count,
            bytes_on_disk=0,
            continuations=count,
        )
    )
