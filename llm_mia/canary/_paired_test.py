"""The test of pairs: published and withheld texts → scores under target and placebo → differences of documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, UsageError
from ..passages import Passages
from ..scores import read_scores
from ..scoring import score_to_disk
from ..signals import ModelSource, Progress
from ..store import read_run
from ._paired_scores import ControlScores, PairScores, control_result, ids_of, placebo_result
from ._pairs import CONTROL_SIDES, IN_MEMORY, SIDES, Pair, read_control, read_pairs
from ._results import PairedResult, write_result
from ._sign_flips import least_documents
from ._split_test import least_control
from ._testing import POWER_LEVEL, only_owner_reads

__all__ = ["run_paired_test"]

PairSource = str | Path | Iterable[Mapping[str, Any]]


def run_paired_test(
    pairs: PairSource,
    target: ModelSource,
    reference: ModelSource | None = None,
    *,
    placebo: ModelSource | None = None,
    unpublished: PairSource | None = None,
    out: str | Path,
    window_tokens: int | None = None,
    redact: bool = False,
    progress: Progress | None = None,
) -> PairedResult:
    """Test whether the target prefers published texts to withheld versions by more than texts or a model explain.

    The preference of the target for a pair is log p(published) − log p(withheld). With a control set it is compared
    with that for pairs which were edited in the same way, and of which neither version was published (`split_test`):
    if the target was trained on neither version of any pair, and published and control documents are exchangeable,
    then P(p-value ≤ u) ≤ u. That they were edited alike is assumed, and no more; a placebo is optional, and only adds
    power.

    Without a control set the preference of a placebo model is taken off (difference in differences), summed within
    documents, and the signs of documents are flipped (`flip_test`). If the target was trained on neither version and
    the difference of each document is symmetric about zero, then P(p-value ≤ u) ≤ u. That symmetry is assumed, not
    ensured by a draw: it rests on the placebo, which must prefer edited or published style exactly as much as the
    target would if it had been trained on neither. An edit by a rule, the same in all texts, may break it even with a
    placebo of the same kind and size, and more documents do not average that out. Of two placebos the larger p-value
    is the result, so it holds where either is right.

    Args:
        pairs: a jsonl file, or rows in memory, see `read_pairs`.
        target: the model under suspicion.
        reference: a model that was trained on neither version; it is a placebo.
        placebo: a model that was released before the publication; a placebo, too.
        unpublished: the control set: a jsonl file, or rows in memory, see `read_control`.
        out: the run directory, which holds the tokens of the texts; only its owner can read it.
        window_tokens: longest input fed to a model.
        redact: name documents and pairs by numbers in the result.
        progress: called after every batch.

    Raises:
        InputError: a row is no pair, a control pair is in the published set, or there are too few documents for a
            p-value of at most 0.01, which needs 7 without a control set.
        UsageError: there is nothing to compare with, or two placebos beside a control set.
        ModelError, RunDirectoryError: see `llm_mia.errors`.
    """
    placebos = [model for model in (reference, placebo) if model is not None]
    _refuse_models(len(placebos), unpublished is not None)
    name, path = _name(pairs), Path(out)
    read = read_pairs(pairs)
    control = None if unpublished is None else read_control(unpublished, read)
    _refuse_few(name, read, control)
    rows = [*_rows(read, SIDES), *_rows(control or [], CONTROL_SIDES)]
    sources = name if unpublished is None else f"{name} and {Path(_name(unpublished)).name}"
    with only_owner_reads(path):
        score_to_disk(
            Passages.of(rows, name=sources, label_column=""),
            target,
            placebos,
            attacks=["reference", "loss"] if placebos else ["loss"],
            out=path,
            window_tokens=window_tokens,
            progress=progress,
        )
    roles, table, record = ["reference", "reference-2"][: len(placebos)], read_scores(path), read_run(path)
    scores = PairScores.of(table, read, SIDES, roles)
    if control is None:
        _refuse_few(name, scores.kept, None, len(read) - len(scores.kept))
        result = placebo_result(path, scores, record)
    else:
        both = ControlScores(scores, PairScores.of(table, control, CONTROL_SIDES, roles))
        unused = len(read) + len(control) - len(both.published.kept) - len(both.control.kept)
        _refuse_few(name, both.published.kept, both.control.kept, unused)
        result = control_result(path, both, record)
    result = result.without_names() if redact else result
    write_result(result)
    return result


def _name(pairs: PairSource) -> str:
    return str(pairs) if isinstance(pairs, str | Path) else ""


def _rows(pairs: Sequence[Pair], sides: tuple[str, str]) -> list[dict[str, str]]:
    """Both texts of each pair, as passages."""
    return [
        {"id": each, "document": pair.document, "text": text}
        for pair in pairs
        for each, text in zip(ids_of(pair, sides), (pair.published, pair.withheld), strict=True)
    ]


def _refuse_models(placebos: int, controlled: bool) -> None:
    if not placebos and not controlled:
        raise UsageError(
            "there is nothing to compare with: give as `unpublished` pairs of which neither version was published, as "
            "`reference` a model that was trained on neither version, or as `placebo` one that was released before the "
            "publication"
        )
    if placebos > 1 and controlled:
        raise UsageError(
            "with `unpublished` a second placebo decides nothing: give `reference` or `placebo`, or neither of them"
        )


def _refuse_few(name: str, pairs: Sequence[Pair], control: Sequence[Pair] | None, unused: int = 0) -> None:
    documents = len({pair.document for pair in pairs})
    without = f" ({unused} pairs have no score)" if unused else ""
    name = name or IN_MEMORY
    if control is None:
        least = least_documents(POWER_LEVEL)
        if documents < least:
            raise InputError(
                f"{name}: {documents} documents{without} can give no p-value below {0.5**documents:.2g}: a p-value of "
                f"at most {POWER_LEVEL} needs at least {least} documents"
            )
        return
    controls = len({pair.document for pair in control})
    if not documents or controls < (least := least_control(documents, POWER_LEVEL)):
        raise InputError(
            f"{name}: {documents} published and {controls} control documents{without} can give no p-value of at most "
            f"{POWER_LEVEL}: "
            + (
                f"with so many published documents at least {least} control documents are needed"
                if documents
                else "no published document is left"
            )
        )
