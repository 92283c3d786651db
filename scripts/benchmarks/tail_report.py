"""The tail as a table: every score against the plain difference, trial by trial, on corpora it was not made for."""

from __future__ import annotations

import datetime
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llm_mia.records import Interval
from llm_mia.store import write_text

from .figures import machine
from .tail_corpora import DEVELOPED_ON
from .tail_evidence import Floats, TailEvidence
from .tail_learned import coded, learned_scores
from .tail_rates import FIGURES, REALISED, column, figures_of, over_trials
from .tail_scores import PLAIN, attack_scores, idea_scores
from .tail_trials import Masks, TailTrial, describe, flat_signals, trial_record

Values = Mapping[str, Mapping[str, float]]
"""Figures by score and by name."""
Measured = dict[tuple[int, str], list[tuple[TailTrial, Values]]]
"""By epoch, and by how the non-members to fit on are drawn."""
PARTS = ("by_passage", "by_document")

COMMAND = ".venv/bin/python scripts/bench_attacks.py --only tail"
ABOUT = (
    "A trial trains a target on members of a corpus and a reference of the same shape on other passages of it, both "
    "for as many epochs, and scores members and non-members. Scores may be fitted on a part of the non-members, on "
    "which nothing is measured. Intervals are 95 %, Student's t over trials, which are the unit; paired columns are "
    f"the score less {PLAIN!r}, the plain difference, in the same trial. Trials of a corpus share passages, but no "
    "training, so the intervals are about trainings on these corpora; the column of corpora shows in how many the mean "
    f"difference at 1 % is above 0. Ideas were developed on {DEVELOPED_ON!r} alone, and are judged on the others. "
    "Where scores are fitted on other documents, no document has passages both there and among those measured. "
    "Realised rates: a random half of the measured non-members sets the conformal threshold, and the rest is flagged."
)


def measure(trials: Sequence[TailTrial], epochs: Sequence[int], work: Path) -> Measured:
    """The figures of every score in every trial; models and signals in *work* are not computed again."""
    for epoch in epochs:  # the slow part first: what is learned elsewhere needs all of it
        for trial in trials:
            flat_signals(trial, epoch, work, max(epochs))
    pairs = [(trial, epoch) for epoch in epochs for trial in trials]
    token_codes = [coded(_evidence(trial, epoch, trial.by_passage, work)) for trial, epoch in pairs]
    measured: Measured = {}
    for (trial, epoch), codes in zip(pairs, token_codes, strict=True):
        for part in PARTS:
            evidence = _evidence(trial, epoch, getattr(trial, part), work)
            print(f"{evidence.name}, {part} …", file=sys.stderr, flush=True)
            scores = attack_scores(evidence)
            scores = scores | idea_scores(evidence, scores)
            scores |= learned_scores(evidence, codes if part == PARTS[0] else coded(evidence), token_codes)
            measured.setdefault((epoch, part), []).append((trial, _figures(evidence, scores)))
    return measured


def _evidence(trial: TailTrial, epoch: int, masks: Masks, work: Path) -> TailEvidence:
    signals = flat_signals(trial, epoch, work)
    return TailEvidence(trial, epoch, signals["target"], signals["reference"], describe(trial), masks)


def _figures(evidence: TailEvidence, scores: Mapping[str, Floats]) -> Values:
    masks = evidence.masks
    figures = {name: figures_of(values[masks.members], values[masks.measured]) for name, values in scores.items()}
    return {name: {key: round(value, 6) for key, value in of_score.items()} for name, of_score in figures.items()}


def write_tail(out: Path, models: str, measured: Measured) -> str:
    """The page, which is written to *out*, with the same and every trial as JSON; tables of other models are kept."""
    numbers = out / "attacks-tail.json"
    kept: dict[str, Any] = json.loads(numbers.read_text("utf-8"))["tables"] if numbers.exists() else {}
    tables = {name: table for name, table in kept.items() if table["models"] != models}
    trials = max(map(len, measured.values()))
    epochs = " ".join(str(epoch) for epoch in dict.fromkeys(epoch for epoch, _ in measured))
    command = f"{COMMAND} --models {models} --trials {trials} --epochs {epochs}"
    for at, of_part in measured.items():
        tables |= {table["name"]: {"command": command, **table} for table in _tables(models, *at, of_part)}
    about = machine()
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(table)}" for name, table in tables.items())
    write_text(numbers, f'{{"machine": {json.dumps(about)},\n"tables": {{\n{lines}\n}}}}\n')
    text = page_of(about, tables)
    write_text(out / "attacks-tail.md", text)
    return text


