"""Masked language models, such as BERT, that write other versions of a text."""

from ._rewriter import MaskedRewriter

__all__ = ["MaskedRewriter"]
