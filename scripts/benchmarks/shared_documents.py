"""Passages that share few documents: the realised rate, and the truth of the bound that the report prints."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from llm_mia import ScoreTable
from llm_mia.calibration import Floats
from llm_mia.decision import Calibration, Flags, calibrate, flag
from llm_mia.errors import CalibrationError
from llm_mia.report.words import held_words

from .figures import Figure
from .rates import mean_limit, share_limit, standard_error

CORRELATION = 0.4
"""Of the scores of a document's passages; measured on novels."""
PASSAGES, CANDIDATES = 200, 100
"""Known non-members in all, and candidates, which come from as many new documents."""
BOUND = re.compile(r"is at most ([0-9.]+) %")


def document_figures(draws: int, rng: np.random.Generator) -> list[Figure]:
    """Equal and unequal documents, as many of candidates as of non-members."""
    figures: list[Figure] = []
    for documents, fpr in ((2, 0.005), (2, 0.05), (10, 0.05), (10, 0.1), (20, 0.05), (40, 0.05), (100, 0.05)):
        for unequal in (False, True) if documents >= 10 else (False,):
            sizes = f"{PASSAGES} passages of {documents} documents{', unequal' if unequal else ''}"
            title = f"nobody trained on, {sizes}, correlation {CORRELATION:g}, FPR ≤ {100 * fpr:g} %"
            figures += _figures(title, documents, fpr, draws, rng, unequal=unequal)
    return figures


def _figures(
    title: str, documents: int, fpr: float, draws: int, rng: np.random.Generator, *, unequal: bool
) -> Iterator[Figure]:
    rates, false_bounds, bounds, findings, counted = list[float](), 0, 0, 0, 0
    for _ in range(draws):
        table = table_of_documents(documents, rng, unequal=unequal)
        try:
            calibration = calibrate(table, "score", fpr=fpr)
            flags = flag(table, calibration)
        except CalibrationError:
            continue
        rates.append(float(norm.sf(calibration.threshold)))
        if (bound := printed_bound(flags, calibration)) is not None:
            bounds += 1
            false_bounds += 100 * rates[-1] > bound
        findings += flags.significant
        counted += flags.members is not None and flags.members.members > 0
    if not rates:
        yield Figure(f"{title}: realised", None, note=f"refused in all {draws} draws: too few documents for the rate")
        return
    values, done = np.array(rates), len(rates)
    refused = f"; refused in {draws - done}" if done < draws else ""
    yield Figure(
        f"{title}: realised",
        100 * values.mean(),
        "%",
        100 * mean_limit(fpr, values),
        note=f"± {100 * standard_error(values):.2g}, {done} draws{refused}",
    )
    if bounds:
        yield Figure(
            f"{title}: the printed bound is false",
            100 * false_bounds / bounds,
            "%",
            100 * share_limit(0.05, bounds),
            note=f"at 95 % confidence; printed in {bounds} draws",
        )
    yield Figure(
        f"{title}: a finding",
        100 * findings / done,
        "%",
        100 * share_limit(0.05, done),
        note=f"a number of members is bounded above 0 in {100 * counted / done:.3g} %",
    )


def printed_bound(flags: Flags, calibration: Calibration) -> float | None:
    """The upper bound on the rate of this calibration set that the report states, in per cent."""
    assert flags.calibration is calibration
    found = BOUND.search(held_words(flags))
    return None if found is None else float(found[1])


def table_of_documents(documents: int, rng: np.random.Generator, *, unequal: bool) -> ScoreTable:
    """Known non-members and candidates, each of *documents* documents; standard normal scores."""
    numbers = [_numbers(documents, count, rng, unequal=unequal) for count in (PASSAGES, CANDIDATES)]
    document = np.concatenate([numbers[0], documents + numbers[1]])
    common = rng.normal(size=2 * documents)[document]
    scores: Floats = math.sqrt(CORRELATION) * common + math.sqrt(1 - CORRELATION) * rng.normal(size=len(document))
    labels = [0] * PASSAGES + [None] * CANDIDATES
    return ScoreTable.of(scores, labels, documents=[f"d{number}" for number in document.tolist()], name="simulated")


def _numbers(documents: int, count: int, rng: np.random.Generator, *, unequal: bool) -> NDArray[np.intp]:
    """The document of each of *count* passages; each document has at least one."""
    if not unequal:
        return np.arange(count) % documents
    weights = rng.dirichlet(np.ones(documents))
    rest = rng.choice(documents, size=max(0, count - documents), p=weights)
    return np.concatenate([np.arange(documents), rest])[:count].astype(np.intp)
