"""The decorator that registers a function as an attack; the signature of the function is its requirement."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from ..errors import AttackError, LlmMiaError
from ..records import AttackRecord, TokenSignals
from ..settings import Numbers, Value, Words, read_settings, unknown_name
from ._evidence import EVIDENCE
from ._fields import IDS, fields_of, reads_token_ids
from ._kind import Evidence, EvidenceKind, LoadedSupplies
from ._refusals import refuse_declaration

__all__ = [
    "ATTACKS",
    "AtLeast",
    "Attack",
    "Positive",
    "Share",
    "all_attacks",
    "attack",
    "parse_attack",
    "passes_needed",
]


@dataclass(frozen=True, slots=True)
class Between:
    """A bound on a setting: above *low*, at most *high*."""

    low: float
    high: float


Share = Annotated[float, Between(0.0, 1.0)]
"""A share of the tokens: 0 < k ≤ 1."""
Positive = Annotated[float, Between(0.0, math.inf)]
"""Above zero."""
AtLeast = Annotated[int, Between(0, 1 << 30)]
"""A whole number, 1 or more."""


@dataclass(frozen=True, slots=True)
class Attack:
    """A function from evidence about a passage to a score; higher is more member-like."""

    name: str
    """As the user named it, settings included: ``min_k:k=0.1``. Also the name of its column of scores."""
    function: Callable[..., float]
    paper: str
    evidence: tuple[str, ...]
    """Names from `EVIDENCE`, in the order in which the function takes them."""
    settings: Mapping[str, Value] = field(default_factory=dict)
    """The values that this attack uses."""
    revision: int = 1
    """Of the formula: it goes up when the formula changes."""

    @property
    def record(self) -> AttackRecord:
        """Formula and settings, as they are recorded with the scores."""
        return AttackRecord(self.name, self.revision, dict(self.settings), self.evidence)

    @property
    def summary(self) -> str:
        """The first paragraph of the docstring."""
        return (inspect.getdoc(self.function) or "").split("\n\n")[0].replace("\n", " ").replace("*", "")

    @property
    def formula(self) -> str:
        """The indented lines of the docstring, ahead of its examples."""
        about = (inspect.getdoc(self.function) or "").partition(">>>")[0].splitlines()
        return "\n".join(line.strip() for line in about if line.startswith("    "))

    @property
    def passes(self) -> tuple[str, ...]:
        """The passes that it needs, by `ModelPass.name`; shared with every other attack that needs them."""
        return passes_needed([self])

    @property
    def kinds(self) -> tuple[EvidenceKind, ...]:
        """The kinds of evidence that it takes."""
        return tuple(EVIDENCE[name] for name in self.evidence)

    @property
    def by_token(self) -> bool:
        """Whether it compares tokens of several models with each other, so that all must have the same tokenizer."""
        return any(kind.by_token for kind in self.kinds)

    def compares_tokens_of(self, role: str) -> bool:
        """Whether the model with this role must have the target's tokenizer."""
        return any(kind.by_token and declared.matches(role) for kind in self.kinds for declared in kind.passes)

    @property
    def by_default(self) -> bool:
        """Whether it runs where no attack is named."""
        return all(kind.by_default for kind in self.kinds)

    @property
    def fields(self) -> dict[str, frozenset[str]]:
        """Which fields of the signals it reads by role of the model, or ``continuations``; see `EvidenceKind.reads`."""
        hints, read = _hints(self.function), dict[str, frozenset[str]]()
        for kind in self.kinds:
            of_kind = frozenset(kind.reads or fields_of(hints.get(kind.name))) - {IDS}
            for declared in kind.passes:
                read[declared.role] = read.get(declared.role, frozenset()) | of_kind
        return read

    def reads(self, declaration: str) -> frozenset[str]:
        """Which arrays of `TokenSignals` it reads of the passes with this declaration (`ModelPass.name`).

        Of an attack that another package or a notebook defines, the token ids always count: mypy has not held it to
        its types here.
        """
        hints, read = _hints(self.function), set[str]()
        foreign = not self.function.__module__.startswith(f"{__package__}.")
        for kind in self.kinds:
            if any(declared.name == declaration for declared in kind.passes):
                hint = hints.get(kind.name)
                read |= {*(kind.reads or fields_of(hint))}
                read |= {IDS} if not kind.reads and (foreign or reads_token_ids(hint)) else set()
        return frozenset(read)

    def missing(self, supplies: LoadedSupplies) -> str:
        """What the attack needs and the user has not given, as the end of a sentence; empty if nothing is missing."""
        return next((phrase for kind in self.kinds if (phrase := kind.missing(supplies))), "")

    def score(self, evidence: Mapping[str, Evidence]) -> float:
        """The score of one passage; NaN where a pass has no scored token (a passage of a single token, without BOS)."""
        arguments = [evidence[name] for name in self.evidence]
        for value in arguments:
            several = value if isinstance(value, tuple) else (value,)
            if any(isinstance(signals, TokenSignals) and len(signals) == 0 for signals in several):
                return math.nan
        try:
            return float(self.function(*arguments, **self.settings))
        except LlmMiaError:  # says what to do already
            raise
        except Exception as error:  # whatever the function of a package or of a notebook raises
            raise AttackError(f"attack {self.name!r} fails ({type(error).__name__}: {error}): correct it") from error

    def variants(self) -> list[Attack]:
        """The attack in each of its forms.

        A form is a value of the setting that is a choice between words; without such a setting there is a single form.
        """
        for key in self.settings:
            choices = _choices(self.function, key)
            if choices:
                return [
                    self if choice == self.settings[key] else parse_attack(f"{self.name}:{key}={choice}")
                    for choice in choices
                ]
        return [self]


