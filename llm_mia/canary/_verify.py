"""The check of a folder of canaries by somebody who did not make it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ._manifest import (
    MANIFEST,
    PUBLIC,
    Manifest,
    faults_of,
    manifest_faults,
    public_draw,
    read_manifest,
    read_secret,
    read_variants,
)

__all__ = ["Verification", "verify_canaries"]


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of `verify_canaries`."""

    folder: Path
    manifest: Manifest
    public: tuple[int, ...] | None
    """Which variant of each document is public; None before the draw, and where the secret is missing or wrong."""
    faults: tuple[str, ...]
    """A line for everything that is wrong; none where all is right."""
    notes: tuple[str, ...]
    """What could not be checked, and why."""


def verify_canaries(folder: str | Path, *, secret: str | Path | None = None) -> Verification:
    """Check manifest, root, commitment, sealed texts and draw of *folder*, and that ``public`` holds what was drawn.

    Args:
        folder: as `make_canaries` has written it; ``public`` may be missing.
        secret: the file with the secret, where it is not in the folder.

    Raises:
        InputError: there is no manifest, or it cannot be read.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    faults, notes, public = [*manifest_faults(folder, manifest)], [], None
    if not faults:
        try:
            key, variants = read_secret(folder, secret), read_variants(folder)
        except InputError as error:
            faults = [str(error)]
        else:
            faults = [*faults_of(folder, manifest, key, variants)]
            public = None if faults else public_draw(manifest, key)
            notes = [*_notes(folder, manifest)]
    return Verification(folder, manifest, public, tuple(faults), tuple(notes))


def _notes(folder: Path, manifest: Manifest) -> Iterator[str]:
    if manifest.beacon is None:
        yield "nothing was drawn yet"
    elif not manifest.beacon:
        yield "the draw rests on the secret alone: whoever has it could have tried several before the sealing"
    elif manifest.beacon_source:
        yield (
            f"not checked, because nothing here shows it: that {manifest.beacon_source} gave this beacon, and that the "
            f"root in {folder / MANIFEST} was published before"
        )
    else:
        yield "the beacon was known when the texts were sealed: whoever has the secret could have tried several"
    if manifest.beacon is not None and not (folder / PUBLIC).exists():
        yield f"not checked, because {folder / PUBLIC} is not here: what was published"
