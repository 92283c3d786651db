"""JSON Schemas (draft 2020-12) of what ``--json`` prints; `scripts/write_schemas.py` writes them."""

from __future__ import annotations

import difflib
import json
from pathlib import Path

from ...errors import UsageError

__all__ = ["FOLDER", "schema", "schemas"]

FOLDER = Path(__file__).parent


def schemas() -> dict[str, str]:
    """By name of a schema: what it describes, in alphabetical order."""
    return {path.stem: json.loads(path.read_bytes())["title"] for path in sorted(FOLDER.glob("*.json"))}


def schema(name: str) -> str:
    """The text of the schema *name*.

    Raises:
        UsageError: there is no such schema.
    """
    names = [path.stem for path in sorted(FOLDER.glob("*.json"))]
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        meant = f"did you mean {close[0]!r}?" if close else f"the schemas are {', '.join(names)}"
        raise UsageError(f"there is no schema with the `name` {name!r}: {meant}")
    return (FOLDER / f"{name}.json").read_text(encoding="utf-8")
