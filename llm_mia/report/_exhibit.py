"""An exhibit on the terminal: what was written, and what a check of it gives."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path
from typing import Any

from .exhibit import Part, State, Verification, verify_exhibit
from .words import counted

__all__ = ["exhibit_lines", "exhibit_summary", "verification_lines", "verification_summary"]

NAMED = 10
"""Files that the check names."""
MEANINGS = {
    State.CHANGED: "changed",
    State.GROWN: "grown: lines were added, and the lines before are unchanged",
    State.MISSING: "missing",
    State.ADDED: "added: it is not part of what was written",
}


def exhibit_lines(folder: Path) -> str:
    """What was written, and how it is checked."""
    checked = verify_exhibit(folder)
    return "\n".join(
        [
            f"{counted(len(checked.files), 'file')} written to {folder}; README.txt says what each is.",
            "",
            f"  read    {folder / 'finding.html'}",
            f"  check   llm-mia exhibit --verify {shlex.quote(str(folder))}",
            "",
            "SHA-256 of manifest.json, to be noted where nobody can change it:",
            f"  {checked.manifest_sha256}",
        ]
    )


def exhibit_summary(folder: Path) -> dict[str, Any]:
    """The same for machines."""
    checked = verify_exhibit(folder)
    return {
        "exhibit": str(folder),
        "side": checked.manifest.side,
        "redacted": checked.manifest.redacted,
        "manifest_sha256": checked.manifest_sha256,
        "files": sorted(checked.manifest.files),
    }


def verification_lines(checked: Verification) -> str:
    """What the check of an exhibit gives: what differs, file by file, or that nothing does."""
    lines = []
    for part in Part:
        files = [each for each in checked.files if each.part is part]
        if not files:
            continue
        states = Counter(each.state for each in files)
        counts = ", ".join(f"{number:,} {state}" for state, number in states.items())
        lines.append(f"{part}: {counts}")
        differing = [each for each in files if each.differs]
        lines += [f"  {_shown(each.name)}  {MEANINGS[each.state]}" for each in differing[:NAMED]]
        if len(differing) > NAMED:
            lines.append(f"  and {len(differing) - NAMED:,} more")
    if checked.expected_sha256 not in (None, checked.manifest_sha256):
        lines.append(f"manifest.json has another digest than {checked.expected_sha256}")
    head = "Nothing differs from what was written." if checked.intact else "This is not what was written."
    lines = [head, f"  {checked.path}", *lines, f"SHA-256 of manifest.json: {checked.manifest_sha256}"]
    if checked.intact and checked.expected_sha256 is None:
        lines.append("It shows no change only if this is the digest that was noted when the exhibit was written.")
    return "\n".join(lines)


def _shown(name: str) -> str:
    """*name* on a line, without characters that move the cursor: whoever changed an exhibit chose the names in it."""
    return name if name.isprintable() else repr(name)


def verification_summary(checked: Verification) -> dict[str, Any]:
    """The same for machines."""
    return {
        "exhibit": str(checked.path),
        "intact": checked.intact,
        "manifest_sha256": checked.manifest_sha256,
        "expected_sha256": checked.expected_sha256,
        "files": [{"part": str(each.part), "name": each.name, "state": str(each.state)} for each in checked.files],
    }
