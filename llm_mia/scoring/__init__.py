"""Signals → one score for each passage and attack, in ``scores.parquet``."""

from ._score import ModelSource, Scored, score, score_to_disk, select
from ._select import ALL, Selection, attacks_for

__all__ = ["ALL", "ModelSource", "Scored", "Selection", "attacks_for", "score", "score_to_disk", "select"]
