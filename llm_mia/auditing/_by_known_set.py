"""An audit with a known set: the scores of known non-members set the threshold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from ..calibration import check_enough, check_enough_documents, fdr_floor
from ..decision import STACK, refuse_small
from ..errors import CalibrationError, PassageError
from ..history import History
from ..passages import InputCheck, Passages, check_inputs
from ..records import Note
from ..scores import ScoreTable, read_scores
from ..scoring import ScoringPlan, run_scoring
from ..shadow import Shadows
from ..signals import Progress, report_activity, running_dry, without_written_tokens
from ..validity import KnownSet, Validity
from ._control import refuse_known
from ._deciding import Request, decide
from ._finishing import CONTROL
from ._possible import possible_decisions
from ._record import Audit
from ._stand_in import StandIn, choose_stand_in
from ._texts import KnownTexts

__all__ = ["ByKnownSet", "ReportNote"]

ReportNote: TypeAlias = Callable[[Note], None]


@dataclass(frozen=True, slots=True, eq=False)
class ByKnownSet:
    """An audit whose threshold is set by known non-members."""

    sources: Sequence[Passages]
    """Known members if there are any, known non-members, and candidates."""
    plan: ScoringPlan
    """What is scored, the stand-in included."""
    request: Request
    sealed: Passages | None
    """Non-members that are decided on like candidates."""
    shadows: Shadows | None
    """Shadow models that are evidence; they set no threshold."""
    texts: KnownTexts
    check: InputCheck
    known_set: KnownSet
    validity: Validity
    """The checks of the texts, before anything is scored."""
    notes: Sequence[Note]
    """On the stand-in."""

    @classmethod
    def read(
        cls,
        sources: Sequence[Passages],
        plan: ScoringPlan,
        request: Request,
        *,
        stand_in: StandIn,
        sealed: Passages | None,
        shadows: Shadows | None,
        out: Path,
        progress: Progress | None,
        report_possible: ReportNote | None,
    ) -> ByKnownSet:
        """The audit after its passages have been read and checked, and before any model is loaded.

        Raises:
            PassageError: a label contradicts its source, or the known set cannot be checked.
            CalibrationError: the non-members are too few for *request*.
            UsageError: see `choose_stand_in` and `refuse_known`.
        """
        report_activity(progress, "reading the passages")
        texts = KnownTexts.read(sources)  # the first reading; the check needs no other
        texts.refuse_repeats(request.rates)
        check = check_inputs(sources)
        _refuse_labels(check)
        chosen = choose_stand_in(stand_in, plan, texts, out)
        if sealed is not None:
            refuse_known(sealed, sources, request.fdr)
        if report_possible is not None:
            report_possible(possible_decisions(texts.table(), request.rates, request.decider))
        _refuse_few(check, request)
        if request.decider == STACK:
            refuse_small(texts.table(), fpr=request.fpr, confidence=request.confidence)
        report_activity(progress, "checking whether the known set can carry a verdict")
        known_set = texts.known_set(request.rates)
        before = known_set.validity()  # refuses a known set that cannot be checked, before a model is loaded
        return cls(sources, chosen.plan, request, sealed, shadows, texts, check, known_set, before, chosen.notes)

    @property
    def first(self) -> int:
        """The position of the first candidate in the input of the run."""
        return sum(source.passages for source in self.check.sources[:-1])

    def run(
        self, out: Path, *, window_tokens: int | None, history: History, redact: bool, progress: Progress | None
    ) -> Audit:
        """Score, and decide."""
        if self.sealed is not None and (dry := running_dry()):
            dry.further.append(self.sealed)
        scored = run_scoring(self.sources, self.plan, out=out, window_tokens=window_tokens, progress=progress)
        if self.shadows is not None and running_dry() is None:
            self.shadows.refuse_other_weights(out)
        notes = without_written_tokens(scored.path, scored.notes) if redact else scored.notes
        report_activity(progress, "deciding")
        table = read_scores(scored.path)
        # The folder may hold columns of earlier calls, which were not chosen now and may not decide.
        table = replace(table, columns={name: table.columns[name] for name in scored.attacks})
        return decide(
            table,
            self.request,
            path=out,
            inputs=self.check,
            validity=self.known_set.validity(self.texts.scores(table)),
            notes=[*self.texts.notes, *self.notes, *notes],
            history=history,
            sealed=None if self.sealed is None else self._sealed_scores(self.sealed, out, window_tokens, progress),
        )

    def _sealed_scores(
        self, sealed: Passages, run: Path, window_tokens: int | None, progress: Progress | None
    ) -> ScoreTable:
        """The scores of the sealed non-members, in a separate folder: no later command takes them for candidates."""
        scored = run_scoring([sealed], self.plan, out=run / CONTROL, window_tokens=window_tokens, progress=progress)
        return read_scores(scored.path)


def _refuse_labels(check: InputCheck) -> None:
    """Refuse a source whose labels contradict its role."""
    roles = ["members (label 1)", "non-members (label 0)", "candidates, without labels"]
    for source, role in zip(check.sources, roles[-len(check.sources) :], strict=True):
        unlabelled = source.passages - source.members - source.nonmembers
        of_role = dict(zip(roles, (source.members, source.nonmembers, unlabelled), strict=True))[role]
        if of_role != source.passages:
            raise PassageError(
                source.name, f"some of its passages have another label, and all must be {role}: remove the others"
            )


def _refuse_few(check: InputCheck, request: Request) -> None:
    """Refuse non-members that are too few for the error rate, or that come from too few documents."""
    nonmembers, candidates = check.sources[-2:]
    passages, documents = nonmembers.passages, nonmembers.documents
    try:
        if request.fdr is not None:  # which needs at least as many as the same false positive rate
            shared = documents < passages or candidates.documents < candidates.passages
            unit = "documents of non-members" if documents < passages else "non-members"
            fdr_floor(documents, candidates.passages, request.fdr, any_dependence=shared, unit=unit)
        if documents < passages:
            check_enough_documents(documents, passages, request.fpr, request.confidence)
        check_enough(passages, request.fpr, request.confidence)
    except CalibrationError as error:
        raise CalibrationError(f"{nonmembers.name}: {error}") from None
