"""Whether the known set may carry a verdict, in words."""

from __future__ import annotations

from ...records import Standing
from ...validity import Validity, Verdict

__all__ = ["standing_note", "standing_words", "validity_meaning", "void_note", "why_withheld"]

NAMED = 3
"""Checks that a sentence names."""


def standing_words(standing: Standing | None) -> str:
    """The standing of a known set.

    >>> standing_words(Standing.ACCEPTED)
    'void, accepted by the user'
    """
    if standing is None:
        return "not validated"
    words = {Standing.ACCEPTED: "void, accepted by the user", Standing.NOT_CHECKED: "not checked by another model"}
    return words.get(standing, standing.value)


def validity_meaning(standing: Standing | None) -> str:
    """What the standing means for a finding."""
    meanings = {
        Standing.VOID: "no finding may rest on it",
        Standing.ACCEPTED: "no finding may rest on it, but the user requested findings nevertheless",
        Standing.DOUBTFUL: "a finding may rest on it, but must be read together with the faults above",
        Standing.UNTESTABLE: "no finding may rest on it, because it is too small to be tested",
        Standing.NOT_CHECKED: "no check shows a fault, but no other model has scored the passages",
        Standing.SOUND: "no check shows a fault",
    }
    return meanings[standing] if standing else "nothing could be checked"


def standing_note(standing: Standing | None) -> str | None:
    """A warning for a finding; None where the known set is sound or unchecked, or where no finding is stated."""
    meaning = {
        Standing.DOUBTFUL: "a finding must be read together with its faults",
        Standing.ACCEPTED: "its faults alone may explain a finding, without any training",
    }
    if standing not in meaning:
        return None
    return f"the known set is {standing_words(standing)}: {meaning[standing]} (see validity.json)"


def void_note(standing: Standing | None) -> str | None:
    """A warning for figures of a void known set; None where it is not void."""
    if standing not in (Standing.VOID, Standing.ACCEPTED):
        return None
    return f"the known set is {standing_words(standing)}: what separates members from non-members may not be membership"


def why_withheld(validity: Validity | None = None) -> str:
    """Why a finding is withheld, in a line: the checks that make the known set void."""
    names = [check.name for check in validity.checks if check.verdict is Verdict.VOID] if validity else []
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    which = f" ({', '.join(names[:NAMED])}{more})" if names else ""
    return f"the known set is void{which}, so no finding may rest on it"
