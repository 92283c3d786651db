"""Passages: files, folders, standard input, Hugging Face datasets and data in memory, read without any change.

Nothing is ever changed in a text: a membership score is a statement about a string, and a stripped blank or a folded
line end makes it a statement about another one. What cannot be a passage is refused with its place, in one line, and
without the text itself.

    file, DataFrame, list ─► rows or one document ─► columns found, text checked ─► id settled ─► Passage
"""

from ._check import InputCheck, check_inputs
from ._contents import Contents, SourceCounts
from ._passages import Passages, PassageSource, read_passages, to_passages, to_sources

__all__ = [
    "Contents",
    "InputCheck",
    "PassageSource",
    "Passages",
    "SourceCounts",
    "check_inputs",
    "read_passages",
    "to_passages",
    "to_sources",
]
