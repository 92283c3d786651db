"""Passages × models → signals on disk → one score a passage and attack.

Each model is loaded once, makes every pass that the attacks need of it, and leaves. Whatever a run directory holds
already is read, not computed again.
"""

from __future__ import annotations

import math
import platform
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from .attacks import ATTACKS, Attack, parse_attack, passes_needed
from .backends import Backend, load_model
from .errors import AttackError, RunDirectoryError
from .passages import InputCheck, Passages, check_inputs
from .records import Passage, TokenSignals, WindowRule
from .scores import ScoreTable, read_scores
from .store import RunDirectory, SignalsFolder, StoredSignals, replacing, text_sha256
from .windows import cut, join, window_rule

__all__ = ["ModelSource", "Progress", "Step", "attacks_for", "score"]

ModelSource = Backend | str | Path | Callable[[], Backend]
"""A backend in memory, a name for `load_model`, or a function that loads one when its turn comes."""

PASSES: dict[str, tuple[str, Callable[[str], str]]] = {
    "target": ("target", lambda text: text),
    "lowered": ("target", str.lower),
    "reference": ("reference", lambda text: text),
}
"""Each pass: the model that makes it, and what it makes of the text. Passes of one model stand together."""

SCORE_COLUMNS = {"id": "string", "document": "string", "label": "int8", "n_tokens": "int32", "n_bytes": "int64"}

# A block is what is batched together. Its bounds depend on the input alone, so a resumed run makes the same batches.
BLOCK_PASSAGES, BLOCK_BYTES = 256, 65_536
# A part is written when this much would otherwise be lost or held in memory.
PART_SECONDS, PART_TOKENS = 20.0, 1_000_000


@dataclass(frozen=True, slots=True)
class Step:
    """How far a pass has come."""

    name: str
    """A name of `PASSES`, or ``scores``."""
    passages: int
    tokens: int
    bytes: int
    total_passages: int
    total_bytes: int


Progress = Callable[[Step], None]


def attacks_for(specs: Sequence[str], *, reference: bool) -> list[Attack]:
    """The attacks that *specs* name, or every attack that the models at hand can serve.

    Raises:
        AttackError: an unknown attack, the same one twice, or one that needs a reference model without one.
    """
    if not specs:
        return [one for one in ATTACKS.values() if reference or "reference" not in one.evidence]
    attacks = [parse_attack(spec) for spec in specs]
    for one in attacks:
        if "reference" in one.evidence and not reference:
            raise AttackError(f"attack {one.name!r} needs a reference model: name one with -r")
        if [other.name for other in attacks].count(one.name) > 1:
            raise AttackError(f"attack {one.name!r} is named twice")
    return attacks


def score(
    sources: Passages | Sequence[Passages],
    target: ModelSource,
    reference: ModelSource | None = None,
    *,
    attacks: Sequence[str] = (),
    out: str | Path,
    window_tokens: int | None = None,
    check: InputCheck | None = None,
    progress: Progress | None = None,
) -> ScoreTable:
    """Score every passage by every attack, and leave the run directory *out* behind.

    The same call continues a run that was stopped; on a finished run it computes only attacks that are new.

    Args:
        sources: what `read_passages` gives, one or several.
        target: the model under suspicion.
        reference: a model that was not trained on the passages, for the attacks that need one.
        attacks: as typed, ``min_k:k=0.1``; none: all that the models allow.
        out: the run directory.
        window_tokens: longest input fed to a model, see `llm_mia.windows`.
        check: the result of `check_inputs`, where it has been made already.
        progress: called after every block.

    Raises:
        PassageError, AttackError, ModelError, RunDirectoryError: see `llm_mia.errors`.
    """
    sources = [sources] if isinstance(sources, Passages) else list(sources)
    chosen = attacks_for(attacks, reference=reference is not None)
    with RunDirectory(out) as run:
        check = check or check_inputs(sources)
        run_passes(run, sources, {"target": target, "reference": reference}, chosen, window_tokens, check, progress)
        _write_scores(run, sources, chosen, check, progress)
        return read_scores(run.path)


