"""JSON Schemas of decisions: what their summaries add to the records, or leave out."""

from __future__ import annotations

from typing import get_type_hints

from schema_types import (
    NOTES,
    STANDING,
    VERSION,
    Definitions,
    Schema,
    by_name,
    closed,
    described,
    field_texts,
    first_sentence,
    hint,
    number,
    or_null,
    rows,
    text,
    texts,
    truth,
)

from llm_mia.auditing import Audit
from llm_mia.decision import AtThreshold, Calibration, CollectionResult, Comparison, Evaluation, Flags
from llm_mia.history import Entry
from llm_mia.metrics import ConfidenceGap
from llm_mia.records import Interval
from llm_mia.report.words import Answer
from llm_mia.validity import Check

__all__ = ["audit", "calibration", "collection", "decisions", "demo", "evaluate", "flags", "validate"]


def calibration(known: Definitions) -> Schema:
    """A threshold."""
    guarantee = known.record(hint(Calibration, "guarantee"), sentence=text("The guarantee in words."))
    selection = known.record(
        hint(Calibration, "selection"),
        sentence=or_null({"type": "string"}, "The selection in words; null without a selection."),
    )
    category = closed(
        {
            "threshold": number("A passage of the category is flagged if its score is above this."),
            "n": number("Non-members that set the threshold.", whole=True),
            "pooled": texts("The categories that were put together; empty where the category is alone."),
        }
    )
    return closed(
        {
            "attack": text("The column of scores that decides."),
            "fpr": number("Largest false positive rate, a share."),
            "threshold": number("A passage is flagged if its score is above this."),
            "guarantee": guarantee,
            "confidence": number("Confidence with which the rate holds; null: it holds on average.", null=True),
            "realised_fpr_at_most_with_95_confidence": number(
                "With confidence 0.95 the false positive rate of this very threshold is at most this share; null where "
                "categories, documents or a confidence make the bound another.",
                null=True,
            ),
            "n": number("Non-members that set the threshold.", whole=True),
            "n_documents": number("Documents that they come from.", whole=True),
            "categories": by_name("By category, where thresholds are set by category; else empty.", category),
            "selection": selection,
            "columns_used": texts("Columns that the deciding score was selected from, or consists of; else empty."),
            "standing": STANDING,
            "notes": NOTES,
            "stack_columns": or_null(texts(""), "Columns of the stack that decides; null where no stack decides."),
        },
        "The threshold, and what it guarantees.",
    )


def flags(known: Definitions) -> Schema:
    """Flags."""
    bound = hint(Flags, "members")
    finding = known.record(
        hint(Flags, "finding"),
        p_value=number("Probability of so many flags, or of a smaller p-value, where nothing was trained on."),
        allowed=number("The finding is significant if p_value is at most this."),
        significant=truth("Whether chance does not explain the flags, and no other model does."),
        resists=or_null(
            truth(""), "Whether a small difference of the sets does not explain the flags; null: no finding."
        ),
    )
    least = closed(
        {
            "number": number("So many candidates were trained on, at least.", whole=True),
            "candidates": number("Among so many candidates.", whole=True),
            "confidence": number("With this confidence, a share."),
            "share": or_null(known.record(Interval), "Share of the candidates that were trained on; null if unknown."),
        },
        first_sentence(bound.__doc__ or ""),
    )
    category = closed(
        {
            "candidates": number("Candidates of the category.", whole=True),
            "flagged": number("Of them flagged.", whole=True),
            "nonmembers": number("Non-members that set its threshold.", whole=True),
            "threshold": number("Its threshold."),
            "trained_on_at_least": number("Lower bound; null where there is none.", whole=True, null=True),
        }
    )
    return closed(
        {
            "rule": known.of(hint(Flags, "rule")),
            "candidates": number("Rows that were decided on.", whole=True),
            "flagged": number("Of them flagged.", whole=True),
            "expected_by_chance": number("Flags to expect if the model was trained on none of them.", null=True),
            "unscored": number("Candidates without a score; they are not flagged.", whole=True),
            "unit": known.of(hint(Flags, "unit")),
            "q_values": known.of(hint(Flags, "q_values")),
            "standing": STANDING,
            "withheld": truth("Whether the standing of the known set withholds the finding."),
            "finding": or_null(finding, "The test of all flags; null where there is none, or it is withheld."),
            "trained_on_at_least": or_null(least, "A lower bound; null where there is none, or it is withheld."),
            "categories": by_name("By category, where thresholds are set by category; else empty.", category),
        },
        "How many candidates were flagged, and what that means; the rows are in flags.csv.",
    )


def evaluation(known: Definitions) -> Schema:
    """Figures by attack."""
    return closed(evaluation_properties(known), "How well each attack separates the known set.")


def evaluation_properties(known: Definitions) -> dict[str, Schema]:
    """The properties of figures by attack."""
    attack = known.record(
        Evaluation, without=("attack", "unscored_ids"),
        tpr_at_fpr=by_name("By false positive rate, such as '0.01': the true positive rate.", known.record(Interval)),
    )  # fmt: skip
    gap = or_null(known.record(ConfidenceGap), "Mean confidence of members and non-members; null without both.")
    return {"attacks": by_name("By attack.", attack), "confidence_gap": gap}


def check(known: Definitions, name: str, **more: Schema) -> Schema:
    """A check of a known set, under the name *name*; with *more* properties."""
    figure = or_null(known.of(Interval | float), "What was measured, with its interval; null where it could not be.")
    verdict = described(known.of(hint(Check, "verdict")), "What the figure means.")
    properties = {"name": text("Name of the check."), "figure": figure, "verdict": verdict}
    details, remedy = text("What was seen; may be empty."), text("What would help; may be empty.")
    known.schemas[name] = closed({**properties, **more, "details": details, "remedy": remedy}, "A check.")
    return {"$ref": f"#/$defs/{name}"}


