"""The definition of a kind of evidence: which passes it takes, and how an attack's argument is computed from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Literal, Protocol, TypeAlias

from ..errors import AttackError
from ..passages import Passages
from ..records import Passage, TokenFrequencies, TokenSignals
from ._sample_set import SampleSettings
from ._shadow_set import ShadowSet

__all__ = [
    "EVIDENCE",
    "Evidence",
    "EvidenceKind",
    "LoadedSupplies",
    "ModelPass",
    "NeighbourWriter",
    "PassageSignals",
    "Requirement",
    "Rewrite",
    "TextVersion",
    "register_evidence",
]

Evidence: TypeAlias = object
"""The value of an argument of an attack: token signals, a tuple of them, a text, or whatever a kind computes."""
Rewrite: TypeAlias = Callable[[Sequence[str]], Sequence[str]]
"""Takes texts, and returns a changed text for each."""


class NeighbourWriter(Protocol):
    """A model that writes neighbours of texts: versions in which some words are replaced."""

    def __call__(self, number: int, texts: Sequence[str]) -> Sequence[str]:
        """The neighbour *number* of each text."""

    def sha256(self) -> str | None:
        """Digest of the model's files."""


@dataclass(frozen=True, slots=True)
class LoadedSupplies:
    """The supplies of a run, read from files, and the roles of its models; what the user left out is empty."""

    roles: tuple[str, ...] = ("target",)
    """Roles of the models of the run, ``target`` and ``reference`` first."""
    shots: Mapping[int, str] = field(default_factory=dict)
    """By label: the text that precedes each passage."""
    population: Passages | None = None
    frequencies: TokenFrequencies | None = None
    neighbours: int = 10
    """How many rewritten versions of each passage are scored."""
    neighbour_writer: NeighbourWriter | None = None
    """Writes the neighbours; None: words are dropped and swapped."""
    seed: int = 0
    samples: SampleSettings | None = None
    """How the target continues the beginnings of passages; None: it does not."""
    shadows: ShadowSet | None = None
    """What the models with the roles ``shadow-00``, ``shadow-01``, … were trained on."""
    not_scored: tuple[Passages, ...] = ()
    """The passages of shots and population: a passage that is scored may not be among them."""


@dataclass(frozen=True, slots=True)
class TextVersion:
    """A version of all texts, over which a model runs a pass."""

    name: str
    """Also the name of the pass, and of its folder under ``signals/``."""
    rewrite: Rewrite | None = None
    """Changes the texts; None: they stay as they are."""
    prefix: str = ""
    """A text that the model reads before each text; its tokens are not scored."""
    depends: Mapping[str, Any] = field(default_factory=dict)
    """JSON values: what the signals depend on besides the model and the windows."""
    samples: SampleSettings | None = None
    """Where the model continues the beginnings of the texts, and computes no signals: how."""


@dataclass(frozen=True, slots=True)
class ModelPass:
    """The declaration of a pass, or of several: which model reads which texts."""

    name: str
    """By which `EvidenceKind.value` takes the signals, see `PassageSignals.signals`."""
    role: str = "target"
    """Role of the model. A pattern, such as ``shadow-*``, stands for every role that matches, with a pass for each."""
    texts: Literal["passages", "population", "shadow_population"] = "passages"
    """The passages that are scored, those of the population, or some of the pool of the shadow models."""
    versions: Callable[[LoadedSupplies], Sequence[TextVersion]] | None = None
    """Returns the versions of the texts, with a pass for each; None: a single pass over the unchanged texts."""
    count_varies: bool = False
    """Whether the number of passes depends on the supplies."""

    def matches(self, role: str) -> bool:
        """Whether a model with this role runs the pass."""
        return fnmatchcase(role, self.role)

    def versions_for(self, role: str, supplies: LoadedSupplies) -> list[TextVersion]:
        """A version of the texts for each pass of the model with this role; for unchanged passages, named *role*."""
        if self.versions is None:
            return [TextVersion(role if self.texts == "passages" else self._folder(self.name, role))]
        return [replace(version, name=self._folder(version.name, role)) for version in self.versions(supplies)]

    def _folder(self, name: str, role: str) -> str:
        return name if role == self.role else f"{name}-{role}"


