"""Trials of shadow models: a target whose members are known, audited by shadows of it that never saw its training data.

A trial draws a pool, trains a target on a random half of it, trains shadows on other random halves, and audits the
target by the shadows alone. Only the figures use the truth, and the oracle, which is calibrated on it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llm_mia import training
from llm_mia.auditing import ShadowCheck, audit
from llm_mia.backends import ModelSpec
from llm_mia.calibration import split_by_document
from llm_mia.decision import STACK, Calibration, add_decider_column, calibrate
from llm_mia.errors import CalibrationError
from llm_mia.metrics import auroc, compare_attacks, compare_tpr, tpr_at_fpr
from llm_mia.passages import Passages
from llm_mia.scores import ScoreTable, read_scores
from llm_mia.scoring import score
from llm_mia.shadow import train_shadows
from llm_mia.store import from_json, to_json, write_text

__all__ = [
    "ATTACKS",
    "RESULT",
    "SINGLE",
    "Rates",
    "ShadowSizes",
    "ShadowTrial",
    "gain_fpr",
    "run_trial",
    "shadow_trials",
    "timed_trial",
]

ATTACKS = ("lira", "shadow_rmia")
SINGLE = ("reference", "loss", "min_k", "min_k++", "zlib")
"""Attacks with a single reference model at most; that which is best by the truth is compared with the shadows'."""
FPRS = (0.01, 0.05)
RESULT = "trial.json"


@dataclass(frozen=True, slots=True)
class ShadowSizes:
    """How large a trial is."""

    pool: int
    """Passages; the target is trained on half of them, and each is a document."""
    shadows: int = 8
    elsewhere: int = 0
    """Further passages, on which the reference model is trained where the base is none."""


@dataclass(frozen=True, slots=True)
class Rates:
    """A decider of a trial against the truth about the target."""

    auroc: float
    tpr_at_fpr: Mapping[str, float]
    """By false positive rate, with the threshold that the truth gives."""
    realised_fpr: Mapping[str, float]
    """By requested rate, with the threshold that the shadows (or of the oracle: known passages) set."""
    realised_tpr: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ShadowTrial:
    """The figures of a trial."""

    setting: str
    corpus: str
    seed: int
    passages: int
    deciders: Mapping[str, Rates]
    """``lira``, ``shadow_rmia``, ``stack`` (the shadow classifier), ``oracle``, and the best single attack."""
    single: str
    """The name of the best single-reference attack, by its TPR on the truth."""
    gains: Mapping[str, float]
    """TPR at `gain_fpr` of each attack that takes shadows, less that of the best single attack."""
    classifier_gap: float
    """AUROC of the oracle's stack less that of the shadow classifier, on the half that neither was fitted on."""
    left_out: ShadowCheck | None
    """The shadows left out one by one, at FPR ≤ 5 %."""


def shadow_trials(
    setting: str,
    corpora: Mapping[str, Sequence[str]],
    base: Callable[[str], Path | str],
    recipe: training.Recipe,
    sizes: ShadowSizes,
    seeds: int,
    work: Path,
) -> Iterator[ShadowTrial]:
    """A trial for each corpus and seed; a trial that is finished in *work* is read, and an unfinished trial goes on.

    Each seed draws its passages anew from the whole corpus, so trials of a corpus share passages. *base* returns the
    base model for the name of a corpus.
    """
    for corpus, texts in corpora.items():
        needed = sizes.pool + sizes.elsewhere
        if len(texts) < needed:
            raise SystemExit(f"corpus {corpus!r} has {len(texts)} passages, and a trial takes {needed}: name a larger")
        for seed in range(seeds):
            drawn = [texts[at] for at in np.random.default_rng([3, seed]).permutation(len(texts))[:needed]]
            folder = work / setting.replace(" ", "-") / f"{corpus}-{seed}"
            yield run_trial(setting, corpus, seed, drawn, base(corpus), recipe, sizes, folder)


