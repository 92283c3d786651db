"""Scores that compete in the tail: attacks of the package, and ideas that are not part of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from llm_mia.attacks import fit_gain_null, parse_attack
from llm_mia.store import replacing

from .tail_evidence import Floats, TailEvidence
from .tail_null import less_quantile, standardised
from .tail_trials import Bools

PLAIN, EXCESS = "reference", "excess_gain"
ATTACKS = (
    PLAIN, "reference:form=ratio", "ez", "wbc", "clipped_gain", "hard_token:form=gain", "student_gain", "loss",
    "min_k++",
)  # fmt: skip
NULLED = (PLAIN, "reference:form=ratio", "clipped_gain", "student_gain", "ez", "loss")
FEWER = (250, 500, 1_000)
"""Non-members that the attack is fitted on, too: users have fewer than the bench."""


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
    for name, values in excess_scores(evidence, known).items():
        scores[name] = values
    total = scores[f"{EXCESS}:form=sum"]
    scores[f"{EXCESS}, with all signals of the reference"] = standardised(total, features, known)
    scores[f"{EXCESS}, less the 99 % quantile"] = less_quantile(total, features, known)
    for count in FEWER:
        few = known & (np.cumsum(known) <= count)
        if few.sum() == count:
            scores |= {f"{name}, fitted on {count}": values for name, values in excess_scores(evidence, few).items()}
    return scores


def excess_scores(evidence: TailEvidence, known: Bools) -> dict[str, Floats]:
    """The scores of the package's attack that takes *known* non-members as its population, in both forms."""
    rows = list(zip(evidence.target.each(), evidence.reference.each(), evidence.trial.texts, strict=True))
    fitted = [rows[at] for at in np.flatnonzero(known).tolist()]
    documents = [str(evidence.masks.units[at]) for at in np.flatnonzero(known).tolist()]
    targets, references, texts = zip(*fitted, strict=True)
    null = fit_gain_null(targets, references, texts, documents)
    scores = dict[str, Floats]()
    for name in (EXCESS, f"{EXCESS}:form=sum"):
        attack = parse_attack(name)
        each = [
            attack.score({"target": ours, "aligned_reference": theirs, "gain_null": null, "text": text})
            for ours, theirs, text in rows
        ]
        scores[name] = np.array(each)
    return scores
