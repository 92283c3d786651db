"""What is printed when variants were sealed or drawn, and when a folder of them was verified."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...canary import Manifest, Verification, WrittenCanaries
from ...records import SCHEMA_VERSION
from ._counting import counted

__all__ = [
    "drawn_lines",
    "sealed_lines",
    "sealing_summary",
    "verified_lines",
    "verified_summary",
]


def sealed_lines(written: WrittenCanaries) -> str:
    """What was sealed, what is to be published, and what must be kept."""
    return "\n".join(_sealed(written))


def _sealed(written: WrittenCanaries) -> Iterator[str]:
    folder, manifest = written.folder, written.manifest
    sealed = f"{_documents(manifest)}: sealed in {folder}"
    if written.drawn:
        yield f"{sealed}, and drawn."
        yield f"root  {manifest.root}"
        yield f"Publish the texts in {folder / 'public'}, and nothing else."
        yield _draw_warning(manifest)
    else:
        yield f"{sealed}. Nothing is drawn or public yet."
        yield f"root  {manifest.root}"
        yield "1. Publish the root now, or have it time-stamped, with these words:"
        yield f"   drawn by {manifest.beacon_source}"
        yield f"2. When the value is known: llm-mia canary draw {folder} --beacon VALUE"
        yield f"3. Then publish the texts in {folder / 'public'}, and nothing else."
    yield _keep(folder)


def _draw_warning(manifest: Manifest) -> str:
    if manifest.beacon:
        doubt = (
            "The beacon was known before the sealing, so the draw could have been, too: whoever has the secret could "
            "have tried several secrets."
        )
    else:
        doubt = "Without a beacon the draw rests on the secret alone: whoever has it could have tried several secrets."
    return (
        f'{doubt} To leave no such doubt, make them with --beacon-source "drand round N", publish the root, and then '
        "run 'llm-mia canary draw'."
    )


def _keep(folder: Path) -> str:
    return (
        f"Keep {folder / 'sealed'} secret, and a copy of it elsewhere. Without the secret in it nothing can ever be "
        "tested or verified, and nobody can restore it."
    )


def drawn_lines(written: WrittenCanaries) -> str:
    """Where the public variants are, and what comes next."""
    folder, manifest = written.folder, written.manifest
    lines = [
        f"{_documents(manifest)}: drawn by the beacon {manifest.beacon}",
        f"Publish the texts in {folder / 'public'}, and nothing else; as often as you like.",
        f"root  {manifest.root}",
        f"Check: llm-mia canary verify {folder}",
        _keep(folder),
    ]
    return "\n".join(lines)


def verified_lines(verification: Verification) -> str:
    """That all is right, and what was not checked."""
    manifest = verification.manifest
    checked = "root, secret, texts and draw agree" if manifest.beacon is not None else "root, secret and texts agree"
    lines = [f"{verification.folder}: {checked}: {_documents(manifest)}", f"root  {manifest.root}"]
    if manifest.beacon:
        lines.append(f"beacon  {manifest.beacon}{_source(manifest)}")
    return "\n".join([*lines, *verification.notes])


def _source(manifest: Manifest) -> str:
    return f" ({manifest.beacon_source})" if manifest.beacon_source else ""


def _documents(manifest: Manifest) -> str:
    fewest, most = _numbers(manifest)
    each = counted(most, "variant") if fewest == most else f"{fewest} to {most} variants"
    return f"{counted(len(manifest.documents), 'document')} with {each} ({manifest.kind})"


def _numbers(manifest: Manifest) -> tuple[int, int]:
    numbers = [len(document.leaves) for document in manifest.documents]
    return min(numbers), max(numbers)


def sealing_summary(written: WrittenCanaries) -> dict[str, object]:
    """What was sealed or drawn, for machines: no text, no secret, and not which variant is public."""
    return {
        **_described(written.folder, written.manifest),
        "drawn": written.drawn,
        "notes": list(written.notes),
    }


def verified_summary(verification: Verification) -> dict[str, object]:
    """The result of a verification, for machines."""
    return {
        **_described(verification.folder, verification.manifest),
        "verified": not verification.faults,
        "faults": list(verification.faults),
        "notes": list(verification.notes),
    }


def _described(folder: Path, manifest: Manifest) -> dict[str, object]:
    fewest, most = _numbers(manifest)
    return {
        "schema_version": SCHEMA_VERSION,
        "folder": str(folder),
        "kind": str(manifest.kind),
        "documents": len(manifest.documents),
        "fewest_variants": fewest,
        "most_variants": most,
        "root": manifest.root,
        "commitment": manifest.commitment,
        "beacon": manifest.beacon,
        "beacon_source": manifest.beacon_source,
    }
