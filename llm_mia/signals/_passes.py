"""Runs the passes that a run directory lacks, wholly or in part."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from ..backends import Backend, ModelSpec, RemoteBackend
from ..backends.ngram import NgramBackend
from ..errors import ModelError
from ..records import FilesRecord, InputRecord, ModelRecord, PassRecord, WindowRule
from ..store import RunDirectory, SignalsFolder
from ._blocks import PassSetup
from ._estimate import DryRun, Estimated, running_dry
from ._inputs import Inputs, scores_are_of, stored_chunks
from ._left_out import recorder_of_left_out, still_left_out
from ._limits import Limits
from ._measuring import Left, measure_pass
from ._models import is_of_model, load, prefix_of, versions
from ._plan import PlannedPass
from ._positions import score_gaps
from ._progress import PassProgress, PassWork, Progress, report_activity, report_work
from ._refusals import refuse_other_dependencies, refuse_target_in_role, refuse_target_record_in_role
from ._sampling import sample_positions
from ._sharing import SharedPass, Sharing, current_sharing
from ._windows import check_longest_window
from ._written_tokens import count_written_tokens
from .rounding import measure_rounding

__all__ = ["run_passes"]

# Compiling the reductions takes as long as it saves on so much text. The size of the input decides, as for blocks.
COMPILED_FROM_BYTES = 1 << 15


def run_passes(
    run: RunDirectory,
    inputs: Inputs,
    models: Mapping[str, Backend | ModelSpec | None],
    planned: Sequence[PlannedPass],
    *,
    window_tokens: int | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> None:
    """Run every pass that is *planned* and that the run directory does not hold, or holds in part.

    A model is loaded for its passes and released before the next; where all of its passes are finished, it is not
    loaded.

    Args:
        run: the run directory.
        inputs: the passages that are scored; a pass may be over others (`PlannedPass.inputs`).
        models: by role; a pass whose role has no model does not run.
        planned: the passes that are wanted.
        window_tokens: longest input fed to a model; None: see `window_rule`.
        limits: how much is computed, kept and written at once.
        progress: called after every batch.

    Raises:
        ModelError: a model cannot be loaded.
        UsageError: another role's model is the target itself, or *window_tokens* does not fit.
        RunDirectoryError: the directory belongs to another run, or cannot be written.
    """
    roles = [role for role in models if any(wanted.role == role for wanted in planned)]
    if len(roles) > 1:
        report_activity(progress, "comparing the files of the models")
    for role in roles:
        if role != "target" and "target" in roles:
            refuse_target_in_role(role, models["target"], models[role])
    for wanted in planned:
        refuse_other_dependencies(run, wanted)
        if wanted.name in run.record.passes:
            run.signals(wanted.name, wanted.reads)  # refuses what is not kept
    reports = {
        wanted.name: PassProgress(wanted.name, wanted.inputs.passages, wanted.inputs.bytes, progress)
        for wanted in planned
    }
    shared = None if running_dry() else current_sharing()
    leads = shared is None or shared.leads
    if leads and any(wanted.name in run.record.passes for wanted in planned):
        report_activity(progress, "checking what the run directory holds")
        _report_stored(run, planned, reports)
    stage = _Stage(run, inputs, window_tokens, limits or Limits(), reports, progress, shared)
    running = [wanted for wanted in planned if models.get(wanted.role) is not None]
    report_work(progress, [stage.work(each, models[each.role]) for each in running if stage.missing(each)])
    for role in roles:
        source, of_role = models[role], [wanted for wanted in planned if wanted.role == role]
        if source is None or (not leads and _is_remote(source)):
            continue
        if not _is_finished(stage, source, of_role):
            _run_model(stage, role, source, of_role)
    if dry := running_dry():
        raise Estimated(dry.estimate(inputs.passages))
    if shared is not None:
        shared.end_passes()
    sources = zip(inputs.sources, inputs.check.sources, strict=True)
    recorded = tuple(
        InputRecord(source.name, source.sha256(), counts.passages, counts.notes) for source, counts in sources
    )
    same = scores_are_of(run.record, inputs, [wanted.name for wanted in planned])
    # Scores of other inputs lack passages, so their columns leave the record in the same instant.
    columns: dict[str, Any] = {} if same else {"attacks": (), "others": (), "shared": {}}
    run.update(versions=versions(), inputs=recorded, **columns)


@dataclass(frozen=True, slots=True)
class _Stage:
    """What all passes of a call of `run_passes` share."""

    run: RunDirectory
    inputs: Inputs
    window_tokens: int | None
    limits: Limits
    reports: Mapping[str, PassProgress]
    """By the name of the pass."""
    progress: Progress | None
    sharing: Sharing | None
    """The processes that compute the passes together."""

    def missing(self, wanted: PlannedPass) -> list[range]:
        """The positions that are still to be scored."""
        if wanted.name not in self.run.record.passes:
            return [range(wanted.inputs.passages)]
        return self.run.signals(wanted.name, ()).missing(wanted.inputs.passages)

    def left(self, wanted: PlannedPass) -> Left:
        """What the model still has to read for a pass that is not finished."""
        passages, n_bytes = self.reports[wanted.name].left
        share = 1 - wanted.inputs.copies / max(1, wanted.inputs.passages)
        return Left(self.missing(wanted)[0].start, round(passages * share), round(n_bytes * share))

    def work(self, wanted: PlannedPass, source: Backend | ModelSpec | None) -> PassWork:
        """What the model, loaded from *source*, still has to read for a pass that is not finished."""
        left = self.left(wanted)
        cost = 0.0 if isinstance(source, NgramBackend) else 2.0 if wanted.rewritten_by_model else 1.0
        if wanted.samples is not None:
            cost = 4 * left.passages * wanted.samples.cost / max(1, left.bytes)  # a token has about 4 bytes
        loads = isinstance(source, ModelSpec)
        price = source.budget.price if isinstance(source, ModelSpec) and source.budget else None
        return PassWork(wanted.name, wanted.role, left.passages, left.bytes, cost, loads, _is_remote(source), price)


def _is_remote(source: Backend | ModelSpec | None) -> bool:
    """Whether a server computes the passes of the model; a single process asks it."""
    return source.is_endpoint if isinstance(source, ModelSpec) else isinstance(source, RemoteBackend)


def _report_stored(run: RunDirectory, planned: Sequence[PlannedPass], reports: Mapping[str, PassProgress]) -> None:
    """Check that the signals on disk are of the same passages, and report how many there are of each pass."""
    begun = [wanted for wanted in planned if wanted.name in run.record.passes]
    for inputs in {id(wanted.inputs): wanted.inputs for wanted in begun}.values():
        names = [wanted.name for wanted in begun if wanted.inputs is inputs]
        left = {name: sum(map(len, run.signals(name, ()).parts())) for name in names}
        if not any(left.values()):
            continue
        position = 0
        for passages, chunks in stored_chunks(run, inputs, names, dict.fromkeys(names, ())):
            sizes = [passage.n_bytes for passage in passages]
            for name, of_pass in chunks.items():
                for chunk in of_pass:
                    reports[name].kept += len(chunk)
                    start = chunk.first - position
                    reports[name].add(len(chunk), chunk.n_tokens.sum(), sum(sizes[start : start + len(chunk)]))
                    left[name] -= len(chunk)
            position += len(passages)
            if not any(left.values()):
                break


def _is_finished(stage: _Stage, source: Backend | ModelSpec, planned: Sequence[PlannedPass]) -> bool:
    """Whether all passes *planned* are finished by the model that *source* names, so that it need not be loaded."""
    if not isinstance(source, ModelSpec) or any(stage.missing(wanted) for wanted in planned):
        return False
    report_activity(stage.progress, f"checking the files of model {source.name}")
    digest, passes = source.sha256(), stage.run.record.passes

    def rule(wanted: PlannedPass, record: PassRecord) -> WindowRule:
        return wanted.rule(record.model, stage.window_tokens, record.depends.get("shots_tokens", 0))

    return digest is not None and all(
        wanted.name in passes and is_of_model(passes[wanted.name], digest, source, rule(wanted, passes[wanted.name]))
        for wanted in planned
    )


def _run_model(stage: _Stage, role: str, source: Backend | ModelSpec, planned: Sequence[PlannedPass]) -> None:
    """Load a model, run its passes, and release it: two models are never in memory together."""
    run, leads = stage.run, stage.sharing is None or stage.sharing.leads
    begun = run.model_of((role, *(wanted.name for wanted in planned)))
    if isinstance(source, ModelSpec):
        report_activity(stage.progress, f"loading model {source.name}")
    most = max(wanted.inputs.bytes for wanted in planned)
    began = time.monotonic()
    backend, files = load(source, begun, stage.sharing, compiled=most >= COMPILED_FROM_BYTES)
    if dry := running_dry():
        dry.loading[role] = time.monotonic() - began
    model = backend.info
    if begun is not None and isinstance(backend, RemoteBackend):
        model = backend.recognised(begun)
    if begun is not None:  # the precision was chosen when the run began, and the record keeps what was measured then
        model = replace(model, dtype_choice=begun.dtype_choice, rounding=begun.rounding)
    elif leads and not running_dry():
        rounding = measure_rounding(backend, role, planned, time.monotonic() - began, stage.progress)
        model = replace(model, rounding=rounding)
    if role != "target" and {"target"} <= stage.reports.keys() & run.record.passes.keys():
        refuse_target_record_in_role(role, run.record.passes["target"].model, model)
    with _keeping_answers(backend, stage, role, planned):
        for wanted in planned:
            _run_pass(stage, role, wanted, source, backend, model, files)


@contextmanager
def _keeping_answers(backend: Backend, stage: _Stage, role: str, planned: Sequence[PlannedPass]) -> Iterator[None]:
    """While it is open, the answers of a server are kept on disk; they are removed when all passes are finished.

    Where the server has changed the model meanwhile, the passes that were completed are removed, too.
    """
    if not isinstance(backend, RemoteBackend) or running_dry():
        yield
        return
    backend.keep_answers(stage.run.path / "answers" / f"{role}.jsonl")
    completed = [wanted.name for wanted in planned if stage.missing(wanted)]
    yield
    try:
        backend.check_unchanged()
    except ModelError:
        for name in completed:
            stage.run.signals(name, ()).remove()
        backend.forget_answers()
        raise
    backend.forget_answers()


def _run_pass(
    stage: _Stage,
    role: str,
    wanted: PlannedPass,
    source: Backend | ModelSpec,
    backend: Backend,
    model: ModelRecord,
    files: FilesRecord | None,
) -> None:
    """Record how a pass runs, and run it."""
    run = stage.run
    prefix, depends = prefix_of(backend, wanted)
    block_bytes = backend.block_bytes if isinstance(backend, RemoteBackend) else None
    record = PassRecord(
        model=model,
        window=wanted.rule(model, stage.window_tokens, depends.get("shots_tokens", 0)),
        block=stage.limits.block_size(
            backend.tokens_per_batch, rewritten_by_model=wanted.rewritten_by_model, n_bytes=block_bytes
        ),
        files=files,
        depends=depends,
        kept_fields=wanted.keeps,
    )
    if wanted.name in run.record.passes:  # the batches must be those of the machine on which the pass began
        before = run.record.passes[wanted.name]
        left_out = still_left_out(before.left_out, stage.missing(wanted))
        record = replace(
            record,
            block=before.block,
            written_tokens=before.written_tokens,
            left_out=left_out,
            kept_fields=before.kept_fields,
        )
    elif wanted.name == role and (stage.sharing is None or stage.sharing.leads):
        report_activity(stage.progress, f"looking for special tokens of model {model.id} in the passages")
        record = replace(record, written_tokens=count_written_tokens(backend, wanted.inputs))
    if stage.missing(wanted) and wanted.samples is None:
        check_longest_window(backend, record.window, wanted.inputs.bytes, prefix)
    # A pass is claimed just before it runs: where the first is refused, the others are not recorded either.
    run.claim(wanted.name, record)
    claimed = run.record.passes[wanted.name]
    unchanged = _unchanged(run, role, claimed) if wanted.rewrite and role in stage.reports else None
    setup = PassSetup(
        backend, record.window, claimed.block, wanted.rewrite, unchanged, prefix, kept_fields=claimed.kept_fields
    )
    _complete_pass(stage, wanted, source, setup)


def _unchanged(run: RunDirectory, role: str, claimed: PassRecord) -> SignalsFolder | None:
    """The signals of the pass *role*, where it keeps what a pass of rewritten texts keeps."""
    fields = claimed.stored_fields
    return run.signals(role, fields) if fields and not run.record.passes[role].lacks(fields) else None


def _complete_pass(stage: _Stage, wanted: PlannedPass, source: Backend | ModelSpec, setup: PassSetup) -> None:
    """Score the missing passages of a pass, and add to its recorded time."""
    run, missing = stage.run, stage.missing(wanted)
    if not missing:
        return
    if dry := running_dry():
        _estimate_pass(stage, wanted, setup, dry)
        return
    start = time.monotonic()
    report, leads = stage.reports[wanted.name], stage.sharing is None or stage.sharing.leads
    report.add(0, 0, 0)
    folder = run.signals(wanted.name, run.record.passes[wanted.name].stored_fields)
    if stage.sharing is not None and wanted.samples is None and not _is_remote(source):
        work = SharedPass.of(wanted.name, source, setup, wanted.inputs, missing, folder, report, stage.limits)
        stage.sharing.complete(replace(work, record_left_out=recorder_of_left_out(run, wanted.name)))
        missing = stage.missing(wanted)  # of blocks that lack signals of other blocks, which are there now
        report = PassProgress(wanted.name, wanted.inputs.passages, wanted.inputs.bytes, None)
    if not leads:
        return
    if wanted.samples is None:
        score_gaps(folder, setup, wanted.inputs, missing, report, stage.limits)
    else:
        for positions in missing:
            sample_positions(folder, setup.backend, wanted.samples, wanted.inputs, positions, report, stage.limits)
    folder.remove_unfinished()
    seconds = run.record.wall_seconds
    spent = round(seconds.get(wanted.name, 0.0) + time.monotonic() - start, 3)
    run.update(wall_seconds={**seconds, wanted.name: spent})


def _estimate_pass(stage: _Stage, wanted: PlannedPass, setup: PassSetup, dry: DryRun) -> None:
    """Measure a pass in place of completing it."""
    start = time.monotonic()
    report_activity(stage.progress, f"measuring the first batches of the pass {wanted.name}")
    left = stage.left(wanted)
    if wanted.inputs is stage.inputs:
        passages, n_bytes = dry.further_size()
        left = Left(left.first, left.passages + passages, left.bytes + n_bytes)
    dry.passes.append(measure_pass(wanted, setup, left))
    dry.measuring += time.monotonic() - start
