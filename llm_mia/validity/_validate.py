"""All checks in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ..records import Note, Passage
from ._blind import (
    BlindScores,
    FitClassifiers,
    TextFeatures,
    blind_checks,
    fit_classifiers,
    rate_checks,
    text_features,
)
from ._judging import PLACEBO, Levels, few_arrangements
from ._leaks import leak_checks, name_check
from ._others import known_text_checks, other_checks, was_compared
from ._scores import Column, in_check_name, missing_scores_check, placebo_score_checks, score_columns
from ._sets import CANDIDATE, MEMBER, NON_MEMBER, ROLES, Contrast, KnownScores, PassageSets, RequestedRates
from ._sharing import sharing_checks
from ._shift import shift_checks
from ._sizes import size_checks
from ._verdicts import Check, Validity, Verdict

__all__ = ["KnownSet", "validate"]

_MOST = 10_000  # passages of a set that classifiers and features use; more take time and add little
_PLACEBO_DOCUMENTS = 4


def validate(
    members: Sequence[Passage],
    nonmembers: Sequence[Passage],
    candidates: Sequence[Passage] | None = None,
    *,
    scores: KnownScores | None = None,
    rates: RequestedRates | None = None,
    seed: int = 0,
) -> Validity:
    """Whether a known set may carry a verdict, by all checks: `KnownSet` in a single call.

    Args:
        members: passages known to be in the training data; may be empty where there are candidates.
        nonmembers: passages known not to be in the training data; they set the threshold.
        candidates: the passages to decide on, if they are known already.
        scores: of the target by attack, and of other models.
        rates: the rates that the audit wants to state (default: FPR ≤ 0.05).
        seed: of folds, splits and permutations.

    Raises:
        PassageError: no non-members, no passages to compare them with, a class with only one document, or a label that
            contradicts its set.
        UsageError: the number of scores differs from the number of passages, or a rate lies outside (0, 1).
    """
    return KnownSet(members, nonmembers, candidates, rates=rates, seed=seed).validity(scores)


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
        rates: RequestedRates | None = None,
        seed: int = 0,
    ) -> None:
        self._sets = PassageSets(members, nonmembers, candidates or ())
        self._rates, self._seed = rates or RequestedRates(), seed
        self._contrasts = {
            role: self._sets.contrast(role, NON_MEMBER, most=_MOST, rng=_rng(seed, role))
            for role in (MEMBER, CANDIDATE)
        }
        self._fits: dict[bytes, tuple[BlindScores, Any]] = {}

    def validity(self, scores: KnownScores | None = None) -> Validity:
        """The checks of the texts, and with *scores* also those of the scores.

        A known set whose labels are a random split of its documents is ``sound``, or ``not_checked`` without scores of
        another model, with probability 0.95 or more, approximately; the rules are in the docstring of
        `llm_mia.validity`. No model is needed. A known set that is ``void`` or ``untestable`` carries no verdict; the
        verdict of a ``doubtful`` known set must be read with the checks. The same arguments give the same answer.
        """
        scores = scores or KnownScores()
        sets, seed = self._sets, self._seed
        columns = score_columns(scores, sets)
        others = {role: score_columns(of_role, sets, role) for role, of_role in scores.others.items()}
        checks = [
            missing_scores_check(f"scores_attack_{in_check_name(name)}", each, sets) for name, each in columns.items()
        ]
        checks += [*known_text_checks(others, sets), *self._checks_of_members, *self._checks_of_sharing]
        checks += _placebo_checks(self._contrasts[MEMBER], self._features, columns, sets, seed, self._fit_once)
        checks += self._checks_of_candidates
        models = {role: columns for role, columns in others.items() if scores.others[role].language_model}
        compared = True
        for part, (role, levels) in enumerate(self._levels.items()):
            if len(sets.rows(role)):
                checks += other_checks(others, self._contrasts[role], sets, levels.other, _rng(seed, 20 + part))
                compared &= was_compared(checks, models, ROLES[role])
        return Validity.of([*checks, *size_checks(sets, self._rates)], compared=compared)

    @property
    def _levels(self) -> dict[int, Levels]:
        members, candidates = (len(self._sets.rows(role)) > 0 for role in (MEMBER, CANDIDATE))
        return {MEMBER: Levels.of_members(candidates), CANDIDATE: Levels.of_candidates(members)}

    @cached_property
    def _features(self) -> TextFeatures:
        used = np.unique(np.concatenate([contrast.rows for contrast in self._contrasts.values()]))
        return text_features(self._sets.texts, self._sets.documents, used)

    @cached_property
    def _checks_of_members(self) -> list[Check]:
        if not len(self._sets.rows(MEMBER)):
            return []
        levels = self._levels[MEMBER]
        return _checks_of_members(self._contrasts[MEMBER], self._features, self._sets, levels, self._seed)

    @cached_property
    def _checks_of_candidates(self) -> list[Check]:
        if not len(self._sets.rows(CANDIDATE)):
            return []
        rng, levels = _rng(self._seed, 6), self._levels[CANDIDATE]
        return shift_checks(self._contrasts[CANDIDATE], self._features, levels, rng, self._fit_once)

    @cached_property
    def _checks_of_sharing(self) -> list[Check]:
        return sharing_checks(self._sets, self._rates.fpr)

    def _fit_once(self, contrast: Contrast, features: TextFeatures, rng: np.random.Generator) -> BlindScores:
        """The blind classifiers on *contrast*, fitted once; *rng* is left in the state in which the fit leaves it."""
        key = contrast.rows.tobytes() + contrast.labels.tobytes()
        if key not in self._fits:
            self._fits[key] = fit_classifiers(contrast, features, rng), rng.bit_generator.state
        blind, state = self._fits[key]
        rng.bit_generator.state = state
        return blind


def _rng(seed: int, part: int) -> np.random.Generator:
    """A separate generator for each part, so that a part that is left out does not change the others."""
    return np.random.default_rng([seed, part])


def _checks_of_members(
    contrast: Contrast, features: TextFeatures, sets: PassageSets, levels: Levels, seed: int
) -> list[Check]:
    """The texts of members against those of non-members: the blind baselines, and single leaks."""
    rng = _rng(seed, 3)
    blind = fit_classifiers(contrast, features, rng)
    passages = [sets.passages[row] for row in contrast.rows]
    unnamed = all(passage.document == passage.id for passage in passages)
    names = None if unnamed else [passage.document for passage in passages]
    return [
        *blind_checks("blind", blind, levels.classifier, rng, few=Verdict.UNTESTABLE, keep_roc=True),
        *rate_checks("blind", blind, levels.rate, rng),
        *leak_checks("leak", contrast, features, levels.single, _rng(seed, 4)),
        name_check(names, contrast, levels.names, _rng(seed, 8)),
    ]


def _placebo_checks(
    contrast: Contrast,
    features: TextFeatures,
    columns: Mapping[str, Column],
    sets: PassageSets,
    seed: int,
    fit: FitClassifiers,
) -> list[Check]:
    """Two random halves of the non-members, by document: text classifiers and attacks must not separate them."""
    rng = _rng(seed, 7)
    nonmembers = contrast.rows[sets.roles[contrast.rows] == NON_MEMBER]
    names, number = np.unique(sets.documents[nonmembers], return_inverse=True)
    if len(names) < _PLACEBO_DOCUMENTS:
        few = Note("few_placebo_documents", {"documents": len(names), "needed": _PLACEBO_DOCUMENTS})
        return [Check("placebo_words_auroc", None, Verdict.SKIPPED, notes=(few,))]
    in_first = np.zeros(len(names), dtype=bool)
    in_first[rng.permutation(len(names))[: len(names) // 2]] = True
    halves = Contrast(nonmembers, in_first[number], sets.documents[nonmembers])
    blind = fit(halves, features, rng)
    level = PLACEBO / 4
    if few_arrangements(blind.labels, level):
        few = Note("few_placebo_arrangements", {"documents": len(names)})
        return [Check("placebo_words_auroc", None, Verdict.SKIPPED, notes=(few,))]
    return [
        *blind_checks("placebo", blind, level, rng, few=Verdict.SKIPPED),
        *placebo_score_checks(columns, halves, sets, PLACEBO / 2, rng),
    ]
