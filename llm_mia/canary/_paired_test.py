"""The test of pairs: published and withheld texts → scores under target and placebo → differences of documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from ..passages import Passages
from ..records import RunRecord
from ..scores import ScoreTable, read_scores
from ..scoring import score_to_disk
from ..signals import ModelSource, Progress
from ..store import read_run
from ._effect import mean_with_interval
from ._pairs import SIDES, Pair, read_pairs
from ._results import PairedDocument, PairedResult, PlaceboTest, UnusedBecause, UnusedText, write_result
from ._sign_flips import document_sums, flip_test, least_documents
from ._testing import POWER_LEVEL, only_owner_reads

__all__ = ["run_paired_test"]

Floats = NDArray[np.float64]
GAIN, LOSS = "reference", "loss"
"""The attacks: the log-likelihood under the target less that under the placebo, and each by itself."""


def run_paired_test(
    pairs: str | Path | Iterable[Mapping[str, Any]],
    target: ModelSource,
    reference: ModelSource | None = None,
    *,
    placebo: ModelSource | None = None,
    out: str | Path,
    window_tokens: int | None = None,
    redact: bool = False,
    progress: Progress | None = None,
) -> PairedResult:
    """Test whether the target prefers published texts to withheld versions by more than a placebo model does.

    For each pair it takes the preference of the target, log p(published) − log p(withheld), less that of the placebo
    (difference in differences), sums it within documents, and flips the signs of documents (`flip_test`). If the
    target was trained on neither version and the difference of each document is symmetric about zero, then
    P(p-value ≤ u) ≤ u. That symmetry is assumed, not ensured by a draw: it rests on the placebo, which must prefer
    edited or published style exactly as much as the target would if it had been trained on neither. An edit by a rule,
    the same in all texts, may break it even with a placebo of the same kind and size, and more documents do not average
    that out. Of two placebos
    the larger p-value is the result, so it holds where either is right.

    Args:
        pairs: a jsonl file, or rows in memory, see `read_pairs`.
        target: the model under suspicion.
        reference: a model that was trained on neither version; it is a placebo.
        placebo: a model that was released before the publication; a placebo, too.
        out: the run directory, which holds the tokens of the texts; only its owner can read it.
        window_tokens: longest input fed to a model.
        redact: name documents and pairs by numbers in the result.
        progress: called after every batch.

    Raises:
        InputError: a row is no pair, or there are too few documents: a p-value of at most 0.01 needs 7.
        UsageError: there is neither `reference` nor `placebo`.
        ModelError, RunDirectoryError: see `llm_mia.errors`.
    """
    placebos = [model for model in (reference, placebo) if model is not None]
    if not placebos:
        raise UsageError(
            "there is no model to compare with: give as `reference` a model that was trained on neither version, or as "
            "`placebo` one that was released before the publication"
        )
    name, path = str(pairs) if isinstance(pairs, str | Path) else "", Path(out)
    read = read_pairs(pairs)
    _refuse_few(name, read, 0)
    rows = [
        {"id": _id(pair, side), "document": pair.document, "text": text}
        for pair in read
        for side, text in zip(SIDES, (pair.published, pair.withheld), strict=True)
    ]
    with only_owner_reads(path):
        passages = Passages.of(rows, name=name, label_column="")
        score_to_disk(
            passages, target, placebos, attacks=[GAIN, LOSS], out=path, window_tokens=window_tokens, progress=progress
        )
    roles = ["reference", "reference-2"][: len(placebos)]
    result = _result(path, name, read, roles, read_scores(path), read_run(path))
    result = result.without_names() if redact else result
    write_result(result)
    return result


def _result(
    path: Path, name: str, pairs: Sequence[Pair], roles: Sequence[str], table: ScoreTable, record: RunRecord
) -> PairedResult:
    """The result of the scores of all *pairs*, with each of *roles* as the placebo."""
    at = {each: row for row, each in enumerate(table.ids)}
    sides = [np.array([at[_id(pair, side)] for pair in pairs], dtype=np.intp) for side in SIDES]

    def preferences(scores: Floats) -> Floats:
        return scores[sides[0]] - scores[sides[1]]

    gains = {
        role: preferences(table.columns[GAIN] if not n else table.others[role][GAIN]) for n, role in enumerate(roles)
    }
    alone = {role: preferences(table.others[role][LOSS]) for role in roles}
    of_target = preferences(table.columns[LOSS])
    scored = np.isfinite(np.stack([*gains.values(), *alone.values(), of_target])).all(axis=0)
    kept = [pairs[at] for at in np.flatnonzero(scored).tolist()]
    _refuse_few(name, kept, len(pairs) - len(kept))
    documents = [pair.document for pair in kept]
    sums = {role: document_sums(each[scored], documents) for role, each in gains.items()}
    tests = [
        PlaceboTest(
            role,
            record.passes[role].model.id,
            flip_test([*sums[role].values()]),
            mean_with_interval(alone[role][scored]),
        )
        for role in roles
    ]
    tests.sort(key=lambda each: -each.test.p_value)
    count = Counter(documents)
    tokenizers = {record.passes[role].model.tokenizer for role in ("target", tests[0].role)}
    return PairedResult(
        path=path,
        passes={role: record.passes[role] for role in ("target", *roles)},
        pairs=len(kept),
        prefers=mean_with_interval(of_target[scored]),
        placebos=tuple(tests),
        rows=tuple(PairedDocument(each, count[each], total) for each, total in sums[tests[0].role].items()),
        unused=tuple(UnusedText(pairs[at].id, UnusedBecause.NO_SCORE) for at in np.flatnonzero(~scored).tolist()),
        per="token" if len(tokenizers) == 1 else "byte",
    )


def _id(pair: Pair, side: str) -> str:
    return f"{pair.id}#{side}"


def _refuse_few(name: str, pairs: Sequence[Pair], unused: int) -> None:
    documents, least = len({pair.document for pair in pairs}), least_documents(POWER_LEVEL)
    if documents < least:
        without = f" ({unused} pairs have no score)" if unused else ""
        raise InputError(
            f"{name or 'pairs in memory'}: {documents} documents{without} can give no p-value below "
            f"{0.5**documents:.2g}: a p-value of at most {POWER_LEVEL} needs at least {least} documents"
        )
