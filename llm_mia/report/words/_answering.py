"""An audit → its answer: what is asked, what was found, how often that is wrong, and what would change it."""

from __future__ import annotations

from collections.abc import Sequence

from ...auditing import Audit, Control
from ...backends import ngram
from ...decision import Finding, Flags, NoteKind, Unit
from ...records import STAND_IN, Note, Standing, target_pass
from ...validity import Validity
from ._answer import Answer, Outcome
from ._answer_facts import answer_facts, answer_trust, flags_facts, flags_trust, worst_faults
from ._audit_by_shadows import by_shadows
from ._comparisons import explained_by, least_p_words, p_words
from ._counting import counted, held_with, plainly, unbroken
from ._notes import note_words
from ._validity import void_basis

__all__ = ["SHOWN_IN_ANSWER", "answer_of", "flags_answer", "short_name", "withheld_headline"]

LONGEST_NAME = 40
"""Of a model, in a question; the whole name is among the details."""
SHOWN_IN_ANSWER = (
    NoteKind.ASSUMPTION,
    NoteKind.CONTROL,
    NoteKind.FINDING_IMPOSSIBLE,
    NoteKind.OTHER_DECISIONS,
    NoteKind.SHADOWS,
    NoteKind.SHADOW_ASSUMPTION,
)
"""Kinds of notes that an answer holds; all others are its caveats."""


def answer_of(audit: Audit) -> Answer:
    """The answer of an audit.

    It claims no more than `finding` does: a finding with a reserve is doubtful, and its headline names the reserve.
    Each figure comes from the record; a figure that no record has is not in it.
    """
    question = _question(target_pass(audit.passes).model.id, audit.flags)
    facts, trust = answer_facts(audit), answer_trust(audit)
    if audit.withheld:
        why = withheld_headline(audit.standing, audit.validity, shadows=audit.shadows is not None)
        return _answer(audit.flags, audit.notes, question, facts, trust, withheld=why, change=_remedy(audit.validity))
    by_ngram = _is_compared_by_ngram_alone(audit)
    return _answer(audit.flags, audit.notes, question, facts, trust, audit.control, by_ngram=by_ngram)


def _is_compared_by_ngram_alone(audit: Audit) -> bool:
    """Whether the only model that the target is compared with is an n-gram model."""
    stand_in, finding = audit.passes.get(STAND_IN), audit.flags.finding
    if stand_in is None or finding is None:
        return False
    return stand_in.model.id == ngram.NAME and {other.role for other in finding.others} == {STAND_IN}


def flags_answer(flags: Flags) -> Answer:
    """The answer of a decision on a table of scores: that of an audit, as far as a table of scores has it."""
    origin = flags.calibration.origin
    target = None if origin is None else origin.passes.get("target")
    question = _question("the model" if target is None else target.model.id, flags)
    change, shadows = "a known set without the faults that 'llm-mia validate' names", by_shadows(flags)
    if shadows:
        change = (
            "shadow models that were trained as the target was, on a pool with the candidates; or known non-members"
        )
    why = withheld_headline(flags.standing, shadows=shadows)
    return _answer(flags, flags.notes, question, flags_facts(flags), flags_trust(flags), withheld=why, change=change)


def _answer(
    flags: Flags,
    notes: Sequence[Note],
    question: str,
    facts: list[tuple[str, str]],
    trust: list[str],
    control: Control | None = None,
    *,
    withheld: str = "",
    change: str = "",
    by_ngram: bool = False,
) -> Answer:
    """The answer.

    Args:
        flags: the decision.
        notes: what a reader ought to know.
        question: which model, and which passages.
        facts: a name and a sentence each.
        trust: what the answer rests on.
        control: sealed non-members that were decided on.
        withheld: the headline where the answer is withheld, else empty.
        change: what would give an answer where it is withheld.
        by_ngram: whether the only model that the target is compared with is an n-gram model.
    """
    outcome, headline, error_rate = Outcome.WITHHELD, withheld, ""
    if not flags.withheld:
        outcome, error_rate = _outcome(flags, control), _error_rate(flags)
        headline = _headline(flags, control, by_ngram=by_ngram)
        change = _change(notes)
    return Answer(
        question,
        outcome,
        unbroken(headline),
        unbroken(error_rate),
        tuple((name, unbroken(sentence)) for name, sentence in facts),
        tuple(map(unbroken, trust)),
        sum(note.kind not in SHOWN_IN_ANSWER for note in notes),
        unbroken(change),
    )


def withheld_headline(standing: Standing | None, validity: Validity | None = None, *, shadows: bool = False) -> str:
    """What takes the place of an answer that is withheld."""
    basis = void_basis(standing, validity, shadows=shadows)
    return f"No answer: {basis}." if shadows else f"No answer: {basis}, so no finding may rest on it."


def short_name(model: str) -> str:
    """A short name of a model.

    >>> short_name("/models/a/tiny/"), short_name("account/model-7b")
    ('tiny', 'account/model-7b')
    """
    name = model.rstrip("/\\").replace("\\", "/")
    if name.startswith(("/", ".", "~")) or len(name) > LONGEST_NAME:
        name = name.rpartition("/")[2]
    half = LONGEST_NAME // 2
    return name if len(name) <= LONGEST_NAME else f"{name[:half]}…{name[-half:]}"


