"""Scores of texts in memory, by models that are loaded once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..attacks import Attack
from ..backends import Backend, ModelSpec
from ..errors import AttackError
from ..records import Passage, TokenSignals
from ..signals import ModelSource, checked_texts, signals_of
from ._computed_columns import scores_of
from ._scoring_plan import References, plan_scoring
from ._select import Selection

__all__ = ["TextScorer", "TextScores"]


@dataclass(frozen=True, slots=True, eq=False)
class TextScores:
    """What is known of texts."""

    scores: Mapping[str, NDArray[np.float64]]
    """By attack: shape (texts,), higher is more member-like; NaN where a text has no token that can be scored."""
    signals: Mapping[str, Sequence[TokenSignals]]
    """By role of the model: the signals of each text."""


class TextScorer:
    """Scores texts by attacks, for a pipeline that holds them in memory; `score` is for files, and resumes.

    Models are loaded when it is made, all together. Scores and signals are those of `score`, but for rounding.

    Args:
        target: the model under suspicion.
        reference: a model that was not trained on the texts, for the attacks that need one; or several.
        attacks: names with settings, as ``min_k:k=0.1``; empty: every attack that the models allow.
        window_tokens: longest input fed to a model, see `llm_mia.signals`.

    Raises:
        AttackError: an attack is unknown, needs what is not there, or has the models read other versions of the texts.
        ModelError: a model cannot be loaded.

    >>> from llm_mia.backends.fake import FakeBackend
    >>> scorer = TextScorer(FakeBackend(0), attacks=["loss"])
    >>> scorer(["a text", ""]).scores["loss"].shape
    (2,)
    """

    def __init__(
        self,
        target: ModelSource,
        reference: References = None,
        *,
        attacks: Sequence[str] = (),
        window_tokens: int | None = None,
    ) -> None:
        plan = plan_scoring(target, reference, attacks=attacks)
        _refuse_other_texts(plan.selection)  # before a model is loaded
        self._models = {role: _loaded(model) for role, model in plan.models.items()}
        self._attacks = [a for a in plan.with_models(self._models).selection_for(None).attacks if _reads_texts(a)]
        self._window_tokens = window_tokens

    @property
    def attacks(self) -> tuple[str, ...]:
        """The names of the attacks, in order."""
        return tuple(attack.name for attack in self._attacks)

    def __call__(self, texts: Sequence[str]) -> TextScores:
        """The scores of *texts* by every attack, and their signals by every model.

        Raises:
            UsageError: *texts* holds something that is no text.
        """
        texts = checked_texts(texts)
        signals = {
            role: signals_of(model, texts, window_tokens=self._window_tokens) for role, model in self._models.items()
        }
        passages = [Passage(str(at), text, str(at)) for at, text in enumerate(texts)]
        return TextScores(scores_of(self._attacks, passages, signals), signals)


def _loaded(model: Backend | ModelSpec) -> Backend:
    return model.load() if isinstance(model, ModelSpec) else model


def _reads_texts(attack: Attack) -> bool:
    """Whether the models read nothing but the texts themselves."""
    passes = [declared for kind in attack.kinds for declared in kind.passes]
    return all(declared.texts == "passages" and declared.versions is None for declared in passes)


def _refuse_other_texts(selection: Selection) -> None:
    for attack in selection.attacks:
        if attack.name in selection.named and not _reads_texts(attack):
            raise AttackError(
                f"attack {attack.name!r} has the models read other texts, too (lower-cased, rewritten, behind a "
                "prefix): `score` does this"
            )
