"""Per-passage attacks: pure functions from evidence to a score, one file per family.

Importing this package registers all of them in `ATTACKS`.
"""

from . import distribution, likelihood, reference
from ._registry import ATTACKS, EVIDENCE, Attack, Share, attack, parse_attack, passes_needed

__all__ = [
    "ATTACKS",
    "EVIDENCE",
    "Attack",
    "Share",
    "attack",
    "distribution",
    "likelihood",
    "parse_attack",
    "passes_needed",
    "reference",
]
