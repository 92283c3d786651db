"""``report.html``: everything that a run directory holds, on a single page that makes no request."""

from ._comparison import comparison_html, write_comparison
from ._page import report_html, write_report

__all__ = ["comparison_html", "report_html", "write_comparison", "write_report"]
