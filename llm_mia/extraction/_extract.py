"""From passages to the texts that a model emits verbatim."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..backends import Backend, ModelSpec, Tokenizer
from ..backends.tokenizers import tokenizer_of
from ..errors import ModelError, PassageError, UsageError
from ..passages import Passages, PassageSource, to_sources
from ..records import Passage, TokenSignals
from ..signals import (
    Inputs,
    Limits,
    ModelSource,
    Progress,
    model_or_spec,
    passages_with_signals,
    report_activity,
    write_signals,
    written_token_notes,
)
from ..store import RunDirectory
from ._artefacts import without_texts, write_extraction
from ._proofs import LikeliestSpans, prove
from ._records import Extraction
from ._sampling import Sampling
from ._search import SearchResult, SearchRule, search

__all__ = ["extract"]


def extract(
    sources: PassageSource,
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
    redact: bool = False,
    window_tokens: int | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Extraction:
    """The texts that the model emits verbatim with at least *probability* when it is given what precedes them.

    Leaves ``extraction.json``, ``spans.csv`` and, with a proof, ``proofs.csv`` in the run directory, with the signals;
    where all signals are there, a model is loaded for a *proof* only. A stretch most of whose tokens occur earlier in
    its passage does not count: the model can copy it. Passages without a stretch are counted, and their bytes are part
    of their documents. Passages labelled 0 show how often texts that were not trained on have spans.

    Args:
        sources: `Passages`, one or several; a path; or what `Passages.of` takes.
        target: the model.
        out: the run directory; scores that it holds are kept.
        stretch: tokens that the model must emit in succession.
        probability: the least probability with which a stretch is part of a span, in (0, 1].
        prefix: tokens of the passage that must precede a stretch. The default takes every stretch there is: with fewer
            tokens before it a text is harder to emit, so the evidence is no weaker. The papers use 50.
        sampling: how tokens are drawn; None: temperature 1 among all.
        proof: load the model, and let it continue what precedes the likeliest spans, greedily and by sampling.
        samples: continuations drawn for each proof.
        most_proofs: number of spans that are proved, the likeliest first.
        seed: draws the samples.
        redact: keep no text and no token of a passage, neither in the files that are handed on nor in the result; the
            folder ``signals/`` still holds the token ids, so do not hand it on.
        window_tokens: longest input fed to the model; None: its context, and at most 2,048.
        limits: how much is computed, kept and written at once.
        progress: called after every batch.

    Raises:
        UsageError: an argument is out of its range.
        PassageError: no passage is long enough for a stretch.
        ModelError: the tokenizer does not give the places of its tokens, or the model cannot be loaded.
        RunDirectoryError: the directory belongs to another run, or holds scores of another input.
    """
    _check_arguments(stretch, probability, prefix, samples, most_proofs)
    source, sampling = model_or_spec(target), sampling or Sampling()
    report_activity(progress, "reading the passages")
    inputs = Inputs.of(to_sources(sources))
    write_signals(inputs.sources, source, out=out, window_tokens=window_tokens, limits=limits, progress=progress)
    with RunDirectory(out) as run:
        tokenizer = _tokenizer(source)
        target_pass = run.record.passes["target"]
        if isinstance(source, ModelSpec):
            source = source.in_precision(target_pass.model.dtype)
        rule = SearchRule(sampling, stretch, probability, prefix, len(tokenizer.opening), target_pass.window)
        likeliest = LikeliestSpans(most_proofs if proof else 0, rule.window, tokenizer)
        report_activity(progress, "searching the spans")
        result = search(_signals(run, inputs), rule, tokenizer, likeliest)
        _check_lengths(result, inputs.sources, tokenizer)
        extraction = Extraction(
            path=run.path,
            model=target_pass.model,
            window=rule.window,
            sampling=sampling,
            stretch=stretch,
            probability=probability,
            prefix=prefix,
            passages=result.passages,
            too_short=result.too_short,
            documents=result.documents(),
            spans=result.spans,
            nonmembers=result.known_nonmembers(),
            proofs=prove(likeliest, source, sampling, stretch, samples, seed, progress) if len(likeliest) else [],
            redacted=redact,
            notes=result.notes(),
            input_notes=[*inputs.check.notes, *written_token_notes(run.record)],
        )
        extraction = without_texts(extraction) if redact else extraction
        write_extraction(run, extraction)
    return extraction


def _check_arguments(stretch: int, probability: float, prefix: int, samples: int, most_proofs: int) -> None:
    if stretch < 1:
        raise UsageError(f"`stretch` is {stretch}: it must be at least 1")
    if not 0 < probability <= 1:
        raise UsageError(f"`probability` is {probability:g}: it must be above 0, and at most 1")
    if prefix < 0:
        raise UsageError(f"`prefix` is {prefix}: it must be at least 0")
    if samples < 0:
        raise UsageError(f"`samples` is {samples}: it must be at least 0")
    if most_proofs < 1:
        raise UsageError(f"`most_proofs` is {most_proofs}: it must be at least 1")


def _tokenizer(source: Backend | ModelSpec) -> Tokenizer:
    tokenizer = tokenizer_of(source)
    if tokenizer is None:
        assert not isinstance(source, ModelSpec)
        raise ModelError(
            f"model {source.info.id!r} does not report the position of each token in a text: give a model that "
            "transformers can load, or a backend that is also a `Tokenizer`"
        )
    return tokenizer


def _signals(run: RunDirectory, inputs: Inputs) -> Iterator[tuple[Passage, TokenSignals]]:
    """Each passage with its signals under the target."""
    for passages, chunks in passages_with_signals(run, inputs, ["target"]):
        for row, passage in enumerate(passages):
            yield passage, chunks["target"].signals(row)


def _check_lengths(result: SearchResult, sources: Sequence[Passages], tokenizer: Tokenizer) -> None:
    """Refuse a stretch for which every passage, or every window, is too short."""
    rule = result.rule
    if result.too_short == result.passages:
        raise PassageError(
            ", ".join(source.name for source in sources),
            f"no passage holds a stretch of {rule.stretch} tokens after a prefix of {rule.prefix}: the longest passage "
            f"has {result.longest} scored tokens: lower `stretch`, or give longer passages (for txt files "
            "by a larger `passage_tokens`)",
        )
    room = rule.window.tokens - len(tokenizer.opening)
    if rule.stretch >= room:
        raise UsageError(
            f"`stretch` is {rule.stretch}, which leaves no room for a prompt in windows of {room} tokens: lower it"
        )
