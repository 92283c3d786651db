"""Lines of a log that could not be read, or that are odd: counted by reason, with the numbers of the first."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Fault", "Faults"]

NUMBERS_KEPT = 5


@dataclass(frozen=True, slots=True)
class Fault:
    """A reason why lines were left out, or are odd."""

    reason: str
    """What is wrong; it never repeats what the line holds."""
    lines: int
    """How many lines."""
    first_lines: tuple[str, ...]
    """Where the first are, as FILE:LINE."""
    read: bool
    """Whether the lines were read nevertheless."""


@dataclass
class Faults:
    """Counts of faults; `listed` gives them in the order of their number."""

    counts: dict[tuple[str, bool], int] = field(default_factory=dict)
    places: dict[tuple[str, bool], list[str]] = field(default_factory=dict)

    def add(self, reason: str, place: str, *, read: bool = False) -> None:
        """Count a line."""
        key = (reason, read)
        self.counts[key] = self.counts.get(key, 0) + 1
        places = self.places.setdefault(key, [])
        if len(places) < NUMBERS_KEPT:
            places.append(place)

    def merge(self, other: Faults) -> None:
        """Add the counts of *other*, whose lines come later."""
        for key, count in other.counts.items():
            self.counts[key] = self.counts.get(key, 0) + count
            self.places[key] = [*self.places.get(key, []), *other.places[key]][:NUMBERS_KEPT]

    def listed(self) -> tuple[Fault, ...]:
        """Every reason, the most frequent first."""
        keys = sorted(self.counts, key=lambda key: (-self.counts[key], key))
        return tuple(Fault(key[0], self.counts[key], tuple(self.places[key]), key[1]) for key in keys)
