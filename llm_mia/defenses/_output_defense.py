"""A defence of the outputs with its settings: a function from signals to what an attacker sees, by the user's name."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import UsageError
from ..records import FIELDS, TokenSignals
from ..settings import Value, unknown_name
from ._completing import BOUNDED, DIRECT, INVERTED, JOINED, MATCHED, OMITTED
from ._output_kinds import OUTPUT_DEFENSES, TEMPERATURE, OutputDefenseKind
from ._settings import Given, canonical_name, settings_of

__all__ = ["OUTPUT_DEFENSES", "OutputDefense", "OutputDefenseKind", "parse_defense"]


@dataclass(frozen=True, slots=True)
class Part:
    """A kind of defence with its settings."""

    kind: OutputDefenseKind
    settings: Given

    @property
    def canonical(self) -> str:
        """The same name for the same settings."""
        return canonical_name(self.kind.name, self.settings)


@dataclass(frozen=True, slots=True)
class OutputDefense:
    """A defence of the outputs, or several together: a function from signals to what an attacker sees."""

    name: str
    """As the user named it, settings included: ``top_k:k=5``, or ``top_k:k=5+rounding:d=2``."""
    parts: tuple[Part, ...]
    """The defences that it combines, in the order in which they are applied."""

    @property
    def settings(self) -> dict[str, Value | None]:
        """All settings with their values; of a combination by names such as ``rounding.d``."""
        alone = len(self.parts) == 1
        return {
            key if alone else f"{part.kind.name}.{key}": value
            for part in self.parts
            for key, value in part.settings.items()
        }

    @property
    def canonical(self) -> str:
        """The same name for the same defence, however it was typed; empty where everything is shown."""
        return "+".join(part.canonical for part in self.parts if part.kind.name != "none")

    @property
    def offers(self) -> frozenset[str]:
        """The fields of the signals that remain, see `llm_mia.records.FIELDS`."""
        remaining = frozenset(FIELDS)
        for part in self.parts:
            remaining &= part.kind.offers(part.settings)
        return remaining

    @property
    def reads(self) -> frozenset[str]:
        """The fields that the signals must have for `apply`."""
        return frozenset[str]().union(*(part.kind.reads for part in self.parts))

    @property
    def temperature(self) -> float:
        """The temperature of the model whose signals `apply` takes; 1 where there is no second pass."""
        return next((float(part.settings["t"] or 1) for part in self.parts if part.kind.name == TEMPERATURE), 1.0)

    @property
    def needs_second_pass(self) -> bool:
        """Whether `apply` takes signals of a second pass, by the model at `temperature`."""
        return any(part.kind.name == TEMPERATURE for part in self.parts)

    @property
    def hides(self) -> bool:
        """Whether single tokens may lack a log-probability where others have one."""
        return any(part.kind.hides for part in self.parts) and "logprob" in self.offers

    @property
    def wears_off(self) -> bool:
        """Whether more queries about the same text than `apply` stands for show more."""
        return bool(self.offers) and any(part.kind.wears_off for part in self.parts)

    @property
    def listed(self) -> int | None:
        """How many of the likeliest tokens are named at each position; None: all.

        A defence that hides the tokens outside of a list decides; the others name the likeliest token beside the actual
        one.
        """
        parts = [part for part in self.parts if part.kind.listed]
        hiding = [part for part in parts if part.kind.hides] or parts
        return min((part.kind.listed(part.settings) for part in hiding if part.kind.listed), default=None)

    @property
    def inverts(self) -> bool:
        """Whether the log-probabilities at temperature 1 can be computed from what is shown at `temperature`."""
        return self.needs_second_pass and self.offers == frozenset(FIELDS)

    def variants(self, *, matched: bool = False) -> tuple[str, ...]:
        """What the attacker may do with what is seen; empty where there is a single way.

        Hidden tokens are ``bounded`` (they get the largest log-probability that they can have) or ``omitted``. Where
        the whole distribution at a temperature is shown, it is taken as it is (``direct``), or ``inverted``: multiplied
        by the temperature and normalised again, the log-probabilities are those of the model, and the signals those of
        the first pass. Where it is not, it is compared with other models at temperature 1 (``direct``) or at the same
        temperature (``matched``). A way with hidden tokens and a way with a temperature are combined:
        ``bounded, matched``.

        Args:
            matched: whether the attacker has other models at the same temperature.
        """
        hidden = (BOUNDED, OMITTED) if self.hides else ()
        scaled = (DIRECT, INVERTED) if self.inverts else (DIRECT, MATCHED) if matched else ()
        if hidden and scaled:
            return tuple(f"{first}{JOINED}{second}" for first in hidden for second in scaled)
        return hidden or scaled

    def apply(self, signals: TokenSignals, *, text_seed: int) -> TokenSignals:
        """What an attacker sees: hidden values are NaN, and a hidden rank is −1.

        The rank is a lower bound where fewer tokens are named than are likelier.

        Args:
            signals: of the model at `temperature`.
            text_seed: of the text; noise depends on it and on the defence alone, so the same query has the same noise.
        """
        shown = signals
        for part in self.parts:
            shown = part.kind.mask(shown, text_seed=text_seed, **part.settings)
        if self.listed is not None:
            shown = replace(shown, rank=np.minimum(shown.rank, self.listed))
        hidden: dict[str, Any] = {name: np.full(len(shown), np.nan, np.float32) for name in FIELDS}
        hidden["rank"] = np.full(len(shown), -1, np.int32)
        return replace(shown, **{name: values for name, values in hidden.items() if name not in self.offers})


def parse_defense(spec: str) -> OutputDefense:
    """The defence that *spec* names: ``top_k:k=5``, or a combination as ``top_k:k=5+rounding:d=2``.

    Raises:
        UsageError: no such defence, no such setting, a value out of its range, or a defence that is named twice.

    >>> parse_defense("top_k:k=3").settings, sorted(parse_defense("top_k").offers)
    ({'k': 3}, ['logprob', 'rank', 'top'])
    """
    parts = tuple(map(_parse_part, re.split(r"\+(?=[A-Za-z])", spec)))
    names = [part.kind.name for part in parts]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated:
        raise UsageError(f"defence {spec!r}: {repeated!r} is named twice: remove the second")
    return OutputDefense(spec, parts)


def _parse_part(spec: str) -> Part:
    name = spec.partition(":")[0]
    if name not in OUTPUT_DEFENSES:
        raise UsageError(unknown_name("defence of the outputs", name, OUTPUT_DEFENSES))
    kind = OUTPUT_DEFENSES[name]
    return Part(kind, settings_of(spec, kind.settings))
