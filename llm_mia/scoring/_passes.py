"""The passes that a run needs: which are there, and making those that are not."""

from __future__ import annotations

import platform
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING, Any

from ..attacks import Attack, passes_needed
from ..backends import Backend, ModelSpec
from ..errors import ModelError
from ..records import TokenSignals
from ..store import RunDirectory, SignalsFolder, differences, packed
from ..windows import window_rule
from ._beside import Behind, ahead
from ._blocks import BlockSize, Held, Pass, block_size, blocks, score_block
from ._inputs import Inputs, in_step
from ._progress import Progress, Tally

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["run_passes"]

PASSES: dict[str, tuple[str, Callable[[str], str]]] = {
    "target": ("target", lambda text: text),
    "lowered": ("target", str.lower),
    "reference": ("reference", lambda text: text),
}
"""Each pass: the model that makes it, and what it makes of the text. Passes of one model stand together."""

# A part is written when this much would otherwise be lost or held in memory.
PART_SECONDS, PART_TOKENS = 20.0, 1_000_000
# Compiling the reductions takes as long as what it saves on so much text. It goes by the input alone, as blocks do.
COMPILED_FROM_BYTES = 1 << 15


def run_passes(
    run: RunDirectory,
    inputs: Inputs,
    models: Mapping[str, Backend | ModelSpec | None],
    attacks: Sequence[Attack],
    window_tokens: int | None,
    progress: Progress | None,
) -> None:
    """Make every pass that *attacks* need and that *run* does not hold yet."""
    needed = passes_needed(attacks)
    if {"target", "reference"} <= set(needed):
        _refuse_the_same(models)
    tallies = {name: Tally(name, inputs, progress) for name in needed}
    stored = _stored(run, inputs, tallies)
    for role, source in models.items():
        names = [name for name in PASSES if name in needed and PASSES[name][0] == role]
        if names and source is not None and not _finished(run, inputs, source, names, window_tokens, stored):
            _run_model(run, inputs, source, names, window_tokens, stored, tallies)
    run.record(
        versions=_versions(),
        inputs=[
            {"name": source.name, "sha256": source.sha256(), "passages": counts.passages}
            for source, counts in zip(inputs.sources, inputs.check.sources, strict=True)
        ],
        attacks=[one.name for one in attacks],
    )


def _stored(run: RunDirectory, inputs: Inputs, tallies: Mapping[str, Tally]) -> dict[str, int]:
    """How many passages of each pass are on disk; they are those that the input begins with."""
    made = [name for name in tallies if name in run.passes()]
    counts = dict.fromkeys(tallies, 0)
    if not made:
        return counts
    for passages, chunks in in_step(run, inputs, made, keys_only=True):
        if not chunks:
            break
        sizes = [passage.n_bytes for passage in passages]
        for name, chunk in chunks.items():
            counts[name] += len(chunk)
            tallies[name](len(chunk), chunk.n_tokens.sum(), sum(sizes[: len(chunk)]))
    return counts


def _finished(
    run: RunDirectory,
    inputs: Inputs,
    source: Backend | ModelSpec,
    names: Sequence[str],
    window_tokens: int | None,
    stored: Mapping[str, int],
) -> bool:
    """Whether the passes *names* are there, made by the very files that *source* names: then it need not be loaded."""
    if not isinstance(source, ModelSpec) or any(stored[name] < inputs.passages for name in names):
        return False
    made = [run.passes().get(name, {}) for name in names]
    digest = source.sha256()
    return digest is not None and all(
        one.get("source", {}).get("sha256") == digest
        and source.dtype in ("auto", one["model"]["dtype"])
        and one["window"] == asdict(window_rule(one["model"]["context"], window_tokens))
        for one in made
    )


def _run_model(
    run: RunDirectory,
    inputs: Inputs,
    source: Backend | ModelSpec,
    names: Sequence[str],
    window_tokens: int | None,
    stored: Mapping[str, int],
    tallies: Mapping[str, Tally],
) -> None:
    """Load one model, make its passes, and let go of it: two models are never in memory together."""
    backend, origin = _load(source, compiled=inputs.bytes >= COMPILED_FROM_BYTES)
    model = asdict(backend.info)
    if "reference" in names and "target" in tallies:
        _refuse_itself(run.passes()["target"]["model"], model)
    rule = window_rule(backend.info.context, window_tokens)
    size = asdict(block_size(backend.tokens_per_batch))
    for name in names:
        # One by one: where the first finds the signals of another input, the others are not claimed either.
        size_then = run.passes().get(name, {}).get("block", size)
        run.claim({name: {"model": model, "window": asdict(rule), "block": size_then, **origin}})
        if stored[name] == inputs.passages:
            continue
        start = time.monotonic()
        as_is = run.signals("target") if name == "lowered" and "target" in names else None
        one = Pass(backend, rule, BlockSize(**size_then), PASSES[name][1], as_is)
        _make_pass(run.signals(name), one, inputs, stored[name], tallies[name])
        seconds = run.manifest().get("wall_seconds", {})
        spent = round(seconds.get(name, 0.0) + time.monotonic() - start, 3)
        run.record(wall_seconds={**seconds, name: spent})


def _load(source: Backend | ModelSpec, *, compiled: bool) -> tuple[Backend, dict[str, Any]]:
    """The model, and by what it can be known again without loading it."""
    if not isinstance(source, ModelSpec):
        return source, {}
    backend = source.load(compiled=compiled)
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
