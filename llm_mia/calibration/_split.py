"""Fit part and calibration part: an attack is chosen on the one, its threshold on the other, no document in both."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import CalibrationError
from ._checks import check_rate


@dataclass(frozen=True, slots=True)
class Split:
    """Which passages an attack was chosen on, and which its threshold: enough to check it against the passages."""

    fraction: float
    """Share of the documents asked for as fit part."""
    seed: int
    """What the draw by `split_by_document` depended on."""
    fit_passages: int
    """Passages of the fit part."""
    fit_documents: int
    """Documents of the fit part."""
    fit_sha256: str
    """Digest of document and id of each passage of the fit part, whatever their order."""
    calibration_passages: int
    """Passages of the calibration part."""
    calibration_documents: int
    """Documents of the calibration part."""
    calibration_sha256: str
    """The same of the calibration part."""

    @classmethod
    def of(cls, ids: Sequence[str], documents: Sequence[str], fit: ArrayLike, *, fraction: float, seed: int) -> Split:
        """The record of a split whose fit part is where *fit*, shape (n,), is true.

        Raises `CalibrationError` where a document lies in both parts.

        >>> split = Split.of("abcd", "xxyy", [True, True, False, False], fraction=0.5, seed=0)
        >>> split.fit_passages, split.calibration_documents
        (2, 1)
        """
        chosen = np.asarray(fit, dtype=bool)
        if not len(ids) == len(documents) == len(chosen):
            raise CalibrationError(f"{len(ids)} ids, {len(documents)} documents and {len(chosen)} marks don't match")
        parts = [[(documents[i], ids[i]) for i in np.flatnonzero(mask).tolist()] for mask in (chosen, ~chosen)]
        inside, outside = ({document for document, _ in part} for part in parts)
        if inside & outside:
            raise CalibrationError(f"document {min(inside & outside)!r} lies in both parts: split by document")
        return cls(
            fraction=fraction,
            seed=seed,
            fit_passages=len(parts[0]),
            fit_documents=len(inside),
            fit_sha256=_digest(parts[0]),
            calibration_passages=len(parts[1]),
            calibration_documents=len(outside),
            calibration_sha256=_digest(parts[1]),
        )


def split_by_document(
    documents: Sequence[str], fraction: float = 0.5, seed: int = 0, labels: Iterable[int | None] | None = None
) -> NDArray[np.bool_]:
    """True for passages of the fit part, *fraction* of the documents; no document lies in both parts.

    Which documents depends on their names and *seed* alone: not on the order of the rows, nor on how many passages
    each has. With *labels* (1 member, 0 non-member, anything else unknown) documents with members, with non-members,
    with both and with neither are drawn from separately, and each part gets members and non-members.

    *documents* has shape (n,); returns shape (n,).

    Raises `CalibrationError` where *fraction* lies outside (0, 1), there are fewer than two documents, or all members
    (or non-members) come from one.

    >>> split_by_document(["a", "a", "b", "c", "c", "d"], seed=1).tolist()
    [False, False, True, False, False, True]
    """
    check_rate("the fraction", fraction)
    names = set(documents)
    if len(names) < 2:
        found = "there is only one document" if names else "there are no documents"
        raise CalibrationError(f"{found}: fit part and calibration part need one each at least")
    strata = {"": names} if labels is None else _strata(documents, labels)
    chosen: set[str] = set()
    for stratum in strata.values():
        chosen |= set(_draw(stratum, fraction, seed))
    if labels is not None:
        chosen = _with_both_labels(chosen, strata)
    return np.array([document in chosen for document in documents], dtype=bool)


def by_hash(names: Iterable[str], seed: int) -> list[str]:
    """*names* in an order that only they and *seed* decide, as good as random.

    >>> by_hash("abc", 0) == by_hash("cab", 0)
    True
    """
    return sorted(names, key=lambda name: (_place(name, seed), name))


def _place(name: str, seed: int) -> float:
    """Where *name* falls in [0, 1]."""
    digest = hashlib.sha256(f"{seed}\n{name}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8]) / 2**64


def _draw(stratum: set[str], fraction: float, seed: int) -> list[str]:
    """*fraction* of the *stratum*, and of two or more at least one in and one out."""
    if len(stratum) < 2:
        return [name for name in stratum if _place(name, seed) < fraction]
    wanted = math.floor(fraction * len(stratum) + 0.5)
    return by_hash(stratum, seed)[: min(max(1, wanted), len(stratum) - 1)]


def _strata(documents: Sequence[str], labels: Iterable[int | None]) -> dict[str, set[str]]:
    marks = list(labels)
    if len(marks) != len(documents):
        raise CalibrationError(f"{len(documents)} documents but {len(marks)} labels")
    with_members, with_nonmembers = (
        {document for document, mark in zip(documents, marks, strict=True) if mark == label} for label in (1, 0)
    )
    for name, found in (("members", with_members), ("non-members", with_nonmembers)):
        if len(found) < 2:
            raise CalibrationError(
                f"the {name} come from {len(found)} document{'' if len(found) == 1 else 's'}: "
                "each of two parts needs one at least"
            )
    return {
        "members": with_members - with_nonmembers,
        "non-members": with_nonmembers - with_members,
        "both": with_members & with_nonmembers,
        "neither": set(documents) - with_members - with_nonmembers,
    }


def _with_both_labels(chosen: set[str], strata: Mapping[str, set[str]]) -> set[str]:
    """*chosen*, where one document alone has both labels, with what is single beside it in the other part."""
    both = strata["both"]
    if len(both) != 1:
        return chosen
    singles = set().union(*(strata[name] for name in ("members", "non-members") if len(strata[name]) == 1))
    return chosen - singles if both <= chosen else chosen | singles


def _digest(passages: list[tuple[str, str]]) -> str:
    return hashlib.sha256(json.dumps(sorted(passages)).encode()).hexdigest()
