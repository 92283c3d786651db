"""Evidence by design: of each document several variants, one of which, drawn at random, is published.

If a model was trained on the public variants, it prefers them to those that stayed sealed. The p-value is exact, and
nothing is assumed of the texts. `flip_test` is for texts of which a published and a withheld version exist without a
draw; it rests on a model that knows neither.
"""

from ._sealing import commitment_of, drawn_variant, leaf_of, merkle_root
from ._sign_flips import FlipTest, document_sums, flip_test, least_documents
from ._statistic import DrawTest, differences_of, draw_test

__all__ = [
    "DrawTest",
    "FlipTest",
    "commitment_of",
    "differences_of",
    "document_sums",
    "draw_test",
    "drawn_variant",
    "flip_test",
    "leaf_of",
    "least_documents",
    "merkle_root",
]
