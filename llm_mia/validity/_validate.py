"""All checks in their order."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..records import Passage
from ._blind import Tables, blind_checks, rate_checks, tables, told
from ._judging import BLIND, PLACEBO, Rule
from ._leaks import leak_checks
from ._material import CANDIDATE, MEMBER, NON_MEMBER, Asked, Contrast, KnownScores, Material
from ._reference import reference_checks
from ._scores import REFERENCE, Column, columns, given_check, scores_checks
from ._sharing import sharing_checks
from ._shift import shift_checks
from ._sizes import size_checks
from ._verdicts import Check, Validity

__all__ = ["validate"]

_MOST = 10_000  # passages of one set that the classifiers and features look at; more only cost time

_WHY_BLIND = (
    "What a classifier that never saw the model can tell apart, a score can tell apart without any training on it."
)
_WHY_RATES = "The passages that give their class away most clearly decide what is seen at a low false positive rate."
_MEND_BLIND = "Draw members and non-members at random from one pool: the same source, period, style and length."
_WHY_PLACEBO = (
    "Halves of the non-members differ by chance alone: where something separates them, no figure here is safe."
)
_MEND_PLACEBO = "See whether the document column is right: passages of one text under several names look independent."


def validate(
    members: Sequence[Passage],
    nonmembers: Sequence[Passage],
    candidates: Sequence[Passage] | None = None,
    *,
    scores: KnownScores | None = None,
    asked: Asked | None = None,
    seed: int = 0,
) -> Validity:
    """A known set whose labels are a random split of its documents is called ``sound`` with probability ≥ 0.95, about.

    The rules are in the docstring of `llm_mia.validity`. No model is needed. A known set that is ``void`` carries no
    verdict; one that is ``doubtful`` carries one that must be read with what is said here. The same arguments give the
    same answer.

    Args:
        members: passages known to be in the training data; may be empty where there are candidates.
        nonmembers: passages known not to be; what a threshold is calibrated on.
        candidates: the passages to be decided on, if they are known already.
        scores: of the target by attack, and the reference model's own.
        asked: the figures that are wanted (default: FPR ≤ 0.05).
        seed: of folds, splits and permutations.

    Raises:
        PassageError: no non-members, nothing to compare them with, a class of one document only, a label that belies
            its set.
        ScoresError: scores that are not one for each passage, a rate outside (0, 1).
    """
    material = Material(members, nonmembers, candidates or ())
    asked, scores = asked or Asked(), scores or KnownScores()
    given = columns(scores, material)
    contrasts = {
        role: material.contrast(role, NON_MEMBER, most=_MOST, rng=_rng(seed, role)) for role in (MEMBER, CANDIDATE)
    }
    used = np.unique(np.concatenate([contrast.rows for contrast in contrasts.values()]))
    features = tables(material.texts, used)
    checks = scores_checks(given, material)
    if len(members):
        checks += _known(contrasts[MEMBER], features, material, seed)
    checks += sharing_checks(material, asked.fpr)
    checks += _placebo(contrasts[MEMBER], features, given, material, seed)
    if len(members):
        checks += reference_checks(given, contrasts[MEMBER], material, _rng(seed, 5))
    if candidates:
        checks += shift_checks(contrasts[CANDIDATE], features, given, material, _rng(seed, 6))
    return Validity.of([*checks, *size_checks(material, asked)])


def _rng(seed: int, part: int) -> np.random.Generator:
    """Of its own for each part, so that what is left out changes nothing elsewhere."""
    return np.random.default_rng([seed, part])


def _known(contrast: Contrast, features: Tables, material: Material, seed: int) -> list[Check]:
    """Members against non-members: the blind baselines, what they could have seen, and single leaks."""
    rng = _rng(seed, 3)
    found = told(contrast, features, rng)
    # Two AUROCs, which say most, and four rates, which must be large as well.
    figures, rates = Rule(0.4 * BLIND, _WHY_BLIND, _MEND_BLIND), Rule(0.05 * BLIND, _WHY_RATES, _MEND_BLIND)
    passages = [material.passages[row] for row in contrast.rows]
    unnamed = all(passage.document == passage.id for passage in passages)
    names = None if unnamed else [passage.document for passage in passages]
    return [
        *blind_checks("blind", found, figures, rng, sight=True),
        *rate_checks("blind", found, rates, rng),
        *leak_checks(contrast, features.counts[features.place[contrast.rows]], names, _rng(seed, 4)),
    ]


def _placebo(
    contrast: Contrast, features: Tables, given: dict[str, Column], material: Material, seed: int
) -> list[Check]:
    """Non-members in two halves by document: text classifiers and attacks must not tell one from the other."""
    rng = _rng(seed, 7)
    others = contrast.rows[material.roles[contrast.rows] == NON_MEMBER]
    attacks = [name for name in given if name != REFERENCE]
    rule = Rule(PLACEBO / (2 + len(attacks)), _WHY_PLACEBO, _MEND_PLACEBO)
    names, number = np.unique(material.documents[others], return_inverse=True)
    if len(names) < 4:
        seen = f"{len(names)} documents of non-members: 4 are needed"
        return [Check("placebo_words_auroc", None, "skipped", rule.why, rule.mend, None, seen)]
    half = np.zeros(len(names), dtype=bool)
    half[rng.permutation(len(names))[: len(names) // 2]] = True
    halves = Contrast(others, half[number], material.documents[others])
    found = told(halves, features, rng)
    if found.labels.log_arrangements < -math.log(rule.level):
        seen = f"{len(names)} documents of non-members: too few for any difference to be told from chance"
        return [Check("placebo_words_auroc", None, "skipped", rule.why, rule.mend, None, seen)]
    return [
        *blind_checks("placebo", found, rule, rng),
        *(
            given_check(f"placebo_{name.replace(' ', '_')}_auroc", given[name], halves, material, rule, rng)
            for name in attacks
        ),
    ]
