"""From passages to documents and collections: evidence about a whole book, or a whole archive.

A model is trained on documents, not on single passages. The passages of a document share style, subject and source,
so their scores are correlated. Every guarantee here counts documents: p-values are calibrated on documents, and
permutations and resamples move whole documents. More passages do not make up for few documents.

Higher scores mean more member-like. A passage without a score (NaN) is left out of its document's evidence and
counted in a note. Infinite scores are refused.
"""

from ._collections import CollectionTest, Placebo, collection_test, vanishing_difference
from ._difference import LEAST_CORRELATION, DifferenceTest, Pairs, adjusted_statistic, difference_test
from ._notes import describe_note
from ._p_values import DocumentPValues, Sizes, document_p_values
from ._permutation import documents_needed, permutation_test, smallest_p_value, welch_statistic
from ._power import PowerRow, PowerTable, power_table
from ._scores import (
    Average,
    DocumentScores,
    GroupedScores,
    document_scores,
    group_scores,
    matched_size,
    random_ranks,
)
from ._sensitivity import auroc_of_shift, shift_of_auroc

__all__ = [
    "LEAST_CORRELATION",
    "Average",
    "CollectionTest",
    "DifferenceTest",
    "DocumentPValues",
    "DocumentScores",
    "GroupedScores",
    "Pairs",
    "Placebo",
    "PowerRow",
    "PowerTable",
    "Sizes",
    "adjusted_statistic",
    "auroc_of_shift",
    "collection_test",
    "describe_note",
    "difference_test",
    "document_p_values",
    "document_scores",
    "documents_needed",
    "group_scores",
    "matched_size",
    "permutation_test",
    "power_table",
    "random_ranks",
    "shift_of_auroc",
    "smallest_p_value",
    "vanishing_difference",
    "welch_statistic",
]
