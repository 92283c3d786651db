"""Per-passage attacks: pure functions from evidence to a score, a file for each family.

Importing this package registers every kind of evidence in `EVIDENCE` and every attack in `ATTACKS`.
"""

from . import distribution, likelihood, population, prefix, reference, rewrites, sequence
from ._evidence import EVIDENCE, MEMBER, NONMEMBER, refuse_other_frequencies
from ._fields import Likelihoods, Moments, Ranks
from ._kind import Evidence, Kind, ModelPass, Provided, Rewrite, Row, Supply, Version, Writer, evidence
from ._registry import ATTACKS, AtLeast, Attack, Positive, Share, all_attacks, attack, parse_attack, passes_needed

__all__ = [
    "ATTACKS",
    "EVIDENCE",
    "MEMBER",
    "NONMEMBER",
    "AtLeast",
    "Attack",
    "Evidence",
    "Kind",
    "Likelihoods",
    "ModelPass",
    "Moments",
    "Positive",
    "Provided",
    "Ranks",
    "Rewrite",
    "Row",
    "Share",
    "Supply",
    "Version",
    "Writer",
    "all_attacks",
    "attack",
    "distribution",
    "evidence",
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
