"""``report.html`` of a monitor: the alerts with their reasons and places, on a page that makes no request."""

from ._page import monitor_html, write_monitor_page

__all__ = ["monitor_html", "write_monitor_page"]
