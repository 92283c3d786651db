"""What no design and no pilot can have: refused before a model is loaded."""

from __future__ import annotations

from pathlib import Path

from ..backends import ModelSpec
from ..errors import InputError, ModelError, UsageError
from ._pilot_texts import MOST_OTHERS, PilotSource
from ._plan_record import CanaryDesign, PilotSettings
from ._power import fewest_documents, least_level

__all__ = ["refuse_few", "refuse_level", "refuse_numbers", "trainable"]

MOST_DOCUMENTS, MOST_REPEATS, MOST_PILOTS = 10_000_000, 1_000, 1_000
FEWEST_OF_PILOT, FEWEST_PILOTS = 4, 3
"""With fewer documents of a number of repeats, or fewer pilots, the interval is of no use."""


def refuse_numbers(
    documents: int | None, repeats: int, level: float, goal: float, pilots: int, pilot_documents: int, others: int
) -> None:
    """Raise `UsageError` where a number is impossible for a design or a pilot."""
    if documents is not None and documents < 1:
        raise UsageError(f"`documents` is {documents}: a design has at least 1 document")
    if repeats < 1:
        raise UsageError(f"`repeats` is {repeats}: a model sees a public variant at least 1 time")
    most = (("documents", documents or 1, MOST_DOCUMENTS), ("repeats", repeats, MOST_REPEATS))
    for name, number, largest in (*most, ("pilots", pilots, MOST_PILOTS)):
        if number > largest:
            raise UsageError(f"`{name}` is larger than {largest:,}: a plan of this size is not computed")
    if not 0 < level < 1:
        raise UsageError(f"`level` is {level:g}: a p-value lies between 0 and 1, both excluded")
    if level < least_level():
        raise UsageError(
            f"`level` is {level:g}: the test gives no p-value below {least_level():.2g}, because it compares with "
            "100,000 draws at most: give a larger one"
        )
    if not 0 < goal < 1:
        raise UsageError(f"`goal` is {goal:g}: a power lies between 0 and 1, both excluded, as in 0.8")
    if pilots < FEWEST_PILOTS:
        raise UsageError(f"`pilots` is {pilots}: the interval is over pilots, and needs at least {FEWEST_PILOTS}")
    if pilot_documents < FEWEST_OF_PILOT:
        raise UsageError(f"`pilot_documents` is {pilot_documents}: the interval needs at least {FEWEST_OF_PILOT}")
    if not 0 <= others <= MOST_OTHERS:
        raise UsageError(
            f"`others` is {others}: it must lie between 0 and {MOST_OTHERS}, the number of texts that there are"
        )


def trainable(model: ModelSpec | str | Path) -> ModelSpec:
    """The model, not yet loaded; raises an error where it is behind an endpoint, or neither a name nor a folder."""
    if not isinstance(model, ModelSpec | str | Path):
        raise UsageError(
            f"`model` is of the type {type(model).__name__}: give the name or the folder of a model, which is trained"
        )
    spec = model if isinstance(model, ModelSpec) else ModelSpec(model)
    if spec.is_endpoint:
        raise ModelError(
            f"model {str(spec.name)!r} is behind an endpoint: a pilot trains its model, so name a model on this machine"
        )
    return spec


def refuse_level(design: CanaryDesign) -> None:
    """Raise `InputError` where the design has too few documents to reach its level."""
    fewest = fewest_documents(design.variants, design.level)
    if design.documents < fewest:
        raise InputError(
            f"{design.documents} documents with {design.variants} variants can give no p-value of at most "
            f"{design.level:g}, whatever the model is: at least {fewest} `documents` are needed"
        )


def refuse_few(source: PilotSource, settings: PilotSettings) -> None:
    """Raise `InputError` where there are fewer documents than a pilot needs."""
    parts, there = len(settings.repeats), len(source.documents)
    if parts * settings.documents <= there:
        return
    fit = there // parts
    wanted = f"a pilot needs {parts * settings.documents}, {settings.documents} for each of {parts} numbers of repeats"
    if fit < FEWEST_OF_PILOT:
        raise InputError(
            f"there are {there} documents, and a pilot needs at least {parts * FEWEST_OF_PILOT}, {FEWEST_OF_PILOT} for "
            f"each of {parts} numbers of repeats: leave out `texts`, so that the pilots use texts of the package, and "
            f"give {there} as `documents`"
        )
    raise InputError(f"there are {there} documents, and {wanted}: give `pilot_documents` {fit}, or more texts")
