"""A line of the record of decisions, and the decision that is to be placed in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from ..decision import Calibration, ErrorRate, Origin, Rule
from ..scores import ScoreTable
from ..store import from_json, to_json
from ._fingerprints import Subject

__all__ = ["Entry", "Kind", "Plan", "Wanted", "entry_from_line", "entry_to_line"]


class Kind(StrEnum):
    """The question that a decision answers. The decisions of each kind have the whole level, and divide it."""

    PASSAGES = "passages"
    """Which passages the model was trained on."""
    DOCUMENTS = "documents"
    """Which documents."""
    COLLECTION = "collection"
    """Whether it was trained on the candidates as a whole."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The protocol under which a decision is taken."""

    sha256: str
    decisions: int
    """That it names."""
    decision: int
    """Number in the protocol of the decision that this is, or that is most similar; 0 where it names none of a kind."""
    deviations: tuple[str, ...] = ()
    """How this decision differs from what the protocol names, a phrase each; empty where the protocol names it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A decision before its result is known."""

    kind: Kind
    attack: str
    """What decides; of a collection all columns, divided by commas."""
    rate: str
    """``fpr``, ``fdr``, or ``level`` of a collection, whose level is that of its finding."""
    level: float | None
    """Of the rate; None of a collection."""
    confidence: float | None
    seed: int | None
    """Of the split that selects the attack, or of a collection's permutations."""
    models: Mapping[str, Mapping[str, str]]
    """Name and digest of the weights, by pass."""
    subject: Subject
    settings: str
    """Digest of everything else that the decision depends on: models, window rules, categories, threshold."""
    finding_level: float
    chosen_by: str = ""
    """How the attack was selected: ``auto``, ``stack`` or ``default``; empty where the user named it."""
    plan: Plan | None = None
    accepted: bool = False
    """Whether it is stated although the known set withholds it."""

    @property
    def identity(self) -> str:
        """Digest by which the same decision is recognised; the level of a finding and a protocol are no part of it."""
        parts = [self.kind.value, self.attack, self.rate, self.level, self.confidence, self.seed, self.settings]
        parts += [self.subject.sha256]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def deviating(self, deviation: str) -> Wanted:
        """The same decision with a further *deviation* from its protocol; nothing changes where that is empty."""
        if self.plan is None or not deviation:
            return self
        return replace(self, plan=replace(self.plan, deviations=(*self.plan.deviations, deviation)))


@dataclass(frozen=True, slots=True)
class Entry:
    """A decision that was taken: a line of ``decisions.jsonl``. It holds no texts and no ids."""

    when: str
    """UTC."""
    kind: Kind
    attack: str
    rate: str
    level: float | None
    confidence: float | None
    seed: int | None
    models: Mapping[str, Mapping[str, str]]
    subject: Subject
    identity: str
    """Digest by which the same decision is recognised."""
    finding_level: float
    number: int
    """Which of the decisions of its kind on the same candidates it was."""
    level_share: float
    """The share of the level of the finding that it had."""
    could_find: bool
    """Whether a finding was possible: it has a p-value, and was not withheld."""
    decided: int
    """Candidates that were decided on: passages, or documents."""
    flagged: int | None
    """None of a collection."""
    p_value: float | None
    finding: bool
    protocol: str = ""
    """Digest of the protocol; empty where there was none."""
    planned: int = 0
    """Number in the protocol of the decision that this is, or that is most similar; 0 where there is none."""
    deviations: tuple[str, ...] = field(default=())
    """From the protocol."""


def entry_to_line(entry: Entry) -> str:
    """The entry as JSON without line breaks, with the version of the schema."""
    return json.dumps(json.loads(to_json(entry)), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def entry_from_line(line: str) -> Entry:
    """The entry that `entry_to_line` has written.

    Raises:
        RecordError: the line is something else, or of another schema version.
    """
    return from_json(Entry, line)


def others_digest(table: ScoreTable) -> str:
    """Digest of the other models that a decision is compared with; with other models it is another decision."""
    passes = {} if table.record is None else table.record.passes
    others: dict[str, str] = {}
    for role, columns in table.others.items():
        scores = b"".join(column.tobytes() for _, column in sorted(columns.items()))
        others[role] = passes[role].model.weights_sha256 if role in passes else hashlib.sha256(scores).hexdigest()
    return hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()


def settings_of(calibration: Calibration, scores: str, others: str) -> str:
    """Digest of what a decision by *calibration* depends on.

    Args:
        calibration: what sets the threshold.
        scores: digest of the origin of the scores.
        others: digest of the other models.
    """
    chosen: dict[str, Any] = {
        "by": calibration.by,
        "pooled": {name: category.pooled for name, category in calibration.categories.items()},
        "split": None if calibration.split is None else asdict(calibration.split),
        "wanted": calibration.selection.wanted.value,
        "n": [calibration.n, calibration.n_documents],
        # To four digits: the same decision elsewhere may differ by the rounding of the model's precision.
        "threshold": f"{calibration.threshold:.4g}",
        "scores": scores,
        "others": others,
    }
    return hashlib.sha256(json.dumps(chosen, sort_keys=True, default=str).encode()).hexdigest()


def models_of(origin: Origin | None, table: ScoreTable) -> dict[str, dict[str, str]]:
    """Name and digest of the weights of each model behind the scores or compared with, by pass."""
    models = {} if origin is None else {name: record.model for name, record in origin.passes.items()}
    if table.record is not None:
        compared = {role: table.record.passes[role] for role in table.others if role in table.record.passes}
        models |= {role: record.model for role, record in compared.items()}
    return {name: {"name": model.id, "sha256": model.weights_sha256} for name, model in models.items()}


def rule_of(calibration: Calibration, fdr: float | None) -> Rule:
    """The error rate that a decision holds."""
    if fdr is not None:
        return Rule(ErrorRate.FALSE_DISCOVERIES, fdr)
    return Rule(ErrorRate.FALSE_POSITIVES, calibration.fpr, calibration.confidence)


def origin_digest(origin: Origin | None, columns: Sequence[bytes]) -> str:
    """Digest of where scores come from; of the scores themselves where that is not recorded."""
    if origin is None:
        return hashlib.sha256(b"".join(columns)).hexdigest()
    passes = {
        name: [record.model.weights_sha256, record.model.config_sha256, record.model.dtype, record.model.tokenizer]
        for name, record in origin.passes.items()
    }
    windows = {name: asdict(record.window) for name, record in origin.passes.items()}
    attacks = [[attack.name, attack.revision, dict(attack.settings)] for attack in origin.attacks]
    recorded = [passes, windows, attacks, origin.shared, {n: dict(r.depends) for n, r in origin.passes.items()}]
    return hashlib.sha256(json.dumps(recorded, sort_keys=True, default=str).encode()).hexdigest()
