"""The call that plans canaries: pilots whose training is known → the effect → the power of a design."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from ..backends import ModelSpec, embedded
from ..errors import InputError, RunDirectoryError, UsageError
from ..passages import Passages, PassageSource
from ..signals import Progress, report_activity, running_dry
from ..store import differences, read_record, to_json, write_text, writing
from ..training import Method, Recipe
from ._manifest import CanaryKind
from ._pilot import ATTACKS, PilotRun
from ._pilot_texts import PilotSource, pilot_source
from ._plan_estimate import estimated_pilots
from ._plan_limits import refuse_few, refuse_level, refuse_numbers, trainable
from ._plan_record import (
    PILOTS,
    PLAN,
    SHOWN_TIMES,
    CanaryDesign,
    CanaryPlan,
    Pilot,
    PilotSettings,
    PilotTexts,
    PlannedPower,
    RepeatsEffect,
)
from ._power import MeasuredEffect, documents_for, fewest_documents, measured_effect, power_of_test
from ._testing import POWER_LEVEL, only_owner_reads

__all__ = ["REPEATS", "plan_canaries"]

REPEATS = (1, 2, 4, 8)
"""How often public variants are trained on in a pilot, each number with another part of the documents."""
USUAL_DOCUMENTS = 100
TIMES = (0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.4, 2.8, 5.6, 8.0)
"""Multiples of the documents of the design for which the figure shows the power, besides `SHOWN_TIMES`."""
PILOT_RATE = 1e-5
"""Learning rate of a pilot, a tenth of the usual: a large model sees each text among far more others."""
FEWEST_SCORED = 2
LOCK, SETTINGS = ".lock", "settings.json"


def plan_canaries(
    texts: PassageSource | None = None,
    *,
    out: str | Path,
    documents: int | None = None,
    variants: int | None = None,
    repeats: int = 1,
    kind: CanaryKind | str | None = None,
    rephrased: PassageSource | None = None,
    model: ModelSpec | str | Path = embedded.NAME,
    level: float = POWER_LEVEL,
    goal: float = 0.8,
    pilots: int = 6,
    pilot_documents: int = 8,
    others: int = 150,
    recipe: Recipe | None = None,
    seed: int = 0,
    keep_models: bool = False,
    window_tokens: int | None = None,
    progress: Progress | None = None,
) -> CanaryPlan:
    """The power of a design of canaries, before any is published: measured on models that are trained here.

    Each pilot trains *model* on public variants of documents, which occur 1, 2, 4 and 8 times (and *repeats* times)
    among other texts, and then scores all of their variants by ``reference``, with the untrained model as reference,
    and by ``loss``. What `run_canary_test` would add up is measured on each document, and gives the power.

    The power is the probability that a test of such documents has a p-value of at most *level*, under a model that
    remembers them as the models of the pilots do (`power_of_test`); its interval covers it with a probability of about
    95 % over further pilots and documents (`interval_over_pilots`). About other models nothing is guaranteed: a larger
    model, another corpus, other learning rates and a later training remember more or less.

    A call that was stopped continues, and no pilot is run twice. With other *documents*, *level* or *goal* it needs no
    further pilot. The folder of canaries is only read, and neither its secret nor its draw is used: each pilot draws
    anew. What holds texts, also the trained models, is removed when a pilot is finished.

    Args:
        texts: as `make_canaries` takes them, or a folder of canaries, whose sealed variants are then used; None:
            passages of Python's language reference.
        out: the folder of the plan.
        documents: how many documents are to be published; None: those of *texts*, or 100.
        variants: of each; None: 8, and of supplied variants all.
        repeats: how often a model is to see each public variant.
        kind: how variants differ; None: token, or that of the folder of canaries.
        rephrased: for the kind rephrase: further variants, with the document of each.
        model: the model that is trained; it must lie on this machine or on the hub.
        level: the p-value that the test is to reach.
        goal: the power that is wanted; the plan says how many documents give it.
        pilots: how many models are trained.
        pilot_documents: documents of each number of repeats, in each pilot.
        others: other texts that each model is trained on once, passages of the language reference.
        recipe: of the training; None: all weights, one epoch, with a learning rate of `PILOT_RATE`.
        seed: draws documents, public variants and the order of the training.
        keep_models: keep the trained models, which know the public variants.
        window_tokens: longest input fed to a model while it scores.
        progress: called after every step and batch.

    Raises:
        UsageError: a number that no design or pilot can have, or arguments that do not fit each other.
        InputError: the design cannot reach *level*, or the texts are too few for a pilot.
        ModelError: the model cannot be trained.
        RunDirectoryError: *out* holds something else, or cannot be written.
    """
    recipe = replace(recipe or Recipe(Method.FULL, epochs=1, learning_rate=PILOT_RATE), seed=seed)
    refuse_numbers(documents, repeats, level, goal, pilots, pilot_documents, others)
    spec = trainable(model)
    report_activity(progress, "reading the texts")
    source, path = pilot_source(texts, kind, variants, rephrased), Path(out)
    if isinstance(texts, Passages):
        texts.refuse_output(path)
    spec.refuse_output(path)
    if source.texts is PilotTexts.CANARIES and path.resolve().is_relative_to(Path(str(texts)).resolve()):
        raise UsageError(f"{path}: `out` lies in the folder of the canaries, {texts}: name another folder")
    usual = USUAL_DOCUMENTS if source.texts is PilotTexts.PACKAGE else len(source.documents)
    design = CanaryDesign(usual if documents is None else documents, source.variants, repeats, level, goal)
    refuse_level(design)
    settings = PilotSettings(
        texts=source.texts,
        texts_sha256=source.sha256(),
        kind=source.kind,
        variants=source.variants,
        model=str(spec.name),
        model_sha256=spec.sha256(),
        repeats=tuple(sorted({*REPEATS, repeats})),
        documents=pilot_documents,
        others=others,
        recipe=recipe,
        window_tokens=window_tokens,
    )
    settings = _of_folder(path, settings, repeats)
    refuse_few(source, settings)
    runs = [PilotRun(path, number, settings, source, spec, progress) for number in range(1, pilots + 1)]
    if dry := running_dry():
        raise estimated_pilots(dry, path, runs, progress)
    with _claimed(path, settings):
        done = [each.run(keep_model=keep_models) for each in runs]
        report_activity(progress, "computing the power")
        plan = _planned(path, design, settings, done, (*source.notes, *_shared(source, settings, pilots)))
        write_text(path / PLAN, to_json(replace(plan, path=Path())))
    return plan


def _shared(source: PilotSource, settings: PilotSettings, pilots: int) -> Iterator[str]:
    """A note where there are too few documents for pilots without common ones."""
    if pilots * settings.documents * len(settings.repeats) > len(source.documents):
        yield (
            "the pilots share documents, because there are too few; so the interval covers further trainings, and "
            "further documents only in part"
        )


def _of_folder(path: Path, settings: PilotSettings, repeats: int) -> PilotSettings:
    """The settings of the pilots in the folder *path*, which must be *settings*; these where it has no pilots yet.

    Raises:
        RunDirectoryError: the folder holds pilots of other settings, or something else.
    """
    file = path / PILOTS / SETTINGS
    if not file.exists():
        if any((path / name).exists() for name in ("run.json", PLAN, PILOTS)):
            raise RunDirectoryError(f"{path}: holds another run, and no pilots of a plan; name another folder")
        return settings
    before = read_record(PilotSettings, file, RunDirectoryError, "name another folder")
    if repeats in before.repeats:  # a number that only an earlier call wanted does no harm
        settings = replace(settings, repeats=before.repeats)
    if None in (before.model_sha256, settings.model_sha256):
        compared = replace(before, model_sha256=settings.model_sha256)
    else:  # the digests decide, wherever the files lie
        compared = replace(before, model=settings.model)
    if what := "; ".join(differences(compared, settings)):
        raise RunDirectoryError(f"{path}: holds pilots of other settings ({what}); name another folder")
    return before


@contextmanager
def _claimed(path: Path, settings: PilotSettings) -> Iterator[None]:
    """Keep other calls out of the folder *path*; a call that fails before a pilot has a file leaves nothing behind."""
    with only_owner_reads(path):
        lock, pilots = FileLock(path / LOCK, timeout=0), path / PILOTS
        with writing(path):
            try:
                lock.acquire()
            except Timeout:
                raise RunDirectoryError(
                    f"{path}: another run is writing here; wait for it or name another folder"
                ) from None
        try:
            write_text(pilots / SETTINGS, to_json(settings))
            yield
        finally:
            if not any(each.name != SETTINGS for each in pilots.glob("*")):
                shutil.rmtree(pilots, ignore_errors=True)
                (path / LOCK).unlink(missing_ok=True)
            lock.release()


def _planned(
    path: Path, design: CanaryDesign, settings: PilotSettings, pilots: Sequence[Pilot], notes: tuple[str, ...]
) -> CanaryPlan:
    """The plan by the results of the *pilots*."""
    measured = {(name, repeats): _measured(pilots, name, repeats) for name in ATTACKS for repeats in settings.repeats}
    fewest = fewest_documents(design.variants, design.level)
    numbers = {round(times * design.documents) for times in (*SHOWN_TIMES, *TIMES)}
    effects = [
        RepeatsEffect(
            name, repeats, len(each.public), each.effect, documents_for(each, design.goal, design.level, fewest)
        )
        for (name, repeats), each in measured.items()
    ]
    decides, by_loss = ATTACKS
    powers = [
        PlannedPower(decides, repeats, number, power_of_test(measured[decides, repeats], number, design.level))
        for repeats in settings.repeats
        for number in sorted(numbers)
        if number >= fewest
    ]
    alone = power_of_test(measured[by_loss, design.repeats], design.documents, design.level)
    return CanaryPlan(
        path=path,
        design=design,
        settings=settings,
        pilots=len(pilots),
        effects=tuple(effects),
        powers=tuple(powers),
        without_reference=PlannedPower(by_loss, design.repeats, design.documents, alone),
        published_share=sum(each.published for each in pilots) / sum(each.trained for each in pilots),
        trained=pilots[-1].trained,
        unused=sum(each.unused for each in pilots),
        cut=sum(each.cut for each in pilots),
        seconds=math.fsum(each.seconds for each in pilots),
        notes=notes,
    )


def _measured(pilots: Sequence[Pilot], attack: str, repeats: int) -> MeasuredEffect:
    """The effect on the documents whose public variant was trained on so many times.

    Raises:
        InputError: too few documents of a pilot have scores.
    """
    by_pilot = []
    for pilot in pilots:
        chosen = [each for each in pilot.documents if each.repeats == repeats]
        if len(chosen) < FEWEST_SCORED:
            raise InputError(
                f"pilot {pilot.number}: of the documents that were trained on {repeats} times, all variants of only "
                f"{len(chosen)} have scores, and at least {FEWEST_SCORED} are needed: give longer texts"
            )
        by_pilot.append(([np.array(each.scores[attack]) for each in chosen], [each.public for each in chosen]))
    return measured_effect(by_pilot)
