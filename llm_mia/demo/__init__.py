"""An audit whose truth is known, because the model is trained here, on passages drawn at random."""

from ._demo import Demo, DemoSizes, demo, language_reference
from ._results import demo_summary, demo_table

__all__ = ["Demo", "DemoSizes", "demo", "demo_summary", "demo_table", "language_reference"]