ATTACKS: dict[str, Attack] = {}
"""Every attack by name, with its default settings."""


def attack(name: str, *, paper: str, revision: int = 1) -> Callable[[Callable[..., float]], Callable[..., float]]:
    """Register a function as the attack *name*, and return it unchanged.

    Positional parameters are evidence, named as in `EVIDENCE`; their types say which fields of the signals the function
    reads. Keyword-only parameters are settings, with defaults. An attack of the same name from the same module is
    replaced, so a cell of a notebook can be run again.

    Args:
        name: the name by which users select the attack.
        paper: authors, year and arXiv number.
        revision: goes up when the formula changes, so that no calibration meets scores of another formula.

    Raises:
        AttackError: another module has registered the name, it means something else, the evidence is unknown, or a
            setting has no default that is a number or a string.
    """

    def register(function: Callable[..., float]) -> Callable[..., float]:
        parameters = inspect.signature(function).parameters.values()
        evidence = tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)
        unknown = [parameter for parameter in evidence if parameter not in EVIDENCE]
        if unknown:
            raise AttackError(f"attack {name!r}: no evidence is named {unknown[0]!r}; there are {', '.join(EVIDENCE)}")
        registered = ATTACKS.get(name)
        if registered is not None and registered.function.__module__ != function.__module__:
            raise AttackError(
                f"attack {name!r} is registered by {registered.function.__module__} already: choose another name"
            )
        defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        without = [key for key, default in defaults.items() if default is inspect.Parameter.empty]
        if without:
            raise AttackError(f"attack {name!r}: the setting {without[0]!r} has no default")
        refuse_declaration(name, revision, defaults)
        ATTACKS[name] = Attack(name, function, paper, evidence, defaults, revision)
        return function

    return register


def all_attacks() -> dict[str, Attack]:
    """Every attack by name, those of installed packages included.

    A package adds attacks and kinds of evidence by an entry point of the group ``llm_mia.attacks``. It names a module,
    which registers them when it is imported.

    Raises:
        AttackError: the module of a package cannot be imported; the message names both.
    """
    _load_entry_points()
    return ATTACKS


@functools.cache
def _load_entry_points() -> None:
    for point in metadata.entry_points(group="llm_mia.attacks"):
        try:
            point.load()
        except Exception as error:
            package = point.dist.name if point.dist else point.value
            raise AttackError(
                f"the attacks of package {package!r} cannot be loaded ({type(error).__name__}: {error}): repair it, or "
                f"pip uninstall {package}"
            ) from error


def parse_attack(spec: str) -> Attack:
    """The attack that *spec* names: ``min_k`` or ``min_k:k=0.1``.

    Raises:
        AttackError: no such attack, no such setting, or a value out of its range.

    >>> parse_attack("min_k:k=0.1").settings
    {'k': 0.1}
    """
    name = spec.partition(":")[0]
    if name not in ATTACKS and name not in all_attacks():
        raise AttackError(unknown_name("attack", name, ATTACKS))
    base = ATTACKS[name]
    known = {key: _values(base.function, key, default) for key, default in base.settings.items()}
    return replace(base, name=spec, settings={**base.settings, **read_settings("attack", spec, known, AttackError)})


def _hints(function: Callable[..., float]) -> dict[str, Any]:
    """The types of its parameters; empty where they cannot be resolved."""
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, AttributeError, SyntaxError, TypeError):
        return {}


def _values(function: Callable[..., float], key: str, default: Value) -> Numbers | Words:
    """What the setting *key* may be, by the type of the parameter."""
    if choices := _choices(function, key):
        return Words(choices)
    annotations = getattr(_hints(function).get(key), "__metadata__", ())
    within = next((each for each in annotations if isinstance(each, Between)), Between(-math.inf, math.inf))
    return Numbers(within.low, within.high, whole=isinstance(default, int), above_low=True)


def _choices(function: Callable[..., float], key: str) -> tuple[str, ...]:
    hint = _hints(function).get(key)
    return get_args(hint) if get_origin(hint) is Literal else ()


def passes_needed(attacks: Iterable[Attack]) -> tuple[str, ...]:
    """The names of the `ModelPass` that serve *attacks*, each once, in the order of the models that run."""
    used = {name for each in attacks for name in each.evidence}
    passes = {
        declared.name: declared.role for name, kind in EVIDENCE.items() if name in used for declared in kind.passes
    }
    first = ("target", "reference")
    return tuple(sorted(passes, key=lambda name: first.index(passes[name]) if passes[name] in first else len(first)))
