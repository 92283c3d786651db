"""Every sentence of a result, phrased from records; plain text, without markup. Nothing reads a sentence back."""

from ._answer import Answer, Outcome
from ._answering import answer_of, flags_answer
from ._collections import collection_finding, collection_lines, collection_size, power_title
from ._comparisons import comparison_facts, p_words, role_words, sensitivity_words
from ._controls import ControlRow, control_rows
from ._counting import NO_BREAK, counted, have, size_words, unbroken
from ._decisions import (
    category_lines,
    columns_used,
    finding,
    finding_facts,
    finding_parts,
    guarantee_words,
    held_words,
    members_words,
    q_values_words,
    rule_words,
    selection_words,
    threshold_words,
)
from ._evaluations import (
    at_threshold_words,
    comparison_words,
    gap_meaning,
    gap_words,
    too_few_words,
    unscored_words,
)
from ._exhibit import Section, Side, exhibit_sections, side_words
from ._extraction import (
    extraction_notes,
    extraction_rate,
    extraction_reference,
    extraction_size,
    extraction_statement,
)
from ._extraction_answer import extraction_answer
from ._history import control_words, entry_words
from ._notes import ASSUMPTION, note_words, notes_words
from ._other_answers import collection_answer, evaluation_answer, validity_answer
from ._two_runs import NO_CAUSE, comparison_rows, matched_words, perplexity_words, run_heads, run_words, two_runs_lines
from ._validity import (
    standing_note,
    standing_sentence,
    standing_words,
    validity_meaning,
    void_note,
    weakest_words,
    why_withheld,
    withheld_words,
)
from ._verbatim import span_words, verbatim_words

__all__ = [
    "ASSUMPTION",
    "NO_BREAK",
    "NO_CAUSE",
    "Answer",
    "ControlRow",
    "Outcome",
    "Section",
    "Side",
    "answer_of",
    "at_threshold_words",
    "category_lines",
    "collection_answer",
    "collection_finding",
    "collection_lines",
    "collection_size",
    "columns_used",
    "comparison_facts",
    "comparison_rows",
    "comparison_words",
    "control_rows",
    "control_words",
    "counted",
    "entry_words",
    "evaluation_answer",
    "exhibit_sections",
    "extraction_answer",
    "extraction_notes",
    "extraction_rate",
    "extraction_reference",
    "extraction_size",
    "extraction_statement",
    "finding",
    "finding_facts",
    "finding_parts",
    "flags_answer",
    "gap_meaning",
    "gap_words",
    "guarantee_words",
    "have",
    "held_words",
    "matched_words",
    "members_words",
    "note_words",
    "notes_words",
    "p_words",
    "perplexity_words",
    "power_title",
    "q_values_words",
    "role_words",
    "rule_words",
    "run_heads",
    "run_words",
    "selection_words",
    "sensitivity_words",
    "side_words",
    "size_words",
    "span_words",
    "standing_note",
    "standing_sentence",
    "standing_words",
    "threshold_words",
    "too_few_words",
    "two_runs_lines",
    "unbroken",
    "unscored_words",
    "validity_answer",
    "validity_meaning",
    "verbatim_words",
    "void_note",
    "weakest_words",
    "why_withheld",
    "withheld_words",
]
