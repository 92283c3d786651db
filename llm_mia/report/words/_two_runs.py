"""Two runs side by side, in words: what differs, and what that does and does not show."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...auditing import Difference, Quantity, TwoRuns
from ...metrics import LEAST_P
from ...records import Interval
from ._answer import Outcome
from ._answering import answer_of
from ._comparisons import p_words
from ._counting import counted, unbroken

__all__ = [
    "NO_CAUSE",
    "comparison_rows",
    "matched_words",
    "perplexity_words",
    "run_heads",
    "run_words",
    "two_runs_lines",
]

NO_CAUSE = "A difference shows no cause: anything that differs may be the reason."
OUTCOMES = {
    Outcome.FINDING: "a finding",
    Outcome.DOUBTFUL: "a doubtful finding",
    Outcome.NO_FINDING: "no finding",
}
"""None of a run that gives no answer."""
MARK = "*"
"""Of a stated difference."""
HELD = 5
"""Per cent: the probability that any difference is stated where there is none."""


def matched_words(runs: TwoRuns) -> str:
    """How many passages are compared, of how many, and by what they are the same."""
    candidates = runs.matched["candidates"]
    by = "by id and text" if runs.texts_compared else "by id: the signals that would show the texts are missing"
    left_out = [
        f"{counted(number, role[:-1])} only in {run}"
        for role, matched in runs.matched.items()
        for run, number in (("a", matched.only_first), ("b", matched.only_second))
        if number
    ]
    size = f"{counted(candidates.compared, 'candidate')} of {counted(candidates.documents, 'document')}"
    return f"{size} in both runs, the same {by}" + (f"; left out: {', '.join(left_out)}" if left_out else "")


def run_words(runs: TwoRuns) -> list[tuple[str, str]]:
    """The answer of each run: its name with its folder, and what it finds with the error rate."""
    rows = []
    for name, audit in (("a", runs.first), ("b", runs.second)):
        answer = answer_of(audit)
        rows.append((f"{name}  {audit.path.resolve().name}", f"{answer.headline} {answer.error_rate}".strip()))
    return rows


def run_heads(runs: TwoRuns) -> list[tuple[str, str]]:
    """The answer of each run in a few words: its name with its folder, how many are flagged, and what that is."""
    heads = []
    for (name, _), audit in zip(run_words(runs), (runs.first, runs.second), strict=True):
        answer, flags = answer_of(audit), audit.flags
        outcome = OUTCOMES.get(answer.outcome)
        flagged = unbroken(f"{flags.flagged:,} of {len(flags.rows):,} flagged: {outcome}")
        heads.append((name, flagged if outcome else answer.headline))
    return heads


def comparison_rows(runs: TwoRuns) -> list[tuple[str, str, str, str, str, str, str]]:
    """What is compared, a, b, b less a, its 95 % interval, the p-value, and whether the difference is stated."""
    rows = []
    if runs.flags is not None:
        first, second = (runs.flags.both + only for only in (runs.flags.only_first, runs.flags.only_second))
        gap = f"{second - first:+,}"
        p_value = _p(runs.flags.p_value)
        rows.append(("candidates flagged", f"{first:,}", f"{second:,}", gap, "", p_value, _stated(runs.flags_stated)))
    for each in runs.differences:
        figures = f"{each.first:.3f}", f"{each.second:.3f}", f"{each.difference.value:+.3f}"
        rows.append(
            (
                name_words(each, runs.fpr),
                *figures,
                _interval(each.difference),
                _p(each.p_value),
                _stated(each.stated),
            )
        )
    return rows


def name_words(difference: Difference, fpr: float) -> str:
    r"""What is compared.

    >>> interval = Interval(0.1, 0.0, 0.2)
    >>> name_words(Difference(Quantity.TPR, "known", 9, 0.1, 0.2, interval, 0.05, False), 0.05)
    'TPR at FPR 5\xa0%'
    """
    return {
        Quantity.FLAGS: "flagged",
        Quantity.AUROC: "AUROC",
        Quantity.TPR: unbroken(f"TPR at FPR {100 * fpr:g} %"),
        Quantity.LOSS: f"loss, {difference.role}",
        Quantity.LOSS_BY_BYTE: f"loss per byte, {difference.role}",
    }[difference.quantity]


def two_runs_lines(runs: TwoRuns, mark: str = MARK) -> list[str]:
    """What the flags have in common, and what the *mark* of a stated difference means."""
    lines = []
    flags = runs.flags
    if flags is not None:
        lines.append(
            f"Flagged in both {flags.both:,}, only in a {flags.only_first:,}, only in b {flags.only_second:,}, "
            f"in neither {flags.neither:,}."
        )
    else:
        faulty = {name: audit for name, audit in (("a", runs.first), ("b", runs.second)) if audit.withheld}
        sets = f"known set{'s' if len(faulty) > 1 else ''} of {' and '.join(faulty)}"
        if any(audit.shadows is not None for audit in faulty.values()):
            sets = f"non-members of {' and '.join(faulty)}"
        lines.append(f"The {sets} can carry no finding: flags are not compared,")
        lines.append("and AUROC and TPR may measure something else than membership.")
    number = counted(runs.comparisons, "comparison")
    lines.append(f"{number}; the chance that any '{mark}' is wrong is at most about {HELD} % (Holm).")
    lines.append(NO_CAUSE)
    return [unbroken(line) for line in lines]


def perplexity_words(runs: TwoRuns) -> Iterator[str]:
    """The perplexities that belong to the losses, a sentence for each role; none where the tokens differ."""
    for each in runs.differences:
        if each.quantity is Quantity.LOSS:
            first, second = math.exp(each.first), math.exp(each.second)
            factor, low, high = (math.exp(min(end, 700.0)) for end in _ends(each.difference))
            bounds = f" (95 % interval {low:.2f} to {high:.2f})" if math.isfinite(each.difference.high) else ""
            yield unbroken(
                f"perplexity of the {each.role}: a {first:.2f}, b {second:.2f}, which is {factor:.2f} times as much"
                f"{bounds}; the exponential of the mean loss of {counted(each.passages, 'passage')}"
            )


def _p(p_value: float) -> str:
    """A p-value; the least that is computed is an upper limit."""
    return f"p ≤ {LEAST_P:.2g}" if p_value <= LEAST_P else p_words(p_value)


def _ends(interval: Interval) -> tuple[float, float, float]:
    return interval.value, interval.low, interval.high


def _interval(interval: Interval) -> str:
    if not math.isfinite(interval.high):
        return "unbounded"
    return f"{interval.low:+.3f} to {interval.high:+.3f}"


def _stated(stated: bool) -> str:
    return MARK if stated else ""
