"""Passages: files, folders, standard input, Hugging Face datasets and data in memory, read without any change.

A text is never changed: a membership score is a statement about a string, and with a stripped blank or another line end
it would be about another string. What cannot be a passage is refused in one line, which has its place but not its text.

    file, DataFrame, list ─► rows, or a document ─► columns chosen, text checked ─► id assigned ─► Passage
"""

from ._check import InputCheck, check_inputs, shared_text
from ._contents import Contents, SourceCounts
from ._cutting import cut_document
from ._passages import Passages, PassageSource, read_passages, to_passages, to_sources

__all__ = [
    "Contents",
    "InputCheck",
    "PassageSource",
    "Passages",
    "SourceCounts",
    "check_inputs",
    "cut_document",
    "read_passages",
    "shared_text",
    "to_passages",
    "to_sources",
]
