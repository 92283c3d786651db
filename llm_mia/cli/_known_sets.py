"""The groups of options that name the labelled passages a verdict rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from . import _options as opt
from ._groups import ReadingOptions
from .grouping import OptionGroup

if TYPE_CHECKING:
    from ..passages import Passages

__all__ = ["KnownSetOptions", "PossibleKnownSetOptions"]


MEMBERS = Annotated[
    str | None,
    typer.Option(
        metavar="INPUT",
        help="Passages known to be in the training data; they show how well the attacks work, and set no threshold.",
        rich_help_panel=opt.KNOWN,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSetOptions(OptionGroup):
    """The labelled passages that a verdict rests on."""

    nonmembers: Annotated[
        str,
        typer.Option(
            metavar="INPUT",
            help=f"Passages known not to be in the training data; they set the threshold. INPUT is {opt.INPUT_KINDS}.",
            rich_help_panel=opt.KNOWN,
        ),
    ]
    members: MEMBERS = None

    def read_members(self, reading: ReadingOptions) -> Passages | None:
        """The known members, with label 1; None where the user named none."""
        return None if self.members is None else reading.read(self.members, "members", 1)

    def read_nonmembers(self, reading: ReadingOptions) -> Passages:
        """The known non-members, with label 0."""
        return reading.read(self.nonmembers, "nonmembers", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PossibleKnownSetOptions(OptionGroup):
    """The labelled passages of a command that can do without them where shadow models set the threshold."""

    nonmembers: Annotated[
        str | None,
        typer.Option(
            metavar="INPUT",
            help="Passages known not to be in the training data; they set the threshold. Not needed with --shadows, "
            f"where shadow models in the target's place set it. INPUT is {opt.INPUT_KINDS}.",
            rich_help_panel=opt.KNOWN,
        ),
    ] = None
    members: MEMBERS = None

    def read_members(self, reading: ReadingOptions) -> Passages | None:
        """The known members, with label 1; None where the user named none."""
        return None if self.members is None else reading.read(self.members, "members", 1)

    def read_nonmembers(self, reading: ReadingOptions) -> Passages | None:
        """The known non-members, with label 0; None where the user named none."""
        return None if self.nonmembers is None else reading.read(self.nonmembers, "nonmembers", 0)
