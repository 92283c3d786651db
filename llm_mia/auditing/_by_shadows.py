"""An audit without a known set: the scores of shadow models in the target's place set the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..decision import STACK, NoteKind
from ..errors import PassageError, UsageError
from ..history import History
from ..passages import InputCheck, Passages, check_inputs
from ..records import Note
from ..scores import read_scores, write_shadow_rows
from ..scoring import ScoringPlan, run_scoring
from ..shadow import Shadows
from ..signals import Progress, report_activity, running_dry, without_written_tokens
from ..validity import KnownSet, Validity
from ._deciding import Request, decide
from ._record import Audit
from ._shadows import ShadowThreshold

__all__ = ["ByShadows", "refuse_without_known_set"]


def refuse_without_known_set(
    shadows: Shadows | None, *, members: bool, control: bool, confidence: float | None
) -> Shadows:
    """The shadow models that set the threshold where no non-members are known.

    Raises:
        UsageError: there are none, or something is given that needs known non-members.
    """
    if shadows is None:
        raise UsageError(
            "no known non-members are given, and they set the threshold: give them as `nonmembers`, or give the folder "
            "of shadow models as `shadows`"
        )
    if members:
        raise UsageError(
            "`members` are given without `nonmembers`: where shadow models set the threshold, their own members show "
            "how well an attack separates: leave out `members`, or give `nonmembers`, too"
        )
    if control:
        raise UsageError(
            "`control` checks a threshold that known non-members set; shadow models check theirs by leaving out each "
            "of them: leave out `control`, or give `nonmembers`, too"
        )
    if confidence is not None:
        raise UsageError(
            "`confidence` holds over the choice of known documents, and shadow models also differ as models: leave out "
            "`confidence`, or give `nonmembers`, too"
        )
    return shadows


@dataclass(frozen=True, slots=True, eq=False)
class ByShadows:
    """An audit whose threshold is set by shadow models."""

    threshold: ShadowThreshold
    source: Passages
    """The candidates."""
    plan: ScoringPlan
    request: Request

    @property
    def sources(self) -> Sequence[Passages]:
        """What is scored: the candidates alone."""
        return [self.source]

    @property
    def first(self) -> int:
        """The position of the first candidate in the input of the run."""
        return 0

    @property
    def validity(self) -> Validity:
        """The checks of the texts, before anything is scored; no check where the same texts are compared."""
        if self.threshold.same_texts:
            return Validity.of([], compared=True)
        return KnownSet([], self.threshold.pool, self.threshold.candidates, rates=self.request.rates).validity()

    def run(
        self, out: Path, *, window_tokens: int | None, history: History, redact: bool, progress: Progress | None
    ) -> Audit:
        """Score, add the scores of the shadows in the target's place, and decide."""
        check = _unlabelled(self.source)
        self.threshold.refuse_shorter_windows(window_tokens)
        before = self.validity
        scored = run_scoring(self.sources, self.plan, out=out, window_tokens=window_tokens, progress=progress)
        if running_dry() is None:
            self.threshold.refuse_other_windows(out)
            self.threshold.shadows.refuse_other_weights(out)
        notes = without_written_tokens(scored.path, scored.notes) if redact else scored.notes
        report_activity(progress, "scoring each shadow model in the target's place")
        write_shadow_rows(out, self.threshold.rows(scored.attacks, progress))
        report_activity(progress, "deciding")
        table = read_scores(scored.path)
        return decide(
            replace(table, columns={name: table.columns[name] for name in scored.attacks}),
            self.request,
            path=out,
            inputs=check,
            validity=before,
            notes=[self._note(), *notes],
            history=history,
            shadows=self.threshold,
        )

    def _note(self) -> Note:
        shadows, same = self.threshold.shadows, self.threshold.same_texts
        figures = {"shadows": len(shadows.roles), "same_texts": same, "same_base": self.threshold.same_base}
        figures["classifier"] = self.request.decider == STACK
        return Note(NoteKind.SHADOWS, {**figures, "passages": len(self.threshold.candidates)})


def _unlabelled(source: Passages) -> InputCheck:
    check = check_inputs([source])
    counts = check.sources[0]
    if counts.members or counts.nonmembers:
        raise PassageError(
            source.name, "some of its passages have a label, and candidates have none: remove the labels"
        )
    return check
