"""All checks in their order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ..records import Passage
from ._blind import Fit, Tables, Told, blind_checks, rate_checks, tables, told
from ._judging import BLIND, PLACEBO, Rule
from ._leaks import leak_checks
from ._material import CANDIDATE, MEMBER, NON_MEMBER, Asked, Contrast, KnownScores, Material
from ._reference import reference_checks
from ._scores import REFERENCE, Column, columns, given_check, scores_checks
from ._sharing import sharing_checks
from ._shift import shift_checks
from ._sizes import size_checks
from ._verdicts import Check, Validity

__all__ = ["KnownSet", "validate"]

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
    """Whether a known set may carry a verdict, by all checks: `KnownSet` in a single call.

    Args:
        members: passages known to be in the training data; may be empty where there are candidates.
        nonmembers: passages known not to be; what a threshold is calibrated on.
        candidates: the passages to be decided on, if they are known already.
        scores: of the target by attack, and the reference model's own.
        asked: the figures that are wanted (default: FPR ≤ 0.05).
        seed: of folds, splits and permutations.

    Raises:
        PassageError: no non-members, nothing to compare them with, a class with only one document, a label that
            contradicts its set.
        ScoresError: scores that are not one for each passage, a rate outside (0, 1).
    """
    return KnownSet(members, nonmembers, candidates, asked=asked, seed=seed).validity(scores)


class KnownSet:
    """The passages of a known set, which can be checked before their scores are known and again with them.

    What takes time, and depends on the texts alone, is computed once: the classifiers that never see the model, the
    texts that two sets share, and single leaks. Arguments and errors are those of `validate`.
    """

    def __init__(
        self,
        members: Sequence[Passage],
        nonmembers: Sequence[Passage],
        candidates: Sequence[Passage] | None = None,
        *,
        asked: Asked | None = None,
        seed: int = 0,
    ) -> None:
        self._material = Material(members, nonmembers, candidates or ())
        self._asked, self._seed = asked or Asked(), seed
        self._contrasts = {
            role: self._material.contrast(role, NON_MEMBER, most=_MOST, rng=_rng(seed, role))
            for role in (MEMBER, CANDIDATE)
        }
        self._fits: dict[bytes, tuple[Told, Any]] = {}

    def validity(self, scores: KnownScores | None = None) -> Validity:
        """What the texts show, and with *scores* what their scores show too.

        A known set whose labels are a random split of its documents is ``sound`` with probability 0.95 or more,
        approximately; the rules are in the docstring of `llm_mia.validity`. No model is needed. A known set that is
        ``void`` carries no verdict; the verdict of a ``doubtful`` known set must be read with the checks. The same
        arguments give the same answer.
        """
        given = columns(scores or KnownScores(), self._material)
        material, contrasts, seed = self._material, self._contrasts, self._seed
        known, others = contrasts[MEMBER], contrasts[CANDIDATE]
        checks = scores_checks(given, material)
        checks += [*self._checks_of_members, *self._checks_of_sharing]
        checks += _placebo(known, self._features, given, material, seed, self._fitted)
        if len(material.rows(MEMBER)):
            checks += reference_checks(given, known, material, _rng(seed, 5))
        if len(material.rows(CANDIDATE)):
            checks += shift_checks(others, self._features, given, material, _rng(seed, 6), self._fitted)
        return Validity.of([*checks, *size_checks(material, self._asked)])

    @cached_property
    def _features(self) -> Tables:
        used = np.unique(np.concatenate([contrast.rows for contrast in self._contrasts.values()]))
        return tables(self._material.texts, used)

    @cached_property
    def _checks_of_members(self) -> list[Check]:
        if not len(self._material.rows(MEMBER)):
            return []
        return _known(self._contrasts[MEMBER], self._features, self._material, self._seed)

    @cached_property
    def _checks_of_sharing(self) -> list[Check]:
        return sharing_checks(self._material, self._asked.fpr)

    def _fitted(self, contrast: Contrast, features: Tables, rng: np.random.Generator) -> Told:
        """The blind classifiers on *contrast*, fitted once; *rng* is left in the state that the fit leaves it in."""
        key = contrast.rows.tobytes() + contrast.labels.tobytes()
        if key not in self._fits:
            self._fits[key] = told(contrast, features, rng), rng.bit_generator.state
        fitted, state = self._fits[key]
        rng.bit_generator.state = state
        return fitted


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
    contrast: Contrast, features: Tables, given: dict[str, Column], material: Material, seed: int, fit: Fit = told
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
    found = fit(halves, features, rng)
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