def audit(known: Definitions) -> dict[str, Schema]:
    """An audit."""
    passes = by_name(
        "By pass, such as target: the model, and how it read the passages.", known.of(hint(Audit, "passes"))
    )
    control = known.record(hint(Audit, "control"), exceeds=truth("Whether more are flagged than the rate allows."))
    return {
        "schema_version": VERSION,
        "answer": known.record(Answer),
        "passes": passes,
        "inputs": rows("The files of passages.", known.of(hint(Audit, "inputs"))),
        "standing": STANDING,
        "not_sound": rows("The checks of the known set that are not sound.", check(known, "CheckOfAudit")),
        "finding": text("The finding in words."),
        "decider": text("The column of scores that decides."),
        "calibration": calibration(known),
        "flags": flags(known),
        "control": or_null(control, "The decision on the sealed non-members; null where none were given."),
        "shadows": or_null(
            known.record(hint(Audit, "shadows")), "What the error rate rests on where shadow models set the threshold."
        ),
        "protocol_sha256": {"description": "Digest of the protocol; null without one.", "type": ["string", "null"]},
        "power": or_null(known.record(Interval), "Share of members that the threshold flags; null if unknown."),
        "evaluation": evaluation(known),
        "notes": NOTES,
    }


def validate(known: Definitions) -> dict[str, Schema]:
    """The checks of a known set."""
    more = {
        "why": text("Why the check matters."),
        "p_value": number("Of the test behind the verdict; null where none was made.", null=True),
        "detectable": number("The smallest figure that the check would detect; null if unknown.", null=True),
        "ids": texts("Passages that show the fault."),
    }
    checks = rows("Every check, made or not.", check(known, "CheckOfValidity", **more))
    return {"schema_version": VERSION, "standing": or_null(STANDING, "Null: not checked."), "checks": checks}


def collection(known: Definitions) -> dict[str, Schema]:
    """The test of a collection."""
    test = hint(CollectionResult, "test")
    finite = {"statistic", "p_value", "detectable", "correlation", "smallest_p"}
    other_test = hint(hint(CollectionResult, "others"), "test")
    descriptions = field_texts(other_test)
    figures = {name: number(descriptions.get(name, ""), null=True) for name in sorted(finite)}
    other = known.record(
        other_test,
        "OtherModel",
        without=(),
        role=text("Role of the other model."),
        attacks=texts("Its attacks."),
        **figures,
    )
    placebo = closed(
        {name: number("", null=True) for name in get_type_hints(hint(test, "placebo"))}, "Tests of no effect."
    )
    counts = {name: number("Documents.", whole=True) for name in ("candidates", "nonmembers")}
    needed = rows("", known.record(hint(hint(CollectionResult, "power"), "rows")))
    return {
        "finding": text("The finding in words."),
        "attacks": texts("The columns of scores that the test is made of."),
        "p_value": number("The largest of the p-values of the target and of the comparisons."),
        "p_value_of_target": number("Probability of such a difference if nothing was trained on."),
        "others": rows("The comparison with each other model.", other),
        "vanishing_auroc": number("AUROC of a classifier at which the finding vanishes; null if unknown.", null=True),
        "resists": or_null(
            truth(""), "Whether a small difference of the sets does not explain the finding; null: none."
        ),
        "level": number("Largest probability of a finding where nothing was trained on, a share."),
        "allowed": number("The finding is significant if p_value is at most this."),
        "number": number("Which decision of its kind on these candidates it is, from 1.", whole=True),
        "smallest_p": number("The smallest p-value that so many documents can give."),
        "effect": known.record(Interval),
        "statistic": number("The statistic of the test."),
        "statistics": rows("By attack.", {"type": "number"}),
        "placebo": placebo,
        "documents": closed(counts, "Documents of each side."),
        "documents_needed": or_null(needed, "Documents that would show the effect; null where it is unknown."),
        "standing": STANDING,
        "notes": NOTES,
    }


def evaluate(known: Definitions) -> dict[str, Schema]:
    """Figures by attack, a comparison, and the rates at a threshold."""
    paired = get_type_hints(hint(Comparison, "paired"))
    comparison = {
        "first": text("A column."),
        "second": text("The column that it is compared with."),
        "auroc_difference": described(known.of(paired["difference"]), "AUROC of the first minus that of the second."),
        "p_value": number("Probability of such a difference if both separate equally well."),
        "n": number("Passages that have both scores.", whole=True),
    }
    at = known.record(AtThreshold, notes=NOTES)
    return {
        **evaluation_properties(known),
        "standing": STANDING,
        "comparison": closed(comparison, "With --compare only: two columns compared."),
        "at_threshold": described(at, "With --calibration only: the rates at the threshold."),
    }


def decisions(known: Definitions) -> dict[str, Schema]:
    """The decisions of a record."""
    entry = known.record(
        Entry,
        without=("subject",),
        allowed=number("The decision is a finding if its p-value is at most this."),
        candidates_sha256=text("Digest of the candidates that were decided on."),
    )
    return {"schema_version": VERSION, "decisions": rows("The oldest first.", entry)}


def demo(known: Definitions) -> dict[str, Schema]:
    """A demonstration."""
    truths = {
        "candidates_trained_on": number("Candidates that the model was trained on.", whole=True),
        "false_positive_rate": described(known.record(Interval), "Share flagged of those not trained on."),
        "power": described(known.record(Interval), "Share flagged of those trained on."),
    }
    return {
        **audit(known),
        "truth": closed(truths, "What the audit did not know."),
        "seconds": number("Duration of the whole demonstration, seconds."),
        "peak_bytes": number("Most memory in use, bytes.", whole=True),
    }
