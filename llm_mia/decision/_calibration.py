"""The record of a calibration: what ``calibration.json`` holds, refused on reading where it doesn't bear itself out."""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..calibration import Floats, Split, confident_threshold, conformal_p_values, fpr_threshold, sorted_finite
from ..errors import CalibrationError, InputError, UsageError
from ..records import SCHEMA_VERSION
from ._guarantee import guarantee

SEAL = "sha256"


@dataclass(frozen=True, slots=True)
class Category:
    """Non-members of one kind (a length band, a language, a source), which set the threshold for their kind alone."""

    threshold: float
    """Scores of this category strictly above it are flagged."""
    n: int
    """Known non-members of it."""
    scores: tuple[float, ...]
    """Their scores, ascending."""
    pooled: tuple[str, ...] = ()
    """Names of the categories pooled into it; none where it is one by itself."""
    by_size: bool = False
    """Whether their sizes in the calibration set decided which are pooled."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A threshold and all it takes to check and re-apply it; made by `calibrate`, kept as ``calibration.json``."""

    attack: str
    """As the user named it, hyper-parameters included: ``min_k:k=0.1``."""
    fpr: float
    """The false positive rate asked for."""
    threshold: float
    """Scores strictly above it are flagged. With categories the highest of theirs, so that it holds in each."""
    guarantee: str
    """What holds, in one sentence."""
    n: int
    """Known non-members calibrated on."""
    n_documents: int
    """Documents that these come from."""
    scores: tuple[float, ...]
    """Their scores, ascending."""
    calibrated_on: Mapping[str, Any] = field(default_factory=dict)
    """JSON values: models, tokenizer and window rule behind the scores; empty for a foreign table."""
    confidence: float | None = None
    """Over the draw of the calibration set; None where the guarantee is marginal."""
    categories: Mapping[str, Category] = field(default_factory=dict)
    """By name; empty where one threshold is for all."""
    split: Split | None = None
    """What was kept apart to choose the attack on; None where nothing was."""
    chosen: Mapping[str, Any] = field(default_factory=dict)
    """JSON values: how the attack was chosen; empty where it was given."""
    stack: Mapping[str, Any] = field(default_factory=dict)
    """JSON values: the model that makes the score out of several columns; empty where the attack is a column."""
    by: str = ""
    """What the categories are: ``length``, or a column of the table; empty where there are none."""
    validity: str = ""
    """What `llm_mia.validity` said of the known set: ``sound``, ``doubtful``, ``void`` or ``void, accepted by the
    user``; empty where it wasn't asked."""
    schema_version: int = SCHEMA_VERSION
    """Version of the artefact."""

    @property
    def thresholds(self) -> dict[str, float]:
        """The threshold of each category, by the name that passages carry: of pooled ones that of the pool."""
        return {name: category.threshold for name, category in self._named().items()}

    def flagged(self, scores: ArrayLike, categories: Sequence[str] | None = None) -> NDArray[np.bool_]:
        """Which of *scores*, shape (m,), lie above the threshold, or above that of their category; NaN never does.

        Raises `CalibrationError` where *categories* are missing, not wanted, or hold one that wasn't calibrated.
        """
        values = np.asarray(scores, dtype=np.float64)
        flags = np.zeros(values.shape, dtype=bool)
        for category, rows in self._by_category(len(values), categories):
            flags[rows] = values[rows] > category.threshold
        return flags

    def p_values(self, scores: ArrayLike, categories: Sequence[str] | None = None) -> Floats:
        """`conformal_p_values` of *scores*, shape (m,), each among the non-members of its category.

        Of several categories together they aren't proven to be PRDS; `benjamini_yekutieli` holds over them.

        Raises `CalibrationError` as `flagged` does.
        """
        values = np.asarray(scores, dtype=np.float64)
        p_values = np.full(values.shape, np.nan)
        for category, rows in self._by_category(len(values), categories):
            p_values[rows] = conformal_p_values(values[rows], category.scores)
        return p_values

    def to_json(self) -> str:
        """The artefact's text; floats are written so that they are read back exactly.

        Its last key, ``sha256``, is the digest of the others. It shows an edit, not a forgery: whoever edits can
        compute another one.

        Raises `CalibrationError` where *calibrated_on*, *chosen* or *stack* holds what JSON can't.
        """
        try:
            document = asdict(self)
            document[SEAL] = hashlib.sha256(json.dumps(document, sort_keys=True, allow_nan=False).encode()).hexdigest()
        except (TypeError, ValueError, RecursionError) as error:
            raise CalibrationError(f"the calibration cannot be written: {error}") from error
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Read what `to_json` wrote; refuse, in one line, whatever its own scores or digest don't bear out.

        Raises `CalibrationError`: not JSON, another schema version, keys missing or unknown, anything edited.
        """
        document = _parsed(text, {each.name for each in fields(cls)} | {SEAL})
        try:
            rebuilt = _rebuilt(document)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError, UsageError, InputError) as error:
            raise CalibrationError(f"not a calibration: {error}") from error
        for name, value in json.loads(rebuilt.to_json()).items():
            if name == SEAL and document[name] != value:
                raise CalibrationError("the calibration was edited after it was written: calibrate again")
            if document[name] != value:
                what = _difference(name, document[name], value, categories=bool(rebuilt.categories))
                raise CalibrationError(f"the calibration was edited ({what}): calibrate again")
        return rebuilt

    def _named(self) -> dict[str, Category]:
        return {name: category for own, category in self.categories.items() for name in (category.pooled or (own,))}

    def _by_category(
        self, m: int, categories: Sequence[str] | None
    ) -> Iterator[tuple[Category, slice | NDArray[np.intp]]]:
        named = self._named()
        if (categories is not None) != bool(named):
            what = f"has the categories {', '.join(map(repr, sorted(named)))}" if named else "has no categories"
            raise CalibrationError(f"the calibration {what}: give each score its own, or none")
        if categories is None:
            yield Category(self.threshold, self.n, self.scores), slice(None)
            return
        if len(categories) != m:
            raise UsageError(f"{m} scores but {len(categories)} categories")
        kinds, kind = np.unique(np.array([str(name) for name in categories], dtype=object), return_inverse=True)
        unknown = [name for name in kinds if name not in named]
        if unknown:
            raise CalibrationError(
                f"category {unknown[0]!r} has no known non-members, so nothing of it can be flagged: "
                f"calibrated were {', '.join(map(repr, sorted(named)))}"
            )
        for number, name in enumerate(kinds):
            yield named[name], np.flatnonzero(kind == number)


def assemble(
    groups: Mapping[str, tuple[Floats, tuple[str, ...]]],
    *,
    by_size: bool,
    scores: ArrayLike,
    attack: str,
    fpr: float,
    confidence: float | None,
    n_documents: int,
    calibrated_on: Mapping[str, Any],
    split: Split | None,
    chosen: Mapping[str, Any],
    stack: Mapping[str, Any],
    by: str,
    validity: str,
) -> Calibration:
    """What follows from the *scores*, or from those of the categories, each with the names pooled into it."""
    known = sorted_finite(np.concatenate([own for own, _ in groups.values()]) if groups else scores)
    categories = {
        name: replace(
            _category(name, groups[name][0], attack, fpr, confidence), pooled=names, by_size=by_size and bool(names)
        )
        for name, (_, names) in sorted(groups.items())
    }
    whole = None if categories else _category("", known, attack, fpr, confidence)
    if not 1 <= n_documents <= len(known):
        raise UsageError(f"{len(known)} calibration scores cannot come from {n_documents} documents")
    return Calibration(
        attack=attack,
        fpr=fpr,
        threshold=whole.threshold if whole else max(category.threshold for category in categories.values()),
        guarantee=guarantee(
            confidence,
            categories=bool(categories),
            pooled=any(category.pooled for category in categories.values()),
            by_size=any(category.by_size for category in categories.values()),
        ),
        n=len(known),
        n_documents=n_documents,
        scores=tuple(known.tolist()),
        calibrated_on=dict(calibrated_on),
        confidence=confidence,
        categories=categories,
        split=split,
        chosen=dict(chosen),
        stack=dict(stack),
        by=by,
        validity=validity,
    )


def _category(name: str, scores: ArrayLike, attack: str, fpr: float, confidence: float | None) -> Category:
    known, where = sorted_finite(scores), f" of category {name!r}" if name else ""
    try:
        threshold = fpr_threshold(known, fpr) if confidence is None else confident_threshold(known, fpr, confidence)
    except CalibrationError as error:
        raise CalibrationError(f"category {name!r}: {error}" if name else str(error)) from None
    if len(known) > 1 and known[0] == known[-1]:
        raise CalibrationError(
            f"all {len(known)} calibration scores{where} equal {known[0]:g}: {attack} tells none of them apart"
        )
    return Category(threshold, len(known), tuple(known.tolist()))


def _rebuilt(document: Mapping[str, Any]) -> Calibration:
    """The calibration that the scores of *document* make."""
    groups = {
        str(name): (np.asarray(each["scores"], dtype=np.float64), tuple(map(str, each["pooled"])))
        for name, each in document["categories"].items()
    }
    return assemble(
        groups,
        by_size=any(each["by_size"] is True for each in document["categories"].values()),
        scores=np.asarray(document["scores"], dtype=np.float64),
        attack=str(document["attack"]),
        fpr=float(document["fpr"]),
        confidence=None if document["confidence"] is None else float(document["confidence"]),
        n_documents=int(document["n_documents"]),
        calibrated_on=dict(document["calibrated_on"]),
        split=None if document["split"] is None else Split(**document["split"]),
        chosen=dict(document["chosen"]),
        stack=dict(document["stack"]),
        by=str(document["by"]),
        validity=str(document["validity"]),
    )


def _difference(name: str, found: Any, expected: Any, *, categories: bool) -> str:
    """What an edit did to *name*, without the scores."""
    if name == "scores":
        return "the scores are not those of the categories" if categories else "the scores are not ascending"
    if name == "categories":
        kind = next(kind for kind in expected if found[kind] != expected[kind])
        return f"the figures of category {kind!r} are not those of its scores"
    return f"{name} should be {_shown(expected)}, not {_shown(found)}"


def _shown(value: Any) -> str:
    return textwrap.shorten(repr(value), 200, placeholder=" …")


def _parsed(text: str, names: set[str]) -> dict[str, Any]:
    """The artefact as a dictionary of exactly these *names*, of this schema version."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CalibrationError(f"not a calibration: {error}") from error
    if not isinstance(document, dict):
        raise CalibrationError("not a calibration: no JSON object")
    version = document.get("schema_version")
    if version != SCHEMA_VERSION:
        raise CalibrationError(f"calibration of schema version {version}, this is {SCHEMA_VERSION}: calibrate again")
    for problem, keys in (("lacks", names - document.keys()), ("has unknown", document.keys() - names)):
        if keys:
            raise CalibrationError(f"the calibration {problem} {', '.join(map(repr, sorted(keys)))}: calibrate again")
    return document
