"""The test of a folder of canaries: variants → scores → the p-value of the draw, counted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..attacks import parse_attack
from ..backends import Backend, ModelSpec
from ..backends.tokenizers import tokenizer_of
from ..errors import InputError, UsageError
from ..passages import Passages
from ..records import IntArray, target_pass
from ..scores import ScoreTable, read_scores
from ..scoring import score_to_disk
from ..signals import ModelSource, Progress, model_or_spec
from ..store import read_run
from ._counted_tests import CountedTest, count_test, holm_adjusted, identity_of
from ._manifest import VARIANTS, Sealed, read_sealed
from ._results import CanaryDocument, CanaryResult, UnusedBecause, UnusedText, write_result
from ._statistic import differences_of, draw_test, redrawn

__all__ = ["POWER_LEVEL", "only_owner_reads", "run_canary_test"]

Floats = NDArray[np.float64]
POWER_LEVEL = 0.01
"""A design whose smallest p-value is above this is refused."""


def run_canary_test(
    folder: str | Path,
    target: ModelSource,
    reference: ModelSource | None = None,
    *,
    attack: str | None = None,
    out: str | Path,
    secret: str | Path | None = None,
    window_tokens: int | None = None,
    redact: bool = False,
    progress: Progress | None = None,
) -> CanaryResult:
    """Test whether the target prefers the public variants in *folder* to those that stayed sealed.

    If the target does not depend on which variants became public, P(p-value ≤ u) ≤ u for every u, whatever the texts,
    the models and the attack are; only the randomness of the draw is assumed (`draw_test`). The p-value is of all
    documents together: it does not show which of them the model was trained on, and a large p-value does not show that
    it was trained on none.

    All variants are scored by `score`, in the run directory *out*, which holds their tokens; only its owner can read
    it. A run that was stopped continues. Each different test of a folder is counted there, in ``tests.jsonl``.

    Args:
        folder: what `make_canaries` has written, after the draw.
        target: the model under suspicion.
        reference: a model that was not trained on the variants, for attacks that need one.
        attack: the score by which variants are compared; None: ``reference`` where there is a reference model, which
            removes how difficult a text is, else ``loss``. Decide before you see a result.
        out: the run directory.
        secret: the file with the secret, where it is not in *folder*.
        window_tokens: longest input fed to a model.
        redact: name documents by numbers in the result.
        progress: called after every batch.

    Raises:
        InputError: a file of *folder* was changed, or nothing is public yet, or there are too few documents.
        AttackError, ModelError, RunDirectoryError, UsageError: see `llm_mia.errors`.
    """
    folder, path = Path(folder), Path(out)
    sealed = read_sealed(folder, secret=secret)
    public = dict(zip(sealed.variants, _drawn(folder, sealed), strict=True))
    name = parse_attack(attack or ("loss" if reference is None else "reference")).name
    if path.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"{path}: `out` lies in the folder of the canaries, {folder}: name another folder")
    model = model_or_spec(target)
    alike = _alike(model, sealed.variants)
    used = {document: texts for document, texts in sealed.variants.items() if document not in alike}
    _refuse_powerless(folder, [len(texts) for texts in used.values()], len(alike))
    with only_owner_reads(path):
        passages = Passages.of(_rows(used), name=str(folder / VARIANTS), label_column="")
        score_to_disk(
            passages, model, reference, attacks=[name], out=path, window_tokens=window_tokens, progress=progress
        )
    scores = _by_document(read_scores(path), name, used)
    unscored = [document for document, each in scores.items() if not np.isfinite(each).all()]
    scored = {document: each for document, each in scores.items() if document not in unscored}
    _refuse_powerless(folder, [len(each) for each in scored.values()], len(alike) + len(unscored))
    unused = [UnusedText(each, UnusedBecause.SAME_TOKENS) for each in alike]
    unused += [UnusedText(each, UnusedBecause.NO_SCORE) for each in unscored]
    result = _counted(folder, path, sealed, name, scored, public, unused)
    result = result.without_names() if redact else result
    write_result(result)
    return result


def _drawn(folder: Path, sealed: Sealed) -> tuple[int, ...]:
    if sealed.public is None:
        raise InputError(
            f"{folder}: no variant is public yet: draw the public variants by the value of the beacon, and publish them"
        )
    return sealed.public


def _counted(
    folder: Path,
    path: Path,
    sealed: Sealed,
    name: str,
    scores: Mapping[str, Floats],
    public: Mapping[str, int],
    unused: Sequence[UnusedText],
) -> CanaryResult:
    """The result of the test, which is counted among those of the manifest in *folder*."""
    record = read_run(path)
    attack = next(each for each in record.attacks if each.name == name)
    passes = {role: made_by for role, made_by in record.passes.items() if role in parse_attack(name).passes}
    given = list(scores.values())
    chosen = [public[document] for document in scores]
    test = draw_test(given, chosen)
    reference = passes["reference"].model.id if "reference" in passes else ""
    counted = CountedTest(
        identity_of(passes, attack), target_pass(record.passes).model.id, reference, name, test.p_value
    )
    p_values = count_test(folder, counted)
    rows = [
        CanaryDocument(document, len(each), at, int((each > each[at]).sum()) + 1, float(differences[at]))
        for (document, each), at, differences in zip(scores.items(), chosen, differences_of(given), strict=True)
    ]
    return CanaryResult(
        path=path,
        kind=sealed.manifest.kind,
        root=sealed.manifest.root,
        beacon=sealed.manifest.beacon or "",
        beacon_source=sealed.manifest.beacon_source,
        attack=name,
        passes=passes,
        test=test,
        rows=tuple(rows),
        unused=tuple(unused),
        null=redrawn(given),
        tests=len(p_values),
        corrected_p=holm_adjusted(p_values)[0],
    )


def _rows(variants: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    return [
        {"id": _id(document, number), "document": document, "text": text}
        for document, texts in variants.items()
        for number, text in enumerate(texts)
    ]


def _id(document: str, variant: int) -> str:
    return f"{document}#{variant}"


def _by_document(table: ScoreTable, attack: str, variants: Mapping[str, Sequence[str]]) -> dict[str, Floats]:
    at, column = {name: row for row, name in enumerate(table.ids)}, table.columns[attack]
    return {
        document: column[[at[_id(document, number)] for number in range(len(texts))]]
        for document, texts in variants.items()
    }


def _refuse_powerless(folder: Path, sizes: Sequence[int], unused: int) -> None:
    """Raises `InputError` where even the largest sum of all has a p-value that shows nothing."""
    if math.prod(sizes) * POWER_LEVEL >= 1:
        return
    each = min(sizes, default=2)
    least = math.ceil(math.log(1 / POWER_LEVEL) / math.log(each))
    without = f" ({unused} more cannot be used)" if unused else ""
    raise InputError(
        f"{folder}: {len(sizes)} documents of so few variants{without} can give no p-value of at most {POWER_LEVEL}: "
        f"with {each} variants of each, at least {least} documents are needed"
    )


def _alike(model: Backend | ModelSpec, variants: Mapping[str, Sequence[str]]) -> list[str]:
    """The documents of which the model's tokenizer makes two variants equal; none for an endpoint.

    An endpoint's tokenizer is not asked, because each text would cost a request. Equal tokens have equal scores, which
    weaken a test, and do not make it invalid.
    """
    encoder = model if isinstance(model, Backend) else tokenizer_of(model)
    if encoder is None:
        return []
    return [document for document, texts in variants.items() if _same(encoder.encode(texts))]


def _same(tokens: Sequence[IntArray]) -> bool:
    """Whether two of the arrays are equal."""
    return any(one == other for one, other in pairwise(sorted(each.tolist() for each in tokens)))


@contextmanager
def only_owner_reads(path: Path) -> Iterator[None]:
    """Creates the folder *path*, where there is none, for its owner alone; removes it where nothing was written."""
    created = not path.exists()
    if created:
        path.mkdir(mode=0o700, parents=True)
    try:
        yield
    finally:
        if created and _is_empty(path.iterdir()):
            path.rmdir()


def _is_empty(entries: Iterable[Path]) -> bool:
    return next(iter(entries), None) is None
