"""An audit → what people and machines read."""

from ._summary import audit_summary, calibration_summary, demo_summary, evaluation_summary, flags_summary, write_report
from ._terminal import attack_details, attacks_table, audit_table, demo_table, evaluation_table, flags_table

__all__ = [
    "attack_details",
    "attacks_table",
    "audit_summary",
    "audit_table",
    "calibration_summary",
    "demo_summary",
    "demo_table",
    "evaluation_summary",
    "evaluation_table",
    "flags_summary",
    "flags_table",
    "write_report",
]
