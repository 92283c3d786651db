"""Fit part and calibration part: the first chooses an attack, the second sets its threshold; no document is in both."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import CalibrationError, UsageError
from ._checks import check_rate


@dataclass(frozen=True, slots=True)
class Split:
    """The record of a split of a known set, by which its parts can be drawn again and checked."""

    fit_share: float
    """Share of the documents that the fit part was to have."""
    seed: int
    """Seed of the draw by `split_by_document`."""
    fit_passages: int
    """Number of passages in the fit part."""
    fit_documents: int
    """Number of documents in the fit part."""
    fit_sha256: str
    """Digest of document and id of each passage of the fit part; the order of the passages does not matter."""
    calibration_passages: int
    """Number of passages in the calibration part."""
    calibration_documents: int
    """Number of documents in the calibration part."""
    calibration_sha256: str
    """Digest of the calibration part, computed in the same way."""

    @classmethod
    def of(cls, ids: Sequence[str], documents: Sequence[str], fit: ArrayLike, *, fit_share: float, seed: int) -> Split:
        """The record of a split whose fit part is the passages where *fit*, shape (n,), is true.

        Raises:
            UsageError: a document lies in both parts, or the lengths differ.

        >>> split = Split.of("abcd", "xxyy", [True, True, False, False], fit_share=0.5, seed=0)
        >>> split.fit_passages, split.calibration_documents
        (2, 1)
        """
        chosen = np.asarray(fit, dtype=bool)
        if not len(ids) == len(documents) == len(chosen):
            raise UsageError(
                f"`ids` has length {len(ids)}, `documents` {len(documents)} and `fit` {len(chosen)}: they must be equal"
            )
        parts = [[(documents[i], ids[i]) for i in np.flatnonzero(mask).tolist()] for mask in (chosen, ~chosen)]
        fit_names, calibration_names = ({document for document, _ in part} for part in parts)
        if fit_names & calibration_names:
            raise UsageError(f"document {min(fit_names & calibration_names)!r} is in both parts: split by document")
        return cls(
            fit_share=fit_share,
            seed=seed,
            fit_passages=len(parts[0]),
            fit_documents=len(fit_names),
            fit_sha256=_digest(parts[0]),
            calibration_passages=len(parts[1]),
            calibration_documents=len(calibration_names),
            calibration_sha256=_digest(parts[1]),
        )


def split_by_document(
    documents: Sequence[str], fit_share: float = 0.5, seed: int = 0, labels: Iterable[int | None] | None = None
) -> NDArray[np.bool_]:
    """A mask of shape (n,), true for the passages of the fit part, which has *fit_share* of the documents.

    No document is in both parts. The draw depends only on the names of the documents and on *seed*, not on the order
    of the rows or on the number of passages per document. With *labels* (1 member, 0 non-member, anything else
    unknown), documents with members, with non-members, with both and with neither are drawn separately, and each part
    gets members and non-members.

    Args:
        documents: the document of each passage, shape (n,).
        fit_share: of the documents, for the fit part.
        seed: of the draw.
        labels: of the passages, shape (n,).

    Raises:
        UsageError: *fit_share* lies outside (0, 1), or the lengths differ.
        CalibrationError: there are fewer than two documents in all, with members or with non-members.

    >>> split_by_document(["a", "a", "b", "c", "c", "d"], seed=1).tolist()
    [False, False, True, False, False, True]
    """
    check_rate("fit_share", fit_share)
    names = set(documents)
    if len(names) < 2:
        count = "there is only 1 document" if names else "there are no documents"
        raise CalibrationError(f"{count}: fit part and calibration part need at least 1 each")
    strata = {"": names} if labels is None else _strata(documents, labels)
    chosen: set[str] = set()
    for stratum in strata.values():
        chosen |= set(_draw(stratum, fit_share, seed))
    if labels is not None:
        chosen = _with_both_labels(chosen, strata)
    return np.array([document in chosen for document in documents], dtype=bool)


def by_hash(names: Iterable[str], seed: int) -> list[str]:
    """*names* in a pseudo-random order that depends on nothing but the names and *seed*.

    >>> by_hash("abc", 0) == by_hash("cab", 0)
    True
    """
    return sorted(names, key=lambda name: (_hash_fraction(name, seed), name))


def _hash_fraction(name: str, seed: int) -> float:
    """A number in [0, 1] from the hash of *name* and *seed*."""
    digest = hashlib.sha256(f"{seed}\n{name}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8]) / 2**64


def _draw(stratum: set[str], fit_share: float, seed: int) -> list[str]:
    """*fit_share* of the documents of *stratum*; of two or more, at least one is drawn and at least one is left."""
    if len(stratum) < 2:
        return [name for name in stratum if _hash_fraction(name, seed) < fit_share]
    rounded = math.floor(fit_share * len(stratum) + 0.5)
    return by_hash(stratum, seed)[: min(max(1, rounded), len(stratum) - 1)]


def _strata(documents: Sequence[str], labels: Iterable[int | None]) -> dict[str, set[str]]:
    """The documents by the labels of their passages."""
    passage_labels = list(labels)
    if len(passage_labels) != len(documents):
        raise UsageError(f"{len(documents)} documents but {len(passage_labels)} labels")
    with_members, with_nonmembers = (
        {document for document, label in zip(documents, passage_labels, strict=True) if label == wanted}
        for wanted in (1, 0)
    )
    for name, with_label in (("members", with_members), ("non-members", with_nonmembers)):
        if len(with_label) < 2:
            raise CalibrationError(
                f"the {name} come from {len(with_label)} document{'' if len(with_label) == 1 else 's'}: "
                "each of two parts needs at least 1"
            )
    return {
        "members": with_members - with_nonmembers,
        "non-members": with_nonmembers - with_members,
        "both": with_members & with_nonmembers,
        "neither": set(documents) - with_members - with_nonmembers,
    }


def _with_both_labels(chosen: set[str], strata: Mapping[str, set[str]]) -> set[str]:
    """*chosen*, changed where a single document has both labels: a stratum of a single document goes to the other part.

    Otherwise the part without the document of both labels could lack a label.
    """
    both = strata["both"]
    if len(both) != 1:
        return chosen
    singles = set().union(*(strata[name] for name in ("members", "non-members") if len(strata[name]) == 1))
    return chosen - singles if both <= chosen else chosen | singles


def _digest(passages: list[tuple[str, str]]) -> str:
    return hashlib.sha256(json.dumps(sorted(passages)).encode()).hexdigest()
