"""What goes to stdout and what to stderr."""

from __future__ import annotations

import codecs
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from .parameters import spelled, with_slashes

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..passages import Passages

__all__ = ["carry_any_text", "say", "say_input_notes", "say_skipped", "show", "show_json"]

PIPED_WIDTH = 80
PLAIN = {
    "≤": "<=", "≥": ">=", "–": "-", "—": "-", "−": "-", "…": "...", "•": "*", "◂": "<-", "·": "*", "×": "x", "∞": "inf",
    "→": "->", "±": "+-", "≈": "~", "ε": "epsilon", "’": "'", "‘": "'", "“": '"', "”": '"', "\N{NO-BREAK SPACE}": " ",
}  # fmt: skip
"""Plain characters in place of those that a stream cannot carry."""

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that steer a terminal; with those that turn the direction of writing, a name could show another."""


def show(result: RenderableType) -> None:
    """Print a table or text for people, as wide as the terminal; to a pipe or a file at most 80 columns wide.

    The environment variable COLUMNS sets another width.
    """
    from rich.console import Console
    from rich.text import Text

    class AnyConsole(Console):
        """Lays out the characters that the stream will get."""

        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(_carried(text, sys.stdout), **options)

    console = AnyConsole(highlight=False, emoji=False, markup=not isinstance(result, str))
    if sys.stdout.isatty():
        console.print(result)
        return
    if not os.environ.get("COLUMNS", "").isdecimal():
        console.width = PIPED_WIDTH
    with console.capture() as captured:
        console.print(result)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def show_json(result: Mapping[str, Any]) -> None:
    """Print a result for machines; where stdout cannot carry a character, it is escaped as JSON escapes it.

    Sentences name parameters as Python does, so they are the same whichever command prints a result.
    """
    text = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False)
    print(text if _can_carry(text, sys.stdout) else json.dumps(result, indent=2, allow_nan=False))


def say(message: str) -> None:
    """One line for people on stderr: a note or progress."""
    print(with_slashes(spelled(message)), file=sys.stderr)


def carry_any_text() -> None:
    """Let stdout and stderr take any text: characters that they cannot carry are replaced by plain ones.

    Where a stream is closed (``>&-``), what is printed there is dropped.
    """
    codecs.register_error("llm_mia.plain", _replace)
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - open until the process ends
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="llm_mia.plain")


def _can_carry(text: str, stream: TextIO) -> bool:
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _carried(text: str, stream: TextIO) -> str:
    """*text* as *stream* will write it, without characters that control a terminal, which a name may hold."""
    text = CONTROL.sub(lambda match: repr(match[0])[1:-1], text)
    if _can_carry(text, stream):
        return text
    return "".join(character if _can_carry(character, stream) else _plain(character) for character in text)


def _replace(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def _plain(character: str) -> str:
    return PLAIN.get(character) or character.encode("ascii", "backslashreplace").decode("ascii")


def say_skipped(passages: Passages) -> None:
    """What the reading of *passages* left out, a line each; which files were left out was shown before."""
    for note in passages.contents().counts.notes:
        if note not in passages.notes:
            say(f"note: {note}")


def say_input_notes(passages: Passages) -> None:
    """What the reading of *passages* left out, and what occurs twice, a line each; the rest was shown before."""
    from ..passages import check_inputs

    for note in check_inputs([passages]).notes:
        if note not in passages.notes:  # those were shown when it was opened
            say(f"note: {note}")
