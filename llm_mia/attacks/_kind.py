"""What a kind of evidence is: the passes that it takes, and how an attack's argument is put together from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal, Protocol, TypeAlias

from ..errors import AttackError
from ..passages import Passages
from ..records import Passage, TokenFrequencies, TokenSignals

__all__ = [
    "EVIDENCE",
    "Evidence",
    "Kind",
    "ModelPass",
    "Provided",
    "Rewrite",
    "Row",
    "Supply",
    "Version",
    "Writer",
    "evidence",
]

Evidence: TypeAlias = object
"""What an attack receives: token signals, several of them, a text, or whatever a kind of evidence puts together."""
Rewrite: TypeAlias = Callable[[Sequence[str]], Sequence[str]]


class Writer(Protocol):
    """A model that writes other versions of texts."""

    def __call__(self, number: int, texts: Sequence[str]) -> Sequence[str]:
        """The version *number* of each text."""

    def sha256(self) -> str | None:
        """Digest of the model's files."""


@dataclass(frozen=True, slots=True)
class Provided:
    """The models and supplies of a run, read from what the user gave; whatever was not given is empty."""

    roles: tuple[str, ...] = ("target",)
    """Of the models, ``target`` and ``reference`` first."""
    shots: Mapping[int, str] = field(default_factory=dict)
    """By label: the text that is put before each passage."""
    population: Passages | None = None
    frequencies: TokenFrequencies | None = None
    neighbours: int = 10
    """Rewritten versions of each passage."""
    writer: Writer | None = None
    """Writes the neighbours; None: words are dropped and swapped."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Version:
    """How a pass changes the texts before the model reads them."""

    name: str
    """Its folder under ``signals/``."""
    rewrite: Rewrite | None = None
    """None: the texts stay as they are."""
    prefix: str = ""
    """A text that the model reads before each of them; its tokens are not scored."""
    depends: Mapping[str, Any] = field(default_factory=dict)
    """JSON values: what the signals depend on besides the model and the windows."""


@dataclass(frozen=True, slots=True)
class ModelPass:
    """A model over texts, as a kind of evidence declares it."""

    name: str
    role: str = "target"
    """Of the model. A pattern, such as ``shadow-*``, takes in every role that fits, with a pass for each."""
    texts: Literal["passages", "population"] = "passages"
    """Those that are scored, or those of the population."""
    versions: Callable[[Provided], Sequence[Version]] | None = None
    """How the texts are changed, with a pass for each change; None: they stay as they are."""
    many: bool = False
    """Whether the number of passes depends on what the user gives."""

    def takes(self, role: str) -> bool:
        """Whether a model with this role takes part."""
        return fnmatchcase(role, self.role)

    def of(self, role: str, provided: Provided) -> list[Version]:
        """The passes of the model with this role. Unchanged passages are a pass that has the name of the role."""
        if self.versions is None:
            return [Version(role if self.texts == "passages" else self._folder(self.name, role))]
        return [
            Version(self._folder(version.name, role), version.rewrite, version.prefix, version.depends)
            for version in self.versions(provided)
        ]

    def _folder(self, name: str, role: str) -> str:
        return name if role == self.role else f"{name}-{role}"


@dataclass(frozen=True, slots=True)
class Row:
    """One passage with its signals."""

    passage: Passage
    signals: Mapping[str, tuple[TokenSignals, ...]]
    """By `ModelPass.name`: the signals of each of its passes, in order."""


@dataclass(frozen=True, slots=True)
class Supply:
    """What the user has to give besides models."""

    advice: str
    """What it is and which parameter takes it, as the end of a sentence."""
    given: Callable[[Provided], bool]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of evidence."""

    name: str
    """Of the parameter that takes it."""
    what: str
    """For people."""
    value: Callable[[Row], Evidence] | None = None
    """Puts together the evidence about a passage; None where it is the same for all."""
    shared: Callable[[Provided, Iterable[Row]], Evidence] | None = None
    """Puts together the evidence that is the same for all passages, from what the user gave and the population."""
    passes: tuple[ModelPass, ...] = ()
    reads: tuple[str, ...] = ()
    """The fields of the signals that `value` or `shared` reads; empty: those that the type of the parameter names."""
    supply: Supply | None = None
    depends: Callable[[Provided], Mapping[str, Any]] | None = None
    """JSON values: what it depends on besides its passes."""
    refuse_tokenizer: Callable[[Provided, str], None] | None = None
    """Raises `AttackError` where what the user gave does not fit the target's tokenizer, given by its fingerprint."""
    by_token: bool = False
    """Whether tokens of several models are compared with each other, so that all must have the same tokenizer."""
    by_default: bool = True
    """Whether attacks on it run where none is named: false where its passes cost much for what they show."""

    @property
    def many(self) -> bool:
        """Whether the number of its passes depends on what the user gives."""
        return any(declared.many or "*" in declared.role for declared in self.passes)

    def missing(self, provided: Provided) -> str:
        """What the user has not given, as the end of a sentence; empty where everything is there."""
        if self.supply is not None and not self.supply.given(provided):
            return self.supply.advice
        absent = next((declared.role for declared in self.passes if not any(map(declared.takes, provided.roles))), None)
        if absent is None:
            return ""
        return ADVICE.get(absent, f"a model with the role {absent!r}: give it in `models`")


ADVICE = {"reference": "a reference model: give it as `reference`", "target": "a target model: give it as `target`"}
EVIDENCE: dict[str, Kind] = {}
"""Every kind of evidence by name. Passes of one model are made in this order."""


def evidence(kind: Kind) -> Kind:
    """Register a kind of evidence; it replaces a kind of the same name from the same module.

    Raises `AttackError` where another module has registered the name.
    """
    there = EVIDENCE.get(kind.name)
    if there is not None and _module(there) != _module(kind):
        raise AttackError(f"evidence {kind.name!r} is registered by {_module(there)} already: choose another name")
    if (kind.value is None) == (kind.shared is None):
        raise AttackError(f"evidence {kind.name!r}: give either `value` or `shared`, a function that returns it")
    EVIDENCE[kind.name] = kind
    return kind


def _module(kind: Kind) -> str:
    return str(getattr(kind.value or kind.shared, "__module__", ""))