def run_trial(
    setting: str,
    corpus: str,
    seed: int,
    texts: Sequence[str],
    base: Path | str,
    recipe: training.Recipe,
    sizes: ShadowSizes,
    folder: Path,
) -> ShadowTrial:
    """The trial in *folder*: read where it is finished there, else run."""
    if (folder / RESULT).exists():
        return from_json(ShadowTrial, (folder / RESULT).read_text("utf-8"))
    print(f"{folder} …", file=sys.stderr, flush=True)
    pool = [{"id": f"p{at}", "document": f"d{at}", "text": text} for at, text in enumerate(texts[: sizes.pool])]
    truth = np.random.default_rng([7, seed]).permutation(sizes.pool) < sizes.pool // 2
    target = folder / "target"
    members = [row["text"] for row, member in zip(pool, truth, strict=True) if member]
    training.train(base, members, target, replace(recipe, seed=1_000 + seed), name="target")
    source = Passages.of(pool, name=corpus)
    shadows = train_shadows(
        source, base, out=folder / "shadows", shadows=sizes.shadows, recipe=replace(recipe, seed=seed), seed=seed
    )
    reference = shadows.reference() or _reference(base, recipe, texts[sizes.pool :], folder, seed)
    named = [*ATTACKS, *([] if shadows.reference() is None else ["reference"]), "loss", "min_k"]
    done = audit(
        source,
        target=target,
        shadows=shadows,
        attacks=named,
        fpr=0.05,
        out=folder / "audit",
        history=folder / "history",
        report=False,
    )
    alone = score(source, target, reference, attacks=SINGLE, out=folder / "single")
    trial = _measured(
        ShadowTrial(setting, corpus, seed, sizes.pool, {}, "", {}, 0.0, done.shadows),
        read_scores(done.path),
        alone,
        truth,
    )
    write_text(folder / RESULT, to_json(trial))
    return trial


