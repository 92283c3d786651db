"""An audit → what people and machines read."""

from ._attacks import attack_details, attacks_table
from ._canary import (
    canary_details,
    canary_screen,
    canary_summary,
    paired_details,
    paired_screen,
    paired_summary,
)
from ._canary_plan import plan_details, plan_screen, plan_summary
from ._cells import percent
from ._choices import CHOICES, Choice, choice_details
from ._decisions import (
    calibration_lines,
    collection_screen,
    collection_table,
    decisions_table,
    flags_screen,
    flags_table,
)
from ._defenses import defenses_screen, defenses_summary, defenses_table
from ._evaluations import comparison_line, evaluation_screen, evaluation_table, threshold_lines
from ._exhibit import exhibit_lines, exhibit_summary, verification_lines, verification_summary
from ._extraction import extraction_screen, extraction_summary, extraction_table
from ._gate import gate_details, gate_screen, gate_summary
from ._guard import guard_screen, guard_summary
from ._junit import gate_junit
from ._layout import Column, Listing
from ._monitor import inspection_lines, inspection_summary, monitor_details, monitor_screen, monitor_summary
from ._published import holds_published_test, read_published
from ._results import Results, read_results
from ._shadows import shadows_details, shadows_screen, shadows_summary
from ._summary import (
    audit_summary,
    calibration_summary,
    collection_summary,
    comparison_summary,
    decisions_summary,
    evaluation_summary,
    flags_summary,
    threshold_summary,
)
from ._terminal import audit_details, audit_html, audit_screen
from ._two_runs import two_runs_details, two_runs_screen, two_runs_summary
from ._validity import validity_lines, validity_screen, validity_table
from .exhibit import verify_exhibit, write_exhibit
from .html import gate_html, report_html, write_comparison, write_gate_report, write_published_report, write_report
from .monitoring import write_monitor_page
from .words import by_shadows, extraction_statement, note_words, shadows_work, standing_note, void_note, why_withheld

__all__ = [
    "CHOICES",
    "Choice",
    "Column",
    "Listing",
    "Results",
    "attack_details",
    "attacks_table",
    "audit_details",
    "audit_html",
    "audit_screen",
    "audit_summary",
    "by_shadows",
    "calibration_lines",
    "calibration_summary",
    "canary_details",
    "canary_screen",
    "canary_summary",
    "choice_details",
    "collection_screen",
    "collection_summary",
    "collection_table",
    "comparison_line",
    "comparison_summary",
    "decisions_summary",
    "decisions_table",
    "defenses_screen",
    "defenses_summary",
    "defenses_table",
    "evaluation_screen",
    "evaluation_summary",
    "evaluation_table",
    "exhibit_lines",
    "exhibit_summary",
    "extraction_screen",
    "extraction_statement",
    "extraction_summary",
    "extraction_table",
    "flags_screen",
    "flags_summary",
    "flags_table",
    "gate_details",
    "gate_html",
    "gate_junit",
    "gate_screen",
    "gate_summary",
    "guard_screen",
    "guard_summary",
    "holds_published_test",
    "inspection_lines",
    "inspection_summary",
    "monitor_details",
    "monitor_screen",
    "monitor_summary",
    "note_words",
    "paired_details",
    "paired_screen",
    "paired_summary",
    "percent",
    "plan_details",
    "plan_screen",
    "plan_summary",
    "read_published",
    "read_results",
    "report_html",
    "shadows_details",
    "shadows_screen",
    "shadows_summary",
    "shadows_work",
    "standing_note",
    "threshold_lines",
    "threshold_summary",
    "two_runs_details",
    "two_runs_screen",
    "two_runs_summary",
    "validity_lines",
    "validity_screen",
    "validity_table",
    "verification_lines",
    "verification_summary",
    "verify_exhibit",
    "void_note",
    "why_withheld",
    "write_comparison",
    "write_exhibit",
    "write_gate_report",
    "write_monitor_page",
    "write_published_report",
    "write_report",
]
