"""All rows of a source that cannot be passages: counted, and the first of them named with their places."""

from __future__ import annotations

from ..errors import PassageError

__all__ = ["Faults"]

MOST_PLACES, MOST_PROBLEMS = 10, 5
"""Places, and different problems, that a message names."""


class Faults:
    """Takes the faults of rows one after another, so that a message can name them all at once."""

    def __init__(self) -> None:
        self.count = 0
        """Rows that cannot be passages."""
        self._places: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}

    def add(self, where: str, problem: str) -> None:
        """Note that the row at *where* cannot be a passage because of *problem*."""
        self.count += 1
        if problem not in self._counts and len(self._counts) >= 100 * MOST_PROBLEMS:
            problem = "other faults"
        self._counts[problem] = self._counts.get(problem, 0) + 1
        places = self._places.setdefault(problem, [])
        if len(places) < MOST_PLACES:
            places.append(where)

    def refuse(self, shown: str) -> None:
        """Do nothing where no fault was noted.

        Raises:
            PassageError: a fault was noted. Where there are several, the message counts them, and names the first ten
                places; *shown* is how messages call the source.
        """
        if self.count == 0:
            return
        problems = list(self._counts)
        if self.count == 1:
            raise PassageError(self._places[problems[0]][0], problems[0])
        sentences: dict[str, list[str]] = {}
        left = MOST_PLACES
        for problem in problems[:MOST_PROBLEMS]:
            what, mark, remedy = _parted(problem)
            places = self._places[problem][: max(left, 1)]
            left -= len(places)
            rows = f"{self._counts[problem]:,} ({self._named(problem, places, shown)}): {what}"
            sentences.setdefault(mark + remedy, []).append(rows)
        if len(problems) == 1:
            named = self._named(problems[0], self._places[problems[0]], shown)
            raise PassageError(shown, f"{self.count:,} rows cannot be passages ({named}): {problems[0]}")
        listed = [", ".join(same) + remedy for remedy, same in sentences.items()]
        if len(problems) > MOST_PROBLEMS:
            rest = sum(self._counts[problem] for problem in problems[MOST_PROBLEMS:])
            listed.append(f"{rest:,} more with other faults")
        raise PassageError(shown, f"{self.count:,} rows cannot be passages: {'. '.join(listed)}")

    def _named(self, problem: str, places: list[str], shown: str) -> str:
        """The *places* of rows that have the *problem*, and whether there are more."""
        numbers: dict[str, list[str]] = {}
        for place in places:
            of, _, number = place.removeprefix(f"{shown} ").rpartition(" ")  # of "line", "row", or "part.csv line"
            if number.isdigit():
                numbers.setdefault(of, []).append(number)
            else:
                numbers[place.removeprefix(f"{shown} ")] = []
        named = [
            f"{of}{'s' if len(each) > 1 else ''} {', '.join(each)}" if each else of for of, each in numbers.items()
        ]
        return ("; " if any(numbers.values()) else ", ").join(named) + (
            ", …" if self._counts[problem] > len(places) else ""
        )


def _parted(problem: str) -> tuple[str, str, str]:
    """What is wrong, a mark, and what to do about it, which different problems may share."""
    marks = [mark for mark in ("; ", ": ") if mark in problem]
    return problem.partition(min(marks, key=problem.index)) if marks else (problem, "", "")
