"""The decorator that makes a function an attack: its signature says what it requires."""

from __future__ import annotations

import difflib
import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_origin, get_type_hints

from ..errors import AttackError
from ..records import Population, TokenFrequencies, TokenSignals

__all__ = [
    "ATTACKS",
    "EVIDENCE",
    "MANY_PASSES",
    "AtLeast",
    "Attack",
    "Evidence",
    "Kind",
    "Positive",
    "Share",
    "all_attacks",
    "attack",
    "parse_attack",
    "passes_needed",
]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of evidence."""

    what: str
    """For people."""
    passes: tuple[str, ...] = ()
    """The model passes it takes; of ``neighbours`` and ``swapped`` there is one a rewritten text."""


EVIDENCE: dict[str, Kind] = {
    "target": Kind("signals of the target model on the passage", ("target",)),
    "reference": Kind("signals of the reference model on the passage", ("reference",)),
    "aligned_reference": Kind(
        "signals of a reference model that has the target's tokenizer, token beside token", ("reference",)
    ),
    "lowered": Kind("signals of the target model on the passage in lower case", ("lowered",)),
    "prefixed": Kind("signals of the target model on the same tokens after known non-members (--shots)", ("prefixed",)),
    "member_prefixed": Kind(
        "signals of the target model on the same tokens after known members (--shots, labelled 1)",
        ("member_prefixed",),
    ),
    "neighbours": Kind("signals of the target model on rewritten passages, one of each", ("neighbours",)),
    "swapped": Kind("signals of the target model on the passage with words swapped, one of each", ("swapped",)),
    "population": Kind(
        "what both models say of passages from the same source (--population)",
        ("target", "reference", "population_target", "population_reference"),
    ),
    "frequencies": Kind("how often each token stands in a corpus (--frequencies)"),
    "text": Kind("the passage itself"),
}
"""What an attack may ask for, by the name of its positional parameter."""

PASSES = (
    "target", "lowered", "prefixed", "member_prefixed", "neighbours", "swapped", "population_target",
    "reference", "population_reference",
)  # fmt: skip
"""Every pass, in the order in which they are made: those of one model stand together."""
MANY_PASSES = ("neighbours", "swapped")
"""Those that are made once for each of several rewritten texts."""

Evidence: TypeAlias = TokenSignals | tuple[TokenSignals, ...] | TokenFrequencies | Population | str
Setting: TypeAlias = float | str


@dataclass(frozen=True, slots=True)
class Between:
    """A bound on a hyper-parameter: above *low*, at most *high*."""

    low: float
    high: float


Share = Annotated[float, Between(0.0, 1.0)]
"""A share of the tokens: 0 < k ≤ 1."""
Positive = Annotated[float, Between(0.0, math.inf)]
"""Above zero."""
AtLeast = Annotated[int, Between(0, 1 << 30)]
"""A whole number, one or more."""


@dataclass(frozen=True, slots=True)
class Attack:
    """Evidence about one passage in, one score out; higher is more member-like."""

    name: str
    """As the user named it, hyper-parameters included: ``min_k:k=0.1``. Also its column in ``scores.parquet``."""
    function: Callable[..., float]
    paper: str
    evidence: tuple[str, ...]
    """Names from `EVIDENCE`, in the order the function takes them."""
    hyper_parameters: Mapping[str, Setting] = field(default_factory=dict)
    """The values in force."""

    @property
    def summary(self) -> str:
        """The first sentence of the docstring."""
        return (inspect.getdoc(self.function) or "").split("\n\n")[0].replace("\n", " ").replace("*", "")

    @property
    def formula(self) -> str:
        """The indented lines of the docstring, ahead of its examples."""
        about = (inspect.getdoc(self.function) or "").partition(">>>")[0].splitlines()
        return "\n".join(line.strip() for line in about if line.startswith("    "))

    @property
    def passes(self) -> tuple[str, ...]:
        """The model passes it needs; shared with every other attack that needs them."""
        needed = {name for evidence in self.evidence for name in EVIDENCE[evidence].passes}
        return tuple(name for name in PASSES if name in needed)

    def score(self, evidence: Mapping[str, Evidence]) -> float:
        """The score of one passage; NaN where a pass has no scored token (a passage of one token without BOS)."""
        arguments = [evidence[name] for name in self.evidence]
        for value in arguments:
            several = value if isinstance(value, tuple) else (value,)
            if any(isinstance(one, TokenSignals) and len(one.logprob) == 0 for one in several):
                return math.nan
        return float(self.function(*arguments, **self.hyper_parameters))

    def variants(self) -> list[Attack]:
        """The attack once for each value of the hyper-parameter that is a choice; itself where none is."""
        for key in self.hyper_parameters:
            choices = _choices(self.function, key)
            if choices:
                return [
                    self if choice == self.hyper_parameters[key] else parse_attack(f"{self.name}:{key}={choice}")
                    for choice in choices
                ]
        return [self]


ATTACKS: dict[str, Attack] = {}
"""Every attack by name, with its default hyper-parameters."""


def attack(name: str, *, paper: str) -> Callable[[Callable[..., float]], Callable[..., float]]:
    """Register a function as the attack *name*.

    Positional parameters are evidence and are named as in `EVIDENCE`; keyword-only ones are hyper-parameters
    with defaults. The function is returned unchanged.
    """

    def register(function: Callable[..., float]) -> Callable[..., float]:
        parameters = inspect.signature(function).parameters.values()
        evidence = tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)
        unknown = set(evidence) - set(EVIDENCE)
        if unknown or name in ATTACKS:
            raise ValueError(f"attack {name!r}: registered twice, or asks for unknown evidence {sorted(unknown)}")
        defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        if inspect.Parameter.empty in defaults.values():
            raise ValueError(f"attack {name!r}: a hyper-parameter has no default")
        ATTACKS[name] = Attack(name, function, paper, evidence, defaults)
        return function

    return register


def all_attacks() -> dict[str, Attack]:
    """Every attack by name, those of installed packages included.

    A package adds attacks by an entry point of the group ``llm_mia.attacks`` that names a module, which registers them
    when it is imported.

    Raises:
        AttackError: the module of a package can't be imported; names both.
    """
    _load_entry_points()
    return ATTACKS


@functools.cache
def _load_entry_points() -> None:
    for one in metadata.entry_points(group="llm_mia.attacks"):
        try:
            one.load()
        except Exception as error:
            package = one.dist.name if one.dist else one.value
            raise AttackError(
                f"the attacks of package {package!r} can't be loaded ({type(error).__name__}: {error}): mend it, or "
                f"pip uninstall {package}"
            ) from error


def parse_attack(spec: str) -> Attack:
    """The attack that *spec* names: ``min_k`` or ``min_k:k=0.1``.

    Raises:
        AttackError: no such attack, no such hyper-parameter, or a value out of its range.

    >>> parse_attack("min_k:k=0.1").hyper_parameters
    {'k': 0.1}
    """
    name, colon, settings = spec.partition(":")
    if name not in ATTACKS and name not in all_attacks():
        near = difflib.get_close_matches(name, ATTACKS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(ATTACKS)}"
        raise AttackError(f"no attack is named {name!r}: {hint}")
    base = ATTACKS[name]
    given: dict[str, Setting] = {}
    for setting in settings.split(",") if colon else ():
        key, _, value = setting.partition("=")
        if key in given:
            raise AttackError(f"attack {name!r}: hyper-parameter {key!r} is given twice")
        given[key] = _hyper_parameter(base, key, value)
    return replace(base, name=spec, hyper_parameters={**base.hyper_parameters, **given})


def _hyper_parameter(base: Attack, key: str, value: str) -> Setting:
    if key not in base.hyper_parameters:
        known = ", ".join(base.hyper_parameters) or "none"
        raise AttackError(f"attack {base.name!r} has no hyper-parameter {key!r}; it has: {known}")
    choices = _choices(base.function, key)
    if choices:
        if value not in choices:
            raise AttackError(f"attack {base.name!r}: {key}={value} is none of {', '.join(choices)}")
        return value
    kind: type[float] = int if isinstance(base.hyper_parameters[key], int) else float
    try:
        number: float = kind(value)
    except ValueError:
        raise AttackError(f"attack {base.name!r}: {key}={value} is not a number ({kind.__name__})") from None
    for bound in _bounds(base.function, key):
        if not bound.low < number <= bound.high:
            raise AttackError(
                f"attack {base.name!r}: {key}={value} is out of range; it must be above {bound.low:g} "
                f"and at most {bound.high:g}"
            )
    return number


def _hint(function: Callable[..., float], key: str) -> Any:
    return get_type_hints(function, include_extras=True).get(key)  # not everybody annotates


def _bounds(function: Callable[..., float], key: str) -> list[Between]:
    return [extra for extra in getattr(_hint(function, key), "__metadata__", ()) if isinstance(extra, Between)]


def _choices(function: Callable[..., float], key: str) -> tuple[str, ...]:
    hint = _hint(function, key)
    return get_args(hint) if get_origin(hint) is Literal else ()


def passes_needed(attacks: Iterable[Attack]) -> tuple[str, ...]:
    """The model passes that serve all of *attacks*, each once, in the order in which they are made."""
    needed = {name for one in attacks for name in one.passes}
    return tuple(name for name in PASSES if name in needed)
