"""Passages: files, folders, standard input and Hugging Face datasets, read exactly as they stand.

Nothing is ever changed in a text: a membership score is a statement about a string, and a stripped blank or a folded
line end makes it a statement about another one. What cannot be a passage is refused with its place, in one line, and
without the text itself.

    file ─► rows or one document ─► columns found, text checked ─► id settled ─► Passage
"""

from ._check import InputCheck, SourceCounts, check_inputs
from ._passages import Passages, read_passages

__all__ = [
    "InputCheck",
    "Passages",
    "SourceCounts",
    "check_inputs",
    "read_passages",
]
