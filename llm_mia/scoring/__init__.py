"""Signals → one score for each passage and attack, in ``scores.parquet``."""

from ._score import ModelSource, Scored, attacks_for, score, score_to_disk

__all__ = ["ModelSource", "Scored", "attacks_for", "score", "score_to_disk"]
