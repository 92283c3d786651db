"""The passes that a run needs: which are there, and making those that are not."""

from __future__ import annotations

import platform
import time
import zlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from ..attacks import Attack
from ..backends import Backend, ModelSpec
from ..errors import AttackError, ModelError, RunDirectoryError
from ..records import IntArray, TokenSignals
from ..store import RunDirectory, SignalsFolder, differences, packed
from ._blocks import BlockSize, Held, Pass, block_size, blocks, score_block
from ._inputs import Inputs, in_step
from ._plan import ALIGNED, Planned
from ._progress import Progress, Tally
from ._threads import Behind, ahead

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["refuse_other_tokenizer", "run_passes"]

# A part is written when this much would otherwise be lost or held in memory.
PART_SECONDS, PART_TOKENS = 20.0, 1_000_000
# Compiling the reductions takes as long as what it saves on so much text. It goes by the input alone, as blocks do.
COMPILED_FROM_BYTES = 1 << 15


def run_passes(
    run: RunDirectory,
    inputs: Inputs,
    models: Mapping[str, Backend | ModelSpec | None],
    planned: Sequence[Planned],
    attacks: Sequence[Attack],
    window_tokens: int | None,
    progress: Progress | None,
) -> None:
    """Make every pass that is *planned* and that *run* does not hold yet."""
    if {"target", "reference"} <= {one.role for one in planned}:
        _refuse_the_same(models)
    _refuse_other_aids(run, planned)
    tallies = {one.name: Tally(one.name, one.inputs, progress) for one in planned}
    stored = _stored(run, planned, tallies)
    for role, source in models.items():
        own = [one for one in planned if one.role == role]
        if own and source is not None and not _finished(run, source, own, window_tokens, stored):
            _run_model(run, source, own, window_tokens, stored, tallies, aligned=_aligned(attacks))
    run.record(
        versions=_versions(),
        inputs=[
            {"name": source.name, "sha256": source.sha256(), "passages": counts.passages}
            for source, counts in zip(inputs.sources, inputs.check.sources, strict=True)
        ],
    )


def _aligned(attacks: Sequence[Attack]) -> str:
    """The first of *attacks* that sets token beside token; empty where none does."""
    return next((one.name for one in attacks if ALIGNED & set(one.evidence)), "")


def _refuse_other_aids(run: RunDirectory, planned: Sequence[Planned]) -> None:
    """Refuse, before a model is loaded, a run directory whose signals were made with other shots or rewrites."""
    for one in planned:
        made = run.passes().get(one.name)
        if made is not None:
            there = {name: made.get(name) for name in one.record}
            what = "; ".join(differences(there, one.record))
            if what:
                raise RunDirectoryError(f"{run.path}: belongs to another run ({one.name}: {what}); name another folder")


def _stored(run: RunDirectory, planned: Sequence[Planned], tallies: Mapping[str, Tally]) -> dict[str, int]:
    """How many passages of each pass are on disk; they are those that its input begins with."""
    counts = dict.fromkeys(tallies, 0)
    made = [one for one in planned if one.name in run.passes()]
    for inputs in {id(one.inputs): one.inputs for one in made}.values():
        names = [one.name for one in made if one.inputs is inputs]
        for passages, chunks in in_step(run, inputs, names, keys_only=True):
            if not chunks:
                break
            sizes = [passage.n_bytes for passage in passages]
            for name, chunk in chunks.items():
                counts[name] += len(chunk)
                tallies[name](len(chunk), chunk.n_tokens.sum(), sum(sizes[: len(chunk)]))
    return counts


def _finished(
    run: RunDirectory,
    source: Backend | ModelSpec,
    planned: Sequence[Planned],
    window_tokens: int | None,
    stored: Mapping[str, int],
) -> bool:
    """Whether all that is *planned* is there, made by the very files that *source* names: it need not be loaded."""
    if not isinstance(source, ModelSpec) or any(stored[one.name] < one.inputs.passages for one in planned):
        return False
    digest = source.sha256()
    return digest is not None and all(
        made.get("source", {}).get("sha256") == digest
        and source.dtype in ("auto", made["model"]["dtype"])
        and made["window"] == asdict(one.rule(made["model"]["context"], window_tokens, made.get("shots_tokens", 0)))
        for one in planned
        for made in [run.passes().get(one.name, {})]
    )


