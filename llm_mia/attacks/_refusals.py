"""What cannot be the name, the revision or a setting of an attack."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import AttackError

__all__ = ["refuse_declaration"]

CHOICES = {"all", "auto", "default", "stack"}
"""Words that stand in the place of an attack."""
FACTS = {
    "id",
    "document",
    "label",
    "n_tokens",
    "n_bytes",
    "target_tokens",
    "target_perplexity",
    "reference_tokens",
    "reference_perplexity",
}
"""Columns of ``scores.parquet`` that hold no score."""


def refuse_declaration(name: str, revision: object, settings: Mapping[str, object]) -> None:
    """Refuse an attack whose name means something else, or whose revision or settings cannot be recorded.

    Raises:
        AttackError: see above; the message names the attack.
    """
    if not name.strip() or name != name.strip() or ":" in name or "@" in name:
        raise AttackError(f"attack {name!r}: choose a name without ':' and '@', and without blanks around it")
    if name in CHOICES | FACTS:
        what = "means a choice among attacks" if name in CHOICES else "is a column of the table of scores"
        raise AttackError(f"attack {name!r}: the name {what}: choose another one")
    if type(revision) is not int or revision < 1:
        raise AttackError(f"attack {name!r}: its revision is {revision!r}: give a whole number from 1 on")
    for key, value in settings.items():
        if type(value) not in (int, float, str):
            raise AttackError(f"attack {name!r}: the default of {key!r} is {value!r:.40}: give a number or a string")
