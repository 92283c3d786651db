"""What to do after a gate, by its verdict: a sentence for each step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...gate import GateResult, GateRow, Obstacle, Quantity, RowVerdict
from ._answer_facts import worst_faults
from ._gate import limit_words

__all__ = ["gate_next"]

AGAIN = "Then run the gate again, in a new folder and with the same limits."
COPIES = "Texts that occur several times leak first: remove the copies, and train again."
DEFEND = (
    "'llm-mia defend' trains your base on your texts with each defence, and shows which of them lowers the leak and "
    "what it costs ('llm-mia guide defences')."
)
KEEP = "Keep gate.json with the release, and run the gate with the same limits on each later version of the model."
REFERENCE = (
    "Run the gate with a reference model, too, such as the model before its fine-tuning: without it the attackers are "
    "weaker."
)
TEST: Mapping[Obstacle, str] = {
    Obstacle.NOT_DOCUMENTED: "only a training with DP-SGD documents an ε ('llm-mia guide defences')",
    Obstacle.DOCUMENTS_SHARED: "give members and non-members of which each passage is a document by itself",
    Obstacle.NO_UPPER_END: "a limit that is not strict can be tested; a strict limit needs a documented ε",
    Obstacle.NO_CONFIDENCE: "give a model that shows the probabilities of tokens",
    Obstacle.NOT_SEARCHED: "remove what prevents the search, as its row says",
    Obstacle.AS_NONMEMBERS: "give non-members that share no text with the members",
}
"""What tests a limit that is not applicable."""


def gate_next(result: GateResult) -> list[str]:
    """What the reader can do now; the first step matters most."""
    if result.withheld:
        remedies = [check.remedy for check in worst_faults(result.validity)[:1]]
        return ["Repair the known set first: until then no limit decides.", *remedies, AGAIN]
    steps = [*_after_failure(result), AGAIN] if result.failed else [KEEP]
    if result.passed and not any(name.startswith("reference") for name in result.passes):
        steps.append(REFERENCE)
    return [*steps, *(_test(row) for row in result.rows if row.verdict is RowVerdict.NOT_APPLICABLE)]


def _after_failure(result: GateResult) -> Iterator[str]:
    shown = [row for row in result.failed if row.value is not None and row.value > row.limit]
    for row in result.failed:
        if row not in shown:
            name = limit_words(row)
            yield f"{name}: the data do not rule out a larger value, and do not show it; more documents may decide."
        elif row.quantity is Quantity.EPSILON_DOCUMENTED:
            yield f"{limit_words(row)}: train with DP-SGD at an ε of at most {row.limit:g}."
    if any(row.quantity is not Quantity.EPSILON_DOCUMENTED for row in shown):
        most = "Read below which texts leaked most. " if result.leaked_documents or result.leaked_passages else ""
        yield f"{most}{COPIES}"
        yield DEFEND


def _test(row: GateRow) -> str:
    """What would test a limit that is not applicable."""
    obstacle = row.obstacle
    if obstacle is None:
        how = "nothing was measured"
    elif obstacle.kind == Obstacle.TOO_FEW:
        names = {"members": "members", "nonmembers": "non-members"}
        lacking = [name for name in names if obstacle.figures[name] > obstacle.figures[f"has_{name}"]]
        needed = " and ".join(f"{obstacle.figures[name]:,} documents of {names[name]}" for name in lacking)
        how = f"give at least {needed}"
    else:
        how = TEST[Obstacle(obstacle.kind)]
    return f"{limit_words(row)} was not tested: {how}."
