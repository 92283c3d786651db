"""``report.html``: everything that a run directory holds, on a single page that makes no request."""

from ._comparison import comparison_html, write_comparison
from ._documents import documents_section
from ._gate import gate_html, write_gate_report
from ._page import report_html, write_report
from ._passages import passages_section
from ._published import published_html, published_sections, write_published_report

__all__ = [
    "comparison_html",
    "documents_section",
    "gate_html",
    "passages_section",
    "published_html",
    "published_sections",
    "report_html",
    "write_comparison",
    "write_gate_report",
    "write_published_report",
    "write_report",
]
