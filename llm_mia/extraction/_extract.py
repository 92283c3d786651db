"""From passages to the texts that a model emits verbatim."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..backends import Backend, ModelSpec, Tokenizer
from ..backends.tokenizers import tokenizer_of
from ..errors import ModelError, PassageError, UsageError
from ..passages import Passages, PassageSource, to_passages, to_sources
from ..records import Passage, TokenSignals
from ..signals import (
    Inputs,
    Limits,
    ModelSource,
    Progress,
    left_out_notes,
    model_or_spec,
    passages_with_signals,
    report_activity,
    without_written_tokens,
    write_signals,
    written_token_notes,
)
from ..store import RunDirectory
from ._artefacts import without_texts, write_extraction
from ._nonmembers import known_nonmembers
from ._proofs import LikeliestSpans, prove
from ._records import Extraction, ReferenceModel
from ._reference import Baseline
from ._sampling import Sampling
from ._search import SearchResult, SearchRule, search

__all__ = ["extract"]


def extract(
    sources: PassageSource,
    target: ModelSource,
    *,
    reference: ModelSource | None = None,
    nonmembers: PassageSource | None = None,
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
    of their documents.

    A span alone does not show that a text was memorised: a model writes a licence, scripture or a list of numbers
    because they are everywhere. A *reference* and *nonmembers* show it: a span that the reference writes too does not
    count, and documents of known non-members show how often a text of like length that was not trained on has a span.

    Args:
        sources: `Passages`, one or several; a path; or what `Passages.of` takes.
        target: the model.
        reference: a model that was not trained on the passages; its signals are computed in the same run. Where it has
            another tokenizer, the same text is compared, between bounds (`text_log_probabilities`).
        nonmembers: passages that the target was not trained on. Passages of *sources* with label 0 are so too.
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
        UsageError: an argument is out of its range, or the reference is the target.
        PassageError: no passage is long enough for a stretch.
        ModelError: the tokenizer does not give the places of its tokens, or the model cannot be loaded.
        RunDirectoryError: the directory belongs to another run, or holds scores of another input.
    """
    _check_arguments(stretch, probability, prefix, samples, most_proofs)
    source, sampling = model_or_spec(target), sampling or Sampling()
    other = None if reference is None else model_or_spec(reference)
    models: dict[str, Backend | ModelSpec] = {"target": source, **({} if other is None else {"reference": other})}
    _refuse_without_places(source, other)
    report_activity(progress, "reading the passages")
    inputs = Inputs.of(
        [
            *to_sources(sources),
            *([] if nonmembers is None else [to_passages(nonmembers, label=0, name="nonmembers")]),
        ]
    )
    write_signals(inputs.sources, models, out=out, window_tokens=window_tokens, limits=limits, progress=progress)
    if redact:
        without_written_tokens(Path(out), [])
    with RunDirectory(out) as run:
        tokenizer = _tokenizer(source)
        target_pass = run.record.passes["target"]
        if isinstance(source, ModelSpec):
            source = source.in_precision(target_pass.model.dtype)
        baseline = None if other is None else _baseline(other, tokenizer, sampling)
        opening, window = len(tokenizer.opening), target_pass.window
        rule = SearchRule(sampling, stretch, probability, prefix, opening, window, baseline)
        likeliest = LikeliestSpans(most_proofs if proof else 0, rule.window, tokenizer)
        report_activity(progress, "searching the spans")
        result = search(_signals(run, inputs, list(models)), rule, tokenizer, likeliest)
        _check_lengths(result, inputs.sources, tokenizer)
        documents, mixed = result.documents(), result.on_both_sides()
        extraction = Extraction(
            path=run.path,
            model=target_pass.model,
            window=rule.window,
            reference=_reference(run, baseline),
            sampling=sampling,
            stretch=stretch,
            probability=probability,
            prefix=prefix,
            passages=result.passages,
            too_short=result.too_short,
            totals=result.totals(documents),
            documents=documents,
            spans=result.spans,
            nonmembers=known_nonmembers([each for each in documents if each.document not in mixed]),
            proofs=prove(likeliest, source, sampling, stretch, samples, seed, progress) if len(likeliest) else [],
            redacted=redact,
            notes=result.notes(),
            input_notes=[*inputs.check.notes, *written_token_notes(run.record), *left_out_notes(run.record)],
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
    if tokenizer is None and isinstance(source, ModelSpec):
        raise ModelError(
            f"model {str(source.name)!r} is behind an endpoint, and a search needs the place of each token in a text: "
            "give a model whose files are on this machine"
        )
    if tokenizer is None:
        assert not isinstance(source, ModelSpec)
        raise ModelError(
            f"model {source.info.id!r} does not report the position of each token in a text: give a model that "
            "transformers can load, or a backend that is also a `Tokenizer`"
        )
    return tokenizer


def _refuse_without_places(target: Backend | ModelSpec, reference: Backend | ModelSpec | None) -> None:
    """Refuse, before anything is scored, models in memory that give no places of tokens."""
    if not isinstance(target, ModelSpec) or target.is_endpoint:
        tokenizer = _tokenizer(target)
        if isinstance(reference, Backend):
            _baseline(reference, tokenizer, Sampling())


def _baseline(reference: Backend | ModelSpec, tokenizer: Tokenizer, sampling: Sampling) -> Baseline:
    """The reference for a search; *tokenizer* is that of the target."""
    if isinstance(reference, Backend) and reference.info.tokenizer == tokenizer.fingerprint:
        return Baseline(tokenizer, True, sampling)
    other = _tokenizer(reference)
    return Baseline(other, other.fingerprint == tokenizer.fingerprint, sampling)


def _reference(run: RunDirectory, baseline: Baseline | None) -> ReferenceModel | None:
    """The record of the reference."""
    if baseline is None:
        return None
    of_reference = run.record.passes["reference"]
    return ReferenceModel(of_reference.model, of_reference.window, baseline.same_tokens)


def _signals(
    run: RunDirectory, inputs: Inputs, roles: Sequence[str]
) -> Iterator[tuple[Passage, TokenSignals, TokenSignals | None]]:
    """Each passage with its signals under the target, and under the reference where that is one of the *roles*."""
    for passages, chunks in passages_with_signals(run, inputs, roles):
        reference = chunks.get("reference")
        for row, passage in enumerate(passages):
            yield passage, chunks["target"].signals(row), None if reference is None else reference.signals(row)


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
