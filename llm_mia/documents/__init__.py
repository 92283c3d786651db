"""From passages to documents and collections: what a model shows of a whole book, or of a whole archive.

A document, not a passage, is what was or wasn't trained on; its passages share a style, a subject and a source, and so
their scores go up and down together. Every guarantee here counts documents: p-values are calibrated on documents,
permutations and resamples move whole ones, and few documents stay few however many passages they hold.

Higher scores mean more member-like. A passage without a score (NaN) is left out of its document's evidence and
counted; infinite scores are refused.
"""

from ._collections import CollectionTest, Placebo, collection_test
from ._p_values import DocumentPValues, document_p_values
from ._power import PowerRow, PowerTable, power_table
from ._scores import DocumentScores, document_scores

__all__ = [
    "CollectionTest",
    "DocumentPValues",
    "DocumentScores",
    "Placebo",
    "PowerRow",
    "PowerTable",
    "collection_test",
    "document_p_values",
    "document_scores",
    "power_table",
]
