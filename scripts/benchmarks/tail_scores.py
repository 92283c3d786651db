"""Scores that compete in the tail: attacks of the package, and ideas that are not part of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from llm_mia.attacks import parse_attack
from llm_mia.store import replacing

from .tail_evidence import Floats, TailEvidence
from .tail_null import less_quantile, standardised, type_gain

PLAIN = "reference"
ATTACKS = (
    PLAIN, "reference:form=ratio", "ez", "wbc", "clipped_gain", "hard_token:form=gain", "student_gain", "loss",
    "min_k++",
)  # fmt: skip
NULLED = (PLAIN, "reference:form=ratio", "clipped_gain", "student_gain", "ez", "loss")
WITHOUT_MOMENTS = [0, 3, 6, 7, 8, 9]
"""Columns of `TailEvidence.untouched` that take no more than log-likelihoods and the text."""
FEWER = (250, 500, 1_000)
"""Non-members that the best idea is fitted on, too: users have fewer than the bench."""


def attack_scores(evidence: TailEvidence) -> dict[str, Floats]:
    """The scores of the package's attacks, kept in the folder of the trial."""
    file, kept = evidence.trial.folder / f"scores-{evidence.epoch}.npz", dict[str, Floats]()
    keys = {name: f"{name}@{parse_attack(name).revision}" for name in ATTACKS}
    if file.exists():
        with np.load(file) as stored:
            kept = {key: stored[key] for key in stored.files}
    new = [name for name, key in keys.items() if key not in kept]
    if new:
        attacks = {name: parse_attack(name) for name in new}
        columns: dict[str, list[float]] = {name: [] for name in new}
        rows = zip(evidence.target.each(), evidence.reference.each(), evidence.trial.texts, strict=True)
        for target, reference, text in rows:
            row = {"target": target, "reference": reference, "aligned_reference": reference, "text": text}
            for name, attack in attacks.items():
                columns[name].append(attack.score(row))
        kept |= {keys[name]: np.array(values) for name, values in columns.items()}
        with replacing(file) as unfinished, unfinished.open("wb") as stream:
            np.savez(stream, **kept)  # type: ignore[arg-type]
    return {name: kept[key] for name, key in keys.items()}


def idea_scores(evidence: TailEvidence, attacks: Mapping[str, Floats]) -> dict[str, Floats]:
    """The scores of ideas that are fitted on the trial's non-members, or on none; by name."""
    features, known = evidence.untouched, evidence.fitted
    scores = dict[str, Floats]()
    for name in NULLED:
        plain = np.log(attacks[name]) if name == "ez" else attacks[name]
        scores[f"{name}, conditional null"] = standardised(plain, features, known)
    scores[f"{PLAIN}, less the 99 % quantile"] = less_quantile(attacks[PLAIN], features, known)
    scores["gain by root"] = evidence.target.sums(evidence.gains) / np.sqrt(evidence.target.lengths)
    scores["gain by root, conditional null"] = standardised(scores["gain by root"], features, known)
    scores["type_gain"] = type_gain(evidence, known)
    scores["type_gain, conditional null"] = standardised(scores["type_gain"], features, known)
    without = features[:, WITHOUT_MOMENTS]
    scores["type_gain, conditional null of log-likelihoods"] = standardised(scores["type_gain"], without, known)
    scores["type_gain, less the 99 % quantile"] = less_quantile(scores["type_gain"], features, known)
    for count in FEWER:
        few = known & (np.cumsum(known) <= count)
        if few.sum() == count:
            left = type_gain(evidence, few)
            scores[f"type_gain, fitted on {count}"] = left
            scores[f"type_gain, conditional null, fitted on {count}"] = standardised(left, features, few)
    return scores
