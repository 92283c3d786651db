"""The group of options that say how a model is trained."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated

import typer

from .grouping import OptionGroup

if TYPE_CHECKING:
    from ..training import Recipe

__all__ = ["TRAINING", "RecipeOptions"]

TRAINING = "Training"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeOptions(OptionGroup):
    """How models are trained; the fields are those of `llm_mia.training.Recipe`."""

    method: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="lora: a small adapter on the base; full: all weights of the base; scratch: all weights of a model "
            "like the base, from random weights.",
            rich_help_panel=TRAINING,
        ),
    ] = "lora"
    epochs: Annotated[
        int,
        typer.Option(min=1, metavar="COUNT", help="How often each text is trained on.", rich_help_panel=TRAINING),
    ] = 3
    batch_size: Annotated[
        int, typer.Option(min=1, metavar="COUNT", help="Texts in a step.", rich_help_panel=TRAINING)
    ] = 8
    learning_rate: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="Learning rate of AdamW.",
            show_default="0.001; with --method full 0.0001",
            rich_help_panel=TRAINING,
        ),
    ] = None
    lora_rank: Annotated[
        int,
        typer.Option(
            min=1, metavar="NUMBER", help="With --method lora: rank of the adapter.", rich_help_panel=TRAINING
        ),
    ] = 8
    weight_decay: Annotated[
        float, typer.Option(metavar="NUMBER", help="Weight decay of AdamW.", rich_help_panel=TRAINING)
    ] = 0.0
    dropout: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Share of the activations that is dropped in training.",
            show_default="as the base is configured",
            rich_help_panel=TRAINING,
        ),
    ] = None
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="NUMBER",
            help="Draws which documents are trained on, and everything that is random in a training.",
            rich_help_panel=TRAINING,
        ),
    ] = 0

    def recipe(self) -> Recipe:
        """The recipe with these settings."""
        from ..training import Method, Recipe

        settings = {field.name: getattr(self, field.name) for field in fields(self)}
        names = [str(method) for method in Method]
        if self.method not in names:
            return Recipe(**settings)  # which says what a method is called
        return Recipe(**{**settings, "method": Method(self.method)})
