"""How two audits were made, and in what they differ."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import zip_longest

from ..errors import RunDirectoryError
from ..records import PassRecord, RunRecord
from ..store import read_run
from ._record import Audit

__all__ = ["Setting", "differing_settings"]

DIGITS = 12
"""Of a digest that is shown."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Something that two runs have set otherwise; values are as in the records."""

    name: str
    """``target model``, ``attack``, ``fpr`` …"""
    first: str
    """Empty where the first run has no such thing."""
    second: str


def differing_settings(first: Audit, second: Audit) -> tuple[Setting, ...]:
    """What differs between two audits: models, windows, inputs, attack, error rate, calibration set, versions.

    Two models of other names and equal weights are the same model. Results are no settings.
    """
    sides = [_settings(audit) for audit in (first, second)]
    names = dict.fromkeys([*sides[0], *sides[1]])
    rows = [Setting(name, sides[0].get(name, ""), sides[1].get(name, "")) for name in names]
    return tuple(row for row in rows if _compared(row.first) != _compared(row.second))


def _compared(value: str) -> str:
    """A model is compared by its weights alone, an input by its contents."""
    return value.rpartition(", sha256 ")[2]


def _settings(audit: Audit) -> dict[str, str]:
    calibration, rule = audit.calibration, audit.flags.rule
    settings = {name: value for role, made_by in audit.passes.items() for name, value in _of_pass(role, made_by)}
    try:
        record: RunRecord | None = read_run(audit.path)
    except RunDirectoryError:
        record = None
    roles = ("candidates", "non-members", "members")
    inputs = () if record is None else record.inputs
    for role, counts, source in zip_longest(roles[: len(audit.inputs)], reversed(audit.inputs), reversed(inputs)):
        if counts is not None and role is not None:
            digest = "" if source is None else f", sha256 {source.sha256[:DIGITS]}"
            settings[role] = f"{counts.name} ({counts.passages:,} passages, {counts.documents:,} documents){digest}"
    settings["attack"] = calibration.attack
    attack = next((each for each in (record.attacks if record else ()) if each.name == calibration.attack), None)
    if attack is not None:
        settings["revision of the attack"] = str(attack.revision)
    settings["selection of the attack"] = "" if calibration.split is None else str(calibration.selection.wanted)
    settings[f"{rule.rate} at most"] = f"{rule.level:g}"
    settings["confidence of the rate"] = "" if calibration.confidence is None else f"{calibration.confidence:g}"
    settings["calibration set"] = f"{calibration.n:,} non-members of {calibration.n_documents:,} documents"
    settings["standing of the known set"] = str(audit.standing)
    settings |= {f"version of {name}": version for name, version in (record.versions if record else {}).items()}
    return {name: value for name, value in settings.items() if value}


def _of_pass(role: str, made_by: PassRecord) -> list[tuple[str, str]]:
    model = made_by.model
    revision = f"@{model.revision[:DIGITS]}" if model.revision else ""
    return [
        (f"{role} model", f"{model.id}{revision}, sha256 {model.weights_sha256[:DIGITS]}"),
        (f"{role} configuration", model.config_sha256[:DIGITS]),
        (f"{role} precision", model.dtype),
        (f"{role} tokenizer", model.tokenizer),
        (f"{role} window", f"{made_by.window.tokens:,} tokens, {made_by.window.context:,} of them repeated"),
        (f"{role} template", "special tokens in texts are read as such" if model.templated else ""),
        (f"{role} temperature", "" if model.temperature == 1 else f"{model.temperature:g}"),
        (f"{role} evidence", json.dumps(dict(made_by.depends), sort_keys=True) if made_by.depends else ""),
    ]
