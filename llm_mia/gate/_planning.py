"""What each limit needs: which of them the known documents can decide, known before a model is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..calibration import nonmembers_needed
from ..decision import AUTO, FEWEST
from ..errors import CalibrationError, UsageError
from ..metrics import auroc, clopper_pearson, epsilon_of_one_run, tpr_at_fpr
from ..records import Note
from ._limits import DEFAULTS, Limits
from ._record import Obstacle, Quantity

__all__ = ["SELECTION_FPR", "Known", "Planned", "confidence_of", "plan_limits", "refuse_few", "shown_epsilon"]

ERROR = 0.05
"""The largest probability of a wrong verdict, see `llm_mia.gate.gate`."""
SELECTION_FPR = 0.05
"""The rate at which members count as recognised, in the list of what leaked most."""
MOST = 1 << 15
"""Documents above which no need is stated."""
PARAMETERS = {
    Quantity.GAP: "max_gap",
    Quantity.AUROC: "max_auroc",
    Quantity.TPR: "max_tpr",
    Quantity.EPSILON_DOCUMENTED: "max_epsilon",
    Quantity.EPSILON_SHOWN: "max_epsilon",
    Quantity.EXTRACTABLE: "max_extractable",
}


@dataclass(frozen=True, slots=True)
class Known:
    """How many passages and documents of each class are known."""

    members: int
    nonmembers: int
    member_documents: int
    nonmember_documents: int

    @property
    def grouped(self) -> bool:
        """Whether a document has several passages."""
        return self.member_documents + self.nonmember_documents < self.members + self.nonmembers

    def measured(self, *, selecting: bool) -> tuple[int, int]:
        """Documents of members and of non-members that are left to measure an attack.

        Half of them are, where the other half is large enough to select an attack; else all are.
        """
        fewest, needed = FEWEST[AUTO], nonmembers_needed(SELECTION_FPR, None)
        halves = min(self.members, self.nonmembers) // 2 >= fewest and self.nonmember_documents // 2 >= needed
        if not (selecting and halves and min(self.member_documents, self.nonmember_documents) > 1):
            return self.member_documents, self.nonmember_documents
        return self.member_documents // 2, self.nonmember_documents // 2


@dataclass(frozen=True, slots=True)
class Planned:
    """A limit that is judged, or the reason why it is not applicable."""

    quantity: Quantity
    limit: float
    given: bool
    fpr: float | None = None
    obstacle: Note | None = None

    @property
    def words(self) -> str:
        """The limit as it is given, for messages."""
        at = "" if self.fpr is None else f"@{self.fpr:g}"
        return f"`{PARAMETERS[self.quantity]}` {self.limit:g}{at}"


def refuse_few(known: Known) -> None:
    """Refuse non-members that no gate can be measured with.

    Raises:
        CalibrationError: the message says how many are needed.
    """
    needed = nonmembers_needed(SELECTION_FPR, None)
    if known.nonmembers < needed:
        raise CalibrationError(
            f"`nonmembers` has {known.nonmembers} passages, and a gate needs at least {needed}, to show which scores "
            f"{1 - SELECTION_FPR:.0%} of them stay below: add passages that the model was not trained on"
        )


def confidence_of(planned: Sequence[Planned], *, strict: bool) -> float:
    """The confidence of each interval, see `llm_mia.gate.gate`; the *planned* limits are those before `plan_limits`."""
    if strict:
        return 1 - 2 * ERROR
    measured = sum(each.obstacle is None and each.quantity is not Quantity.EPSILON_DOCUMENTED for each in planned)
    return 1 - 2 * ERROR / max(1, measured)


def plan_limits(
    limits: Limits, known: Known, *, strict: bool, selecting: bool, documented: bool = False
) -> tuple[list[Planned], float]:
    """The limits with what stands in their way, and the confidence of their intervals.

    A default limit that the documents cannot decide is not applicable; a limit that the user gave is refused, and so is
    any where *strict*, because then it could not be kept. Two limits are
    never refused for lack of documents: the ε that an attack shows, where the training has *documented* an ε, because
    that decides without documents; and a limit that nothing can exceed.

    Raises:
        CalibrationError: too few documents; the message says how many are needed.
        UsageError: a limit that no number of documents can decide.
    """
    planned = list(_all(limits, known, strict=strict))
    confidence = confidence_of(planned, strict=strict)
    result, refused = list[Planned](), list[str]()
    for each in planned:
        needs = None if each.obstacle else _needs(each, known, confidence, strict=strict, selecting=selecting)
        if needs is None:
            result.append(each)
            continue
        result.append(replace(each, obstacle=Note(Obstacle.TOO_FEW, needs)))
        dispensable = documented if each.quantity is Quantity.EPSILON_SHOWN else each.limit >= 1
        if (each.given or strict) and not dispensable:
            refused.append(_refusal(each, needs, known, halved=_measures_attack(each) and selecting))
    if refused:
        raise CalibrationError("; ".join(refused))
    return result, confidence


def _all(limits: Limits, known: Known, *, strict: bool) -> Iterator[Planned]:
    given, every = limits.given, limits.or_else(DEFAULTS)
    yield Planned(Quantity.GAP, _present(every.max_gap), "max_gap" in given)
    yield Planned(Quantity.AUROC, _present(every.max_auroc), "max_auroc" in given)
    for limit in every.max_tpr or ():
        yield Planned(Quantity.TPR, limit.tpr, "max_tpr" in given, limit.fpr)
    of_epsilon = _present(every.max_epsilon), "max_epsilon" in given
    yield Planned(Quantity.EPSILON_DOCUMENTED, *of_epsilon)
    if "max_epsilon" in given:  # by default it would need some 20,000 documents of each, and widen all other intervals
        obstacle = Obstacle.NO_UPPER_END if strict else Obstacle.DOCUMENTS_SHARED if known.grouped else None
        yield Planned(Quantity.EPSILON_SHOWN, *of_epsilon, obstacle=None if obstacle is None else Note(obstacle))
    yield Planned(Quantity.EXTRACTABLE, _present(every.max_extractable), "max_extractable" in given)


def _present(limit: float | None) -> float:
    """*limit*, which has its default where none was given."""
    assert limit is not None
    return limit


def _measures_attack(planned: Planned) -> bool:
    return planned.quantity in (Quantity.AUROC, Quantity.TPR, Quantity.EPSILON_SHOWN)


def _needs(
    planned: Planned, known: Known, confidence: float, *, strict: bool, selecting: bool
) -> dict[str, int] | None:
    """How many documents a limit needs, with those that are known; None where these are enough."""
    enough = _enough(planned, confidence, strict=strict)
    if enough is None:
        return None
    halved = _measures_attack(planned)
    here = (
        known.measured(selecting=selecting and halved)
        if halved
        else (known.member_documents, known.nonmember_documents)
    )
    if enough(*here):
        return None
    nonmembers = _least(lambda n: enough(n, n))
    if not enough(nonmembers, nonmembers):
        if planned.quantity is Quantity.EPSILON_SHOWN:
            return None  # the limit is so large that no attack shows an ε above it
        why = "even a model that leaks nothing may exceed it" if strict else "no attack can exceed it"
        raise UsageError(f"{planned.words} cannot be decided by {MOST:,} documents, because {why}: give another limit")
    members = _least(lambda m: enough(m, max(nonmembers, here[1])))
    factor = 2 if halved and selecting else 1
    has = {"has_members": known.member_documents, "has_nonmembers": known.nonmember_documents}
    return {"members": factor * members, "nonmembers": factor * nonmembers, **has}


def _enough(planned: Planned, confidence: float, *, strict: bool) -> Callable[[int, int], bool] | None:
    """Whether so many documents of members and of non-members can decide the limit; None where any can.

    A limit is decided by its lower end if the largest leak there can be exceeds it; where *strict*, by its upper end,
    if no leak at all keeps it. Where nothing exceeds a limit on a true positive rate, the documents must at least bound
    that rate from below: else the figure depends on a few non-members, and may be 0 although the attack separates well.
    """
    limit, fpr = planned.limit, planned.fpr
    if limit >= 1 and planned.quantity is Quantity.TPR:
        limit, strict = 0.0, False
    if limit >= 1 and planned.quantity is not Quantity.EPSILON_SHOWN:
        return None  # nothing can exceed it
    if planned.quantity is Quantity.AUROC:
        if strict:
            return lambda m, n: auroc(np.zeros(m + n), _labels(m, n), confidence=confidence).high <= limit
        return lambda m, n: auroc(_labels(m, n), _labels(m, n), confidence=confidence).low > limit
    if planned.quantity is Quantity.TPR:
        assert fpr is not None
        if strict:
            return lambda m, n: tpr_at_fpr(_even(m, n), _labels(m, n), fpr, confidence=confidence).high <= limit
        return lambda m, n: tpr_at_fpr(_labels(m, n), _labels(m, n), fpr, confidence=confidence).low > limit
    if planned.quantity is Quantity.EPSILON_SHOWN:
        return lambda m, n: shown_epsilon(m, m, 0, n, _one_sided(confidence)) > limit
    if planned.quantity is Quantity.EXTRACTABLE:
        if strict:
            return lambda m, _: clopper_pearson(0, m, confidence).high <= limit
        return lambda m, _: clopper_pearson(m, m, confidence).low > limit
    return None


def shown_epsilon(true_positives: int, members: int, false_positives: int, nonmembers: int, confidence: float) -> float:
    """A lower bound on the ε at δ = 0 that the accountant of a training states, from which passages an attack flags.

    An accountant of DP-SGD compares data sets that differ by a text that is in only one of them. A sample of so many
    members differs from another by replacements, which are a removal and an addition each: so the bound is half of that
    of `llm_mia.metrics.epsilon_of_one_run`, and both ε of a gate can be compared with the same limit.
    """
    return epsilon_of_one_run(true_positives, members, false_positives, nonmembers, confidence) / 2


def _one_sided(confidence: float) -> float:
    """The confidence of the lower end alone."""
    return 1 - (1 - confidence) / 2


def _labels(members: int, nonmembers: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Labels; as scores they separate the classes perfectly."""
    return np.repeat([1.0, 0.0], [members, nonmembers])


def _even(members: int, nonmembers: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Scores of two classes with the same distribution."""
    return np.concatenate([(np.arange(n) + 0.5) / n for n in (members, nonmembers)])


def _least(enough: Callable[[int], bool]) -> int:
    """The least number, from 2, that is enough; at most `MOST`."""
    high = 2
    while high < MOST and not enough(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _refusal(planned: Planned, needs: dict[str, int], known: Known, *, halved: bool) -> str:
    """Why the limit cannot be decided, and with how many documents it could."""
    wanted = [
        f"{needs[name]:,} documents of {kind}"
        for name, kind in (("members", "members"), ("nonmembers", "non-members"))
        if needs[name] > needs[f"has_{name}"]
    ]
    half = " (half of them select the attack)" if halved else ""
    there = f"{known.member_documents:,} of members and {known.nonmember_documents:,} of non-members"
    return (
        f"{planned.words} needs at least {' and '.join(wanted)}{half}, and there are {there}: add documents, or give "
        "another limit"
    )
