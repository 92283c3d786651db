"""The command that decides on all candidates together: collection."""

from __future__ import annotations

from typing import Annotated

import typer

from ..errors import UsageError
from . import _options as opt
from ._commands import withheld_code
from ._tables import OfAttack, TableOptions
from .output import say, show, show_json
from .parameters import spelled
from .progress import working

__all__ = ["collection"]


def collection(
    table: TableOptions,
    attacks: Annotated[
        list[str] | None,
        typer.Option(
            "-a",
            "--attack",
            metavar="COLUMN",
            help=f"A column of scores; may be repeated. {opt.REVERSED} Of several columns, the largest "
            "difference counts, and the p-value allows for the choice.",
            show_default="in a run directory 'reference', or 'min_k' without a reference; a table has no default",
        ),
    ] = None,
    others: opt.Others = None,
    seed: Annotated[
        int,
        typer.Option(
            metavar="NUMBER",
            help="Seed of the random permutations and halves. With another seed it is another decision.",
        ),
    ] = 0,
    finding_level: opt.FindingLevel = None,
    accept_void: opt.AcceptVoid = False,
    details: opt.Details = False,
    as_json: opt.Json = False,
) -> int:
    """Test whether the candidates as a whole score higher than the known non-members; documents are compared.

    If another model has scored the passages, candidates must also score higher than its scores predict.
    """
    from ..history import judge_on_record
    from ..report import collection_screen, collection_summary, collection_table, standing_note

    if others and len(attacks or ()) != 1:
        raise UsageError("`others` is a score of a single attack by another model: name that attack alone as `attacks`")
    with working("testing the collection"):
        scores = table.read(others=OfAttack(attacks[0], others)) if attacks and others else table.read()
        result = judge_on_record(
            scores,
            attacks or (),
            table.history(),
            finding_level=finding_level,
            seed=seed,
            accept_void=accept_void,
            protocol=table.protocol(),
        )
    if (as_json or details) and (warning := standing_note(result.known_set)):
        say(f"note: {warning}")
    if as_json:
        show_json(collection_summary(result))
    else:
        show(collection_table(result, spelled) if details else collection_screen(result, spelled))
    return withheld_code(result.standing) if result.withheld else 0
