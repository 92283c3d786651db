"""Evidence by design: of each document several variants, one of which, drawn at random, is published.

If a model was trained on the public variants, it prefers them to those that stayed sealed. The p-value is exact, and
nothing is assumed of the texts. `run_paired_test` is for texts of which a published and a withheld version exist
without a draw; it rests on pairs that were edited alike and never published, or on a model that knows neither version.
`plan_canaries` gives the power of a design before it is made.
"""

from ._counted_tests import CountedTest, holm_adjusted
from ._make import WrittenCanaries, draw_canaries, make_canaries
from ._manifest import CanaryKind, Manifest, Sealed, SealedDocument, read_sealed
from ._paired_test import run_paired_test
from ._pairs import Pair, read_pairs
from ._plan import plan_canaries
from ._plan_record import (
    CanaryDesign,
    CanaryPlan,
    PilotSettings,
    PilotTexts,
    PlannedPower,
    RepeatsEffect,
    read_plan,
)
from ._power import (
    MeasuredEffect,
    documents_for,
    fewest_documents,
    interval_over_pilots,
    measured_effect,
    power_of_test,
)
from ._reading import read_canary_test, read_paired
from ._results import (
    CanaryDocument,
    CanaryResult,
    ControlTest,
    PairedDocument,
    PairedResult,
    PlaceboTest,
    UnusedBecause,
    UnusedText,
)
from ._sealing import commitment_of, drawn_variant, leaf_of, merkle_root
from ._sign_flips import FlipTest, document_sums, flip_test, least_documents, reflipped
from ._split_test import SplitTest, document_means, least_control, resplit, split_test
from ._statistic import DrawTest, Histogram, differences_of, draw_test, redrawn
from ._testing import run_canary_test
from ._traps import SentenceRule
from ._verify import Verification, verify_canaries

__all__ = [
    "CanaryDesign",
    "CanaryDocument",
    "CanaryKind",
    "CanaryPlan",
    "CanaryResult",
    "ControlTest",
    "CountedTest",
    "DrawTest",
    "FlipTest",
    "Histogram",
    "Manifest",
    "MeasuredEffect",
    "Pair",
    "PairedDocument",
    "PairedResult",
    "PilotSettings",
    "PilotTexts",
    "PlaceboTest",
    "PlannedPower",
    "RepeatsEffect",
    "Sealed",
    "SealedDocument",
    "SentenceRule",
    "SplitTest",
    "UnusedBecause",
    "UnusedText",
    "Verification",
    "WrittenCanaries",
    "commitment_of",
    "differences_of",
    "document_means",
    "document_sums",
    "documents_for",
    "draw_canaries",
    "draw_test",
    "drawn_variant",
    "fewest_documents",
    "flip_test",
    "holm_adjusted",
    "interval_over_pilots",
    "leaf_of",
    "least_control",
    "least_documents",
    "make_canaries",
    "measured_effect",
    "merkle_root",
    "plan_canaries",
    "power_of_test",
    "read_canary_test",
    "read_paired",
    "read_pairs",
    "read_plan",
    "read_sealed",
    "redrawn",
    "reflipped",
    "resplit",
    "run_canary_test",
    "run_paired_test",
    "split_test",
    "verify_canaries",
]
