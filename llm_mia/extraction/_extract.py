"""From passages to the texts that a model emits: scoring, `llm_mia.extraction`, and positions in the text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from ..backends import Backend, ModelSpec, Tokenizer
from ..errors import ModelError, PassageError, RunDirectoryError, UsageError
from ..passages import InputCheck, Passages, check_inputs, read_passages
from ..records import Passage, TokenSignals
from ..signals import Inputs, Limits, ModelSource, Progress, model_or_spec, passages_with_signals, write_signals
from ..store import RunDirectory, read_run
from ._proofs import Candidates, prove
from ._records import CONDITIONS, Extraction
from ._sampling import Sampling
from ._tally import Rule, Tally, look

__all__ = ["extract"]


def extract(
    sources: Passages | Sequence[Passages] | str | Path,
    target: ModelSource,
    *,
    out: str | Path,
    stretch: int = 50,
    probability: float = 1e-3,
    prefix: int = 1,
    sampling: Sampling | None = None,
    proof: bool = False,
    samples: int = 20,
    most_proofs: int = 20,
    seed: int = 0,
    window_tokens: int | None = None,
    check: InputCheck | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Extraction:
    """The texts that the model emits verbatim with at least *probability* when given what precedes them.

    Leaves ``extraction.json`` and ``spans.csv`` in the run directory, beside the signals; on a finished one no model is
    loaded but for a *proof*. A stretch most of whose tokens stand earlier in its passage counts nowhere: the model can
    copy it from what it is given. Passages that hold no stretch are counted, and take part with their bytes.

    Args:
        sources: what `read_passages` gives, or a file. Passages labelled 0 calibrate: how many of them have spans.
        target: the model.
        out: the run directory.
        stretch: tokens that must come in one go.
        probability: with which a stretch must come to be in a span, in (0, 1].
        prefix: tokens of the passage that must precede a stretch. The default takes every stretch there is: with
            less before it a text is harder to emit, so what is found there is no weaker. The papers give 50.
        sampling: how tokens are drawn; None: temperature 1 among all.
        proof: load the model, and let it write what the likeliest spans hold, greedily and by sampling.
        samples: continuations drawn for each proof.
        most_proofs: spans that are proved, the likeliest first.
        seed: draws the samples.
        window_tokens: longest input fed to a model.
        check: the result of `check_inputs` on the same *sources*, where it has been made already.
        limits: how much is computed, kept and written at once.
        progress: called after every batch.

    Raises:
        UsageError: an argument out of range.
        PassageError: no passage holds a stretch.
        ModelError: the tokenizer can't say where in a text a token stands, or the model can't be loaded.
        RunDirectoryError: the directory is another run's.
    """
    given = [read_passages(sources)] if isinstance(sources, str | Path) else sources
    inputs = [given] if isinstance(given, Passages) else list(given)
    source = model_or_spec(target)
    sampling = sampling or Sampling()
    _refuse(stretch, probability, prefix, samples, most_proofs)
    check = check or check_inputs(inputs)
    _refuse_outdated_scores(Path(out), inputs, check)
    write_signals(inputs, source, out=out, window_tokens=window_tokens, check=check, limits=limits, progress=progress)
    with RunDirectory(out) as run:
        tokenizer = _tokenizer(source)
        made = run.record.passes["target"]
        if isinstance(source, ModelSpec):
            source = source.in_precision(made.model.dtype)
        first = 0 if tokenizer.bos is not None else 1
        rule = Rule(sampling, stretch, probability, prefix, first, made.window)
        candidates = Candidates(most_proofs if proof else 0, made.window, tokenizer)
        tally = look(_signals(run, Inputs(inputs, check)), rule, tokenizer, candidates)
        _refuse_too_short(tally, rule, inputs)
        room = rule.window.tokens - (tokenizer.bos is not None)
        if stretch >= room:
            raise UsageError(
                f"`stretch` is {stretch} tokens, which leaves no room for a prompt in windows of {room} tokens: "
                "choose a shorter `stretch`, or longer `window_tokens`"
            )
        proofs = prove(candidates, source, sampling, stretch, samples, seed, progress) if len(candidates) else []
        found = Extraction(
            path=run.path,
            model=asdict(made.model),
            window=asdict(made.window),
            sampling=sampling,
            stretch=stretch,
            probability=probability,
            prefix=prefix,
            passages=tally.passages,
            too_short=tally.too_short,
            documents=[one.record() for one in tally.documents.values()],
            spans=tally.spans,
            nonmembers=tally.calibration(),
            proofs=proofs,
            notes=[*check.notes, *tally.notes(rule), CONDITIONS],
        )
        run.write_text("extraction.json", found.to_json())
        run.write_text("spans.csv", found.to_csv())
    return found


def _refuse(stretch: int, probability: float, prefix: int, samples: int, most_proofs: int) -> None:
    if stretch < 1:
        raise UsageError(f"`stretch` must be at least 1 token: got {stretch}")
    if not 0 < probability <= 1:
        raise UsageError(f"`probability` must lie between 0 and 1, 0 excluded: got {probability:g}")
    if prefix < 0:
        raise UsageError(f"`prefix` must be at least 0 tokens: got {prefix}")
    if samples < 0:
        raise UsageError(f"`samples` must be at least 0: got {samples}")
    if most_proofs < 1:
        raise UsageError(f"`most_proofs` must be at least 1: got {most_proofs}")


def _refuse_outdated_scores(out: Path, inputs: Sequence[Passages], check: InputCheck) -> None:
    """Refuse to add passages to a directory whose scores do not have them."""
    if not (out / "run.json").exists():
        return
    record = read_run(out)
    there = [(one.sha256, one.passages) for one in record.inputs]
    here = [(one.sha256(), counts.passages) for one, counts in zip(inputs, check.sources, strict=True)]
    if record.attacks and there != here:
        raise RunDirectoryError(
            f"{out}: holds scores of another input; score this input there first, or name another folder"
        )


def _tokenizer(source: Backend | ModelSpec) -> Tokenizer:
    if isinstance(source, ModelSpec):
        return source.tokenizer()
    if isinstance(source, Tokenizer):
        return source
    from ..backends.local import LocalBackend

    if isinstance(source, LocalBackend):
        return source.tokens
    raise ModelError(f"model {source.info.id!r} does not say where in a text its tokens stand")


def _signals(run: RunDirectory, inputs: Inputs) -> Iterator[tuple[Passage, TokenSignals]]:
    """Each passage with its signals under the target."""
    for passages, chunks in passages_with_signals(run, inputs, ["target"]):
        for row, passage in enumerate(passages):
            yield passage, chunks["target"].signals(row)


def _refuse_too_short(tally: Tally, rule: Rule, inputs: Sequence[Passages]) -> None:
    if tally.too_short == tally.passages:
        raise PassageError(
            ", ".join(one.name for one in inputs),
            f"no passage holds a stretch of {rule.stretch} tokens after {rule.prefix}: the longest has "
            f"{tally.longest} scored tokens; ask for a shorter `stretch`, or for longer `passage_tokens`",
        )
