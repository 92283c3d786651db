"""What names of columns and values of labels mean by themselves: the rule for passages and for tables of scores."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Mapping, Sequence
from decimal import Decimal
from typing import Any

__all__ = [
    "CARRIED_TYPES",
    "USUAL",
    "class_names",
    "folded",
    "membership",
    "other_labels",
    "simple_columns",
    "usual_column",
]

USUAL = {
    "text": ("text", "input", "passage", "content", "snippet"),
    "id": ("id", "passage_id"),
    "label": ("label", "member", "is_member", "membership"),
    "document": ("document", "book", "doc_id", "title"),
}
"""Names of columns that are used where the user names no column, in order of preference."""
CARRIED_TYPES = (bool, int, float, str)
"""Values of these types are carried from the input into the results."""
MEANINGS: Mapping[Hashable, int | None] = {
    **dict.fromkeys(("1", "1.0", "true", "member"), 1),
    **dict.fromkeys(("0", "0.0", "false", "nonmember", "non-member", "non_member"), 0),
    **dict.fromkeys(("", "nan", "none", "null"), None),
}
"""What a label that is a string means, in small letters and without blanks around it."""


def folded(name: str) -> str:
    """*name* without what does not count in the name of a column: capitals, blanks around it, and hyphens."""
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def usual_column(role: str, names: Sequence[str]) -> str | None:
    """The column among *names* that is used as *role* where the user names none; None where no name is usual.

    A name that is written exactly as in `USUAL` comes before the same name with capitals, blanks or hyphens.

    >>> usual_column("label", ["ID", "Is-Member"]), usual_column("id", ["ID", "id"]), usual_column("id", ["n"])
    ('Is-Member', 'id', None)
    """
    by_folded = {folded(name): name for name in reversed(names)}
    for usual in USUAL[role]:
        if usual in names:
            return usual
        if usual in by_folded:
            return by_folded[usual]
    return None


def other_labels(chosen: str, names: Sequence[str]) -> list[str]:
    """The columns among *names* that could hold the labels as well as the column that was *chosen* by its name.

    Such a table may hold topics as ``label``, and membership as ``is_member``.

    >>> other_labels("label", ["text", "label", "Is-Member"])
    ['Is-Member']
    """
    return [name for name in names if name != chosen and folded(name) in USUAL["label"]]


def membership(value: object) -> int | None:
    """The label that *value* means: 1 member, 0 non-member, None unknown.

    Raises:
        ValueError: it means none of these.

    >>> membership("Non-Member"), membership(True), membership("1.0"), membership(float("nan"))
    (0, 1, 1, None)
    """
    if isinstance(value, str):
        word = value.strip().lower()
        if word in MEANINGS:
            return MEANINGS[word]
    elif value is None or (isinstance(value, float | Decimal) and math.isnan(value)):
        return None
    elif isinstance(value, bool | int | float | Decimal) and value in (0, 1):
        return int(value)
    raise ValueError("neither 1, true nor member, and neither 0, false nor non-member")


def class_names(schema: Any) -> dict[str, list[str]]:
    """The names of the classes of each column that ``datasets`` wrote as a ``ClassLabel``, in the order of their codes.

    Such a column holds codes, and which code means member depends on the order of the names.

    Args:
        schema: of an Arrow table; ``datasets`` keeps its types in the metadata.
    """
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {name: list(kind["names"]) for name, kind in features.items() if kind.get("_type") == "ClassLabel"}
    except (KeyError, TypeError, ValueError, AttributeError):  # no such metadata, or of another shape
        return {}


def simple_columns(schema: Any) -> list[str]:
    """The columns of an Arrow schema whose values are strings, numbers, or true and false."""
    import pyarrow.types as types

    kinds = (types.is_string, types.is_large_string, types.is_boolean, types.is_integer, types.is_floating)

    def is_simple(kind: Any) -> bool:
        return any(is_kind(kind.value_type if types.is_dictionary(kind) else kind) for is_kind in kinds)

    return [name for name, kind in zip(schema.names, schema.types, strict=True) if is_simple(kind)]
