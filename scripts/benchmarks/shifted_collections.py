"""Collections that differ by their genre: no document was trained on, and nothing may be stated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from llm_mia import ScoreTable
from llm_mia.decision import judge_collection

from .audits_in_memory import Columns
from .figures import Figure
from .real_texts import EMBEDDED, SMALL, RealTexts, genre, real_texts
from .slips import ATTACKS, limit

SHARE = 0.4
"""Of the documents of non-members that are of the other genre."""
DOCUMENTS, MOST = 16, 6
"""Documents on each side, and passages of a document at most."""
EFFECT = 1.0
"""Added to the target's scores of the candidates to see the power, in standard deviations of documents' means."""
SEEDS = 10
Ints = NDArray[np.intp]


def collection_figures(work: Path, draws: int, rng: np.random.Generator, *, compared: bool) -> list[Figure]:
    """With the embedded model as target and a small model as the other, and the reverse; with and without shift."""
    texts, figures = real_texts(work), list[Figure]()
    for target, other in ((EMBEDDED, SMALL), (SMALL, EMBEDDED)):
        columns, others = _picked(texts, target), ({"reference": _picked(texts, other)} if compared else {})
        pair = f"target {target}" + (f", compared with {other}" if compared else "")
        for share in (0.0, SHARE):
            tables = [_drawn(texts, columns, others, share, rng) for _ in range(draws)]
            title = f"{DOCUMENTS} and {DOCUMENTS} documents, {100 * share:g} % of another genre, {pair}"
            for attack in ATTACKS[:2]:
                p_values = [judge_collection(table, [attack]) for table in tables]
                found = sum(result.significant and not result.withheld for result in p_values)
                aurocs = np.mean([_auroc(table, attack) for table in tables])
                figures.append(
                    Figure(f"{title}, {attack}: a finding", 100 * found / draws, "%", limit(draws),
                           note=f"mean AUROC of the target {aurocs:.3f}; {draws} draws")
                )  # fmt: skip
        figures.append(_power(texts, columns, others, pair, draws, rng))
    return figures


def _power(
    texts: RealTexts, columns: Columns, others: Mapping[str, Columns], pair: str, draws: int, rng: np.random.Generator
) -> Figure:
    """How often a real difference is seen; there is no goal."""
    attack, found = ATTACKS[0], 0
    means = [columns[attack][rows].mean() for rows in _documents(texts, "topics")]
    for _ in range(draws):
        table = _drawn(texts, columns, others, 0.0, rng)
        raised = dict(table.columns)
        raised[attack] = raised[attack] + EFFECT * np.std(means) * (table.labels < 0)
        found += judge_collection(replace(table, columns=raised), [attack]).significant
    return Figure(f"candidates raised by {EFFECT:g} SD of a document, {pair}, {attack}: a finding", 100 * found / draws,
                  "%", note=f"power; {draws} draws")  # fmt: skip


def _drawn(
    texts: RealTexts, columns: Columns, others: Mapping[str, Columns], share: float, rng: np.random.Generator
) -> ScoreTable:
    """Candidates are topics of Python's help; of the non-members *share* are docstrings of its library."""
    topics, docstrings = _documents(texts, "topics"), _documents(texts, "docstrings")
    foreign = round(share * DOCUMENTS)
    of_topics = rng.permutation(len(topics))[: 2 * DOCUMENTS - foreign].tolist()
    of_docstrings = rng.permutation(len(docstrings))[:foreign].tolist()
    candidates = [topics[at] for at in of_topics[:DOCUMENTS]]
    known = [topics[at] for at in of_topics[DOCUMENTS:]] + [docstrings[at] for at in of_docstrings]
    cut = [rng.permutation(rows)[:MOST] for rows in (*known, *candidates)]
    rows = np.concatenate(cut)
    n = sum(len(each) for each in cut[: len(known)])
    table = ScoreTable.of(
        {name: values[rows] for name, values in columns.items()},
        [0] * n + [None] * (len(rows) - n),
        documents=[texts.passages[row].document for row in rows.tolist()],
        name="real scores",
    )
    picked = {role: {name: values[rows] for name, values in each.items()} for role, each in others.items()}
    return replace(table, others=picked) if picked else table


def _documents(texts: RealTexts, kind: str) -> list[Ints]:
    """The rows of each document of a genre that has at least two passages."""
    of_genre = [row for row, passage in enumerate(texts.passages) if genre(passage) == kind]
    by_document: dict[str, list[int]] = {}
    for row in of_genre:
        by_document.setdefault(texts.passages[row].document, []).append(row)
    return [np.array(rows) for rows in by_document.values() if len(rows) >= 2]


def _picked(texts: RealTexts, model: str) -> dict[str, NDArray[np.float64]]:
    return {name: texts.scores(model)[name] for name in ATTACKS}


def _auroc(table: ScoreTable, attack: str) -> float:
    """Chance that a candidate scores above a non-member."""
    ranks, candidate = rankdata(table.column(attack)), table.labels < 0
    m, n = candidate.sum(), (~candidate).sum()
    return float((ranks[candidate].sum() - m * (m + 1) / 2) / (m * n))
