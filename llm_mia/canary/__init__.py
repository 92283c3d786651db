"""Evidence by design: of each document several variants, one of which, drawn at random, is published.

If a model was trained on the public variants, it prefers them to those that stayed sealed. The p-value is exact, and
nothing is assumed of the texts.
"""

from ._manifest import CanaryKind, Manifest, Sealed, SealedDocument, read_sealed
from ._sealing import commitment_of, drawn_variant, leaf_of, merkle_root
from ._statistic import DrawTest, differences_of, draw_test

__all__ = [
    "CanaryKind",
    "DrawTest",
    "Manifest",
    "Sealed",
    "SealedDocument",
    "commitment_of",
    "differences_of",
    "draw_test",
    "drawn_variant",
    "leaf_of",
    "merkle_root",
    "read_sealed",
]
