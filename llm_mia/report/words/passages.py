"""How tables of documents and passages are to be read, and why something is not shown."""

from __future__ import annotations

from collections.abc import Sequence

from ...calibration import Split
from ...decision import DocumentRanking, ErrorRate, Flags, NoPValue, QValueMethod
from ...records import KeptSignals, PassRecord
from ._audit_by_shadows import by_shadows, name_sets
from ._comparisons import role_words
from ._counting import counted
from ._decisions import q_values_words

__all__ = [
    "documents_words",
    "extractable_words",
    "figures_words",
    "no_difference_words",
    "no_p_value_words",
    "no_signals_words",
    "no_texts_words",
    "passages_words",
    "placed_words",
    "role_words",
    "rounded_words",
    "sources_words",
]


def documents_words(ranking: DocumentRanking, listed: int) -> list[str]:
    """How the table of documents is to be read, a sentence each; *listed* is how many are there by their p-values."""
    with_p_value = sum(document.p_value is not None for document in ranking.documents)
    sentences = [
        "This table ranks documents; it decides nothing. The decision, with its error rate, is the answer at the top "
        "of this page. Among many documents, some have a small p-value by chance alone."
    ]
    if with_p_value:
        method = "Hochberg" if ranking.q_values is QValueMethod.BENJAMINI_HOCHBERG else "Yekutieli"
        sentences.append(
            f"p compares the mean score of a document with that of up to {counted(ranking.compared_with, 'document')} "
            "of known non-members, by as many passages of each, drawn at random where a document has more: the "
            "probability of so high a mean is at most p for a document that the model was not trained on, if it is "
            f"like these. q is p corrected for looking at {counted(with_p_value, 'document')} (Benjamini–{method}): "
            "among all documents with q\u00a0≤\u00a00.05, at most 5\u00a0% are expected to be there by chance. "
            f"The smallest p that can come out is 1/{ranking.compared_with + 1:,}, so among many documents no q may be "
            "small; q decides nothing here."
        )
    if listed < len(ranking.documents):
        sentences.append(
            f"The page shows {listed:,} of {len(ranking.documents):,} documents: those with the smallest p; and those "
            "of the passages below."
        )
    return sentences


def no_p_value_words(reason: NoPValue, needed: int) -> str:
    """Why a document has no p-value, in a clause; *needed* is the number of documents that a comparison needs."""
    return {
        NoPValue.ON_BOTH_SIDES: "it holds known non-members too, so it cannot be compared with their documents",
        NoPValue.FEW_DOCUMENTS: (
            f"fewer than {counted(needed, 'document')} of known non-members hold as many passages, and a comparison "
            "needs as many"
        ),
        NoPValue.NO_SCORE: "none of its passages has a score",
        NoPValue.INFINITE_SCORE: "a passage of it has an infinite score",
        NoPValue.CATEGORIES: "each category has its threshold, and a document has no category",
        NoPValue.OTHER_NONMEMBERS: "the table of scores does not hold the non-members that set the threshold",
    }[reason]


def sources_words(flags: Flags) -> str:
    """How the table of sources is to be read."""
    if flags.rule.rate is ErrorRate.FALSE_POSITIVES:
        expected = (
            f"If the model was trained on no passage of a source, and its documents are like those of the known "
            f"non-members, at most about {100 * flags.rule.level:g}\u00a0% of its passages are expected to be flagged "
            "by chance. "
        )
    else:
        expected = ""
    return (
        f"{expected}A source with a document of small q can be matched with a licence, or with the list of sources "
        "that a provider publishes. Nothing is decided about a source."
    )


