"""The decorator that makes a function an attack: its signature says what it requires."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, get_type_hints

from ..errors import AttackError
from ..records import TokenSignals

__all__ = ["ATTACKS", "EVIDENCE", "Attack", "Share", "attack", "parse_attack", "passes_needed"]

EVIDENCE: dict[str, str] = {
    "target": "signals of the target model on the passage",
    "reference": "signals of the reference model on the passage",
    "lowered": "signals of the target model on the passage in lower case",
    "text": "the passage itself",
}
"""What an attack may ask for, by the name of its positional parameter. All but ``text`` cost one pass."""


@dataclass(frozen=True, slots=True)
class Between:
    """A bound on a hyper-parameter: above *low*, at most *high*."""

    low: float
    high: float


Share = Annotated[float, Between(0.0, 1.0)]
"""A share of the tokens: 0 < k ≤ 1."""


@dataclass(frozen=True, slots=True)
class Attack:
    """Evidence about one passage in, one score out; higher is more member-like."""

    name: str
    """As the user named it, hyper-parameters included: ``min_k:k=0.1``. Also its column in ``scores.parquet``."""
    function: Callable[..., float]
    paper: str
    evidence: tuple[str, ...]
    """Names from `EVIDENCE`, in the order the function takes them."""
    hyper_parameters: Mapping[str, float] = field(default_factory=dict)
    """The values in force."""

    @property
    def summary(self) -> str:
        """The first sentence of the docstring."""
        return (inspect.getdoc(self.function) or "").split("\n\n")[0].replace("\n", " ").replace("*", "")

    @property
    def passes(self) -> tuple[str, ...]:
        """The model passes it needs; shared with every other attack that needs them."""
        return tuple(name for name in self.evidence if name != "text")

    def score(self, evidence: Mapping[str, TokenSignals | str]) -> float:
        """The score of one passage; NaN where a pass has no scored token (a passage of one token without BOS)."""
        arguments = [evidence[name] for name in self.evidence]
        for value in arguments:
            if isinstance(value, TokenSignals) and len(value.logprob) == 0:
                return math.nan
        return float(self.function(*arguments, **self.hyper_parameters))


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


def parse_attack(spec: str) -> Attack:
    """The attack that *spec* names: ``min_k`` or ``min_k:k=0.1``.

    Raises:
        AttackError: no such attack, no such hyper-parameter, or a value out of its range.

    >>> parse_attack("min_k:k=0.1").hyper_parameters
    {'k': 0.1}
    """
    name, colon, settings = spec.partition(":")
    if name not in ATTACKS:
        near = difflib.get_close_matches(name, ATTACKS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(ATTACKS)}"
        raise AttackError(f"no attack is named {name!r}: {hint}")
    base = ATTACKS[name]
    given: dict[str, float] = {}
    for setting in settings.split(",") if colon else ():
        key, _, value = setting.partition("=")
        if key in given:
            raise AttackError(f"attack {name!r}: hyper-parameter {key!r} is given twice")
        given[key] = _hyper_parameter(base, key, value)
    return Attack(spec, base.function, base.paper, base.evidence, {**base.hyper_parameters, **given})


def _hyper_parameter(base: Attack, key: str, value: str) -> float:
    if key not in base.hyper_parameters:
        known = ", ".join(base.hyper_parameters) or "none"
        raise AttackError(f"attack {base.name!r} has no hyper-parameter {key!r}; it has: {known}")
    kind = type(base.hyper_parameters[key])
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


def _bounds(function: Callable[..., float], key: str) -> list[Between]:
    hint: Any = get_type_hints(function, include_extras=True).get(key)  # not everybody annotates
    return [extra for extra in getattr(hint, "__metadata__", ()) if isinstance(extra, Between)]


def passes_needed(attacks: Iterable[Attack]) -> tuple[str, ...]:
    """The model passes that serve all of *attacks*, each once, in the order of `EVIDENCE`."""
    needed = {name for one in attacks for name in one.passes}
    return tuple(name for name in EVIDENCE if name in needed)
