"""Per-passage attacks: pure functions from evidence to a score, a file for each family.

Importing this package registers every kind of evidence in `EVIDENCE` and every attack in `ATTACKS`.
"""

from . import distribution, likelihood, population, prefix, reference, rewrites, samples, sequence, shadows  # noqa: F401
from ._evidence import EVIDENCE, MEMBER, NONMEMBER
from ._fields import Likelihoods, Moments, Ranks, TokenLikelihoods
from ._gain_null import fit_gain_null
from ._kind import (
    Evidence,
    EvidenceKind,
    LoadedSupplies,
    ModelPass,
    NeighbourWriter,
    PassageSignals,
    Requirement,
    Rewrite,
    TextVersion,
    register_evidence,
)
from ._registry import ATTACKS, AtLeast, Attack, Positive, Share, all_attacks, attack, parse_attack, passes_needed
from ._sample_set import Samples, SampleSettings, split_passage
from ._shadow_set import ShadowSet, choose_shadows
from ._tail import lowest

__all__ = [
    "ATTACKS",
    "EVIDENCE",
    "MEMBER",
    "NONMEMBER",
    "AtLeast",
    "Attack",
    "Evidence",
    "EvidenceKind",
    "Likelihoods",
    "LoadedSupplies",
    "ModelPass",
    "Moments",
    "NeighbourWriter",
    "PassageSignals",
    "Positive",
    "Ranks",
    "Requirement",
    "Rewrite",
    "SampleSettings",
    "Samples",
    "ShadowSet",
    "Share",
    "TextVersion",
    "TokenLikelihoods",
    "all_attacks",
    "attack",
    "choose_shadows",
    "fit_gain_null",
    "lowest",
    "parse_attack",
    "passes_needed",
    "register_evidence",
    "split_passage",
]
