"""The command that decides on all candidates together: collection."""

from __future__ import annotations

from typing import Annotated

import typer

from ..errors import UsageError
from . import _options as opt
from ._commands import withheld_code
from ._groups import OfAttack, TableOptions
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
    level: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Largest probability of a finding if the model was trained on none of the candidates, over all "
            "decisions on them: a finding of the first decision needs 0.9 of it as its p-value, later decisions less.",
            rich_help_panel=opt.RATES,
        ),
    ] = 0.05,
    others: opt.Others = None,
    seed: Annotated[int, typer.Option(metavar="NUMBER", help="Seed of the random permutations and halves.")] = 0,
    accept_void: opt.AcceptVoid = False,
    as_json: opt.Json = False,
) -> int:
    """Test whether the candidates as a whole score higher than the known non-members; documents are compared.

    Where a reference model or a stand-in has scored the passages, they must also score higher than its scores lead to
    expect.
    """
    from ..history import judge_on_record
    from ..report import collection_summary, collection_table, standing_note

    if others and len(attacks or ()) != 1:
        raise UsageError("`others` is a score of a single attack by another model: name that attack alone as `attacks`")
    with working("testing the collection"):
        scores = table.read(others=OfAttack(attacks[0], others)) if attacks and others else table.read()
        result = judge_on_record(
            scores,
            attacks or (),
            table.history(),
            level=level,
            seed=seed,
            accept_void=accept_void,
            protocol=table.protocol(),
        )
    if warning := standing_note(result.known_set):
        say(f"note: {warning}")
    if as_json:
        show_json(collection_summary(result))
    else:
        show(collection_table(result, spelled))
    return withheld_code(result.standing) if result.withheld else 0
