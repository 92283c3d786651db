"""Tables of scores: from a run directory, from anybody's csv, tsv, jsonl or parquet file, or from arrays in memory.

A table has a row for each passage and a column for each attack. A higher score is always more member-like.
"""

from ._carried import CARRIED_MARK, DECISION_COLUMNS
from ._columns import Columns, StoredScores, StoredValues, filled, taken
from ._document_names import document_names
from ._files import strings_of
from ._in_common import ROLES, rows_in_common
from ._likelihoods import PassageLosses, read_losses
from ._others import is_other_role, other_column, split_other
from ._reading import read_scores
from ._row_order import ROW_ORDER_LEVEL, RowOrder, row_order
from ._shadow_rows import SHADOW_SCORES, write_shadow_rows
from ._table import UNKNOWN, ScoreTable

__all__ = [
    "CARRIED_MARK",
    "DECISION_COLUMNS",
    "ROLES",
    "ROW_ORDER_LEVEL",
    "SHADOW_SCORES",
    "UNKNOWN",
    "Columns",
    "PassageLosses",
    "RowOrder",
    "ScoreTable",
    "StoredScores",
    "StoredValues",
    "document_names",
    "filled",
    "is_other_role",
    "other_column",
    "read_losses",
    "read_scores",
    "row_order",
    "rows_in_common",
    "split_other",
    "strings_of",
    "taken",
    "write_shadow_rows",
]
