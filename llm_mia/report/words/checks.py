"""The checks of a known set by their plain names, and the questions that they answer together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ...records import Interval
from ...validity import Check, Verdict
from ._comparisons import role_words

__all__ = ["CheckGroup", "check_groups", "check_words", "detectable_words", "figure_words", "verdict_words"]

FEATURES = {
    "bytes": "length in bytes",
    "latest_year": "the latest year in a passage",
    "bytes_per_word": "length of the words",
    "upper": "share of capital letters",
    "punctuation": "share of punctuation",
    "non_ascii": "share of non-ASCII characters",
    "other_scripts": "share of characters of other scripts",
    "broken_words": "words divided by a hyphen",
    "digits_in_words": "digits within words",
    "odd_characters": "ligatures and unreadable characters",
    "double_spaces": "several spaces between words",
    "spaced_punctuation": "white space before punctuation",
    "rare_triples": "triples of letters that no other document has",
    "rare_words": "words that no other document has",
    "exchanged_letters": "words with two letters exchanged",
    "replaced_letters": "words with a letter replaced",
    "missing_letters": "words with a letter missing or added",
    "document_name": "beginnings of the document names",
    "words": "words and characters (a classifier)",
    "counts": "lengths, years and other counts (a classifier)",
}
"""Properties of texts that checks look at."""
NAMES = {
    "overlap_7_words": "runs of 7 words that a non-member shares with members",
    "overlap_13_words": "non-members that share a run of 13 words with members",
    "near_duplicates": "non-members that nearly repeat a member",
    "candidates_overlap_13_words": "candidates that share a run of 13 words with the known set",
    "candidates_near_duplicates": "candidates that nearly repeat a known passage",
    "documents_in_both_classes": "documents that are in both classes",
    "control_rate": "sealed non-members that were flagged",
    "target_like_shadows": "the target's likelihoods beside those of the shadow models, nats per token",
}
"""Checks whose names no pattern explains."""
SHARES = r"^scores_|overlap_|near_duplicates|documents_in_both_classes|_known_text|control_rate|_tpr_at_fpr_"
"""Checks whose figure is a share."""
NO_BREAK = "\N{NO-BREAK SPACE}"
_RATE = re.compile(r"(?P<what>.+)_tpr_at_fpr_(?P<fpr>[\d.]+)")
_BY_MODEL = re.compile(r"(?P<role>.+?)_(?P<of>members|candidates)_(?P<attack>.+)_auroc")


@dataclass(frozen=True, slots=True)
class CheckGroup:
    """The checks that answer the same question."""

    question: str
    meaning: str
    """What the answer means."""
    checks: tuple[Check, ...]

    @property
    def worst(self) -> Verdict:
        """The worst verdict of its checks."""
        return max((check.verdict for check in self.checks), key=tuple(Verdict).index)

    @property
    def summary(self) -> str:
        """How many checks there are, and how many of them could not be made."""
        skipped = sum(check.verdict is Verdict.SKIPPED for check in self.checks)
        faults = sum(check.is_fault for check in self.checks)
        total = len(self.checks)
        parts = [f"{total:,} {'check' if total == 1 else 'checks'}"]
        parts += [f"{faults:,} with a fault"] if faults else ["no fault seen"] if skipped < total else []
        parts += [f"{skipped:,} could not be made"] if skipped else []
        return ", ".join(parts)


GROUPS: Sequence[tuple[str, str, str]] = (
    (
        r"target_like_shadows",
        "Is the target like the shadow models?",
        "They set the threshold in the target's place, so they must be trained as it was.",
    ),
    (
        r"control_rate",
        "Are sealed non-members flagged too often?",
        "They were decided on as candidates are, and none of them was trained on.",
    ),
    (
        r"blind_.*",
        "Can a classifier that never sees the model separate members from non-members?",
        "What it can separate, a score of the model can separate without any training.",
    ),
    (
        r"shift_.*",
        "Do the candidates look like the non-members?",
        "The error rate holds for candidates that could have been drawn as non-members.",
    ),
    (
        r".+_candidates_.+_auroc",
        "Does another model see a difference between candidates and non-members?",
        "A model that cannot know the candidates sees only differences of the texts.",
    ),
    (
        r".+_members_.+_auroc",
        "Does another model see a difference between members and non-members?",
        "A model that cannot know the members sees only differences of the texts.",
    ),
    (
        r".+_known_text",
        "Does the other model know the texts?",
        "A passage that the other model has memorised hides membership.",
    ),
    (
        r"leak_.*",
        "Does a single property of the texts separate members from non-members?",
        "If it does, so may a score that depends on this property.",
    ),
    (
        r"(candidates_)?(overlap|near_duplicates).*|documents_in_both_classes",
        "Are texts repeated between the sets?",
        "The label of a repeated text is not what the file gives, and repeated texts are not independent.",
    ),
    (
        r"placebo_.*",
        "Do two random halves of the non-members look different?",
        "They differ by chance alone, so whatever separates them is not reliable.",
    ),
    (r"size_.*", "Are there enough non-members?", "With fewer, no threshold can hold the error rate."),
    (r"scores_.*", "Does every passage have a usable score?", "Leaving passages out would bias the sample."),
    (r".*", "Further checks", ""),
)
"""Pattern of the names, the question, and what its answer means; the first pattern that matches counts."""


def check_groups(checks: Sequence[Check]) -> list[CheckGroup]:
    """The *checks* by the question that they answer, in a fixed order of the questions; no empty group."""
    groups: dict[str, list[Check]] = {pattern: [] for pattern, _, _ in GROUPS}
    for check in checks:
        groups[next(pattern for pattern in groups if re.fullmatch(pattern, check.name))].append(check)
    return [
        CheckGroup(question, meaning, tuple(groups[pattern]))
        for pattern, question, meaning in GROUPS
        if groups[pattern]
    ]


def check_words(name: str) -> str:
    r"""The check of that stable name in plain words.

    >>> check_words("leak_bytes"), check_words("shift_words_auroc")
    ('length in bytes', 'words and characters (a classifier)')
    >>> check_words("reference_members_min_k_auroc"), check_words("blind_words_tpr_at_fpr_0.01")
    ('the reference model, by min_k', 'words and characters (a classifier), at a false positive rate of 1\xa0%')
    """
    if name in NAMES:
        return NAMES[name]
    if by_model := _BY_MODEL.fullmatch(name):
        return f"{role_words(by_model['role'])}, by {by_model['attack']}"
    if rate := _RATE.fullmatch(name):
        of = "" if rate["what"] == "size" else check_words(rate["what"])
        return f"{of}, at a false positive rate of {100 * float(rate['fpr']):g}{NO_BREAK}%".lstrip(", ")
    kind, _, rest = name.partition("_")
    if name.endswith("_known_text"):
        return f"passages that {role_words(name.removesuffix('_known_text'))} seems to know"
    if kind == "scores":
        by = rest.removeprefix("attack_") if rest.startswith("attack_") else role_words(rest)
        return f"passages without a usable score by {by}"
    if kind == "size":
        return _size_words(rest)
    what = rest.removesuffix("_auroc")
    return FEATURES.get(what, what.removeprefix("attack_"))


def _size_words(rest: str) -> str:
    unit = "documents" if rest.endswith("_documents") else "passages"
    rate = 100 * float(rest.removesuffix("_documents").removeprefix("fpr_"))
    return f"number of {unit} of non-members, for a false positive rate of {rate:g}{NO_BREAK}%"


def figure_words(check: Check) -> tuple[str, str]:
    """The figure of a check, and its interval; each empty where there is none.

    >>> figure_words(Check("leak_bytes", Interval(0.567875, 0.3995, 0.7101), Verdict.SOUND))
    ('0.57', '0.40–0.71')
    """
    figure = check.figure
    if figure is None:
        return "", ""
    value = figure.value if isinstance(figure, Interval) else figure
    if re.search(SHARES, check.name):
        ends = f"{100 * figure.low:.1f}–{100 * figure.high:.1f}{NO_BREAK}%" if isinstance(figure, Interval) else ""
        return f"{100 * value:.1f}{NO_BREAK}%", ends
    if isinstance(figure, Interval):
        return f"{value:.2f}", f"{figure.low:.2f}–{figure.high:.2f}"
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}", ""


def detectable_words(check: Check) -> str:
    """The AUROC that the check would have detected with a probability of 0.8; empty where it has none."""
    return "" if check.detectable is None else f"{check.detectable:.2f}"


def verdict_words(verdict: Verdict) -> str:
    """The verdict of a check in plain words."""
    return {Verdict.SOUND: "no fault seen", Verdict.SKIPPED: "could not be made"}.get(verdict, verdict.value)
