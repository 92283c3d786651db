"""``manifest.json``: what an exhibit rests on, and the digest of each of its files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any

from ... import __version__
from ...errors import InputError
from ...history import Entry, History
from ...records import InputRecord, PassRecord
from ...store import read_run
from .._digests import FileDigest, code_sha256, digest_of, extraction_files, run_files

__all__ = ["MANIFEST", "SUMS", "TEXTS", "Manifest", "manifest_of", "read_manifest"]

MANIFEST, SUMS = "manifest.json", "SHA256SUMS"
VERSION = 1
"""Of the manifest. It is not that of the run directory: every later release checks an exhibit of this release."""
KIND = "llm_mia exhibit"
TEXTS = "texts"
"""What the digest of an input is of, where it is not that of a file."""
SHA256 = re.compile(r"[0-9a-f]{64}")
ADVICE = "name the folder of an exhibit that 'llm-mia exhibit' wrote"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an exhibit rests on, and the digest of each of its files."""

    kind: str
    schema_version: int
    side: str
    redacted: bool
    llm_mia: Mapping[str, str]
    """Version, and the digest of the code that wrote the exhibit."""
    versions: Mapping[str, str]
    """Of what computed the run."""
    models: Sequence[Mapping[str, Any]]
    inputs: Sequence[Mapping[str, Any]]
    protocol_sha256: str
    """Empty where there was no protocol."""
    decisions: Sequence[Mapping[str, Any]]
    """On these candidates in this run directory, the first decision first."""
    run: Mapping[str, FileDigest]
    """The files of the run directory, by their path in it."""
    extraction: Mapping[str, FileDigest]
    """The files of the run directory of the extraction; empty where there is none."""
    files: Mapping[str, FileDigest]
    """The files of the exhibit, but not this file and not that of the sums."""

    def to_json(self) -> str:
        """The text of ``manifest.json``."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def manifest_of(
    run: Path,
    passes: Mapping[str, PassRecord],
    files: Mapping[str, bytes],
    *,
    side: str,
    redacted: bool,
    extraction: Path | None = None,
    protocol: str = "",
    of_texts: bool = False,
) -> Manifest:
    """The manifest of an exhibit that has these *files*.

    Args:
        run: the run directory.
        passes: its models, by the name of the pass.
        files: the content of each file, by its path in the exhibit.
        side: for whom it is worded.
        redacted: whether it holds no text and no token.
        extraction: the run directory of the extraction.
        protocol: the digest of the protocol.
        of_texts: whether the digests of inputs are those of the texts in them, and not those of files.

    Raises:
        RunDirectoryError: the run has no record, or a damaged one.
        OSError: a file of the run cannot be read.
    """
    recorded = read_run(run)
    digest_of_input = {"digest_of": TEXTS} if of_texts else {}
    return Manifest(
        kind=KIND,
        schema_version=VERSION,
        side=side,
        redacted=redacted,
        llm_mia={"version": __version__, "code_sha256": code_sha256()},
        versions=dict(recorded.versions),
        models=[_model(name, record) for name, record in passes.items()],
        inputs=[_input(record) | digest_of_input for record in recorded.inputs],
        protocol_sha256=protocol,
        # Not those of the cache: another machine has another cache, and an exhibit has the same bytes everywhere.
        decisions=[_decision(entry) for entry in History(run, run).of_run()],
        run=run_files(run),
        extraction={} if extraction is None else extraction_files(extraction),
        files={name: digest_of(content) for name, content in sorted(files.items())},
    )


def _model(name: str, record: PassRecord) -> dict[str, Any]:
    model = record.model
    return {
        "role": name,
        "name": model.id,
        "revision": model.revision,
        "weights_sha256": model.weights_sha256,
        "config_sha256": model.config_sha256,
        "files_sha256": None if record.files is None else record.files.sha256,
        "tokenizer": model.tokenizer,
        "precision": model.dtype,
        "window_tokens": record.window.tokens,
    }


def _input(record: InputRecord) -> dict[str, Any]:
    return {"name": record.name, "sha256": record.sha256, "passages": record.passages}


def _decision(entry: Entry) -> dict[str, Any]:
    """The decision without the sketch by which other decisions on the same texts are recognised."""
    decision = asdict(entry)
    del decision["subject"]
    return {**decision, "candidates_sha256": entry.subject.sha256}


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the exhibit *folder*.

    Raises:
        InputError: there is none, it is damaged, or a later release wrote it.
    """
    path = folder / MANIFEST
    try:
        entries = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{folder}: holds no {MANIFEST}, so it is no exhibit: {ADVICE}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}): {ADVICE}") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path}: is not JSON, so the exhibit was changed: {ADVICE}") from None
    if not isinstance(entries, dict) or entries.get("kind") != KIND:
        raise InputError(f"{path}: is not the manifest of an exhibit: {ADVICE}")
    if entries.get("schema_version") != VERSION:
        raise InputError(
            f"{path}: has version {entries.get('schema_version')!r}, and this release reads {VERSION}: check it by the "
            "release that wrote it, or by 'sha256sum -c SHA256SUMS'"
        )
    try:
        digests = {name: _digests(entries[name]) for name in ("run", "extraction", "files")}
        inputs = [{"name": str(each["name"]), "sha256": str(each["sha256"])} | each for each in entries["inputs"]]
        return Manifest(**{**{each.name: entries[each.name] for each in fields(Manifest)}, **digests, "inputs": inputs})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: is damaged ({error}), so the exhibit was changed: {ADVICE}") from None


def _digests(entries: Mapping[str, Any]) -> dict[str, FileDigest]:
    """Digests by path; `ValueError` where a path leads out of the folder, or a digest is none."""
    digests = {}
    for name, each in entries.items():
        path = PurePosixPath(name)
        if path.is_absolute() or not path.parts or ".." in path.parts or path.as_posix() != name:
            raise ValueError(f"{name!r} is no path in the folder")
        if not SHA256.fullmatch(each["sha256"]):
            raise ValueError(f"{name!r} has no SHA-256")
        digests[name] = FileDigest(each["sha256"], int(each["bytes"]))
    return digests
