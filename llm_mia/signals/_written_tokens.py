"""Special tokens of a model that are written in the passages: counted when a pass begins, for a note."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..backends import Backend
from ..records import Passage, PassRecord, RunRecord, WrittenTokens
from ..store import RunDirectory

__all__ = ["count_written_tokens", "unname_written_tokens", "without_written_tokens", "written_token_notes"]


def count_written_tokens(backend: Backend, passages: Iterable[Passage]) -> WrittenTokens | None:
    """The *passages* in which special tokens of *backend* are written; None where there are none.

    A backend that has no method ``special_token_in`` has no special tokens.
    """
    special_token_in = getattr(backend, "special_token_in", None)
    if special_token_in is None:
        return None
    count, first = 0, ("", "")
    for passage in passages:
        token = special_token_in(passage.text)
        if token is not None:
            first = first if count else (token, passage.where or f"passage {passage.id!r}")
            count += 1
    return WrittenTokens(count, *first) if count else None


def written_token_notes(record: RunRecord) -> tuple[str, ...]:
    """A sentence for each model of a run of which special tokens are written in the passages."""
    return tuple(
        _note(role, written, templated=record.passes[role].model.templated)
        for role in record.passes
        if role.startswith(("target", "reference")) and (written := record.passes[role].written_tokens)
    )


def without_written_tokens(run: Path, notes: Sequence[str]) -> tuple[str, ...]:
    """The *notes* without the special tokens that are written in passages, which ``run.json`` then does not name.

    How many passages hold such tokens, and where the first is, stays.
    """
    with RunDirectory(run) as directory:
        passes = directory.record.passes
        unnamed, renamed = unname_written_tokens(passes)
        if unnamed != passes:
            directory.update(passes=unnamed)
    return tuple(renamed.get(note, note) for note in notes)


def unname_written_tokens(passes: Mapping[str, PassRecord]) -> tuple[dict[str, PassRecord], dict[str, str]]:
    """The *passes* without the names of special tokens, and by each note on such tokens the note without the name."""
    unnamed = {
        name: made_by
        if made_by.written_tokens is None
        else replace(made_by, written_tokens=replace(made_by.written_tokens, token=""))
        for name, made_by in passes.items()
    }
    notes = [written_token_notes(RunRecord(passes=each)) for each in (passes, unnamed)]
    return unnamed, dict(zip(*notes, strict=True))


def _note(role: str, written: WrittenTokens, *, templated: bool) -> str:
    passages = f"{written.passages:,} passage{' holds' if written.passages == 1 else 's hold'}"
    such_as = f", such as {written.token!r} ({written.first})" if written.token else f" (the first: {written.first})"
    held = f"{passages} special tokens of the {role}{such_as}: "
    if templated:
        return held + "they are read as special tokens, because `templated` is set"
    return held + "they are read as text; set `templated` if the passages are in the model's template"