def run_passes(
    run: RunDirectory,
    sources: Sequence[Passages],
    models: Mapping[str, ModelSource | None],
    attacks: Sequence[Attack],
    window_tokens: int | None,
    check: InputCheck,
    progress: Progress | None,
) -> None:
    """Make every pass that *attacks* need and that *run* does not hold yet."""
    needed = passes_needed(attacks)
    for role, source in models.items():
        names = [name for name in PASSES if name in needed and PASSES[name][0] == role]
        if names and source is not None:
            _run_model(run, sources, source, names, window_tokens, check, progress)
    run.record(
        versions=_versions(),
        inputs=[
            {"name": source.name, "sha256": source.sha256(), "passages": counts.passages}
            for source, counts in zip(sources, check.sources, strict=True)
        ],
        attacks=[one.name for one in attacks],
    )


def _run_model(
    run: RunDirectory,
    sources: Sequence[Passages],
    source: ModelSource,
    names: Sequence[str],
    window_tokens: int | None,
    check: InputCheck,
    progress: Progress | None,
) -> None:
    """Load one model, make its passes, and let go of it: two models are never in memory together."""
    backend = _backend(source)
    rule = window_rule(backend.info.context, window_tokens)
    for name in names:
        # One by one: where the first finds the signals of another input, the others are not claimed either.
        run.claim({name: {"model": asdict(backend.info), "window": asdict(rule)}})
        start = time.monotonic()
        _make_pass(run.signals(name), backend, rule, sources, PASSES[name][1], _reporter(name, check, progress))
        seconds = run.manifest().get("wall_seconds", {})
        spent = round(seconds.get(name, 0.0) + time.monotonic() - start, 3)
        run.record(wall_seconds={**seconds, name: spent})


def _backend(source: ModelSource) -> Backend:
    if isinstance(source, str | Path):
        return load_model(source)
    if isinstance(source, Backend):
        return source
    return source()


def _versions() -> dict[str, str]:
    packages = ("llm-mia", "torch", "transformers", "numpy")
    return {
        "python": platform.python_version(),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        **{name: metadata.version(name) for name in packages},
    }


def _reporter(name: str, check: InputCheck, progress: Progress | None) -> Callable[[int, int, int], None]:
    """A function that is told of passages, tokens and bytes done, and tells *progress* the sums."""
    total_passages, total_bytes = (sum(getattr(one, what) for one in check.sources) for what in ("passages", "bytes"))
    done = np.zeros(3, dtype=np.int64)

    def report(passages: int, tokens: int, n_bytes: int) -> None:
        done[:] += passages, tokens, n_bytes
        if progress:
            progress(Step(name, int(done[0]), int(done[1]), int(done[2]), total_passages, total_bytes))

    report(0, 0, 0)
    return report


def _make_pass(
    folder: SignalsFolder,
    backend: Backend,
    rule: WindowRule,
    sources: Sequence[Passages],
    transform: Callable[[str], str],
    report: Callable[[int, int, int], None],
) -> None:
    passages = _all(sources)
    for name, digest, tokens in folder.finished():
        passage = next(passages, None)
        _same(folder.path.parent.parent, passage, name, digest)
        assert passage is not None
        report(1, tokens, passage.n_bytes)
    rows: list[StoredSignals] = []
    held, since = 0, time.monotonic()
    for block in _blocks(passages):
        signals = _score_block(backend, rule, block, transform, report)
        rows += [StoredSignals(p.id, text_sha256(p), s) for p, s in zip(block, signals, strict=True)]
        held += sum(map(len, signals))
        if held >= PART_TOKENS or time.monotonic() - since >= PART_SECONDS:
            folder.append(rows)
            rows, held, since = [], 0, time.monotonic()
    if rows:
        folder.append(rows)


def _all(sources: Sequence[Passages]) -> Iterator[Passage]:
    for source in sources:
        yield from source


