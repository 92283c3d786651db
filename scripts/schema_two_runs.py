"""The JSON Schema of two runs side by side."""

from __future__ import annotations

from schema_types import VERSION, Definitions, Schema, by_name, closed, number, or_null, rows, text, truth

from llm_mia.auditing import Difference, Matched, Setting
from llm_mia.metrics import PairedFlags

__all__ = ["report"]


def report(known: Definitions) -> dict[str, Schema]:
    """Two runs."""
    ends = {
        "value": number("The second run's figure less the first run's."),
        "low": number("Lower end of the interval; null where nothing bounds it.", null=True),
        "high": number("Upper end; null where nothing bounds it.", null=True),
        "confidence": number("Of the interval, which holds by itself."),
    }
    run = {
        "path": text("The run directory."),
        "finding": text("Its answer in words."),
        "withheld": truth("Whether the standing of its known set withholds the finding."),
        "flagged": number("Candidates that are flagged, of all that the run has.", whole=True),
        "candidates": number("Candidates that the run has.", whole=True),
    }
    flags = known.record(PairedFlags, stated=truth("Whether the difference holds together with all other comparisons."))
    difference = known.record(Difference, difference=closed(ends))
    return {
        "schema_version": VERSION,
        "runs": rows("The first run and the second.", closed(run)),
        "matched": by_name("By role: passages that are compared.", known.record(Matched)),
        "texts_compared": truth("Whether the texts are known to be the same, and not only the ids."),
        "settings": rows("What differs between the runs.", known.record(Setting)),
        "comparisons": number("How many hypotheses were tested.", whole=True),
        "flags": or_null(flags, "Candidates flagged in either run; null where a known set withholds the finding."),
        "differences": rows("Figures of both runs on the same passages.", difference),
        "fpr": number("The false positive rate at which the TPR is compared."),
    }
