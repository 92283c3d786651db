"""The group of options that say what some attacks need in addition to the models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import _options as opt
from ._groups import ReadingOptions
from .grouping import OptionGroup

if TYPE_CHECKING:
    from ..shadow import Shadows
    from ..signals import Supplies

__all__ = ["EvidenceOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceOptions(OptionGroup):
    """What some attacks need in addition to the models."""

    shots: Annotated[
        str | None,
        typer.Option(
            metavar="INPUT",
            help="For recall, con_recall: passages that the model reads before each passage. They are known members "
            "(label 1) or known non-members (label 0; or no passage has a label).",
            rich_help_panel=opt.EVIDENCE,
        ),
    ] = None
    population: Annotated[
        str | None,
        typer.Option(
            metavar="INPUT",
            help="For rmia, info_rmia, excess_gain: other passages from the same source, for comparison; they get no "
            "score. For excess_gain they are known non-members.",
            rich_help_panel=opt.EVIDENCE,
        ),
    ] = None
    frequencies: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="For dc_pdd: file that 'llm-mia frequencies' wrote, with the count of each token in a corpus.",
            rich_help_panel=opt.EVIDENCE,
        ),
    ] = None
    shadows: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="For lira, shadow_rmia: folder of shadow models that 'llm-mia shadow' wrote. In an audit without "
            "known non-members they set the threshold.",
            rich_help_panel=opt.EVIDENCE,
        ),
    ] = None
    neighbours: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="COUNT",
            help="For neighbour, pac: number of rewritten versions of each passage. Each version costs as much as "
            "scoring the passage once more.",
            rich_help_panel=opt.EVIDENCE,
        ),
    ] = 10
    neighbour_model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="For neighbour: masked language model, such as BERT, that rewrites the passages.",
            show_default="none: words are dropped and swapped",
            rich_help_panel=opt.EVIDENCE,
        ),
    ] = None

    samples: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="COUNT",
            help="For samia, ngram_coverage: number of continuations that the target writes of the beginning of each "
            "passage, such as 10. Each takes much longer than scoring the passage; an endpoint counts it as a request.",
            show_default="none: these attacks are left out",
            rich_help_panel=opt.EVIDENCE,
        ),
    ] = None
    sample_tokens: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="COUNT",
            help="With --samples: largest number of tokens of a continuation, such as that of the rest of a passage.",
            rich_help_panel=opt.EVIDENCE,
        ),
    ] = 64
    prefix_share: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="With --samples: share of a passage's words that the target reads; it continues from there.",
            rich_help_panel=opt.EVIDENCE,
        ),
    ] = 0.5
    sample_temperature: Annotated[
        float,
        typer.Option(
            metavar="NUMBER",
            help="With --samples: temperature at which the target writes; 1 is the model unchanged.",
            rich_help_panel=opt.EVIDENCE,
        ),
    ] = 1.0

    def shadow_models(self) -> Shadows | None:
        """The shadow models; None where the user named no folder."""
        from ..shadow import read_shadows

        return None if self.shadows is None else read_shadows(self.shadows)

    def supplies(self, reading: ReadingOptions, device: str) -> Supplies:
        """What attacks may use in addition to models, read as the passages are; only shots have labels.

        Shadow models are not among them: `shadow_models` gives them.
        """
        from ..backends import ModelSpec
        from ..signals import Supplies

        return Supplies(
            shots=None if self.shots is None else reading.read(self.shots, "shots"),
            population=None if self.population is None else reading.read_unlabelled(self.population, "population"),
            frequencies=self.frequencies,
            neighbours=self.neighbours,
            samples=self.samples,
            sample_tokens=self.sample_tokens,
            prefix_share=self.prefix_share,
            sample_temperature=self.sample_temperature,
            neighbour_model=None if self.neighbour_model is None else ModelSpec(self.neighbour_model, device=device),
        )
