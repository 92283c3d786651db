"""The decision on all candidates together, in words."""

from __future__ import annotations

from ...decision import CollectionResult
from ...documents import PowerTable
from ._counting import counted
from ._decisions import WITHHELD

__all__ = ["collection_finding", "collection_lines", "collection_size", "power_title"]


def collection_finding(result: CollectionResult) -> str:
    """What the test of the collection shows."""
    if result.withheld:
        return WITHHELD
    return "consistent with training on the collection" if result.significant else "no evidence of training"


def collection_size(result: CollectionResult) -> str:
    """How many documents of candidates were compared with how many of known non-members."""
    candidates, nonmembers = result.test.n_documents
    return f"{counted(candidates, 'candidate document')} against {nonmembers:,} of known non-members"


def collection_lines(result: CollectionResult) -> list[str]:
    """Figures to read with the finding: the placebo, and the weights of several attacks."""
    placebo = result.test.placebo
    lines = [
        f"placebo, half of the known non-members against the other half: p = {placebo.p_value:.4g} in random halves, "
        f"p = {placebo.in_order_p_value:.4g} in halves by the order of the input"
    ]
    if len(result.attacks) > 1:
        weights = zip(result.attacks, result.test.weights, strict=True)
        lines.append("weights of the attacks: " + ", ".join(f"{name} {weight:+.2f}" for name, weight in weights))
    return lines


def power_title(power: PowerTable) -> str:
    """The title of the table of the documents that a test needs."""
    return (
        f"Candidate documents, and as many documents of non-members, that a test needs for {100 * power.power:g} % "
        "power, if the true effect is the effect measured here"
    )
