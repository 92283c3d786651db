"""Masked language models, such as BERT, that write other versions of a text."""

from ._fillers import Fillers, draw_columns
from ._rewriter import MaskedRewriter, RewritingPlan

__all__ = ["Fillers", "MaskedRewriter", "RewritingPlan", "draw_columns"]
