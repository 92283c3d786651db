"""The controls of an audit: what would have shown that something other than training explains the flags."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...auditing import Audit
from ...decision import OtherFlags, OtherReference
from ...extraction import Extraction
from ...records import Interval
from ...validity import Check, Verdict
from ._comparisons import least_p_words, role_words
from ._counting import counted
from ._history import control_words
from .checks import check_words

__all__ = ["ControlRow", "control_rows"]

CLASSIFIERS = {"words": "words and characters", "counts": "lengths, years and other counts"}
"""What each classifier that never sees the model goes by, by the name that its checks have."""
MADE = "made"
NOT_MADE = "not made"


@dataclass(frozen=True, slots=True)
class ControlRow:
    """A control: what was measured, the verdict, and what it shows."""

    name: str
    measured: str
    """What the figure is; empty where there is none."""
    value: float | None
    low: float | None
    high: float | None
    p: float | None
    p_text: str
    """The p-value in words; empty where there is none."""
    verdict: str
    shows: str
    """What it means, in a sentence."""


def control_rows(audit: Audit, extraction: Extraction | None = None) -> list[ControlRow]:
    """Every control of an audit, and what was not made; a control that another release adds is among the checks."""
    return [
        *_blind(audit),
        *_placebo(audit),
        *_shift(audit),
        *_chance(audit),
        *_other_models(audit),
        _sealed(audit),
        *_faults(audit),
        _tally(audit),
        *([] if extraction is None else _extraction(extraction)),
    ]


def _blind(audit: Audit) -> Iterator[ControlRow]:
    """The classifiers that never see the model, and the attack that decides, for comparison."""
    for name, seen in CLASSIFIERS.items():
        if check := _check(audit, f"blind_{name}_auroc"):
            yield _row(
                check,
                f"blind baseline, {seen}",
                "AUROC, known members against known non-members",
                "a classifier that never sees the model; 0.5 is chance, and what it separates a score can separate "
                "without any training",
            )
    for evaluation in audit.evaluations:
        if evaluation.attack == audit.decider and evaluation.auroc is not None:
            yield _figure(
                f"the attack that decides, {evaluation.attack}",
                "AUROC, known members against known non-members",
                evaluation.auroc,
                None,
                MADE,
                "to be read beside the blind baseline: what the score separates with the help of the model",
            )
    if not audit.evaluations:
        yield _missing("blind baseline", "no known members were given, so no classifier could be trained on them")


def _placebo(audit: Audit) -> Iterator[ControlRow]:
    """The same measurement where there is nothing to measure."""
    by_classifier = {f"placebo_{name}_auroc": seen for name, seen in CLASSIFIERS.items()}
    for name, what in {f"placebo_attack_{audit.decider}_auroc": f"scores by {audit.decider}", **by_classifier}.items():
        if check := _check(audit, name):
            yield _row(
                check,
                f"placebo, {what}",
                "AUROC, half of the known non-members against the other half",
                "the two halves differ by chance alone, so a difference here would be a fault of the procedure",
            )


def _shift(audit: Audit) -> Iterator[ControlRow]:
    for name, seen in CLASSIFIERS.items():
        if check := _check(audit, f"shift_{name}_auroc"):
            yield _row(
                check,
                f"candidates and non-members, {seen}",
                "AUROC, candidates against known non-members",
                "a classifier that never sees the model; if it tells the candidates from the known non-members, they "
                "are not of the same kind, and the error rate need not hold",
            )


def _chance(audit: Audit) -> Iterator[ControlRow]:
    finding = audit.flags.finding
    if finding is not None:
        yield _figure(
            "chance",
            f"flags by the target, of {counted(finding.candidates, 'candidate')}",
            float(finding.flagged),
            finding.chance,
            MADE,
            "how probable so many flags are if no candidate was trained on and candidates are like the known "
            "non-members",
            exchanges=finding.arrangements,
        )


def _other_models(audit: Audit) -> Iterator[ControlRow]:
    finding = audit.flags.finding
    compared: list[OtherFlags | OtherReference] = []
    if finding is not None:
        compared = [*finding.others, *finding.references]
    for other in compared:
        model = role_words(other.role)
        if isinstance(other, OtherReference):
            yield _figure(
                f"another reference, {model}",
                "flags with this reference model in the place of the first",
                float(other.flagged),
                other.p_value,
                MADE,
                "the p-value is that of so many flags by chance, with this reference model",
            )
            continue
        if other.other_flagged is not None:
            of = counted(other.candidates, "candidate")
            yield _figure(
                f"another model, {model}",
                f"flags by this model in the place of the target, of {of}",
                float(other.other_flagged),
                other.p_value,
                MADE,
                f"the target flags {other.flagged:,} of these; the p-value is that of the target's scores being so "
                "much higher if neither model knows the candidates",
                exchanges=other.exchanges,
            )
        yield _figure(
            f"another model, {model}",
            "AUROC of its scores, candidates against known non-members",
            other.auroc,
            None,
            MADE,
            "a model that cannot know the candidates sees only differences of the texts; 0.5 is none",
        )
    if not compared:
        yield _missing(
            "another model",
            "no other model decided on the same candidates, so a difference of the texts "
            "that raises the scores of any model is not excluded",
        )


def _sealed(audit: Audit) -> ControlRow:
    control = audit.control
    if control is None:
        return _missing("sealed non-members", "no known non-members were kept aside to be decided on as candidates are")
    return _figure(
        "sealed non-members",
        f"share that is flagged, of {counted(control.passages, 'passage')}",
        control.rate,
        control.p_value,
        Verdict.DOUBTFUL.value if control.exceeds else Verdict.SOUND.value,
        control_words(control.note.figures),
    )


def _faults(audit: Audit) -> Iterator[ControlRow]:
    """The checks that show a fault, and are not among the rows above."""
    above = {f"placebo_attack_{audit.decider}_auroc"}
    above |= {f"{kind}_{name}_auroc" for kind in ("blind", "shift", "placebo") for name in CLASSIFIERS}
    for check in audit.validity.checks:
        if check.is_fault and check.name not in above | {"control_rate"}:
            yield _row(check, f"{check_words(check.name)} ({check.name})", "", check.why)


def _tally(audit: Audit) -> ControlRow:
    verdicts = [check.verdict for check in audit.validity.checks]
    possible = len(verdicts) - verdicts.count(Verdict.SKIPPED)
    faults = sum(check.is_fault for check in audit.validity.checks)
    return _figure(
        "all checks of the known set",
        f"checks with a fault, of {possible:,} that were possible",
        float(faults),
        None,
        MADE,
        f"{counted(verdicts.count(Verdict.SKIPPED), 'further check')} could not be made; validity.json of the run "
        "lists every check",
    )


def _extraction(extraction: Extraction) -> Iterator[ControlRow]:
    """What spans are worth: those of known non-members, and what a model writes that was not trained on the texts."""
    known, totals = extraction.nonmembers, extraction.totals
    if known is None:
        yield _missing("spans of known non-members", "spans were searched in no text that was certainly not trained on")
    else:
        yield _known_spans("spans of known non-members", known.documents, known.with_spans, known.bound, None)
        if (like := known.like) is not None:
            name = "spans of known non-members of like length"
            yield _known_spans(name, like.nonmembers, like.nonmembers_with_spans, like.bound, like.p_value)
    name = "the same spans under a reference model"
    if extraction.reference is None:
        why = "no reference model was given, so scripture, licences and quotations, which many models know, count too"
        yield _missing(name, why)
        return
    spans = counted(totals.spans + totals.spans_shared, "span")
    yield _figure(
        name,
        f"spans that {extraction.reference.model.id} writes too, of {spans}",
        float(totals.spans_shared),
        None,
        MADE,
        "these do not count: a model that should not know the texts writes them as well",
    )


def _known_spans(name: str, documents: int, with_spans: int, bound: float, p: float | None) -> ControlRow:
    shows = (
        f"at most {100 * bound:.2g} % of such documents have spans (95 % confidence, if documents are independent): so "
        "often a span comes without training on the text"
    )
    if p is not None:
        shows += "; the p-value is that of so many spans in the texts in question, if these had them as often"
    return _figure(name, f"documents with spans that count, of {documents:,}", float(with_spans), p, MADE, shows)


def _check(audit: Audit, name: str) -> Check | None:
    return next((check for check in audit.validity.checks if check.name == name), None)


def _row(check: Check, name: str, measured: str, shows: str) -> ControlRow:
    if check.verdict is Verdict.SKIPPED and check.figure is None:
        return _missing(name, check.details or shows)
    return _figure(name, measured, check.figure, check.p_value, check.verdict.value, shows)


def _figure(
    name: str,
    measured: str,
    figure: Interval | float | None,
    p: float | None,
    verdict: str,
    shows: str,
    *,
    exchanges: int = 0,
) -> ControlRow:
    """The row of a *figure*; *exchanges* are those that its p-value was computed from, 0 where it is exact."""
    p_text = "" if p is None else least_p_words(p, exchanges).partition(",")[0]
    if isinstance(figure, Interval):
        return ControlRow(name, measured, figure.value, figure.low, figure.high, p, p_text, verdict, shows)
    return ControlRow(name, measured, figure, None, None, p, p_text, verdict, shows)


def _missing(name: str, why: str) -> ControlRow:
    return ControlRow(name, "", None, None, None, None, "", NOT_MADE, why)
