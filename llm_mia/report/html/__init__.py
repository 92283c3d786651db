"""``report.html``: everything that a run directory holds, on a single page that makes no request."""

from ._page import report_html, write_report

__all__ = ["report_html", "write_report"]
