"""Passages in, decisions with a stated error rate out: the stages, composed, and the known set put to the test."""

from ._audit import ASSUMPTION, Audit, audit
from ._texts import validate

__all__ = ["ASSUMPTION", "Audit", "audit", "validate"]
