"""The limits of a gate: how much a model may leak; defaults, and ``gate.toml``."""

from __future__ import annotations

import difflib
import math
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ..errors import UsageError

__all__ = ["DEFAULTS", "Limits", "TprLimit", "read_limits"]


@dataclass(frozen=True, slots=True)
class TprLimit:
    """The largest true positive rate at a false positive rate."""

    tpr: float
    fpr: float

    @classmethod
    def of(cls, text: str) -> TprLimit:
        """The limit that *text* names, as in ``0.02@0.01``.

        Raises:
            UsageError: it has another form.

        >>> TprLimit.of("0.02@0.01")
        TprLimit(tpr=0.02, fpr=0.01)
        """
        tpr, mark, fpr = text.partition("@")
        try:
            if mark:
                return cls(float(tpr), float(fpr))
        except ValueError:
            pass  # reported below, as any other form
        raise UsageError(f"`max_tpr` is {text!r}: give a rate at a false positive rate, as in 0.02@0.01")

    def __str__(self) -> str:
        return f"{self.tpr:g}@{self.fpr:g}"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a model may leak; None where the default holds.

    Raises:
        UsageError: a limit lies outside its range or below what chance gives, or two limits contradict each other.
    """

    max_gap: float | None = None
    """Largest difference of the mean token probability between members and non-members."""
    max_auroc: float | None = None
    """Largest AUROC of the strongest attack; 0.5 is guessing."""
    max_tpr: tuple[TprLimit, ...] | None = None
    """Largest true positive rates of the strongest attack, each at another false positive rate."""
    max_epsilon: float | None = None
    """Largest ε of differential privacy: that which the training documents, and where this limit is given also that
    which an attack shows."""
    max_extractable: float | None = None
    """Largest share of the members' documents of which the model writes a stretch word for word."""

    def __post_init__(self) -> None:
        _check_range("max_gap", self.max_gap, 0.0, 1.0)
        _check_range("max_auroc", self.max_auroc, 0.5, 1.0, "0.5 is guessing, and no model leaks less")
        _check_range("max_epsilon", self.max_epsilon, 0.0, math.inf)
        _check_range("max_extractable", self.max_extractable, 0.0, 1.0)
        for each in self.max_tpr or ():
            if not 0 < each.fpr < 1:
                raise UsageError(
                    f"`max_tpr` is {each}: the false positive rate after @ must lie between 0 and 1, both excluded"
                )
            _check_range("max_tpr", each.tpr, 0.0, 1.0)
            if each.tpr < each.fpr:
                raise UsageError(
                    f"`max_tpr` is {each}, below the false positive rate of {each.fpr:g} itself, which guessing "
                    f"reaches: give at least {each.fpr:g}@{each.fpr:g}"
                )
        by_rate = dict[float, TprLimit]()
        for each in sorted(self.max_tpr or (), key=lambda limit: limit.fpr):
            if each.fpr in by_rate:
                raise UsageError(
                    f"`max_tpr` is given as {by_rate[each.fpr]} and as {each}, at the same false positive rate: leave "
                    "out one of the two"
                )
            by_rate[each.fpr] = each

    def or_else(self, other: Limits) -> Limits:
        """These limits, and those of *other* where none is given here."""
        return replace(other, **{name: getattr(self, name) for name in self.given})

    @property
    def given(self) -> tuple[str, ...]:
        """The names of the limits that are not left to the defaults."""
        return tuple(field.name for field in fields(self) if getattr(self, field.name) is not None)


def read_limits(path: str | Path) -> Limits:
    """The limits in the TOML file *path*, whose keys are the fields of `Limits`; ``max_tpr`` is a string or a list.

    Raises:
        UsageError: it cannot be read, is no TOML, or holds an unknown key or a value that is no limit.
    """
    try:
        entries = tomllib.loads(Path(path).read_bytes().decode())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}): name a TOML file with `limits`") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: is no TOML ({error}): correct it; the guide 'gate' shows the format") from None
    names = [field.name for field in fields(Limits)]
    for name, value in entries.items():
        if isinstance(value, dict):
            raise UsageError(f"{path}: has the section [{name}]: write the limits without sections")
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            meant = f"did you mean {close[0]!r}?" if close else f"the limits are {', '.join(names)}"
            raise UsageError(f"{path}: has the key {name!r}, which is no limit; {meant}")
    try:
        return Limits(**{name: _value(name, value) for name, value in entries.items()})
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def _value(name: str, value: Any) -> Any:
    """The value of the limit *name* from that in TOML."""
    if name == "max_tpr":
        listed = value if isinstance(value, list) else [value]
        if listed and all(isinstance(each, str) for each in listed):
            return tuple(map(TprLimit.of, listed))
        raise UsageError(f'`max_tpr` is {value!r}: give it in quotation marks, as in "0.02@0.01", or a list of such')
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"`{name}` is {value!r}: give a number")
    try:
        return float(value)
    except OverflowError:
        raise UsageError(f"`{name}` is too large a number: give a smaller") from None


def _check_range(name: str, value: float | None, low: float, high: float, why: str = "") -> None:
    if value is not None and not low <= value <= high:
        at_most = "" if math.isinf(high) else f" and at most {high:g}"
        raise UsageError(f"`{name}` is {value:g}: it must be at least {low:g}{at_most}{f' ({why})' if why else ''}")


DEFAULTS = Limits(max_gap=0.1, max_auroc=0.6, max_tpr=(TprLimit(0.02, 0.01),), max_epsilon=8.0, max_extractable=0.001)
"""What holds where the user gives no limit; the guide ``gate`` gives the reasons."""
