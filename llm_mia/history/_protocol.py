"""A protocol: which decisions are to be taken, by which models and on which inputs, fixed before anything is scored."""

from __future__ import annotations

import contextlib
import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..store import RecordError, read_lines, read_run, write_text
from ._entries import Kind, Plan, Wanted, entry_from_line
from ._record import FILE

__all__ = ["PROTOCOL", "PlannedDecision", "Protocol", "keep_protocol", "protocol_of_run", "read_protocol"]

PROTOCOL = "protocol.toml"
"""The copy of the protocol in the run directory."""
INPUTS = ("candidates", "nonmembers", "members")
NEEDED_INPUTS = INPUTS[:2]
ROLES_READ = ("members", "nonmembers", "candidates")
"""The inputs in the order in which an audit reads them; the first may be missing."""
SHA256 = re.compile(r"[0-9a-f]{64}")
RATES = ("fpr", "fdr", "confidence")
ADVICE = "the guide 'protocol' shows the format"
_QUESTIONS = {Kind.PASSAGES: "passages", Kind.DOCUMENTS: "documents", Kind.COLLECTION: "the collection"}


@dataclass(frozen=True, slots=True)
class PlannedDecision:
    """A decision that a protocol names."""

    kind: Kind
    attacks: tuple[str, ...]
    """What decides; several only of a collection."""
    fpr: float | None = None
    fdr: float | None = None
    confidence: float | None = None
    seed: int | None = None
    """Of a collection."""

    def differences(self, wanted: Wanted) -> Iterator[str]:
        """How *wanted* differs from this decision, a phrase each."""
        attack, here = ",".join(self.attacks), wanted.attack
        if attack not in (here, wanted.chosen_by):
            yield f"the attack is {here} and not {attack}"
        if self.kind is Kind.COLLECTION:
            if wanted.seed != (self.seed or 0):
                yield f"the seed is {wanted.seed} and not {self.seed or 0}"
            return
        rate, level = ("fdr", self.fdr) if self.fdr is not None else ("fpr", self.fpr)
        if (wanted.rate, wanted.level) != (rate, level):
            yield f"the rate is {wanted.rate} {wanted.level:g} and not {rate} {level:g}"
        if wanted.confidence != self.confidence:
            yield f"the confidence is {_or_none(wanted.confidence)} and not {_or_none(self.confidence)}"


