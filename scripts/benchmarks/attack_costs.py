"""What attacks cost: the passes that they need, and the time from signals to scores."""

from __future__ import annotations

import functools
import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from llm_mia.attacks import Attack, Evidence
from llm_mia.backends import ModelSpec
from llm_mia.passages import read_passages
from llm_mia.records import Population, TokenSignals
from llm_mia.signals import count_frequencies
from llm_mia.store import read_run, read_signals

from .attack_models import smollm
from .attack_trials import NEIGHBOURS, Trial, attacks_of
from .figures import Figure, medians
from .speed import windows_of

ROLES = ("target", "reference")
PASSAGES = 200
"""The time from signals to scores is measured on so many passages."""
SEVERAL = {"neighbours": "neighbour-", "swapped": "swapped-"}
"""Evidence with a pass for each rewritten text, and what the names of these passes begin with."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one attack costs on the passages of one run."""

    passes: int
    """Passes of models over the passages or over the population."""
    pass_seconds: float | None
    """Seconds of these passes. None where the signals of another run were used, so that no pass ran."""
    score_seconds: float
    """Seconds from the signals to the scores."""


def costs(trial: Trial) -> dict[str, Cost]:
    """The cost of each attack on all passages of *trial*, by name."""
    walls = _wall_seconds(trial)
    attacks = [attack for attack in attacks_of(many=True) if attack.name in trial.table.columns]
    evidence = _evidence(trial)
    return {attack.name: _cost(attack, walls, evidence, len(trial.table)) for attack in attacks}


def _wall_seconds(trial: Trial) -> Mapping[str, float]:
    """Seconds of each pass of the trial's run, loading left out; NaN for a pass whose signals another run computed."""
    return {
        name: math.nan if trial.reference_served and name.endswith("reference") else spent
        for name, spent in read_run(trial.run).wall_seconds.items()
    }


def _cost(
    attack: Attack, walls: Mapping[str, float], evidence: Sequence[Mapping[str, Evidence]], passages: int
) -> Cost:
    passes_used = [name for name in walls if name in attack.passes]
    passes_used += [name for name in walls for kind in attack.passes if name.startswith(SEVERAL.get(kind, "no such"))]
    start = time.perf_counter()
    for row in evidence:
        attack.score(row)
    score_seconds = (time.perf_counter() - start) / len(evidence) * passages
    pass_seconds = sum(walls[name] for name in passes_used)
    passes = sum(NEIGHBOURS if kind in SEVERAL else 1 for kind in attack.passes)
    return Cost(passes, None if math.isnan(pass_seconds) else pass_seconds, score_seconds)


def _evidence(trial: Trial) -> list[dict[str, Evidence]]:
    """The evidence of the first passages of the run."""
    stored = {name: read_signals(trial.run, name) for name in read_run(trial.run).passes}
    signals = {name: [row.signals for row in islice(rows, PASSAGES)] for name, rows in stored.items()}
    elsewhere = read_passages(trial.draw.folder / "elsewhere.jsonl")
    population = [np.array([_mean(row) for row in signals.pop(f"population_{role}", [])]) for role in ROLES]
    shared: dict[str, Evidence] = {
        "population": Population(*population),
        "frequencies": count_frequencies(elsewhere, ModelSpec(trial.target).tokenizer()),
    }
    columns: dict[str, Sequence[Evidence]] = {
        "text": [passage.text for passage in islice(read_passages(trial.draw.folder / "passages.jsonl"), PASSAGES)],
        "aligned_reference": signals["reference"],
    }
    for kind, opening in SEVERAL.items():
        several = [signals.pop(name) for name in sorted(signals) if name.startswith(opening)]
        if several:
            columns[kind] = list(zip(*several, strict=True))
    columns |= signals
    return [{**shared, **dict(zip(columns, row, strict=True))} for row in zip(*columns.values(), strict=True)]


def _mean(signals: TokenSignals) -> float:
    return float(signals.logprob.mean(dtype=np.float64))


def cost_figures(passages: Sequence[str], shots: int, rounds: int) -> list[Figure]:
    """How much time all one-pass scores add to a pass of SmolLM2, and how much shots before every passage add.

    Two sets of shots take turns, so that no pass can reuse the cache of the round before.
    """
    backend = smollm()
    windows = windows_of(backend, passages[2 * shots :])
    prefixes = [
        np.concatenate(backend.encode([f"{text}\n" for text in passages[start : start + shots]]))
        for start in (0, shots)
    ]
    turns = itertools.cycle(prefixes)
    ways: dict[str, Callable[[], object]] = {
        "plain": lambda: backend.score(windows),
        "after": lambda: backend.score([replace(window, first_scored=0) for window in windows], prefix=next(turns)),
    }
    signals = backend.score(windows)
    rows: list[dict[str, Evidence]] = [
        {"target": target, "text": text} for target, text in zip(signals, passages[2 * shots :], strict=True)
    ]
    attacks = [attack for attack in attacks_of(many=False) if set(attack.evidence) <= {"target", "text"}]
    for attack in attacks:
        ways[attack.name] = functools.partial(_score_all, attack, rows)
    seconds = medians(ways, rounds)
    plain, after = seconds.pop("plain"), seconds.pop("after")
    slowest = max(seconds, key=lambda name: seconds[name])
    tokens = sum(map(len, signals))
    return [
        Figure(f"all {len(attacks)} scores of one pass ÷ that pass",
               100 * sum(seconds.values()) / plain, "%", at_most=5,
               note=f"{1e3 * sum(seconds.values()):.0f} ms on {plain:.1f} s, {slowest} {1e3 * seconds[slowest]:.0f}; "
               f"{len(rows)} passages, {tokens:,} tokens"),
        Figure(f"the pass after {shots} shots ÷ the plain pass", after / plain, at_most=1.6,
               note=f"{after:.1f} s, {len(prefixes[0])} tokens of shots, which run once"),
    ]  # fmt: skip


def _score_all(attack: Attack, rows: Sequence[Mapping[str, Evidence]]) -> None:
    for row in rows:
        attack.score(row)