def extractable_words(
    *, extracted: bool, stretch: int, probability: float, kept: int, candidates: int, signals: bool = True
) -> str:
    """What the extractable share is; *extracted*: by `extract`, not from the signals of the audit.

    The texts of *kept* of the *candidates* are there to be shown, and *signals* or not, which decides what a missing
    share means.
    """
    if extracted:
        return (
            "Extractable is the share of a document's bytes that the model writes word for word, as the extraction "
            "measured it. A text that repeats itself, or that anybody could continue, may be extractable without "
            "training on it. The sign – means that nothing was measured."
        )
    too_short = f"no passage of the document has {stretch} tokens"
    missing = too_short if kept == candidates else "its text is not shown"
    if 0 < kept < candidates:
        missing = f"{too_short} among the texts that are shown"
    if not signals:
        missing = "the signals were not kept"
    return (
        f"Extractable is the share of a document's tokens in stretches of {stretch} tokens that the model writes "
        f"word for word with a probability of at least {100 * probability:g}\u00a0%, after the text before them. "
        "A text that repeats itself, or that anybody could continue, may be extractable without training on it. "
        f"The sign – means that {missing}."
    )


def passages_words(shown: int, candidates: int, attacks: int, columns: int) -> list[str]:
    """What the list of passages holds, and what it leaves out."""
    sentences = []
    if shown < candidates:
        sentences.append(
            f"The page shows {shown:,} of {candidates:,} candidates: those that are flagged, and then those with the "
            "highest scores. flags.csv holds all of them."
        )
    if attacks < columns:
        sentences.append(
            f"Of {columns:,} scores of each passage, the page shows the {attacks:,} that separate the known set best, "
            "the deciding score first. scores.parquet holds all of them."
        )
    return sentences


def figures_words(flags: Flags) -> str:
    """What p and q of a passage are, and which of its figures decided."""
    known = counted(flags.n, "known non-member")
    if by_shadows(flags):
        known = f"{counted(flags.n, 'score')} of shadow models that were not trained on the text"
    if flags.calibration.documents:
        known = f"the documents of {known}"
    shown = (
        f"p compares the score of a passage with {known}: the probability of so high a score is at most p for a "
        "passage that the model was not trained on."
    )
    if flags.rule.rate is ErrorRate.FALSE_DISCOVERIES:
        return (
            f"{shown} q is p corrected for the number of candidates ({q_values_words(flags.q_values)}); a passage is "
            f"flagged where q is at most {flags.rule.level:g}."
        )
    return (
        f"{shown} A score above the threshold is flagged. q, which corrects p for the number of candidates "
        f"({q_values_words(flags.q_values)}), decided nothing: with few non-members no p, and so no q, can be small. "
        "A large q does not mean that a flag is false."
    )


def no_texts_words(*, redacted: bool) -> str:
    """Why the page shows no texts."""
    if redacted:
        return "Texts and tokens were left out of this page on request (redacted)."
    return "The run directory holds no texts, so the page shows ids and figures alone."


def no_signals_words(kept: KeptSignals) -> str:
    """Why the page shows no colours of tokens, and how to get them."""
    return (
        f"The signals were not kept (--keep-signals {kept} of 'llm-mia score'), so no token is coloured, and no "
        "stretch that the model writes word for word is framed; for these, score again into another folder with "
        "--keep-signals full, and audit there."
    )


def no_difference_words(passes: Sequence[PassRecord], role: str | None) -> str:
    """Why the difference between two models cannot be shown token by token; empty where it can.

    Args:
        passes: of the target and, where there is a *role*, of the other model.
        role: of the other model; None where there is none.
    """
    if role is None:
        return "There is no reference model, so no difference can be shown."
    target, other = passes
    if target.model.tokenizer == other.model.tokenizer:
        return ""
    return f"The target and {role_words(role)} divide texts into different tokens, so no difference can be shown."


def rounded_words(step: float) -> str:
    r"""To what figures of single tokens are rounded.

    >>> rounded_words(0.01)
    'Log-probabilities of single tokens are rounded to 0.01\xa0nats.'
    """
    return f"Log-probabilities of single tokens are rounded to {step:g}\u00a0nats."


def placed_words(split: Split | None, *, shadows: bool = False) -> str:
    """Which known passages a score is compared with; where *shadows* set the threshold, with scores by those models."""
    placed = "Each score is placed among those of the known members and of the known non-members"
    part = "" if split is None else " that took no part in choosing or fitting the deciding score"
    return f"{name_sets(placed, shadows=shadows)}{part}."
