"""Passages: files, folders, standard input, Hugging Face datasets and data in memory, read without any change.

A text is never changed: a membership score is a statement about a string, and a string without a blank, or with another
line end, is another string. What cannot be a passage is refused in a line that has its place but not its text.

    file, DataFrame, list ─► rows, or a document ─► columns chosen, text checked ─► id assigned ─► Passage
"""

from ._check import InputCheck, check_inputs, note_without_ids, shared_text
from ._contents import LONGEST_CARRIED, ColumnType, SourceCounts, common_type
from ._cutting import cut_document
from ._digest import passages_sha256
from ._joined import joined_documents
from ._passages import Passages
from ._sources import PassageSource, read_passages, to_passages, to_sources
from ._usual import class_names, membership, other_labels, usual_column

__all__ = [
    "LONGEST_CARRIED",
    "ColumnType",
    "InputCheck",
    "PassageSource",
    "Passages",
    "SourceCounts",
    "check_inputs",
    "class_names",
    "common_type",
    "cut_document",
    "joined_documents",
    "membership",
    "note_without_ids",
    "other_labels",
    "passages_sha256",
    "read_passages",
    "shared_text",
    "to_passages",
    "to_sources",
    "usual_column",
]
