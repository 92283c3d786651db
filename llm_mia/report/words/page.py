"""What only the page says: its headings, how to read its parts, and the limits of every finding."""

from __future__ import annotations

from collections.abc import Sequence

from ... import __version__
from ...attacks import ATTACKS
from ...auditing import Audit
from ._answer import Outcome
from ._audit_by_shadows import SHADOW_ASSUMPTION, name_sets
from ._counting import counted
from ._validity import standing_sentence, validity_meaning, void_basis

__all__ = [
    "CHECKS_LEAD",
    "CITE",
    "FIGURES_LEAD",
    "GLOSSARY",
    "LIMITS",
    "NOTHING_LEAVES",
    "NO_SCRIPT",
    "OUTCOMES",
    "PROTECTED",
    "SECTIONS",
    "below_withheld",
    "checks_lead",
    "limits_words",
    "notes_title",
    "sentence",
    "title_words",
    "trust_words",
]

SECTIONS = {
    "answer": ("The answer", "Answer"),
    "trust": ("Can it be trusted?", "Trust"),
    "figures": ("Figures", "Figures"),
    "documents": ("Documents", "Documents"),
    "passages": ("Passages", "Passages"),
    "canary": ("Test of canaries", "Canaries"),
    "paired": ("Test of published and withheld versions", "Versions"),
    "method": ("How it was done", "Method"),
}
"""Heading and short name of each section, by its anchor."""
OUTCOMES = {
    Outcome.FINDING: "A finding",
    Outcome.DOUBTFUL: "A doubtful finding",
    Outcome.NO_FINDING: "No finding",
    Outcome.WITHHELD: "No answer is given",
}
NO_SCRIPT = (
    "Scripts do not run in this browser. Everything but the passages can be read without them: tables are complete, "
    "but cannot be sorted or filtered, and the texts of the passages stay closed."
)
NOTHING_LEAVES = (
    "This page is a single file. Its content-security policy forbids the browser every request, so nothing that it "
    "shows leaves this computer; links open only when you follow them."
)
PROTECTED = "Texts and tokens were left out of this page on request (redacted)."
CHECKS_LEAD = (
    "The error rate holds only if a candidate that was not trained on could as well have been among the known "
    "non-members. No check can confirm that. Each check below searches for a sign that it does not hold. An AUROC "
    "(area under the ROC curve) of 0.5 means that nothing separates two sets, and 1 that it separates them completely; "
    "‘would detect’ is the AUROC that the check would have noticed with a probability of 0.8. A single property counts "
    "in either direction, so an AUROC below 0.5 is given as 1 minus it, and its interval may reach "
    "below 0.5. Where many properties are compared at once, the test is corrected for their number, so a single "
    "interval may lie above 0.5 although no fault is seen."
)
FIGURES_LEAD = "Each figure has its numbers in a table below it."
GLOSSARY: Sequence[tuple[str, str]] = (
    ("Passage", "The piece of text that gets a score. Passages of the same work form a document."),
    ("Candidates", "The passages in question: it is not known whether the model was trained on them."),
    ("Known non-members", "Passages that the model has certainly not seen. They set the threshold."),
    (
        "Known members",
        "Passages that the model was certainly trained on. They show how many of such texts are recognised.",
    ),
    ("Target", "The model in question."),
    (
        "Reference or stand-in model",
        "Another model, which should not know the candidates. If it scores them as the target does, the texts may "
        "be the cause, and not training.",
    ),
    (
        "Score",
        "A number that an attack computes from the model's probabilities of the text; higher is more like training.",
    ),
    (
        "Stack",
        "A combination of attacks, learnt from half of the known set (the fit part). Where that half is too small, an "
        "attack decides that a rule fixed before any score: to choose by the results would break the error rate.",
    ),
    ("Flagged", "The score is above the threshold: the passage looks as if the model was trained on it."),
    ("False positive rate, FPR", "Of texts that the model was not trained on, the share that is flagged wrongly."),
    (
        "p-value",
        "How often, at most, chance alone gives so strong a result or a stronger, if there was no training.",
    ),
    (
        "AUROC",
        "How well something separates two sets, from 0.5 (not at all) to 1 (completely). Of a good attack it is high; "
        "of a check of the texts it should be near 0.5.",
    ),
    (
        "95 % interval",
        "A range that contains the true figure in about 95 of 100 such audits.",
    ),
)
"""What a reader needs who sees these words for the first time."""
LIKE_NONMEMBERS = (
    "The error rate holds if the candidates that were not trained on are like the known non-members: same source, "
    "period, style and length. Checks can refute this, but never confirm it."
)
LIMITS: Sequence[str] = (
    "A flag is a decision with an error rate, not proof. Among candidates that were not trained on, some are flagged "
    "by chance; the answer says how many to expect.",
    "A text that is not flagged may still have been trained on. A low score does not show absence.",
    LIKE_NONMEMBERS,
    "Trained on means that the model learned from this text, or from another text that repeats it: a copy, a "
    "quotation, a translation that is close to it. The scores do not show which copy, from where, or when.",
    "A finding about many texts does not show on which of them: each flagged text by itself may be a false alarm.",
    "The share of known members that is recognised need not hold for the candidates: these may be harder to recognise.",
)
CITE = (
    f"Cite the finding together with its error rate and its assumption, the name and version of the program "
    f"(llm-mia {__version__}), the attack with its paper, and the SHA-256 of the model and of the inputs, which the "
    "tables above list."
)


