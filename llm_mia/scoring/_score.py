"""The call that makes all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..attacks import ATTACKS, Attack, parse_attack
from ..backends import Backend, ModelSpec
from ..errors import AttackError
from ..passages import InputCheck, Passages, check_inputs
from ..scores import ScoreTable, read_scores
from ..store import RunDirectory
from ._inputs import Inputs
from ._passes import run_passes
from ._progress import Progress
from ._table import write_table

__all__ = ["ModelSource", "Scored", "attacks_for", "score", "score_to_disk"]

ModelSource = Backend | str | Path | ModelSpec
"""A backend in memory, a name for `load_model`, or a name and how to load it."""


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


def attacks_for(specs: Sequence[str], *, reference: bool) -> list[Attack]:
    """The attacks that *specs* name, or every attack that the models at hand can serve.

    Raises:
        AttackError: an unknown attack, the same one twice, or one that needs a reference model without one.
    """
    if not specs:
        return [one for one in ATTACKS.values() if reference or "reference" not in one.evidence]
    attacks = [parse_attack(spec) for spec in specs]
    for one in attacks:
        if "reference" in one.evidence and not reference:
            raise AttackError(f"attack {one.name!r} needs a reference model: name one with -r")
        if [other.name for other in attacks].count(one.name) > 1:
            raise AttackError(f"attack {one.name!r} is named twice")
    return attacks


def score(
    sources: Passages | Sequence[Passages],
    target: ModelSource,
    reference: ModelSource | None = None,
    *,
    attacks: Sequence[str] = (),
    out: str | Path,
    window_tokens: int | None = None,
    check: InputCheck | None = None,
    progress: Progress | None = None,
) -> ScoreTable:
    """Score every passage by every attack, and leave the run directory *out* behind.

    The same call continues a run that was stopped; on a finished run it computes only attacks that are new, and a model
    that is given by its name is not loaded.

    Args:
        sources: what `read_passages` gives, one or several.
        target: the model under suspicion.
        reference: a model that was not trained on the passages, for the attacks that need one.
        attacks: as typed, ``min_k:k=0.1``; none: all that the models allow.
        out: the run directory.
        window_tokens: longest input fed to a model, see `llm_mia.windows`.
        check: the result of `check_inputs` on the same *sources*, where it has been made already.
        progress: called after every batch.

    Raises:
        PassageError, AttackError, ModelError, RunDirectoryError: see `llm_mia.errors`.
    """
    done = score_to_disk(
        sources,
        target,
        reference,
        attacks=attacks,
        out=out,
        window_tokens=window_tokens,
        check=check,
        progress=progress,
    )
    return read_scores(done.path)


def score_to_disk(
    sources: Passages | Sequence[Passages],
    target: ModelSource,
    reference: ModelSource | None = None,
    *,
    attacks: Sequence[str] = (),
    out: str | Path,
    window_tokens: int | None = None,
    check: InputCheck | None = None,
    progress: Progress | None = None,
) -> Scored:
    """Do what `score` does, and do not read the table back: memory does not grow with the number of passages.

    But for some 50 bytes a passage, with which ids and texts are told apart.
    """
    sources = [sources] if isinstance(sources, Passages) else list(sources)
    chosen = attacks_for(attacks, reference=reference is not None)
    models = {"target": _spec(target), "reference": None if reference is None else _spec(reference)}
    with RunDirectory(out) as run:
        inputs = Inputs(sources, check or check_inputs(sources))
        run_passes(run, inputs, models, chosen, window_tokens, progress)
        unscored = write_table(run, inputs, chosen, progress)
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
    )


def _spec(source: ModelSource) -> Backend | ModelSpec:
    return ModelSpec(source) if isinstance(source, str | Path) else source
