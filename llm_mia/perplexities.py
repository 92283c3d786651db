"""The perplexity of texts and the log-probability of each of their tokens, without any attack.

The perplexity of a text is the exponential of the mean negative log-probability of its tokens. A text that is longer
than the model's window is cut into several windows that overlap, so each token counts once and has tokens before it.
The first token of a text counts only where the tokenizer puts a token such as BOS before a text, since otherwise
nothing precedes it.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .backends import Backend, ModelSpec, Tokenizer, load_model
from .errors import RunDirectoryError, UsageError
from .passages import PassageSource, to_passages
from .records import FloatArray, IntArray, Passage, TokenSignals
from .signals import (
    Inputs,
    ModelSource,
    Progress,
    checked_texts,
    model_or_spec,
    passages_with_signals,
    report_activity,
    signals_of,
    write_signals,
    written_token_notes,
)
from .store import RunDirectory, StoredChunk, replacing

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "TokenLogProbabilities",
    "WrittenPerplexities",
    "perplexity",
    "perplexity_of",
    "token_log_probabilities",
    "tokenizer_of",
    "write_perplexities",
]

PASSAGE_COLUMNS = ("id", "document", "label", "n_bytes")


@dataclass(frozen=True, slots=True, eq=False)
class TokenLogProbabilities:
    """The scored tokens of one text; arrays have shape (tokens,)."""

    tokens: tuple[str, ...]
    """The piece of the text that each token covers; where several tokens share a character, the first has it.

    Joined, they are the text, but for a first token that is not scored."""
    token_ids: IntArray
    log_probabilities: FloatArray
    """log p(token | all tokens before it), nats."""

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True, slots=True)
class WrittenPerplexities:
    """A summary of the file that `write_perplexities` has written."""

    path: Path
    passages: int
    unscored: int
    """The number of passages without a perplexity under some model: they are too short to have a scored token."""
    tokens: Mapping[str, int]
    """Scored tokens by role."""
    dtypes: Mapping[str, str]
    """The precision in which each model computed, by role."""
    notes: tuple[str, ...] = ()
    """What a reader ought to know about the passages."""


def perplexity(
    texts: Iterable[str], model: ModelSource | Any, *, tokenizer: Any = None, window_tokens: int | None = None
) -> NDArray[np.float64]:
    """The perplexity of each text under *model*, shape (texts,); NaN where no token can be scored.

    It depends neither on the other texts nor on how they are batched, beyond the rounding of the model's precision.

    Args:
        texts: any number of texts, of any length.
        model: a name for `load_model`, a `ModelSpec`, a loaded `Backend`, or a model of transformers in memory.
        tokenizer: of transformers, for a model of transformers in memory.
        window_tokens: longest input fed to the model; None: its context, and at most 2,048.

    Raises:
        UsageError: *texts* is a single string, or a tokenizer is missing.
        ModelError: the model cannot be loaded, or *window_tokens* does not fit it.

    >>> from llm_mia.backends.fake import FakeBackend
    >>> perplexity(["A river bends.", ""], FakeBackend(0)).round(1)
    array([2664.6,    nan])
    """
    source = _model(model, tokenizer)
    return np.array([perplexity_of(signals) for signals in signals_of(source, texts, window_tokens=window_tokens)])


def token_log_probabilities(
    texts: Iterable[str], model: ModelSource | Any, *, tokenizer: Any = None, window_tokens: int | None = None
) -> list[TokenLogProbabilities]:
    """The log-probability of each token of each text, with the pieces of text that the tokens cover.

    Args and errors are those of `perplexity`.

    Raises:
        ModelError: also where the tokenizer does not report the position of each token in a text.
    """
    texts = checked_texts(texts)
    source = _model(model, tokenizer)
    if isinstance(source, ModelSpec):
        source = source.load(compiled=False)
    tokenizer_of_model = tokenizer_of(source)
    signals = signals_of(source, texts, window_tokens=window_tokens)
    scored = []
    for text, of_text in zip(texts, signals, strict=True):
        pieces = _pieces(text, tokenizer_of_model)
        first = len(pieces) - len(of_text)
        scored.append(TokenLogProbabilities(pieces[first:], of_text.token_ids, of_text.logprob))
    return scored


def write_perplexities(
    source: PassageSource,
    target: ModelSource,
    reference: ModelSource | None = None,
    *,
    out: str | Path,
    per_token: str | Path | None = None,
    window_tokens: int | None = None,
    progress: Progress | None = None,
) -> WrittenPerplexities:
    """Write the perplexity and the token count of every passage, for one model or two, to the csv file *out*.

    The signals are kept in the folder ``OUT.signals`` until the file is complete, so the same call continues a run
    that was stopped. The memory does not grow with the number of passages.

    Args:
        source: a path, `Passages`, or what `Passages.of` takes.
        target: the first model.
        reference: a second model.
        out: the file to write; its columns are id, document, label, n_bytes, and for each model its number of scored
            tokens and the perplexity, such as ``target_tokens`` and ``target_perplexity``.
        per_token: a Parquet file to write as well, with a row for each token and model: id, model, position of the
            token in the passage, token_id, token (the piece of text), logprob.
        window_tokens: longest input fed to a model; None: its context, and at most 2,048.
        progress: called after every batch.

    Raises:
        UsageError: *out* does not end in .csv, or *per_token* in .parquet, or either is the file that is read.
        PassageError, ModelError, RunDirectoryError: see `llm_mia.errors`.
    """
    out, per_token = _with_suffix("out", out, ".csv"), per_token and _with_suffix("per_token", per_token, ".parquet")
    passages = to_passages(source)
    passages.refuse_output(out)
    if per_token:
        passages.refuse_output(per_token, "per_token")
    models = {"target": target} if reference is None else {"target": target, "reference": reference}
    tokenizers = {role: tokenizer_of(model_or_spec(model)) for role, model in models.items()} if per_token else {}
    report_activity(progress, "reading the passages")
    inputs, folder = Inputs.of([passages]), out.with_name(f"{out.name}.signals")
    stopped = folder.exists()
    # A call that is stopped before its first signal leaves only hidden files, such as the lock.
    visible = stopped and any(not path.name.startswith(".") for path in folder.iterdir())
    if visible and not (folder / "run.json").exists():
        raise RunDirectoryError(f"{folder}: holds files that are not of a stopped call: rename that folder, or `out`")
    try:
        write_signals(passages, models, out=folder, window_tokens=window_tokens, progress=progress)
    except RunDirectoryError as error:
        hint = "; a call that was stopped has left this folder: repeat that call, or remove it" if stopped else ""
        raise RunDirectoryError(f"{error}{hint}") from None
    report_activity(progress, "writing the perplexities")
    with RunDirectory(folder) as run:
        unscored, tokens = _write_csv(out, passages_with_signals(run, inputs, list(models)), list(models))
        if per_token:
            _write_tokens(Path(per_token), passages_with_signals(run, inputs, list(models)), tokenizers)
        dtypes = {role: run.record.passes[role].model.dtype for role in models}
        notes = written_token_notes(run.record)
    shutil.rmtree(folder)
    return WrittenPerplexities(out, inputs.passages, unscored, tokens, dtypes, notes)


Chunks = Iterator[tuple[list[Passage], dict[str, StoredChunk]]]


def _write_csv(out: Path, chunks: Chunks, roles: Sequence[str]) -> tuple[int, dict[str, int]]:
    """Write the file; return the number of passages without a perplexity, and the scored tokens by role."""
    unscored, tokens = 0, dict.fromkeys(roles, 0)
    with replacing(out) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*PASSAGE_COLUMNS, *(f"{role}_{what}" for role in roles for what in ("tokens", "perplexity"))])
        for passages, by_role in chunks:
            for row, passage in enumerate(passages):
                cells: list[object] = [passage.id, passage.document, passage.label, passage.n_bytes]
                for signals in (by_role[role].signals(row) for role in roles):
                    # csv writes None as an empty cell.
                    cells += [len(signals), perplexity_of(signals) if len(signals) else None]
                writer.writerow(cells)
                unscored += None in cells[len(PASSAGE_COLUMNS) :]
            for role in roles:
                tokens[role] += int(by_role[role].n_tokens.sum())
    return unscored, tokens


def _write_tokens(path: Path, chunks: Chunks, tokenizers: Mapping[str, Tokenizer]) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    kinds = {"id": "string", "model": "string", "position": "int32", "token_id": "int32", "token": "string"}
    schema = pa.schema([*kinds.items(), ("logprob", "float32")])
    with ExitStack() as stack:
        unfinished = stack.enter_context(replacing(path))
        writer = stack.enter_context(pyarrow.parquet.ParquetWriter(unfinished, schema, compression="zstd"))
        for passages, by_role in chunks:
            for role, tokenizer in tokenizers.items():
                rows = enumerate(passages)
                writer.write_table(
                    pa.concat_tables(
                        [_token_rows(p, role, by_role[role].signals(row), tokenizer, schema) for row, p in rows]
                    )
                )


def _token_rows(
    passage: Passage, role: str, signals: TokenSignals, tokenizer: Tokenizer, schema: pa.Schema
) -> pa.Table:
    import pyarrow as pa

    n, pieces = len(signals), _pieces(passage.text, tokenizer)
    first = len(pieces) - n
    columns = {
        "id": [passage.id] * n,
        "model": [role] * n,
        "position": np.arange(first, first + n, dtype=np.int32),
        "token_id": signals.token_ids,
        "token": pieces[first:],
        "logprob": signals.logprob,
    }
    return pa.table([pa.array(values, schema.field(name).type) for name, values in columns.items()], schema=schema)


def perplexity_of(signals: TokenSignals) -> float:
    """Exponential of the mean negative log-likelihood of the tokens; NaN where none was scored."""
    with np.errstate(over="ignore"):
        return float(np.exp(-signals.logprob.mean(dtype=np.float64))) if len(signals) else float("nan")


def _pieces(text: str, tokenizer: Tokenizer) -> tuple[str, ...]:
    """The piece of *text* that each token covers, together with the blanks before it."""
    ends = np.maximum.accumulate(tokenizer.spans(text)[:, 1]).tolist() if text else []
    return tuple(text[start:end] for start, end in pairwise([0, *ends]))


def _model(model: ModelSource | Any, tokenizer: Any) -> Backend | ModelSpec:
    if isinstance(model, str | Path | ModelSpec | Backend) and tokenizer is None:
        return model_or_spec(model)
    return load_model(model, tokenizer=tokenizer, compiled=False)


def tokenizer_of(model: Backend | ModelSpec) -> Tokenizer:
    """The tokenizer of *model*, which reports the position of each token in a text.

    Raises:
        UsageError: it has no such tokenizer.
    """
    if isinstance(model, ModelSpec):
        return model.tokenizer()
    tokenizer: Any = getattr(model, "tokens", None)
    if not isinstance(tokenizer, Tokenizer):
        raise UsageError(f"`model` is {model.info.id!r}, and its tokenizer does not report the position of each token")
    return tokenizer


def _with_suffix(parameter: str, path: str | Path, suffix: str) -> Path:
    if Path(path).suffix != suffix:
        raise UsageError(f"{path}: `{parameter}` must be the name of a {suffix} file")
    return Path(path)