@dataclass(frozen=True, slots=True)
class PassageSignals:
    """A passage with its signals."""

    passage: Passage
    signals: Mapping[str, tuple[TokenSignals, ...]]
    """By `ModelPass.name`: the signals of every pass that has this declaration, in order."""
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By `ModelPass.name`: the texts with which the model continues the passage's beginning."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a kind of evidence requires of the user besides models."""

    advice: str
    """What is required and which parameter takes it, as the end of a sentence."""
    is_met: Callable[[LoadedSupplies], bool]


@dataclass(frozen=True, slots=True)
class EvidenceKind:
    """A kind of evidence: what it is, what it requires, and how its value is computed."""

    name: str
    """Also the name of the parameter that takes it."""
    description: str
    """A phrase for people."""
    value: Callable[[PassageSignals, LoadedSupplies], Evidence] | None = None
    """Returns the evidence about a passage, from its signals and the supplies; None where all passages share it."""
    shared: Callable[[LoadedSupplies, Iterable[PassageSignals]], Evidence] | None = None
    """Returns the evidence that all passages share, from the supplies and the signals of the kind's population."""
    passes: tuple[ModelPass, ...] = ()
    reads: tuple[str, ...] = ()
    """The arrays of the signals that `value` or `shared` reads, or ``continuations``; empty: those that the type of the
    parameter names."""
    requirement: Requirement | None = None
    depends: Callable[[LoadedSupplies], Mapping[str, Any]] | None = None
    """Returns JSON values: what the evidence depends on besides its passes."""
    refuse_tokenizer: Callable[[LoadedSupplies, str], None] | None = None
    """Raises `AttackError` where the supplies do not fit the target's tokenizer, given by its fingerprint."""
    by_token: bool = False
    """Whether tokens of several models are compared with each other, so that all must have the same tokenizer."""
    by_default: bool = True
    """Whether attacks on it run where the user names no attack: false where its passes cost much and show little."""

    @property
    def pass_count_varies(self) -> bool:
        """Whether the number of its passes depends on the supplies, or on the number of models."""
        return any(declared.count_varies or "*" in declared.role for declared in self.passes)

    def missing(self, supplies: LoadedSupplies) -> str:
        """What is missing, as the end of a sentence; empty where nothing is."""
        if self.requirement is not None and not self.requirement.is_met(supplies):
            return self.requirement.advice
        for declared in self.passes:
            if not any(map(declared.matches, supplies.roles)):
                return ADVICE.get(declared.role, f"a model with the role {declared.role!r}: give it in `models`")
        return ""


ADVICE = {"reference": "a reference model: give it as `reference`", "target": "a target model: give it as `target`"}
EVIDENCE: dict[str, EvidenceKind] = {}
"""Every kind of evidence by name. The passes of a model run in this order."""


def register_evidence(kind: EvidenceKind) -> EvidenceKind:
    """Register a kind of evidence; it replaces a kind of the same name from the same module.

    Raises `AttackError` where another module has registered the name, or one of its passes is declared otherwise by
    another kind.
    """
    registered = EVIDENCE.get(kind.name)
    if registered is not None and _module(registered) != _module(kind):
        raise AttackError(f"evidence {kind.name!r} is registered by {_module(registered)} already: choose another name")
    if (kind.value is None) == (kind.shared is None):
        raise AttackError(f"evidence {kind.name!r}: give either `value` or `shared`, a function that returns it")
    for other in EVIDENCE.values():
        for declared in kind.passes if other.name != kind.name else ():
            if any(each.name == declared.name and each != declared for each in other.passes):
                raise AttackError(
                    f"evidence {kind.name!r}: evidence {other.name!r} has another pass {declared.name!r}: choose "
                    "another name for the pass"
                )
    EVIDENCE[kind.name] = kind
    return kind


def _module(kind: EvidenceKind) -> str:
    return str(getattr(kind.value or kind.shared, "__module__", ""))
