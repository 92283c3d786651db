"""The stage of signals, run alone: on disk or in memory."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..backends import Backend, ModelSpec
from ..errors import RunDirectoryError, UsageError
from ..passages import PassageSource, to_sources
from ..records import Passage, RunRecord, TokenSignals
from ..store import RunDirectory
from ._blocks import Copies, PassSetup, blocks, score_block
from ._cache import SignalsCache
from ._estimate import open_run
from ._inputs import Inputs
from ._limits import Limits
from ._passes import COMPILED_FROM_BYTES, run_passes
from ._plan import PlannedPass
from ._progress import PassProgress, Progress, report_activity
from ._windows import check_longest_window, window_rule

__all__ = ["ModelSource", "checked_texts", "model_or_spec", "signals_of", "write_signals"]

ModelSource = Backend | str | Path | ModelSpec
"""A model in memory, a name for `load_model`, or a name and how to load it."""


def model_or_spec(source: ModelSource) -> Backend | ModelSpec:
    """*source*, where a name is turned into a `ModelSpec`.

    Raises `UsageError` where it is no model, or one that `load_model` has to take first.
    """
    if isinstance(source, str | Path):
        return ModelSpec(source)
    if not isinstance(source, ModelSpec | Backend):
        raise UsageError(
            f"the model is of the type {type(source).__name__}: give its name, a `ModelSpec` or a `Backend`; "
            "`load_model` makes a backend of a model of transformers"
        )
    return source


def checked_texts(texts: Iterable[object]) -> list[str]:
    """*texts* as a list of strings.

    Raises `UsageError` where *texts* is a single string, a table or a mapping, or holds something that is no text.
    """
    if isinstance(texts, str | bytes):
        raise UsageError("`texts` is a single string: give a list of texts")
    if isinstance(texts, Mapping) or hasattr(texts, "columns") or not isinstance(texts, Iterable):
        raise UsageError(f"`texts` is of the type {type(texts).__name__}: give a list of texts, or a column of them")
    checked = []
    for number, given in enumerate(texts, start=1):
        text = given.as_py() if hasattr(given, "as_py") else given
        if not isinstance(text, str):
            raise UsageError(f"text {number} of `texts` is of the type {type(text).__name__}: give strings")
        try:
            text.encode()
        except UnicodeEncodeError:  # from None, because the message of the error contains the text
            raise UsageError(
                f"text {number} of `texts` holds a lone surrogate, which is not valid Unicode: write it again from "
                "its source"
            ) from None
        checked.append(text)
    return checked


def write_signals(
    sources: PassageSource,
    models: ModelSource | Mapping[str, ModelSource],
    *,
    out: str | Path,
    window_tokens: int | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> RunRecord:
    """Write the signals of every passage under every model to the run directory *out*; `read_signals` reads them.

    The same call continues a run that was stopped. Where all signals are there, a model that is given by its name is
    not loaded. Whatever else the directory holds is kept.

    Args:
        sources: `Passages`, one or several; a path; or what `Passages.of` takes.
        models: the target, or models by role: ``target``, ``reference``, ``shadow-00``, … A role is the name of its
            pass, and of its folder under ``signals/``.
        out: the run directory.
        window_tokens: longest input fed to a model; None: its context, and at most 2,048.
        limits: how much is computed, kept and written at once.
        progress: called after every batch.

    Returns:
        The record of the run.

    Raises:
        PassageError: the input cannot be read.
        ModelError: a model cannot be loaded.
        UsageError: another role's model is the target itself, or *window_tokens* does not fit a model.
        RunDirectoryError: the directory belongs to another run, holds scores of another input, or cannot be written.

    >>> import tempfile
    >>> from llm_mia.backends.fake import FakeBackend
    >>> from llm_mia.store import read_signals
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     record = write_signals(["a text", "another text"], FakeBackend(0), out=folder)
    ...     [len(row.signals) for row in read_signals(folder, "target")]
    [5, 11]
    """
    sources = to_sources(sources)
    for source in sources:
        source.refuse_output(out)
    by_role = models if isinstance(models, Mapping) else {"target": models}
    report_activity(progress, "reading the passages")
    inputs = Inputs.of(sources)
    with open_run(out) as run:
        _refuse_outdated_scores(run, inputs)
        run_passes(
            run,
            inputs,
            {role: model_or_spec(source) for role, source in by_role.items()},
            [PlannedPass(role, role, role, inputs) for role in by_role],
            window_tokens=window_tokens,
            limits=limits,
            progress=progress,
        )
        return run.record


def _refuse_outdated_scores(run: RunDirectory, inputs: Inputs) -> None:
    """Refuse other passages than those that the scores of the directory are of."""
    if not run.record.attacks:
        return
    scored = [(source.sha256, source.passages) for source in run.record.inputs]
    sources = zip(inputs.sources, inputs.check.sources, strict=True)
    if scored != [(source.sha256(), counts.passages) for source, counts in sources]:
        raise RunDirectoryError(
            f"{run.path}: holds scores of another input; score this input there first, or name another folder"
        )


def signals_of(
    model: ModelSource,
    texts: Iterable[str],
    *,
    window_tokens: int | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> list[TokenSignals]:
    """The signals of each text under *model*, in order; nothing is written.

    They are what `write_signals` writes, but for rounding. A text that is longer than the window is cut into several.

    Args:
        model: a model in memory, or the name of one.
        texts: any number of texts.
        window_tokens: longest input fed to the model; None: its context, and at most 2,048.
        limits: how much is computed at once.
        progress: called after every batch.

    Raises:
        ModelError: the model cannot be loaded.
        UsageError: *texts* is a single string, or holds what is no text; or *window_tokens* does not fit the model.

    >>> from llm_mia.backends.fake import FakeBackend
    >>> [len(signals) for signals in signals_of(FakeBackend(0), ["a text", "", "another text"])]
    [5, 0, 11]
    """
    passages = [Passage(str(position), text, str(position)) for position, text in enumerate(checked_texts(texts))]
    n_bytes = sum(passage.n_bytes for passage in passages)
    limits, source = limits or Limits(), model_or_spec(model)
    backend = source.load(compiled=n_bytes >= COMPILED_FROM_BYTES) if isinstance(source, ModelSpec) else source
    rule = window_rule(backend.info.context, window_tokens, opening=len(backend.opening))
    check_longest_window(backend, rule, n_bytes)
    setup = PassSetup(backend, rule, limits.block_size(backend.tokens_per_batch))
    report = PassProgress("target", len(passages), n_bytes, progress)
    cache = SignalsCache(limits.cached_bytes)
    signals: list[TokenSignals] = []
    for block in blocks(setup, iter(passages), 0, Copies(_repeated(passages))):
        of_block = score_block(setup, block, cache, report)
        assert of_block is not None, "no other process has signals of these texts"
        signals.extend(of_block)
    return signals


def _repeated(passages: Sequence[Passage]) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Positions of the passages whose text occurs more than once."""
    digests = [hashlib.sha256(passage.text.encode()).digest() for passage in passages]
    counts = Counter(digests)
    return np.flatnonzero([counts[digest] > 1 for digest in digests])
