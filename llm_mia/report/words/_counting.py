"""Numbers of things, in the singular or the plural."""

from __future__ import annotations

__all__ = ["counted", "have"]


def counted(number: int, name: str, plural: str = "") -> str:
    """The number with its noun; *plural* where it is not the noun with an s.

    >>> counted(1, "passage"), counted(1234, "passage"), counted(0, "query", "queries")
    ('1 passage', '1,234 passages', '0 queries')
    """
    return f"{number:,} {name if number == 1 else plural or name + 's'}"


def have(number: int, name: str) -> str:
    """The number with its noun and the verb.

    >>> have(1, "candidate"), have(2, "candidate")
    ('1 candidate has', '2 candidates have')
    """
    return f"{counted(number, name)} {'has' if number == 1 else 'have'}"
