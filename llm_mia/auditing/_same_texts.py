"""Refuses sets that hold the same texts, before a model is loaded: a decision on them would mean nothing."""

from __future__ import annotations

import unicodedata
from collections.abc import Container, Iterator, Mapping, Sequence

import numpy as np

from ..calibration import describe_uncertified, nonmembers_needed
from ..errors import CalibrationError, PassageError
from ..passages import Passages
from ..records import Passage

__all__ = ["refuse_few_texts", "refuse_same_sources", "refuse_same_texts"]

MOST_SHARED = 0.5
"""Share of a set that may have the text of a passage of another set; smaller shares are left to the checks of the
known set."""
SETS: Mapping[int | None, tuple[str, str]] = {
    1: ("members", "a member"),
    0: ("non-members", "a non-member"),
    None: ("candidates", "a candidate"),
}
"""By label: what a set is called, and one of its passages."""
PAIRS: tuple[tuple[int | None, int | None], ...] = ((None, 0), (None, 1), (1, 0))


def refuse_same_sources(sources: Mapping[int | None, Passages]) -> None:
    """Refuse two sources, by label, of which one holds mainly texts of the other, exactly; however large they are.

    Raises:
        PassageError: as `refuse_same_texts` does.
    """
    digests = {label: source.contents().digests[:, 0] for label, source in sources.items()}
    names = {label: source.name for label, source in sources.items()}
    for label, other in _pairs(sources):
        shared = int(np.isin(digests[label], digests[other]).sum())
        if shared > MOST_SHARED * len(digests[label]):
            _refuse(label, other, shared, len(digests[label]), names)


def _pairs(sets: Container[int | None]) -> Iterator[tuple[int | None, int | None]]:
    """Each set with each other set, both ways."""
    for first, second in PAIRS:
        if first in sets and second in sets:
            yield first, second
            yield second, first


def refuse_same_texts(passages: Sequence[Passage], names: Mapping[int | None, str]) -> None:
    """Refuse two sets of which one holds mainly texts of the other; white space, case and Unicode forms do not count.

    This is a file given twice, a copy or a link of it, the same texts under other ids, or candidates that are a part of
    the known set, or contain it.

    Args:
        passages: of all sets.
        names: of their sources, by label.

    Raises:
        PassageError: more than half of a set have the text of a passage of another set.
    """
    texts = {label: [plain(each.text) for each in passages if each.label == label] for label in SETS}
    for label, other in _pairs(texts):
        others = set(texts[other])
        shared = sum(text in others for text in texts[label])
        if shared > MOST_SHARED * len(texts[label]):
            _refuse(label, other, shared, len(texts[label]), names)


def _refuse(label: int | None, other: int | None, shared: int, total: int, names: Mapping[int | None, str]) -> None:
    (plural, _), (other_plural, other_single) = SETS[label], SETS[other]
    if names[label] == names[other]:
        raise PassageError(
            names[label], f"is given both as {plural} and as {other_plural}: give different texts as {other_plural}"
        )
    known = label is None or other is None
    why = "so their membership is known, and nothing would be decided" if known else "and one of the labels is false"
    advice = f"give other {plural}, or remove these texts from the {other_plural}"
    raise PassageError(
        names[label],
        f"{shared:,} of {total:,} {plural} have the text of {other_single} in {names[other]} (white space and "
        f"case do not count), {why}: {advice}",
    )


def refuse_few_texts(nonmembers: Sequence[Passage], source: str, fpr: float, confidence: float | None) -> None:
    """Refuse non-members that are enough for *fpr* only because texts are repeated: a repeated text counts once.

    Raises:
        CalibrationError: too few different texts.
    """
    different, needed = len({plain(passage.text) for passage in nonmembers}), nonmembers_needed(fpr, confidence)
    if different < needed <= len(nonmembers):
        raise CalibrationError(
            f"{source}: its {len(nonmembers):,} non-members have only {different:,} different texts, which "
            f"{describe_uncertified(fpr, confidence)}: at least {needed:,} are needed"
        )


def plain(text: str) -> str:
    r"""*text* without differences of white space, case and Unicode form.

    >>> plain("  The river\n bends. ") == plain("THE RIVER BENDS.")
    True
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