def page_of(about: Mapping[str, Any], tables: Mapping[str, Any]) -> str:
    """The page of *tables*, measured on the machine *about*."""
    commands = dict.fromkeys(table["command"] for table in tables.values())
    lines = [", ".join(f"{name} {value}" for name, value in about.items()), ""]
    lines += [*(f"    {command}" for command in commands), "", ABOUT, ""]
    for table in tables.values():
        lines += _shown(table)
    return "\n".join(lines) + "\n"


def _tables(models: str, epoch: int, part: str, trials: Sequence[tuple[TailTrial, Values]]) -> Iterator[dict[str, Any]]:
    """A table of the corpora that nothing was developed on, and one of the other."""
    epochs = f"{epoch} epoch{'s' if epoch > 1 else ''}"
    drawn = "" if part == PARTS[0] else ", fitted on other documents"
    for developed in (False, True):
        chosen = [(trial, values) for trial, values in trials if (trial.corpus == DEVELOPED_ON) is developed]
        if chosen:
            yield {
                "name": f"{models}, {epochs}, {'developed on' if developed else 'left-out corpora'}{drawn}",
                "models": models,
                "date": datetime.date.today().isoformat(),
                "trials": [
                    trial_record(trial, getattr(trial, part)) | {"figures": dict(values)} for trial, values in chosen
                ],
                "rows": _rows(chosen),
            }


def _rows(trials: Sequence[tuple[TailTrial, Values]]) -> dict[str, dict[str, Any]]:
    """Means, and paired differences to the plain difference, by score; a score that a trial lacks is left out."""
    values, rows = [of_trial for _, of_trial in trials], dict[str, dict[str, Any]]()
    for score in values[0]:
        if not all(score in of_trial for of_trial in values):
            continue
        row: dict[str, Any] = {figure: _ends(over_trials(column(values, score, figure))) for figure in FIGURES}
        row |= {figure: _ends(over_trials(column(values, score, figure))) for figure in REALISED}
        if score != PLAIN:
            row["paired"] = {
                figure: _ends(over_trials(column(values, score, figure), column(values, PLAIN, figure)))
                for figure in FIGURES
            }
            row["corpora"] = _corpora_above(trials, score)
        rows[score] = row
    return rows


def _corpora_above(trials: Sequence[tuple[TailTrial, Values]], score: str) -> list[int]:
    """In how many corpora the mean difference at 1 % is above 0, and of how many."""
    by_corpus: dict[str, list[float]] = {}
    for trial, values in trials:
        gap = values[score][FIGURES[0]] - values[PLAIN][FIGURES[0]]
        by_corpus.setdefault(trial.corpus, []).append(gap)
    return [sum(sum(gaps) > 0 for gaps in by_corpus.values()), len(by_corpus)]


def _shown(table: Mapping[str, Any]) -> list[str]:
    trials, rows = table["trials"], table["rows"]
    plain = rows[PLAIN][FIGURES[0]]["value"]
    least = {name: min(trial[name] for trial in trials) for name in ("members", "fitted", "measured")}
    kinds = ", ".join(f"{trial['corpus']} {trial['kind']}" for trial in trials)
    counts = ("{members:,} members, {fitted:,} non-members to fit on and {measured:,} to measure on").format(**least)
    lines = [
        f"## {table['name']}",
        "",
        f"{len(trials)} trials: {kinds}; of each at least {counts}.",
        "",
        "| score | TPR at 1 % FPR | less the plain difference | times | corpora | TPR at 0.1 % | less | "
        "partial AUROC below 2 % | less | AUROC | realised at 1 % | at 0.1 % |",
        f"|---{'|--:' * 11}|",
    ]
    for score, row in sorted(rows.items(), key=lambda item: -item[1][FIGURES[0]]["value"]):
        paired = row.get("paired")
        value = row[FIGURES[0]]["value"]
        cells = [f"{value:.4f}", _cell(paired and paired["tpr_at_0.01"]), f"{value / plain:.2f}" if plain else "–"]
        cells += ["" if not paired else "{} of {}".format(*row["corpora"])]
        for figure in ("tpr_at_0.001", "partial_auroc"):
            cells += [f"{row[figure]['value']:.4f}", _cell(paired and paired[figure])]
        cells += [
            f"{row[figure]['value']:.{digits}f}" for figure, digits in (("auroc", 3), *((r, 4) for r in REALISED))
        ]
        lines.append(f"| {score} | {' | '.join(cells)} |")
    return [*lines, ""]


def _ends(interval: Interval) -> dict[str, float | None]:
    """The interval as plain numbers; no ends where a single trial, or equal ones, give none."""
    ends = {"low": interval.low, "high": interval.high}
    return {"value": interval.value} | {name: end if math.isfinite(end) else None for name, end in ends.items()}


def _cell(interval: Mapping[str, float | None] | None) -> str:
    if interval is None:
        return ""
    ends = "–" if interval["low"] is None else f"{interval['low']:+.4f} … {interval['high']:+.4f}"
    return f"{interval['value']:+.4f} ({ends})"
