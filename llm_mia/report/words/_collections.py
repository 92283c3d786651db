"""The decision on all candidates together, in words."""

from __future__ import annotations

from ...decision import CollectionResult
from ...documents import PowerTable
from ._decisions import WITHHELD

__all__ = ["collection_finding", "collection_lines", "collection_size", "power_title"]


def collection_finding(result: CollectionResult) -> str:
    """What the test of the collection shows."""
    if result.withheld:
        return WITHHELD
    return "consistent with training on the collection" if result.significant else "nothing found"


def collection_size(result: CollectionResult) -> str:
    """What was compared with what."""
    candidates, nonmembers = result.test.n_documents
    return f"{candidates:,} candidate documents against {nonmembers:,} of known non-members"


def collection_lines(result: CollectionResult) -> list[str]:
    """Figures beside the finding: the placebo, and the weights of several attacks."""
    placebo = result.test.placebo
    lines = [
        f"placebo, known non-members against themselves: p = {placebo.p_value:.4g} in random halves, "
        f"{placebo.in_order_p_value:.4g} in the order given"
    ]
    if len(result.attacks) > 1:
        weights = zip(result.attacks, result.test.weights, strict=True)
        lines.append("weights " + ", ".join(f"{name} {weight:+.2f}" for name, weight in weights))
    return lines


def power_title(power: PowerTable) -> str:
    """What the table of documents needed shows."""
    return f"Documents needed on each side for {100 * power.power:g} % power, if this effect is the true effect"