def _run_model(
    run: RunDirectory,
    source: Backend | ModelSpec,
    planned: Sequence[Planned],
    window_tokens: int | None,
    stored: Mapping[str, int],
    tallies: Mapping[str, Tally],
    *,
    aligned: str,
) -> None:
    """Load one model, make its passes, and let go of it: two models are never in memory together."""
    most = max(one.inputs.bytes for one in planned)
    begun = next((run.passes()[one.name]["model"] for one in planned if one.name in run.passes()), None)
    backend, origin = _load(source, begun, compiled=most >= COMPILED_FROM_BYTES)
    model = asdict(backend.info)
    if begun is not None:  # nothing was chosen anew: the record keeps what was measured when the run began
        model["dtype_choice"] = begun.get("dtype_choice")
    if planned[0].role == "reference" and "target" in tallies:
        _refuse_itself(run.passes()["target"]["model"], model)
        if aligned and run.passes()["target"]["model"]["tokenizer"] != model["tokenizer"]:
            refuse_other_tokenizer(aligned)
    size = asdict(block_size(backend.tokens_per_batch))
    for one in planned:
        prefix, depends = _prefix(backend, one)
        rule = one.rule(backend.info.context, window_tokens, depends.get("shots_tokens", 0))
        # One by one: where the first finds the signals of another input, the others are not claimed either.
        size_then = run.passes().get(one.name, {}).get("block", size)
        made_by = {"model": model, "window": asdict(rule), "block": size_then, **depends, **origin}
        run.claim({one.name: made_by})
        if stored[one.name] == one.inputs.passages:
            continue
        start = time.monotonic()
        as_is = run.signals("target") if one.rewrite and "target" in tallies else None
        how = Pass(backend, rule, BlockSize(**size_then), one.rewrite, as_is, prefix)
        _make_pass(run.signals(one.name), how, one.inputs, stored[one.name], tallies[one.name])
        seconds = run.manifest().get("wall_seconds", {})
        spent = round(seconds.get(one.name, 0.0) + time.monotonic() - start, 3)
        run.record(wall_seconds={**seconds, one.name: spent})


def _prefix(backend: Backend, one: Planned) -> tuple[IntArray | None, dict[str, Any]]:
    """What stands before each window, and what of it the signals depend on."""
    if not one.shots:
        return None, dict(one.record)
    tokens = backend.encode([one.shots])[0]
    bos = [] if backend.bos is None else [backend.bos]
    prefix = np.array([*bos, *tokens], dtype=np.int32)
    return prefix, {**one.record, "shots_tokens": len(tokens)}


def refuse_other_tokenizer(attack: str) -> None:
    """Raises `AttackError`: *attack* compares token with token, and the two models cut texts differently."""
    raise AttackError(
        f"attack {attack!r} compares token with token, and target and reference have different tokenizers: leave it "
        "out, or name a reference with the target's tokenizer (attack 'reference' compares by byte)"
    )


def _load(
    source: Backend | ModelSpec, begun: Mapping[str, Any] | None, *, compiled: bool
) -> tuple[Backend, dict[str, Any]]:
    """The model, in the precision that the run began with, and by what it can be known again without loading it."""
    if not isinstance(source, ModelSpec):
        return source, {}
    backend = (source if begun is None else source.in_precision(begun["dtype"])).load(compiled=compiled)
    # Only now: a model of the hub may not have been on this machine before.
    return backend, {"source": {"sha256": source.sha256(), "dtype": source.dtype}}


def _refuse_the_same(models: Mapping[str, Backend | ModelSpec | None]) -> None:
    """Refuse, before anything is scored, a reference that is the target."""
    target, reference = models["target"], models["reference"]
    if isinstance(target, ModelSpec) and isinstance(reference, ModelSpec):
        digest = target.sha256()
        if digest is not None and digest == reference.sha256() and target.dtype == reference.dtype:
            _refuse_itself({}, {})
    elif isinstance(target, Backend) and isinstance(reference, Backend):
        _refuse_itself(asdict(target.info), asdict(reference.info))


def _refuse_itself(target: Mapping[str, Any], reference: Mapping[str, Any]) -> None:
    if not any(differences(target, reference)):
        raise ModelError(
            "the reference model is the target itself, and what a model gains over itself is nothing: name a reference "
            "that was not trained on the passages, or attacks that need none"
        )


def _make_pass(folder: SignalsFolder, one: Pass, inputs: Inputs, start: int, report: Tally) -> None:
    """Score the passages from the position *start* on, and write part after part."""
    report(0, 0, 0)
    held = _held_before(folder, inputs, start)
    with Behind(_Parts(folder)) as write, closing(ahead(blocks(one, inputs, start))) as ready:
        for block in ready:
            write((block.ids, block.digests, score_block(one, block, held, report)))
        write(None)


class _Parts:
    """Takes block after block, and writes a part when there is enough for one; None is the end."""

    def __init__(self, folder: SignalsFolder) -> None:
        self._folder = folder
        self._tables: list[pa.Table] = []
        self._tokens, self._since = 0, time.monotonic()

    def __call__(self, block: tuple[Sequence[str], Sequence[str], Sequence[TokenSignals]] | None) -> None:
        if block is not None:
            self._tables.append(packed(*block))
            self._tokens += sum(map(len, block[2]))
        enough = self._tokens >= PART_TOKENS or time.monotonic() - self._since >= PART_SECONDS
        if self._tables and (enough or block is None):
            self._folder.append(self._tables)
            self._tables, self._tokens, self._since = [], 0, time.monotonic()


def _held_before(folder: SignalsFolder, inputs: Inputs, start: int) -> Held:
    """What a pass would hold of repeated texts, had it just made what is on disk."""
    held = Held()
    repeated = inputs.check.repeated
    if not start or not len(repeated):
        return held
    at = 0
    for chunk in folder.chunks():
        first, last = repeated.searchsorted([at, at + len(chunk)])
        for row in (repeated[first:last] - at).tolist():
            held.add(chunk.text_sha256[row], chunk.signals(row))
        at += len(chunk)
    return held


def _versions() -> dict[str, str]:
    packages = ("llm-mia", "torch", "transformers", "numpy")
    return {
        "python": platform.python_version(),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        **{name: metadata.version(name) for name in packages},
    }
