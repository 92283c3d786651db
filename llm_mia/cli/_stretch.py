"""The group of options that say what counts as extractable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from .grouping import OptionGroup

__all__ = ["EXTRACTED", "StretchOptions"]

EXTRACTED = "What is extracted"


@dataclass(frozen=True, slots=True, kw_only=True)
class StretchOptions(OptionGroup):
    """Which stretch of a passage counts as extractable."""

    stretch: Annotated[
        int,
        typer.Option(
            metavar="TOKENS",
            help="Length of a stretch: so many tokens of a passage in a row must be written exactly.",
            rich_help_panel=EXTRACTED,
        ),
    ] = 50
    probability: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Smallest probability of a stretch, given the text before it, that counts as extractable.",
            rich_help_panel=EXTRACTED,
        ),
    ] = 0.001
