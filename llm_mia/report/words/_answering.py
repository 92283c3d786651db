"""An audit → its answer: what is asked, what was found, how often that is wrong, and what would change it."""

from __future__ import annotations

from ...auditing import Audit
from ...decision import Finding, Flags, NoteKind, Unit
from ...records import Standing
from ._answer import Answer, Outcome
from ._answer_facts import answer_facts, answer_trust, worst_faults
from ._comparisons import explained_by, least_p_words, p_words
from ._counting import counted, held_with, plainly, unbroken
from ._notes import note_words
from ._validity import standing_words

__all__ = ["SHOWN_IN_ANSWER", "answer_of", "model_name"]

SHOWN_IN_ANSWER = (
    NoteKind.ASSUMPTION,
    NoteKind.CONTROL,
    NoteKind.FINDING_IMPOSSIBLE,
    NoteKind.OTHER_DECISIONS,
)
"""Kinds of notes that an answer holds; all others are its caveats."""


def answer_of(audit: Audit) -> Answer:
    """The answer of an audit.

    It claims no more than `finding` does: a finding with a reserve is doubtful, and its headline names the reserve.
    Each figure comes from the record; a figure that no record has is not in it.
    """
    flags = audit.flags
    caveats = sum(note.kind not in SHOWN_IN_ANSWER for note in audit.notes)
    question = _question(audit)
    if audit.withheld:
        return Answer(
            question,
            Outcome.WITHHELD,
            f"No answer: the known set is {standing_words(audit.standing)}, so no finding may rest on it.",
            "",
            _unbroken_facts(answer_facts(audit)),
            tuple(map(unbroken, answer_trust(audit))),
            caveats,
            unbroken(_change_of_known_set(audit)),
        )
    return Answer(
        question,
        _outcome(audit),
        unbroken(_headline(audit)),
        unbroken(_error_rate(flags)),
        _unbroken_facts(answer_facts(audit)),
        tuple(map(unbroken, answer_trust(audit))),
        caveats,
        unbroken(_change(audit)),
    )


def model_name(audit: Audit) -> str:
    """The name of the target as the user gave it; of a local folder its last part."""
    name = audit.passes["target"].model.id
    return name.rstrip("/\\").replace("\\", "/").rpartition("/")[2] if name.startswith(("/", ".", "~")) else name


def _question(audit: Audit) -> str:
    number = len(audit.flags.rows)
    unit = "passage" if audit.flags.unit is Unit.PASSAGES else "document"
    these = f"this {unit}" if number == 1 else f"these {counted(number, unit)}"
    return f"Was {model_name(audit)} trained on {these}?"


def _outcome(audit: Audit) -> Outcome:
    finding = audit.flags.finding
    if finding is None or not finding.significant:
        return Outcome.NO_FINDING
    return Outcome.DOUBTFUL if _reserves(audit) else Outcome.FINDING


def _headline(audit: Audit) -> str:
    flags, finding = audit.flags, audit.flags.finding
    look = _look(flags)
    if finding is None:
        return f"{look}, but no finding is possible."
    if not finding.significant:
        return f"No finding: {look}{_why_not(flags, finding)}."
    if not flags.flagged:
        unit = "passage" if flags.unit is Unit.PASSAGES else "document"
        look = f"The {unit}s together look as if the model was trained on some of them; no {unit} is flagged by itself"
    reserves = _reserves(audit)
    return f"{look}, but {' and '.join(reserves)}." if reserves else f"{look}."


def _look(flags: Flags) -> str:
    """How many candidates look as if they were trained on."""
    unit = "passage" if flags.unit is Unit.PASSAGES else "document"
    of = f"of {counted(len(flags.rows), unit)}"
    if not flags.flagged:
        return f"none {of} looks as if the model was trained on it"
    verb, them = ("looks", "it") if flags.flagged == 1 else ("look", "them")
    return f"{flags.flagged:,} {of} {verb} as if the model was trained on {them}"


def _why_not(flags: Flags, finding: Finding) -> str:
    explained = explained_by(finding)
    if explained:
        return f", but {explained}"
    return "; chance alone may give as many" if flags.flagged else ""


def _reserves(audit: Audit) -> list[str]:
    """What a finding has to be read with, each as the end of a sentence; the gravest first."""
    finding, standing = audit.flags.finding, audit.standing
    reserves = list[str]()
    if standing is Standing.ACCEPTED:
        reserves.append("the known set is void or untestable, and its faults alone may explain this")
    if standing is None:
        reserves.append("nothing checked the known set")
    if finding is not None and finding.resists is False:
        reserves.append("a difference between the texts may explain this: it is doubtful")
    if audit.control is not None and audit.control.exceeds:
        reserves.append("sealed non-members are flagged too often")
    elif standing is Standing.DOUBTFUL:
        reserves.append("the known set is doubtful")
    if finding is not None and finding.resists is None:
        reserves.append("no other model was compared")
    elif standing is Standing.NOT_CHECKED:
        reserves.append("no other language model was compared")
    return reserves[:2]


def _error_rate(flags: Flags) -> str:
    """How often chance alone gives such an answer, with the p-value."""
    finding, by_chance = flags.finding, flags.by_chance
    if by_chance is not None:
        level = 100 * flags.rule.level
        rate = f"If it had seen none of them, at most {plainly(by_chance)} would look so on average"
        if len(flags.rows) == 1:
            rate = f"If it had not seen it, it would look so in at most {level:g} of 100 cases on average"
        if flags.calibration.confidence is not None:
            rate += f", with {held_with(flags.calibration.confidence)}"
    else:
        unit = "passages" if flags.unit is Unit.PASSAGES else "documents"
        rate = f"Of {unit} that look so, at most {100 * flags.rule.level:g} of 100 do so by chance, on average"
    return f"{rate}{_p_value(finding)}."


def _p_value(finding: Finding | None) -> str:
    """The p-value of a finding, in parentheses, and what it is compared with where that matters."""
    if finding is None:
        return ""
    # Where it is the smallest that exchanges can give, the details have their number.
    words = [least_p_words(finding.chance, finding.arrangements).partition(",")[0]]
    if finding.p_value > finding.chance:
        words.append(f"{p_words(finding.p_value)} over all comparisons")
    if not finding.significant or finding.number > 1:
        words.append(f"a finding needs p ≤ {finding.allowed:.2g}")
    return f" ({'; '.join(words)})"


def _change(audit: Audit) -> str:
    """What would give an answer; empty where there is an answer, or where more data alone may give another."""
    for note in audit.notes:
        if note.kind == NoteKind.FINDING_IMPOSSIBLE:
            sentence = note_words(note)
            return f"{sentence[0].upper()}{sentence[1:]}."
    return ""


def _change_of_known_set(audit: Audit) -> str:
    """The remedies of the gravest faults of a known set."""
    remedies = list(dict.fromkeys(check.remedy for check in worst_faults(audit.validity)))
    return remedies[0] if remedies else ""


def _unbroken_facts(facts: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, unbroken(sentence)) for name, sentence in facts)
