"""Evidence by design: of each document several variants, one of which, drawn at random, is published.

If a model was trained on the public variants, it prefers them to those that stayed sealed. The p-value is exact, and
nothing is assumed of the texts.
"""

from ._make import WrittenCanaries, draw_canaries, make_canaries
from ._manifest import CanaryKind, Manifest, Sealed, SealedDocument, read_sealed
from ._sealing import commitment_of, drawn_variant, leaf_of, merkle_root
from ._statistic import DrawTest, differences_of, draw_test
from ._traps import SentenceRule
from ._verify import Verification, verify_canaries

__all__ = [
    "CanaryKind",
    "DrawTest",
    "Manifest",
    "Sealed",
    "SealedDocument",
    "SentenceRule",
    "Verification",
    "WrittenCanaries",
    "commitment_of",
    "differences_of",
    "draw_canaries",
    "draw_test",
    "drawn_variant",
    "leaf_of",
    "make_canaries",
    "merkle_root",
    "read_sealed",
    "verify_canaries",
]
