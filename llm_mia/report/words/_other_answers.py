"""The answers of single commands: on a collection, on a known set, and on how well attacks separate."""

from __future__ import annotations

from collections.abc import Sequence

from ...calibration import nonmembers_needed
from ...decision import CollectionResult, Evaluation
from ...records import Standing
from ...validity import Validity
from ._answer import Answer, Outcome
from ._answer_facts import checks_words, named_check, worst_faults
from ._answering import withheld_headline
from ._collections import collection_finding, collection_size
from ._comparisons import p_words, role_words
from ._counting import counted, unbroken, with_interval
from ._validity import standing_sentence

__all__ = ["collection_answer", "evaluation_answer", "validity_answer"]

FAULTS = 4
"""Checks with a fault that an answer names."""
ATTACKS = 5
"""Attacks whose figures an answer has."""


def collection_answer(result: CollectionResult) -> Answer:
    """The answer on all candidates together; it claims no more than `collection_finding` does."""
    question = f"Was the model trained on this collection of {counted(result.test.n_documents[0], 'document')}?"
    facts = [("compared", f"{collection_size(result)}, by {', '.join(result.attacks)}")]
    checked = f"{standing_sentence(result.known_set)}."
    if result.withheld:
        headline, change = withheld_headline(result.known_set), "a known set without the faults that validate names"
        return Answer(question, Outcome.WITHHELD, headline, "", tuple(facts), (checked,), len(result.notes), change)
    effect = f"{with_interval(result.test.effect)} is the probability that a candidate scores above a non-member"
    facts.append(("effect", effect))
    facts += [(role_words(other.role).removeprefix("the "), _other(other.test.p_value)) for other in result.others]
    placebo = p_words(result.test.placebo.p_value)
    facts.append(("placebo", f"half of the non-members against the other half: {placebo}"))
    needs = f"a finding needs p ≤ {result.allowed:.2g}"
    rests = "Assumption: unseen candidates resemble your non-members (source, period, style)."
    return Answer(
        question,
        _outcome(result),
        _collection_headline(result),
        unbroken(
            f"Without training, so large a difference would come by chance with {p_words(result.p_value)} ({needs})."
        ),
        tuple((name, unbroken(sentence)) for name, sentence in facts),
        (checked, rests),
        len(result.notes),
    )


def _other(p_value: float) -> str:
    return f"the candidates score higher than its scores predict with {p_words(p_value)}"


def _outcome(result: CollectionResult) -> Outcome:
    if not result.significant:
        return Outcome.NO_FINDING
    return Outcome.FINDING if result.standing is Standing.SOUND else Outcome.DOUBTFUL


def _collection_headline(result: CollectionResult) -> str:
    words = collection_finding(result)
    if result.significant:
        reserve = words.removeprefix("consistent with training on the collection").lstrip(",; ")
        known_set = {
            None: "not validated",
            Standing.DOUBTFUL: "the known set is doubtful",
            Standing.ACCEPTED: "the known set is void or untestable",
        }.get(result.known_set)
        reserves = [each for each in (reserve.removeprefix("but "), known_set) if each]
        return "The collection looks as if the model was trained on it" + (
            f", but: {'; '.join(reserves)}." if reserves else "."
        )
    return f"No finding: {words.removeprefix('no finding: ')}."


def validity_answer(validity: Validity) -> Answer:
    """Whether a known set can carry a finding, the faults, and what would remove the worst."""
    standing = validity.standing
    answers: dict[Standing | None, tuple[Outcome, str]] = {
        None: (Outcome.WITHHELD, "Unknown: nothing could be checked."),
        Standing.SOUND: (Outcome.FINDING, "Yes, as far as checks can show: none of them shows a fault."),
        Standing.NOT_CHECKED: (
            Outcome.DOUBTFUL,
            "The texts show no fault, but no language model has checked them: an audit does that.",
        ),
        Standing.DOUBTFUL: (Outcome.DOUBTFUL, "Only with a reserve: a finding must be read together with the faults."),
        Standing.UNTESTABLE: (Outcome.WITHHELD, "No: it has too few documents to be tested."),
    }
    void = (Outcome.WITHHELD, "No: its faults alone could explain a finding, without any training.")
    outcome, headline = answers.get(standing, void)
    worst = worst_faults(validity)
    faults = worst + [check for check in validity.checks if check.is_fault and check not in worst]
    facts = [(check.verdict.value, named_check(check)) for check in faults[:FAULTS]]
    facts += [("because", faults[0].why)] if faults else []
    change = faults[0].remedy if faults else ""
    named = max(0, len(faults) - FAULTS)
    return Answer(
        "Can this known set carry a finding?",
        outcome,
        headline,
        "",
        tuple((name, unbroken(sentence)) for name, sentence in facts),
        (unbroken(checks_words(validity)),),
        named,
        unbroken(change),
    )


def evaluation_answer(evaluations: Sequence[Evaluation]) -> Answer:
    """Which attacks separate the known members from the known non-members best, with 95 % intervals."""
    ranked = sorted(evaluations, key=lambda each: -each.auroc.value)
    best = ranked[0]
    sizes = f"{counted(best.n_members, 'known member')} from {counted(best.n_nonmembers, 'known non-member')}"
    if best.by_shadows:
        sizes = "what shadow models were trained on from what they were not"
    of = f"of {counted(len(ranked), 'attack')} " if len(ranked) > 1 else ""
    facts = [(each.attack, f"AUROC {with_interval(each.auroc)}{_at_five_percent(each)}") for each in ranked[:ATTACKS]]
    trust = ["An AUROC of 0.5 is chance; a difference of the texts can separate them without any training."]
    if len(ranked) > 1:
        trust.append("The best is known only with hindsight: set its threshold with other non-members.")
    return Answer(
        f"How well do scores separate {sizes}?",
        Outcome.NO_FINDING,
        unbroken(f"{best.attack} separates best {of}by AUROC: {with_interval(best.auroc)}."),
        "",
        tuple((name, unbroken(sentence)) for name, sentence in facts),
        tuple(trust),
        0,
    )


def _at_five_percent(evaluation: Evaluation) -> str:
    """The true positive rate at 5 %, if it can be measured with so many non-members."""
    rate = evaluation.tpr_at_fpr.get(0.05)
    if rate is None or evaluation.n_nonmembers < nonmembers_needed(0.05):
        return ""
    return f", TPR {100 * rate.value:.0f} % ({100 * rate.low:.0f}–{100 * rate.high:.0f}) at FPR 5 %"
