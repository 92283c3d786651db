"""Figures of an audit: for Python users as matplotlib Axes, for the report as SVG, and as files.

function                what it shows
`scores`                score distributions of candidates, non-members and members, with the threshold
`roc`                   members against non-members above each threshold, and the blind baselines
`false_positives`       realised against promised false positive rates
`p_values`              the p-values of the candidates, and what chance gives
`documents`             the documents of the candidates, ranked by score
`power`                 the flags to expect, by the share of the candidates that was trained on
`baselines`             the AUROC of every attack, and of classifiers that never saw the model
`heat_map`              the tokens of a passage, coloured by log-likelihood
`canary`                of a test of canaries instead: the sum, and those of other draws
`paired`                of a test of published and withheld versions instead: the sum, and those of other signs
`canary_plan`           of a plan of canaries: the power by the number of documents
`defenses`              of defences instead of an audit: what leaks against the perplexity of held-out texts

Each takes an audit, draws on the Axes *ax* or on those of a new figure, and returns them; ``.figure.savefig`` writes a
file. They compute nothing: what they show is in the records, or is computed in `llm_mia.metrics` and
`llm_mia.decision`. `page_figures` gives all of them as SVG for the page, `write_figures` writes them into a folder.
"""

from ._canary import canary, paired, published_figures, write_canary_figure, write_paired_figure
from ._canary_plan import canary_plan, write_plan_figure
from ._defenses import defenses, write_defenses_figure
from ._display import Figure
from ._drawing import (
    baselines,
    documents,
    false_positives,
    figures_of,
    p_values,
    page_figures,
    power,
    roc,
    scores,
    write_figures,
)
from ._heat_map import heat_map
from ._style import DARK, LIGHT

__all__ = [
    "DARK",
    "LIGHT",
    "Figure",
    "baselines",
    "canary",
    "canary_plan",
    "defenses",
    "documents",
    "false_positives",
    "figures_of",
    "heat_map",
    "p_values",
    "page_figures",
    "paired",
    "power",
    "published_figures",
    "roc",
    "scores",
    "write_canary_figure",
    "write_defenses_figure",
    "write_figures",
    "write_paired_figure",
    "write_plan_figure",
]
