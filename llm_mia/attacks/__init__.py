"""Per-passage attacks: pure functions from evidence to a score, one file per family.

Importing this package registers all of them in `ATTACKS`.
"""

from . import distribution, likelihood, population, prefix, reference, rewrites, sequence
from ._registry import (
    ATTACKS,
    EVIDENCE,
    MANY_PASSES,
    AtLeast,
    Attack,
    Evidence,
    Kind,
    Positive,
    Share,
    all_attacks,
    attack,
    parse_attack,
    passes_needed,
)
from .distribution import refuse_other_frequencies

__all__ = [
    "ATTACKS",
    "EVIDENCE",
    "MANY_PASSES",
    "AtLeast",
    "Attack",
    "Evidence",
    "Kind",
    "Positive",
    "Share",
    "all_attacks",
    "attack",
    "distribution",
    "likelihood",
    "parse_attack",
    "passes_needed",
    "population",
    "prefix",
    "reference",
    "refuse_other_frequencies",
    "rewrites",
    "sequence",
]
