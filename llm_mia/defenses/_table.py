"""The tables as files for spreadsheets: ``defences.csv`` by defence, and ``attacks.csv`` by defence and attack."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from ..records import Interval
from ..store import write_text
from ._record import Defended, Defenses

__all__ = ["write_tables"]


def write_tables(defenses: Defenses) -> None:
    """Write ``defences.csv`` and ``attacks.csv``: numbers in full, an empty cell where there is none."""
    first = defenses.baseline.leakage
    rates = list(first.tpr_at_fpr) if first else []
    _write(defenses.path / "defences.csv", [dict(_cells(row, rates)) for row in defenses.rows])
    _write(defenses.path / "attacks.csv", [dict(cells) for row in defenses.rows for cells in _attacks(row)])


def _write(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _attacks(row: Defended) -> Iterator[Iterator[tuple[str, object]]]:
    """The cells of every attack on a defence."""
    for each in row.attacks:
        names = ("defence", row.name), ("attack", each.attack), ("way", each.variant)
        yield chain(names, _interval("auroc", each.auroc))


def _cells(row: Defended, rates: Sequence[float]) -> Iterator[tuple[str, object]]:
    leakage, fixed = row.leakage, row.fixed
    yield "defence", row.name
    yield "strongest_attack", "" if leakage is None else leakage.attack
    yield from _interval("auroc", None if leakage is None else leakage.auroc)
    yield from _interval("auroc_change", None if leakage is None else leakage.change)
    yield "lowers_auroc", "" if leakage is None or leakage.change is None else int(leakage.lower)
    for rate in rates:
        yield from _interval(f"tpr_at_fpr_{rate:g}", None if leakage is None else leakage.tpr_at_fpr[rate])
    yield from _interval("auroc_of_reference", None if fixed is None else fixed.auroc)
    yield from _interval("confidence_gap", row.gap)
    yield from _interval("extractable", row.extractable)
    yield "epsilon", "" if row.epsilon is None else row.epsilon
    yield "delta", "" if row.delta is None else row.delta
    yield "epsilon_shown", "" if row.shown is None else row.shown.lower
    yield from _interval("perplexity", row.utility.perplexity)
    yield from _interval("perplexity_ratio", row.utility.ratio)
    yield "seconds", row.seconds


def _interval(name: str, interval: Interval | None) -> Iterator[tuple[str, object]]:
    for suffix, value in (("", "value"), ("_low", "low"), ("_high", "high")):
        yield name + suffix, "" if interval is None else getattr(interval, value)
