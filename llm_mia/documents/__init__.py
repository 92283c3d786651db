"""From passages to documents and collections: evidence about a whole book, or a whole archive.

A model is trained on documents, not on single passages. The passages of a document share style, subject and source,
so their scores are correlated. Every guarantee here counts documents: p-values are calibrated on documents, and
permutations and resamples move whole documents. More passages do not make up for few documents.

Higher scores mean more member-like. A passage without a score (NaN) is left out of its document's evidence and
counted in a note. Infinite scores are refused.
"""

from ._collections import CollectionTest, Placebo, collection_test, discriminant_weights
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

__all__ = [
    "Average",
    "CollectionTest",
    "DocumentPValues",
    "DocumentScores",
    "GroupedScores",
    "Placebo",
    "PowerRow",
    "PowerTable",
    "Sizes",
    "collection_test",
    "describe_note",
    "discriminant_weights",
    "document_p_values",
    "document_scores",
    "documents_needed",
    "group_scores",
    "matched_size",
    "permutation_test",
    "power_table",
    "random_ranks",
    "smallest_p_value",
    "welch_statistic",
]
