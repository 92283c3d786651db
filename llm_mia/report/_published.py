"""The tests of published texts in a run directory, and how a page shows them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..canary import CanaryResult, PairedResult, read_canary_test, read_paired
from ..errors import RunDirectoryError
from .words.published import PublishedTest, canary_shown, paired_shown

__all__ = ["PublishedResults", "holds_published_test", "read_published", "read_published_alone"]

FILES = ("canary.json", "paired.json")


@dataclass(frozen=True, slots=True)
class PublishedResults:
    """The tests of canaries, and of published and withheld versions, that a run directory holds; either may be None."""

    canary: CanaryResult | None
    paired: PairedResult | None

    @property
    def shown(self) -> list[PublishedTest]:
        """The tests as a page shows them."""
        return [
            *([] if self.canary is None else [canary_shown(self.canary)]),
            *([] if self.paired is None else [paired_shown(self.paired)]),
        ]

    @property
    def redacted(self) -> bool:
        """Whether every test names documents by numbers."""
        return all(each is None or each.redacted for each in (self.canary, self.paired))


def holds_published_test(run: Path) -> bool:
    """Whether the folder *run* holds the result of ``canary test`` or ``paired``."""
    return any((run / name).is_file() for name in FILES)


def read_published(run: str | Path, *, redact: bool = False) -> PublishedResults:
    """The tests of published texts in the run directory *run*.

    Args:
        run: the run directory.
        redact: name documents by numbers.

    Raises:
        RunDirectoryError: a result is damaged.
    """
    folder = Path(run)
    canary = read_canary_test(folder) if (folder / FILES[0]).is_file() else None
    paired = read_paired(folder) if (folder / FILES[1]).is_file() else None
    if redact:
        canary = canary and canary.without_names()
        paired = paired and paired.without_names()
    return PublishedResults(canary, paired)


def read_published_alone(run: str | Path, *, redact: bool = False) -> PublishedResults:
    """`read_published` of a folder that must hold a test.

    Raises:
        RunDirectoryError: it holds none, or a damaged one.
    """
    if not holds_published_test(Path(run)):
        raise RunDirectoryError(f"{run}: holds no {' and no '.join(FILES)}: name the folder of a finished test")
    return read_published(run, redact=redact)
