"""What each figure of the report shows, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ...auditing import Audit
from ...decision import ErrorRate, FindingTest, FlagsByShare, PValueCounts, RealisedRates
from ...records import Interval
from ._audit_by_shadows import name_sets
from ._comparisons import p_words
from ._counting import counted
from ._validity import void_basis

__all__ = [
    "FEW_FOR_HALVES",
    "NO_CANDIDATES",
    "NO_MEMBERS",
    "NO_RATE",
    "TITLES",
    "baselines_words",
    "count_words",
    "documents_words",
    "false_positives_words",
    "note_of",
    "p_values_words",
    "power_words",
    "roc_words",
    "scores_words",
    "share_words",
]

TITLES: Mapping[str, str] = {
    "scores": "Scores of candidates and known passages",
    "roc": "Members and non-members above each threshold",
    "false_positives": "False positive rates, promised and realised",
    "p_values": "p-values of the candidates",
    "documents": "Documents of the candidates, ranked by score",
    "power": "Flags to expect, by the share that was trained on",
    "baselines": "How well attacks, and text alone, separate the known set",
}
NO_MEMBERS = (
    "There is no such figure, because no passages are known to have been trained on: with known members it would show "
    "how well the attack separates them from non-members."
)
NO_CANDIDATES = "There is no such figure, because no candidate has a finite score."
NO_RATE = (
    "There is no such figure, because a false discovery rate is held: how many candidates it flags depends on how many "
    "were trained on, and no rate of flags is fixed."
)
FEW_FOR_HALVES = (
    "There is no such figure, because half of the known non-members come from too few documents to certify a rate."
)
WITHHELD = "supports no finding"


def note_of(audit: Audit) -> str:
    """What is written above every drawing of an audit whose finding is withheld; else nothing."""
    what = "known set" if audit.shadows is None else "shadow models"
    return f"{what} {audit.standing}: {WITHHELD}" if audit.withheld else ""


def share_words(flagged: int, total: int) -> str:
    """How many of how many.

    >>> share_words(5, 1200)
    '5 of 1,200'
    """
    return f"{flagged:,} of {total:,}"


def count_words(expected: float) -> str:
    """An expected number of things, which need not be a whole number.

    >>> count_words(6.85), count_words(1162.5), count_words(0.05)
    ('6.85', '1,162', '0.05')
    """
    return f"{expected:,.0f}" if expected >= 100 else f"{expected:.3g}"


def scores_words(audit: Audit, counts: Mapping[str, tuple[int, int]], thresholds: Sequence[float], missing: int) -> str:
    """What the score distributions show; *counts* are the flagged and all of each set."""
    above = "; ".join(f"{share_words(*each)} {name}" for name, each in counts.items())
    totals = ", ".join(f"{total:,} {name}" for name, (_, total) in counts.items())
    if len(thresholds) == 1:
        drawn = f"Above the threshold of {thresholds[0]:.4g} lie {above}. The dashed line is the threshold"
    elif thresholds:
        drawn = f"Each category has a threshold (dashed lines). Above theirs lie {above}"
    else:
        flagged = counts.get("candidates", (0, 0))[0]
        drawn = f"The scores of {totals}; {flagged:,} candidates are flagged by their q-values, at no fixed threshold"
    left_out = f" {counted(missing, 'passage')} without a finite score are left out." if missing else ""
    return _sentences(
        audit,
        f"{drawn}; what is flagged is in full colour, and each histogram shows shares of its set. The outermost bins "
        f"also hold the scores beyond them.{left_out}",
    )


def roc_words(
    audit: Audit, at: Interval, used: tuple[float, float] | None, blind: Mapping[str, object], grouped: bool
) -> str:
    """What the ROC shows: the members above the threshold *at* the promised rate, and above the threshold in use.

    *used* are the shares of non-members and members above that; *blind* the AUROCs of classifiers of the text alone.
    """
    aurocs = [(figure, name) for name, figure in blind.items() if isinstance(figure, Interval)]
    text = (
        f"Where {_percent(audit.calibration.fpr)} of the known non-members are above the threshold, "
        f"{_percent(at.value)} of the known members are ({_range(at)}). "
    )
    if used is not None:
        text += (
            "The threshold in use (the diamond) is not read off this curve, but set so that the promise holds for new "
            f"documents: {_percent(used[0])} of the known non-members and {_percent(used[1])} of the known members are "
            "above it. "
        )
    if aurocs:
        highest, name = max(aurocs, key=lambda each: each[0].value)
        text += (
            "A classifier of the text alone, which never saw the model, separates them with an AUROC of "
            f"{highest.value:.2f} ({highest.low:.2f} to {highest.high:.2f}) at best, by its {name}; curves marked "
            "“no model” are those of such classifiers. "
        )
    band = "from resampling documents, approximate" if grouped else "exact, since each passage is a document by itself"
    text += (
        f"The shaded band is the 95 % interval at each rate by itself ({band}), widened where it would fall as the "
        "rate rises. The axes begin where a set of this size can show no smaller rate: rates of 0 lie on the edge."
    )
    return _sentences(audit, text)


def false_positives_words(audit: Audit, realised: RealisedRates) -> str:
    """What the realised rates show, and what they cannot show."""
    fpr = audit.calibration.fpr
    rates = realised.promised.tolist()
    text = f"{realised.splits:,} times a random half of the known non-members set the threshold for the other half. "
    if fpr in rates:
        at = rates.index(fpr)
        text += (
            f"Promised {_percent(fpr)}, they realised {_percent(float(realised.mean[at]))} on average, and between "
            f"{_percent(float(realised.low[at]))} and {_percent(float(realised.high[at]))} in nine of ten halves. "
        )
    else:
        kinds = audit.calibration.categories
        documents = "documents of a category" if kinds else f"{audit.calibration.n_documents:,} documents"
        text += (
            f"Half of the {documents} is too few to test {_percent(fpr)}, which this audit promises (the vertical "
            f"dotted line), so the figure starts at {_percent(rates[0])}; all of them are enough for the promise. "
        )
    text += (
        "Over all possible halves the average is at most what was promised, by construction (these were drawn at "
        "random, so theirs may differ a little); the band shows how far a single known set of half the size may miss "
        "it. "
    )
    if audit.control is None:
        text += (
            "The figure cannot show whether the candidates are like the non-members: only non-members that were sealed "
            "beforehand could, and this audit has none."
        )
    else:
        rate = audit.control.rate
        text += (
            f"Of the sealed non-members, which set no threshold, {_percent(rate.value)} were flagged ({_range(rate)}): "
            "the diamond."
        )
    if audit.flags.rule.rate is not ErrorRate.FALSE_POSITIVES:
        text += " This audit holds a false discovery rate, and promises no false positive rate."
    return _sentences(audit, text)


def p_values_words(audit: Audit, p_values: NDArray[np.float64], counts: PValueCounts) -> str:
    """What the p-values show."""
    m, fpr, finding = len(p_values), audit.calibration.fpr, audit.flags.finding
    within = int((p_values <= fpr).sum())
    text = (
        f"{share_words(within, m)} candidates have a p-value of at most {fpr:g}; on average at most "
        f"{count_words(m * fpr)} would where no candidate was trained on. "
    )
    end = float(counts.edges[int((counts.edges < fpr * (1 - 1e-9)).sum())])
    if end > fpr * (1 + 1e-9):
        text += f"The bin that holds {fpr:g} reaches to {end:.3g}, so it also holds candidates beyond that rate. "
    text += "The dashed line is what to expect in each bin by chance"
    if counts.interval is not None:
        text += (
            ", and the shaded band its 95 % interval at each bin by itself (exact, since each passage is a document by "
            "itself). "
        )
    else:
        text += (
            ". How far chance moves a bin from it is not drawn: passages share documents or have categories, so their "
            "p-values rise and fall together. "
        )
        if finding is not None and not audit.withheld:
            text += (
                "Whether there are more flags than chance gives is what the finding tests, which allows for that "
                f"({p_words(finding.p_value)}). "
            )
    text += f"The smallest p-value is {p_words(float(p_values.min()))[4:]}."
    return _sentences(audit, text)


def documents_words(audit: Audit, documents: int, some: int, top: tuple[str, int, int], drawn: int) -> str:
    """What the ranking of documents shows; *top* is the highest, with its flagged and all passages."""
    which = f"The {drawn} with the highest mean scores are drawn. " if documents > drawn else ""
    name, flagged, passages = top
    return _sentences(
        audit,
        f"{share_words(some, documents)} documents of candidates have a flagged passage. {which}The highest mean score "
        f"is that of {name}, with {share_words(flagged, passages)} passages flagged. A marker is the mean score of the "
        "passages, a line the range of their scores; at the right is how many of the passages are flagged. The "
        "threshold is that of a passage: the error rate holds for passages, and not for the ranking of documents.",
    )


def power_words(audit: Audit, curve: FlagsByShare) -> str:
    """What the expected flags show."""
    assert audit.power is not None
    everything, low, high = (count_words(float(counts[-1])) for counts in (curve.expected, curve.low, curve.high))
    text = _count_of_finding(audit, curve) + (
        f"If all {curve.candidates:,} had been trained on, about {everything} would be flagged on average ({low} to "
        f"{high}, by the 95 % interval of the share of known members that is flagged); if none, at most about "
        f"{count_words(curve.by_chance)}. "
    )
    if curve.least is None:
        text += "What number of flags chance alone does not explain is not on record. "
    else:
        text += f"A finding takes at least {curve.least:,}"
        if curve.crossing is None:
            text += ", which are not expected at any share: this audit would seldom find training. "
        else:
            crossing = curve.crossing
            high = _percent(crossing.high) if crossing.high <= 1 else "more than all"
            text += (
                f", which are expected where {_percent(crossing.value)} of the candidates were trained on "
                f"({_percent(crossing.low)} to {high}): a smaller share would be missed more often than found. "
            )
    text += (
        "The band is the range of the expected number, and not of the numbers that may be seen, which vary more. The "
        "share that was trained on cannot be read off the figure: it holds for texts that the model remembers as well "
        "as the known members, and as many flags may come from more texts that it remembers less well."
    )
    return _sentences(audit, text)


def _count_of_finding(audit: Audit, curve: FlagsByShare) -> str:
    """How many flags the finding counts, and why these are not the flags of the audit."""
    flags = audit.flags
    counted = f"The finding counts {share_words(curve.flagged, curve.candidates)} candidates"
    if flags.finding is None or flags.finding.test is not FindingTest.EXCHANGE:
        return f"{share_words(curve.flagged, curve.candidates)} candidates are flagged. "
    if (curve.flagged, curve.candidates) == (flags.flagged, len(flags.rows)):
        return f"{counted}. "
    return (
        f"{counted}, where {share_words(flags.flagged, len(flags.rows))} are flagged: it cuts documents to a common "
        "number of passages, leaves out shorter ones, and sets the threshold again among the rest. "
    )


def baselines_words(
    audit: Audit, attacks: Sequence[tuple[str, Interval]], blind: Sequence[tuple[str, Interval]], drawn: int
) -> str:
    """How well the attack that decides and the blind baselines separate the known set."""
    name, auroc = attacks[0]
    text = (
        f"{name}, which decides, separates known members from known non-members with an AUROC of {auroc.value:.2f} "
        f"({auroc.low:.2f} to {auroc.high:.2f}). "
    )
    if blind:
        _, most = max(blind, key=lambda each: each[1].value)
        clear = auroc.low > most.high
        text += (
            f"Classifiers of the text alone, which never saw the model, reach {most.value:.2f} ({most.low:.2f} to "
            f"{most.high:.2f}) at best"
        )
        text += ". " if clear else ", and the two intervals overlap. "
        text += (
            "What text alone separates is a difference of the texts, and no sign of training. "
            "Open squares and dashes are the classifiers of the text; the dotted line at 0.5 is chance."
        )
    if len(attacks) > drawn:
        text += f" Of {len(attacks)} attacks the one that decides and the {drawn - 1} highest are drawn."
    return _sentences(audit, text)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _range(interval: Interval) -> str:
    return f"95 % interval {_percent(interval.low)} to {_percent(interval.high)}"


def _sentences(audit: Audit, text: str) -> str:
    """*text*, after the reserve of an audit whose finding is withheld; no figure can be broken from its unit."""
    if audit.withheld:
        basis = void_basis(audit.standing, audit.validity, shadows=audit.shadows is not None)
        text = f"{basis[:1].upper()}{basis[1:]}: this figure {WITHHELD}. {text}"
    return name_sets(text, shadows=audit.shadows is not None).replace(" %", "\u00a0%")