def timed_trial(
    texts: Sequence[str], base: Path | str, recipe: training.Recipe, sizes: ShadowSizes, processes: int, folder: Path
) -> tuple[float, float]:
    """Seconds in which the shadows of a pool are trained, and in which they and a target are scored and audited."""
    pool = Passages.of([{"id": f"p{at}", "text": text} for at, text in enumerate(texts[: sizes.pool])])
    target = folder / "target"
    training.train(base, texts[: sizes.pool // 2], target, recipe, name="target")
    began = time.monotonic()
    shadows = train_shadows(
        pool, base, out=folder / "shadows", shadows=sizes.shadows, recipe=recipe, processes=processes
    )
    audit(pool, target=target, shadows=shadows, attacks=["lira"], fpr=0.05, out=folder / "audit", report=False)
    whole = time.monotonic() - began
    trained = sum(each.seconds for each in shadows.record.shadows) / processes
    return trained, whole - trained


def _reference(
    base: Path | str, recipe: training.Recipe, elsewhere: Sequence[str], folder: Path, seed: int
) -> ModelSpec:
    """A model like the target that was trained on other passages, where the base has learned nothing."""
    training.train(base, list(elsewhere), folder / "reference", replace(recipe, seed=2_000 + seed), name="reference")
    return ModelSpec(folder / "reference")


def _measured(trial: ShadowTrial, table: ScoreTable, alone: ScoreTable, truth: NDArray[np.bool_]) -> ShadowTrial:
    """The trial with its figures: of the shadows' attacks and classifier, of the oracle, and of the best attack."""
    labels, documents = truth.astype(np.int8), list(table.documents[: len(truth)])
    deciders = {name: _by_threshold(table, name, truth) for name in (*ATTACKS, STACK)}
    columns = {name: alone.column(name) for name in SINGLE}
    fpr = gain_fpr(len(truth))
    best = max(columns, key=lambda name: tpr_at_fpr(columns[name], labels, fpr).value)
    deciders["best single"] = _of_truth(columns[best], labels)
    stacked, fitted = _stack(table, truth)
    oracle, rates, half = _oracle(table, truth, trial.seed)
    deciders["oracle"] = rates
    tested = half & ~fitted
    gains = {
        name: compare_tpr(table.column(name)[: len(truth)], columns[best], labels, fpr, documents).difference.value
        for name in ATTACKS
    }
    names = [documents[at] for at in np.flatnonzero(tested)]
    paired = compare_attacks(oracle[tested], stacked[tested], labels[tested], names)
    return replace(trial, deciders=deciders, single=best, gains=gains, classifier_gap=paired.difference.value)


def gain_fpr(passages: int) -> float:
    """The false positive rate at which attacks are compared: 1 % where 2,000 non-members measure it, else 5 %."""
    return FPRS[0] if passages // 2 >= 2_000 else FPRS[1]


def _of_truth(scores: NDArray[np.float64], labels: NDArray[np.int8]) -> Rates:
    """What the scores separate, by the truth."""
    known = {str(fpr): tpr_at_fpr(scores, labels, fpr).value for fpr in FPRS}
    return Rates(auroc(scores, labels).value, known, {}, {})


def _calibrated(table: ScoreTable, decider: str, fpr: float) -> Calibration | None:
    """The calibration; None where the documents are too few for the rate."""
    try:
        return calibrate(table, decider, fpr=fpr)
    except CalibrationError:
        return None


def _by_threshold(table: ScoreTable, decider: str, truth: NDArray[np.bool_]) -> Rates:
    """What the shadows' thresholds flag of the target's non-members and members."""
    n, fpr_of, tpr_of = len(truth), dict[str, float](), dict[str, float]()
    scores = np.empty(0)
    for fpr in FPRS:
        calibration = _calibrated(table, decider, fpr)
        if calibration is None:
            continue
        scores = add_decider_column(table, calibration).column(calibration.attack)[:n]
        flagged = calibration.flagged(scores)
        fpr_of[str(fpr)], tpr_of[str(fpr)] = float(flagged[~truth].mean()), float(flagged[truth].mean())
    return replace(_of_truth(scores, truth.astype(np.int8)), realised_fpr=fpr_of, realised_tpr=tpr_of)


def _stack(table: ScoreTable, truth: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The shadow classifier's scores of the target's passages, and whether their rows by shadows fitted it."""
    calibration = calibrate(table, STACK, fpr=FPRS[-1])
    scores = add_decider_column(table, calibration).column(STACK)[: len(truth)]
    return scores, _drawn(table.documents[: len(truth)], calibration, table)


def _drawn(documents: Sequence[str], calibration: Calibration, table: ScoreTable) -> NDArray[np.bool_]:
    """Whether each document fitted the stack of *calibration*."""
    split = calibration.split
    assert split is not None, "a stack is fitted on a part"
    known = np.flatnonzero(table.labels >= 0)
    names = [table.documents[row] for row in known.tolist()]
    fit = split_by_document(names, split.fit_share, split.seed, table.labels[known].tolist())
    drawn = {name for name, chosen in zip(names, fit.tolist(), strict=True) if chosen}
    return np.array([name in drawn for name in documents])


def _oracle(
    table: ScoreTable, truth: NDArray[np.bool_], seed: int
) -> tuple[NDArray[np.float64], Rates, NDArray[np.bool_]]:
    """A stack that is fitted and calibrated on half of the target's passages, with their truth.

    Its scores of all passages, its rates on the other half, and which that is.
    """
    n = len(truth)
    half = np.random.default_rng([11, seed]).permutation(n) < n // 2
    columns = {name: scores[:n] for name, scores in table.columns.items()}
    labels = [None if tested else int(member) for tested, member in zip(half, truth, strict=True)]
    known = ScoreTable.of(columns, labels, ids=list(table.ids[:n]), documents=list(table.documents[:n]))
    fpr_of, tpr_of, scores = dict[str, float](), dict[str, float](), np.empty(0)
    for fpr in FPRS:
        calibration = _calibrated(known, STACK, fpr)
        if calibration is None:
            continue
        scores = add_decider_column(known, calibration).column(STACK)
        flagged = calibration.flagged(scores)
        fpr_of[str(fpr)], tpr_of[str(fpr)] = (float(flagged[half & (truth == label)].mean()) for label in (False, True))
    of_half = _of_truth(scores[half], truth[half].astype(np.int8))
    return scores, replace(of_half, realised_fpr=fpr_of, realised_tpr=tpr_of), half
