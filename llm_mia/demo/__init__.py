"""An audit whose truth is known: a model trained here, on passages drawn at random here."""

from ._demo import Demo, demo
from ._results import demo_summary, demo_table

__all__ = ["Demo", "demo", "demo_summary", "demo_table"]
