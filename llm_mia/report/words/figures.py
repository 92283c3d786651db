"""What each figure of the report shows, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...auditing import Audit
from ...decision import ErrorRate, FlagsByShare, PValueCounts, RealisedRates
from ...records import Interval
from ._comparisons import p_words
from ._counting import counted
from ._validity import standing_words

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
    return f"known set {audit.standing}: {WITHHELD}" if audit.withheld else ""


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


def roc_words(audit: Audit, at: Interval, blind: Mapping[str, object], *, grouped: bool) -> str:
    """What the ROC shows: the members above the threshold *at* the promised rate, and the blind baselines' AUROCs."""
    aurocs = [figure for figure in blind.values() if isinstance(figure, Interval)]
    highest = max(aurocs, key=lambda each: each.value, default=None)
    text = (
        f"Where {_percent(audit.calibration.fpr)} of the known non-members are above the threshold, "
        f"{_percent(at.value)} of the known members are ({_range(at)}). "
    )
    if audit.power is not None and not audit.calibration.categories and audit.power.value < at.value:
        text += (
            f"Of these members, {_percent(audit.power.value)} are above the threshold of this audit, which is higher, "
            "because its error rate has to hold for new texts. "
        )
    if highest is not None:
        text += (
            "A classifier of the text alone, which never saw the model, separates them with an AUROC of "
            f"{highest.value:.2f} ({highest.low:.2f} to {highest.high:.2f}) at best; its curve is the grey one. "
        )
    band = "from resampling documents, approximate" if grouped else "exact, since each passage is a document by itself"
    text += (
        f"The band is the 95 % interval at each rate by itself ({band}); rates of 0 lie on the edge; the dashed line "
        "is the promised rate, and the diagonal is chance."
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
        text += (
            f"Half of them come from too few documents to certify the {_percent(fpr)} that this audit promises (dotted "
            "line). "
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


def p_values_words(audit: Audit, p_values: Sequence[float], counts: PValueCounts) -> str:
    """What the p-values show."""
    m, fpr = len(p_values), audit.calibration.fpr
    within = sum(value <= fpr for value in p_values)
    band = (
        "exact, since each passage is a document by itself"
        if counts.exact
        else "approximate, and rather too wide, since passages share documents or have categories"
    )
    return _sentences(
        audit,
        f"{share_words(within, m)} candidates have a p-value of at most {fpr:g}; about {count_words(m * fpr)} would "
        "if the model was trained on none. The dashed line is what chance gives in each bin, and the grey band its "
        f"95 % interval at each bin by itself ({band}). The smallest p-value is {p_words(min(p_values))[4:]}.",
    )


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
    chance = count_words(curve.by_chance)
    text = (
        f"If all {curve.candidates:,} candidates that the finding counts had been trained on, about {everything} would "
        f"be flagged ({low} to {high}); if none, at most about {chance}. {curve.flagged:,} of them are. "
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
        finding = audit.flags.finding
        if finding is not None and (finding.others or finding.references):
            text += "It also takes the comparison with other models, which may miss a larger share, too. "
    text += "This holds for texts that the model remembers as well as the known members."
    return _sentences(audit, text)


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
        text = f"The known set is {standing_words(audit.standing)}, so this figure {WITHHELD}. {text}"
    return text.replace(" %", "\u00a0%")
