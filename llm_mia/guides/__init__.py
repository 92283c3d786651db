"""Guides: what is longer than a help text, in Markdown files of this package."""

from __future__ import annotations

import difflib
from pathlib import Path

from ..errors import UsageError

__all__ = ["guide", "topics"]

FOLDER = Path(__file__).parent


def topics() -> dict[str, str]:
    """The title of each guide by its topic, in alphabetical order."""
    return {path.stem: _title(path) for path in sorted(FOLDER.glob("*.md"))}


def guide(topic: str) -> str:
    """The text of the guide about *topic*, in Markdown.

    Raises:
        UsageError: there is no such guide.
    """
    names = list(topics())
    if topic not in names:
        close = difflib.get_close_matches(topic, names, n=1)
        meant = f"did you mean {close[0]!r}?" if close else f"the guides are {', '.join(names)}"
        raise UsageError(f"there is no guide about `topic` {topic!r}: {meant}")
    return (FOLDER / f"{topic}.md").read_text(encoding="utf-8")


def _title(path: Path) -> str:
    with path.open(encoding="utf-8") as lines:
        return next(lines).removeprefix("# ").strip()