def _question(model: str, flags: Flags) -> str:
    number = len(flags.rows)
    unit = "passage" if flags.unit is Unit.PASSAGES else "document"
    these = f"this {unit}" if number == 1 else f"these {counted(number, unit)}"
    return f"Was {short_name(model)} trained on {these}?"


def _outcome(flags: Flags, control: Control | None) -> Outcome:
    if flags.finding is None or not flags.finding.significant:
        return Outcome.NO_FINDING
    return Outcome.DOUBTFUL if _reserves(flags, control) else Outcome.FINDING


def _headline(flags: Flags, control: Control | None, *, by_ngram: bool) -> str:
    finding, look = flags.finding, _look(flags)
    if finding is None:
        return f"{look}, but no finding is possible."
    if not finding.significant:
        return f"No finding: {look}{_why_not(flags, finding)}."
    if not flags.flagged:
        unit = "passage" if flags.unit is Unit.PASSAGES else "document"
        look = f"The {unit}s together look as if the model was trained on some of them; no {unit} is flagged by itself"
    reserves = _reserves(flags, control, by_ngram=by_ngram)
    return f"{look}, but {' and '.join(reserves)}." if reserves else f"{look}."


def _look(flags: Flags) -> str:
    """How many candidates look as if they were trained on."""
    unit = "passage" if flags.unit is Unit.PASSAGES else "document"
    of = f"of {counted(len(flags.rows), unit)}"
    if not flags.flagged and len(flags.rows) == 1:
        return f"the {unit} does not look as if the model was trained on it"
    if not flags.flagged:
        return f"none of the {counted(len(flags.rows), unit)} looks as if the model was trained on it"
    verb, them = ("looks", "it") if flags.flagged == 1 else ("look", "them")
    return f"{flags.flagged:,} {of} {verb} as if the model was trained on {them}"


def _why_not(flags: Flags, finding: Finding) -> str:
    explained = explained_by(finding)
    if explained:
        return f", but {explained}"
    return "; chance alone may give as many" if flags.flagged else ""


def _reserves(flags: Flags, control: Control | None, *, by_ngram: bool = False) -> list[str]:
    """What a finding has to be read with, each as the end of a sentence; the gravest first."""
    finding, standing = flags.finding, flags.standing
    reserves = list[str]()
    if standing is Standing.ACCEPTED:
        void = "the known set is void or untestable, and its faults alone may explain it"
        reserves.append("the threshold of the shadow models does not hold here" if by_shadows(flags) else void)
    if standing is None:
        reserves.append("nothing checked the known set")
    if finding is not None and finding.resists is False:
        reserves.append("a difference between the texts may explain it")
    if control is not None and control.exceeds:
        reserves.append("sealed non-members are flagged too often")
    elif standing is Standing.DOUBTFUL:
        unlike = "the target is unlike the shadow models" if by_shadows(flags) else "the known set is doubtful"
        reserves.append(unlike)
    if finding is not None and finding.resists is None and not by_shadows(flags):
        reserves.append("no other model was compared")
    elif standing is Standing.NOT_CHECKED:
        reserves.append("only an n-gram model was compared" if by_ngram else "no other language model was compared")
    return reserves[:2]


def _error_rate(flags: Flags) -> str:
    """How often chance alone gives such an answer, with the p-value."""
    finding, by_chance = flags.finding, flags.by_chance
    if by_chance is not None:
        confidence = flags.calibration.confidence
        held = "on average" if confidence is None else f"with {held_with(confidence)}, on average"
        most = f"no more than {plainly(by_chance)}"
        if confidence is None and flags.unit is Unit.PASSAGES and flags.calibration.documents:
            most = f"no more than about {plainly(by_chance)}"  # each document counts once, and not each passage
        unlike = by_shadows(flags) and flags.standing is Standing.ACCEPTED
        it = "it were like the shadow models and " if unlike else "it "
        rate = f"If {it}had seen none, {held} {most} would look so"
        if len(flags.rows) == 1:
            rate = f"If {it}had not seen it, {held} it would look so in at most {100 * flags.rule.level:g} of 100 cases"
    else:
        unit = "passages" if flags.unit is Unit.PASSAGES else "documents"
        rate = f"Of {unit} that look so, at most {100 * flags.rule.level:g} of 100 do so by chance, on average"
    return f"{rate}{_p_value(finding)}."


def _p_value(finding: Finding | None) -> str:
    """The p-value that decides, the largest of all comparisons, in parentheses; its limit where that matters."""
    if finding is None:
        return ""
    # Where it is the smallest that exchanges can give, the details have their number.
    words = [least_p_words(finding.chance, finding.arrangements).partition(",")[0]]
    if finding.p_value > finding.chance:
        words = [f"{p_words(finding.p_value)} over all comparisons"]
    if not finding.significant or finding.number > 1:
        earlier = finding.number - 1
        after = f" after {counted(earlier, 'earlier decision')}" if earlier else ""
        words.append(f"a finding needs p ≤ {finding.allowed:.2g}{after}")
    return f" ({'; '.join(words)})"


def _change(notes: Sequence[Note]) -> str:
    """What would give an answer where no finding is possible; else empty."""
    for note in notes:
        if note.kind == NoteKind.FINDING_IMPOSSIBLE:
            return f"{note_words(note)}."
    return ""


def _remedy(validity: Validity) -> str:
    """The remedy of the gravest fault of a known set."""
    return next((check.remedy for check in worst_faults(validity)), "")
