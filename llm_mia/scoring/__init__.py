"""Signals → a score for each passage and attack, in ``scores.parquet``."""

from ._documents import Documents
from ._score import ModelSource, Scored, run_scoring, score, score_to_disk
from ._scoring_plan import STAND_IN_WORDS, References, ScoringPlan, plan_scoring
from ._select import ALL, Selection, attacks_for
from ._text_scorer import TextScorer, TextScores

__all__ = [
    "ALL",
    "STAND_IN_WORDS",
    "Documents",
    "ModelSource",
    "References",
    "Scored",
    "ScoringPlan",
    "Selection",
    "TextScorer",
    "TextScores",
    "attacks_for",
    "plan_scoring",
    "run_scoring",
    "score",
    "score_to_disk",
]