def _blocks(passages: Iterator[Passage]) -> Iterator[list[Passage]]:
    block: list[Passage] = []
    size = 0
    for passage in passages:
        if block and (len(block) == BLOCK_PASSAGES or size + passage.n_bytes > BLOCK_BYTES):
            yield block
            block, size = [], 0
        block.append(passage)
        size += passage.n_bytes
    if block:
        yield block


def _score_block(
    backend: Backend,
    rule: WindowRule,
    block: Sequence[Passage],
    transform: Callable[[str], str],
    report: Callable[[int, int, int], None],
) -> list[TokenSignals]:
    encoded = backend.encode([transform(passage.text) for passage in block])
    windows = [w for i, tokens in enumerate(encoded) for w in cut(tokens, rule, bos=backend.bos, passage=i)]
    n_bytes, told = sum(passage.n_bytes for passage in block), 0
    n_tokens = sum(len(window.tokens) - window.first_scored for window in windows)

    def report_batch(tokens: int) -> None:
        """A batch mixes windows of all passages, so of the bytes it is told what share of the tokens is done."""
        nonlocal told
        share = n_bytes * tokens // n_tokens
        told += share
        report(0, tokens, share)

    parts: list[list[TokenSignals]] = [[] for _ in block]
    for window, signals in zip(windows, backend.score(windows, report_batch), strict=True):
        parts[window.passage].append(signals)
    report(len(block), 0, n_bytes - told)
    return [join(one, backend.info.tokenizer) for one in parts]


def _same(run: Path, passage: Passage | None, name: str, digest: str) -> None:
    if passage is None:
        raise RunDirectoryError(
            f"{run}: holds signals of {name!r} and later passages that the input lacks; name another folder"
        )
    if (passage.id, text_sha256(passage)) != (name, digest):
        raise RunDirectoryError(
            f"{run}: holds signals of {name!r} where the input has {passage.id!r} ({passage.where}) "
            "or another text; name another folder"
        )


def _write_scores(
    run: RunDirectory,
    sources: Sequence[Passages],
    attacks: Sequence[Attack],
    check: InputCheck,
    progress: Progress | None,
) -> None:
    """``scores.parquet``: a row a passage, in input order."""
    import pyarrow as pa
    import pyarrow.parquet

    report = _reporter("scores", check, progress)
    passes = passes_needed(attacks)
    figures = [*(f"{name}_perplexity" for name in passes if name != "lowered"), *(one.name for one in attacks)]
    schema = pa.schema([*SCORE_COLUMNS.items(), *((name, "float64") for name in figures)])
    rows = _score_rows(run, sources, attacks, passes)
    with replacing(run.path / "scores.parquet") as beside, pyarrow.parquet.ParquetWriter(beside, schema) as writer:
        while chunk := list(islice(rows, 8192)):
            writer.write_table(pa.Table.from_pylist(chunk, schema=schema))
            report(len(chunk), sum(row["n_tokens"] for row in chunk), sum(row["n_bytes"] for row in chunk))


def _score_rows(
    run: RunDirectory, sources: Sequence[Passages], attacks: Sequence[Attack], passes: Sequence[str]
) -> Iterator[dict[str, Any]]:
    for passage, *stored in zip(_all(sources), *(run.signals(name) for name in passes), strict=True):
        signals = {name: one.signals for name, one in zip(passes, stored, strict=True)}
        for one in stored:
            _same(run.path, passage, one.id, one.text_sha256)
        yield {
            "id": passage.id,
            "document": passage.document,
            "label": passage.label,
            "n_tokens": len(signals["target"]),
            "n_bytes": passage.n_bytes,
            **{f"{name}_perplexity": _perplexity(one) for name, one in signals.items() if name != "lowered"},
            **{one.name: one.score({**signals, "text": passage.text}) for one in attacks},
        }


def _perplexity(signals: TokenSignals) -> float:
    """Exponential of the mean negative log-likelihood of the tokens; NaN where none was scored."""
    if not len(signals):
        return math.nan
    with np.errstate(over="ignore"):
        return float(np.exp(-signals.logprob.mean(dtype=np.float64)))