@dataclass(frozen=True, slots=True)
class Protocol:
    """The decisions, models and inputs that were fixed before anything was scored; `read_protocol` reads it."""

    text: str
    decisions: tuple[PlannedDecision, ...]
    finding_level: float
    models: Mapping[str, str]
    """By role: a name, or the digest of the weights."""
    inputs: Mapping[str, str]
    """Digests of the files, by ``candidates``, ``nonmembers``, ``members``."""
    deviations: tuple[str, ...] = field(default=())
    """Differences of the inputs, a phrase each, which concern every decision."""

    @property
    def sha256(self) -> str:
        """Digest of the file."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def on_inputs(self, read: Sequence[str]) -> Protocol:
        """The protocol for inputs with these digests, in the order in which an audit reads them.

        What differs is a deviation of every decision.
        """
        digests = dict(zip(ROLES_READ[-len(read) :], read, strict=True))
        other = [
            f"the {role} are not those of the protocol" if role in digests else f"there are no {role}"
            for role in INPUTS
            if role in self.inputs and digests.get(role) != self.inputs[role]
        ]
        more = [f"the protocol names no {role}" for role in digests if role not in self.inputs]
        return replace(self, deviations=(*other, *more))

    def planned(self, wanted: Wanted) -> Wanted:
        """*wanted* under this protocol, with its deviations from the most similar decision that the protocol names."""
        choices = [
            (number, list(decision.differences(wanted)))
            for number, decision in enumerate(self.decisions, start=1)
            if decision.kind is wanted.kind
        ]
        none = f"the protocol names no decision on {_QUESTIONS[wanted.kind]}"
        number, of_decision = min(choices, key=lambda choice: len(choice[1]), default=(0, [none]))
        deviations = [*self.deviations, *self._other_models(wanted), *of_decision]
        if wanted.finding_level != self.finding_level:
            deviations.append(f"the level of the finding is {wanted.finding_level:g} and not {self.finding_level:g}")
        return replace(wanted, plan=Plan(self.sha256, len(self.decisions), number, tuple(deviations)))

    def _other_models(self, wanted: Wanted) -> Iterator[str]:
        for role, name in self.models.items():
            used = wanted.models.get(role)
            if used is None:
                yield f"there is no {role} model, and the protocol names {name}"
            elif name.removeprefix("sha256:") not in used.values():
                yield f"the {role} model is {used['name']} and not {name}"
        for role, used in wanted.models.items():
            if role.startswith("reference") and role not in self.models:
                yield f"the {role} model is {used['name']}, and the protocol names none"


def read_protocol(path: str | Path) -> Protocol:
    """The protocol in the TOML file *path*.

    Raises:
        UsageError: it cannot be read, is no TOML, or a key is missing, is unknown or has a value that it may not have;
            the message names the line or the key.
    """
    try:
        text = Path(path).read_bytes().decode()
        entries = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}): name the protocol with `protocol`") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: is no TOML ({error}): correct it; {ADVICE}") from None
    check = _Check(str(path))
    check.keys(entries, ("decision", "models", "inputs", "finding_level"), "")
    models, inputs = check.strings(entries, "models"), check.strings(entries, "inputs")
    check.keys(inputs, INPUTS, "inputs.")
    for name in NEEDED_INPUTS:
        check.that(name in inputs, f"inputs.{name}", "is missing: give the sha256 of the file")
    for name, digest in inputs.items():
        check.that(bool(SHA256.fullmatch(digest)), f"inputs.{name}", "is no sha256: give 64 hexadecimal digits")
    check.that("target" in models, "models.target", "is missing: give a name, or the sha256 of the weights")
    listed = entries.get("decision", [])
    check.that(isinstance(listed, list) and len(listed) > 0, "decision", "is missing: begin it with [[decision]]")
    decisions = tuple(_decision(check, each, f"decision {number}: ") for number, each in enumerate(listed, start=1))
    check.that(len(set(decisions)) == len(decisions), "decision", "is there twice: name each decision once")
    level = check.share(entries, "finding_level", "", 0.05)
    assert level is not None
    return Protocol(text, decisions, level, models, inputs)


def keep_protocol(protocol: Protocol, run: Path) -> None:
    """Keep a copy of *protocol* in the run directory *run*, before anything is scored there.

    Raises:
        UsageError: see `refuse_other_protocol`.
    """
    refuse_other_protocol(protocol, run)
    write_text(run / PROTOCOL, protocol.text)


def refuse_other_protocol(protocol: Protocol, run: Path) -> None:
    """Refuse *protocol* where it cannot be that of the run directory *run*.

    Raises:
        UsageError: the directory has another protocol, or a run began there without a protocol.
    """
    kept = protocol_of_run(run)
    if kept is None and (run / "run.json").exists():
        raise UsageError(
            f"{run}: a run began here without a protocol, so this protocol was not fixed before the scores: name "
            "another folder with `out`, or leave out `protocol`"
        )
    if kept is not None and kept.sha256 != protocol.sha256:
        raise UsageError(f"{run}: holds another protocol ({PROTOCOL}): name another folder with `out`")


def protocol_of_run(run: Path) -> Protocol | None:
    """The protocol of which the run directory *run* holds a copy, for the inputs of that run; None where it holds none.

    Raises:
        UsageError: the copy is no longer the protocol under which decisions were taken there, or is missing.
    """
    kept = read_protocol(run / PROTOCOL) if (run / PROTOCOL).is_file() else None
    recorded = _recorded_protocol(run)
    if recorded and (kept is None or kept.sha256 != recorded):
        raise UsageError(
            f"{run / PROTOCOL}: {'is missing' if kept is None else 'was changed'} since decisions were taken here by "
            f"the protocol with the sha256 {recorded}: put that file back"
        )
    if kept is None or not (run / "run.json").is_file():
        return kept
    return kept.on_inputs([record.sha256 for record in read_run(run).inputs])


def _recorded_protocol(run: Path) -> str:
    """The digest of the protocol of the first decision in *run* that had one; empty where none had."""
    for line in read_lines(run / FILE):
        with contextlib.suppress(RecordError):  # whoever decides notes that a line cannot be read
            if protocol := entry_from_line(line).protocol:
                return protocol
    return ""


def _decision(check: _Check, entries: Any, where: str) -> PlannedDecision:
    check.that(isinstance(entries, dict), f"{where}decision", "is no table: begin it with [[decision]]")
    check.keys(entries, ("kind", "attack", "seed", *RATES), where)
    kinds = [kind.value for kind in Kind]
    kind = entries.get("kind", Kind.PASSAGES.value)
    check.that(kind in kinds, f"{where}kind", f"is none of {', '.join(kinds)}")
    attack = entries.get("attack")
    attacks = tuple(attack) if isinstance(attack, list) else (attack,)
    named = len(attacks) > 0 and all(isinstance(each, str) and each for each in attacks)
    check.that(named, f"{where}attack", "is missing or no name: name the attack that decides")
    rates = {name: check.share(entries, name, where) for name in RATES}
    seed = entries.get("seed")
    if kind == Kind.COLLECTION:
        check.that(seed is None or (isinstance(seed, int) and seed >= 0), f"{where}seed", "is no number from 0 on")
        check.that(not any(rates.values()), f"{where}fpr", "is for passages and documents: leave out fpr and fdr")
    else:
        check.that(seed is None, f"{where}seed", "is for a collection: leave it out")
        check.that(len(attacks) == 1, f"{where}attack", "names several: only a collection takes a list")
        rated = (rates["fpr"] is None) != (rates["fdr"] is None)
        check.that(rated, f"{where}fpr", "or fdr has to be given, and not both")
    return PlannedDecision(Kind(kind), attacks, seed=seed, **rates)


@dataclass(frozen=True, slots=True)
class _Check:
    """Refuses what a protocol may not hold, by its key."""

    path: str

    def that(self, right: bool, key: str, problem: str) -> None:
        if not right:
            raise self.fault(key, problem)

    def fault(self, key: str, problem: str) -> UsageError:
        return UsageError(f"{self.path}: {key} {problem}; {ADVICE}")

    def keys(self, entries: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
        for key in entries:
            self.that(key in known, f"{where}{key}", f"is no key here: the keys are {', '.join(known)}")

    def strings(self, entries: Mapping[str, Any], key: str) -> dict[str, str]:
        table = entries.get(key)
        self.that(isinstance(table, dict), key, f"is missing: begin it with [{key}]")
        assert isinstance(table, dict)
        for name, value in table.items():
            self.that(isinstance(value, str), f"{key}.{name}", "is no text: write it in quotation marks")
        return table

    def share(self, entries: Mapping[str, Any], key: str, where: str, default: float | None = None) -> float | None:
        value = entries.get(key, default)
        if value is None or (isinstance(value, float) and 0 < value < 1):
            return value
        raise self.fault(f"{where}{key}", "has to be a number between 0 and 1, both excluded")


def _or_none(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"
