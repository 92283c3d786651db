"""Defences of the outputs, replayed from signals: what an attacker sees, what attacks achieve, what a client loses.

    from llm_mia.defenses.outputs import replay_outputs
    for done in replay_outputs("known.jsonl", "run/", ["none", "top_k:k=5", "sampled_text"]):
        for result in done.results:
            print(done.defense, result.attack, result.auroc or result.reason)

A replay runs no model. A defence is a function from the signals of a pass to what remains of them (`OutputDefense`);
only the passes of the target are masked, because the reference model and the shadow models are the attacker's. A
temperature changes what signals do not hold: it needs a second run, by the model at that temperature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..attacks import EVIDENCE, Attack, SampleSettings, parse_attack
from ..errors import UsageError
from ..passages import PassageSource, to_sources
from ..records import FIELDS, RunRecord
from ..scores import ScoreTable
from ..signals import Inputs, Supplies
from ..store import UnwrittenRun, read_run
from ._completing import bounded, omitted
from ._first_choice import FIRST_CHOICE_ATTACKS
from ._judging import judge
from ._output_defense import OUTPUT_DEFENSES, OutputDefense, OutputDefenseKind, parse_defense
from ._replay_plan import TARGET, plan_replay
from ._replaying import Replaying, column_of
from ._results import OutputReplay, OutputResult, OutputUtility
from ._stored import StoredPasses

__all__ = [
    "FIRST_CHOICE_ATTACKS",
    "OUTPUT_DEFENSES",
    "OutputDefense",
    "OutputDefenseKind",
    "OutputReplay",
    "OutputResult",
    "OutputUtility",
    "bounded",
    "column_of",
    "judge",
    "omitted",
    "parse_defense",
    "replay",
    "replay_outputs",
]

RATES = (0.01, 0.001)


def replay(
    sources: PassageSource,
    run: str | Path,
    defense: OutputDefense | str,
    attacks: Sequence[Attack | str] = (),
    *,
    supplies: Supplies | None = None,
    second_pass: str | Path | None = None,
) -> ScoreTable:
    """The scores of attacks on what *defense* shows of the signals in *run*.

    Attacks that cannot be computed on it have no column; `ScoreTable.no_scores` has the reason by attack. Where the
    attacker may take what is shown in several ways (`OutputDefense.variants`), an attack has a column for each,
    named by `column_of`: ``loss (bounded)`` and ``loss (omitted)``. Memory grows with the scores, not with the signals.

    Args:
        sources: the passages that were scored, as for `score`.
        run: the run directory with their signals, at temperature 1.
        defense: what is shown; also its name, as ``top_k:k=5``.
        attacks: by default those of the run, and those of `FIRST_CHOICE_ATTACKS`, which need text alone.
        supplies: those of the run, for the attacks that need them.
        second_pass: for a defence that needs one, the run directory with the signals of the target at its temperature.
            Where it holds those of the reference model at this temperature too, the attacker has them.

    Raises:
        UsageError: no such defence, or its second pass is missing or of another temperature.
        AttackError: no such attack.
        RunDirectoryError: the run holds no signals of the target, or of other passages.
    """
    wanted = parse_defense(defense) if isinstance(defense, str) else defense
    replaying, _ = _plan(sources, run, wanted, attacks, supplies, second_pass)
    return replaying.table()


def replay_outputs(
    sources: PassageSource,
    run: str | Path,
    defenses: Sequence[OutputDefense | str],
    attacks: Sequence[Attack | str] = (),
    *,
    supplies: Supplies | None = None,
    second_passes: Mapping[str, str | Path] | None = None,
    fprs: Sequence[float] = RATES,
    choosing: NDArray[np.bool_] | None = None,
) -> tuple[OutputReplay, ...]:
    """What every attack achieves on what each of *defenses* shows: the matrix of defences and attacks, with intervals.

    Args:
        sources: as for `replay`, and so are *run*, *attacks* and *supplies*.
        run: see above.
        defenses: what is shown; ``none`` is the whole distribution, to compare with.
        attacks: see above.
        supplies: see above.
        second_passes: by the name of a defence, what `replay` takes as its ``second_pass``.
        fprs: rates of false positives at which the true positives are counted.
        choosing: shape (passages,): which passages choose between the ways in which an attacker may take what is shown;
            the figures are then of the others. By default all passages do both, and an interval does not count the
            choice.

    Raises:
        UsageError, AttackError, RunDirectoryError: as for `replay`.
    """
    done = []
    for defense in (parse_defense(each) if isinstance(each, str) else each for each in defenses):
        second = (second_passes or {}).get(defense.name)
        replaying, names = _plan(sources, run, defense, attacks, supplies, second)
        table, variants = replaying.table(), replaying.variants
        results = judge(table, defense.name, names, variants, fprs=fprs, choosing=choosing)
        offers = tuple(name for name in FIELDS if name in defense.offers)
        record = defense.name, defense.settings, offers, defense.needs_second_pass
        done.append(OutputReplay(*record, results, replaying.client.utility()))
    return tuple(done)


def _plan(
    sources: PassageSource,
    run: str | Path,
    defense: OutputDefense,
    attacks: Sequence[Attack | str],
    supplies: Supplies | None,
    second_pass: str | Path | None,
) -> tuple[Replaying, list[str]]:
    """The replay of the attacks that can be computed, and the names of all."""
    first = _open(run)
    second = _second_run(first, defense, second_pass)
    inputs, loaded = Inputs.of(to_sources(sources)), (supplies or Supplies()).load(_roles(first.run.record))
    if "samples" in first.run.record.passes:  # no others can be drawn now
        stored = first.run.record.passes["samples"].depends["samples"]
        loaded = replace(loaded, samples=SampleSettings(**stored))
    default = [*(record.name for record in first.run.record.attacks), *FIRST_CHOICE_ATTACKS]
    chosen = [each if isinstance(each, Attack) else _attack(each) for each in attacks or default]
    return plan_replay(chosen, loaded, defense, inputs, first, second), [attack.name for attack in chosen]


def _open(path: str | Path) -> StoredPasses:
    """The passes of the run directory *path*.

    Raises `RunDirectoryError` where it is none, or has no signals of the target.
    """
    read_run(path)
    run = UnwrittenRun(path)
    run.signals(TARGET)
    return StoredPasses(run)


def _attack(name: str) -> Attack:
    return FIRST_CHOICE_ATTACKS.get(name) or parse_attack(name)


def _roles(record: RunRecord) -> list[str]:
    """The roles of the models of a run: the names of their passes over the unchanged passages."""
    patterns = {
        each.role
        for kind in EVIDENCE.values()
        for each in kind.passes
        if each.texts == "passages" and each.versions is None
    }
    return [name for name in record.passes if any(fnmatchcase(name, pattern) for pattern in patterns)]


def _second_run(first: StoredPasses, defense: OutputDefense, second_pass: str | Path | None) -> StoredPasses:
    """The passes of the run whose signals of the target are masked.

    Raises `UsageError` where the temperature of a run is not that of the defence, or the models differ otherwise.
    """
    if defense.needs_second_pass and second_pass is None:
        raise UsageError(
            f"defence {defense.name!r} changes what signals do not hold: write the signals of the target at "
            f"`temperature` {defense.temperature:g} to another run directory, and give it as `second_pass`"
        )
    second = _open(second_pass) if defense.needs_second_pass and second_pass is not None else first
    for passes, wanted in ((first, 1.0), (second, defense.temperature)):
        model = passes.model(TARGET)
        if model.temperature != wanted:
            raise UsageError(
                f"{passes.run.path}: holds signals at `temperature` {model.temperature:g}, and defence "
                f"{defense.name!r} needs them at {wanted:g}: name another run directory"
            )
    first.refuse_other_model(second, TARGET)
    return second