def limits_words(audit: Audit) -> Sequence[str]:
    """The limits of every finding; where shadow models set the threshold, with what that assumes."""
    if audit.shadows is None:
        return LIMITS
    assumed = f"The error rate holds on average over models if {SHADOW_ASSUMPTION}."
    return [assumed if limit == LIKE_NONMEMBERS else name_sets(limit, shadows=True) for limit in LIMITS]


def checks_lead(audit: Audit) -> str:
    """How to read the table of all checks."""
    return name_sets(CHECKS_LEAD, shadows=audit.shadows is not None)


def notes_title(number: int) -> str:
    """What opens the list of caveats."""
    return f"{counted(number, 'note')} that a careful reader should know"


def sentence(text: str) -> str:
    """*text* with a capital and a full stop, unless it begins with the name of an attack.

    >>> sentence("the known set is sound"), sentence("min_k follows the order of the rows")
    ('The known set is sound.', 'min_k follows the order of the rows.')
    """
    first = text.partition(" ")[0].strip(",:")
    begins = text if not first.isalpha() or first in ATTACKS else text[:1].upper() + text[1:]
    return begins if begins.endswith((".", "!", "?")) else f"{begins}."


def below_withheld(audit: Audit) -> str:
    """What a reader has to know about all that follows the checks; empty where a finding may be stated."""
    if not audit.withheld:
        return ""
    basis = void_basis(audit.standing, audit.validity, shadows=audit.shadows is not None)
    return (
        f"{sentence(basis)} Scores, p-values and flags below are shown as they were "
        "computed, so that they can be checked; no conclusion may rest on them."
    )


def title_words(audit: Audit, outcome: Outcome) -> str:
    """The title of the page, as short as a tab of a browser shows it."""
    flags = audit.flags
    flagged = "" if audit.withheld else f": {flags.flagged:,} of {len(flags.rows):,} flagged"
    return f"{OUTCOMES[outcome]}{flagged} – llm_mia"


def trust_words(audit: Audit) -> str:
    """The standing of the known set with the number of checks, in two sentences.

    A sentence about faults comes only where there are faults.
    """
    checks = audit.validity.checks
    faults = sum(check.is_fault for check in checks)
    skipped = sum(check.verdict == "skipped" for check in checks)
    of_checks = f"{counted(faults, 'fault')} in" if faults else "No fault seen in"
    made = f"{of_checks} {counted(len(checks) - skipped, 'check')}"
    made += f"; {skipped:,} more could not be made." if skipped else "."
    standing = audit.standing
    if audit.shadows is not None:
        like = "unlike" if any(each.unlike for each in audit.shadows.likeness) else "like"
        checked = f"as far as it was checked, the target is {like} them"
        if audit.validity.standing is not None and audit.validity.standing.withholds:
            checked = void_basis(audit.validity.standing, audit.validity, shadows=True)
        return f"Shadow models set the threshold, and no known non-members; {checked}. {made}"
    return f"{standing_sentence(standing)}: {validity_meaning(standing)}. {made}"
