"""How often members are detected: half of the candidates were trained on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .audits_in_memory import Case, Columns, Findings, Texts
from .figures import Figure
from .real_texts import EMBEDDED, TUNED, real_texts

MEMBERS, CLEAN, KNOWN_MEMBERS = 100, 100, 100
FPR = 0.05
POWER = 90
ATTACKS = ("reference", "min_k", "loss")


def power_figures(work: Path, draws: int, checks: int, rng: np.random.Generator, *, compared: bool) -> list[Figure]:
    """The embedded model, fine-tuned on 250 passages for an epoch; compared with the model before, as the demo does."""
    texts, figures = real_texts(work), list[Figure]()
    tuned, before = texts.scores(TUNED), texts.scores(EMBEDDED)
    scores = {"min_k": tuned["min_k"], "loss": tuned["loss"], "reference": tuned["loss"] - before["loss"]}
    role = {"min_k": before["min_k"], "loss": before["loss"]}
    others: Mapping[str, Columns] = {"reference": role} if compared else {}
    trained, clean = (np.flatnonzero(texts.trained_on == side) for side in (True, False))
    for n in (60, 100, 300):
        findings = {attack: Findings(checks) for attack in ATTACKS}
        for _ in range(draws):
            of_trained, of_clean = rng.permutation(trained), rng.permutation(clean)
            candidates = np.concatenate([of_trained[:MEMBERS], of_clean[:CLEAN]])
            rows = (of_trained[MEMBERS : MEMBERS + KNOWN_MEMBERS], of_clean[CLEAN : CLEAN + n], candidates)
            members, nonmembers, unknown = (texts.texts(side.tolist()) for side in rows)
            passages = Texts(members, nonmembers, unknown, FPR)
            order = np.concatenate(rows)
            picked = {name: {a: v[order] for a, v in columns.items()} for name, columns in others.items()}
            case = Case(passages, {name: values[order] for name, values in scores.items()}, picked)
            for attack in ATTACKS:
                findings[attack].add(case, attack)
        for attack, counted in findings.items():
            title = f"fine-tuned model, {MEMBERS} of {MEMBERS + CLEAN} candidates are members, n = {n}, {attack}"
            goal = POWER if attack == "reference" else None
            figures.append(Figure(f"{title}: a finding", 100 * counted.share, "%", at_least=goal, note=counted.about))
    return figures
